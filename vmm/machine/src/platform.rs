//! The seam outwards: what the dispatcher asks of the machine around it. Guest memory, interrupts and time have to be
//! there; ways to serve a region without an exit may be missing.
//!
//! [`KvmPlatform`] is a virtual machine of KVM's; a vfio-user server would be another, its client's memory and
//! eventfds behind it. It deliberately is not the way in: accesses come by
//! [`Dispatcher::access`](crate::dispatch::Dispatcher::access), whoever made them.

mod bare;
mod kvm;
#[cfg(test)]
mod test_platform;

use barscope_device::{AccessSize, DeviceMemory, DmaMemory};
use barscope_trace::BusAddress;

pub use self::bare::BarePlatform;
pub use self::kvm::KvmPlatform;
#[cfg(test)]
pub(crate) use self::test_platform::{Call, TestPlatform};

use crate::host::HostError;

/// A machine around a dispatcher; all its threads share it. Guest memory is read and written as [`DmaMemory`].
pub trait Platform: DmaMemory + Send + Sync {
    /// A region that the guest reaches as memory.
    type Memslot: Send;
    /// A register whose writes are only counted.
    type Ioeventfd: Send;

    /// Sends a message-signalled interrupt; whether a local APIC took it.
    fn signal_msi(&self, address: u64, data: u32) -> bool;

    /// Sets the level of global system interrupt `gsi`.
    fn set_irq_line(&self, gsi: u8, asserted: bool);

    /// Host time in nanoseconds since the machine's start, which never goes back.
    fn now(&self) -> u64;

    /// Has timers run at `deadline`, in time of [`Platform::now`], and not at the one before; `None` if none runs. Called
    /// with a host clock only, by one thread at a time.
    fn set_deadline(&self, deadline: Option<u64>);

    /// Lets the guest reach a region as memory at guest physical `base`; its content moves to where the guest reaches
    /// it. `None` if unsupported, there or at all.
    ///
    /// # Errors
    /// [`HostError`] if the host fails; the guest doesn't reach it then.
    fn map_memslot(&self, base: u64, memory: &mut DeviceMemory) -> Result<Option<Self::Memslot>, HostError>;

    /// Takes it away from the guest; the content stays where it is.
    ///
    /// # Errors
    /// [`HostError`] if the host fails.
    fn unmap_memslot(&self, memslot: Self::Memslot) -> Result<(), HostError>;

    /// The pages that the guest wrote since this was last called: bit n % 64 of word n / 64 is the page from byte
    /// n * 4096 on.
    ///
    /// # Errors
    /// [`HostError`] if the host fails.
    fn take_dirty_pages(&self, memslot: &Self::Memslot) -> Result<Vec<u64>, HostError>;

    /// Counts writes at `address`: those of this size and value only, or all of them. `None` if unsupported.
    ///
    /// # Errors
    /// [`HostError`] if the host fails.
    fn register_ioeventfd(
        &self,
        address: BusAddress,
        only: Option<(AccessSize, u64)>,
    ) -> Result<Option<Self::Ioeventfd>, HostError>;

    /// Counts no longer; how many writes were not taken yet.
    ///
    /// # Errors
    /// [`HostError`] if the host fails.
    fn unregister_ioeventfd(&self, ioeventfd: Self::Ioeventfd) -> Result<u64, HostError>;

    /// How many writes there were since this was last called.
    fn take_writes(&self, ioeventfd: &Self::Ioeventfd) -> u64;

    /// Gathers writes to `size` bytes from guest physical `base` on, until the next exit. Whether it does: `false` if
    /// unsupported.
    ///
    /// # Errors
    /// [`HostError`] if the host fails.
    fn register_coalesced_zone(&self, base: u64, size: u64) -> Result<bool, HostError>;

    /// Gathers no longer. What was gathered still arrives.
    ///
    /// # Errors
    /// [`HostError`] if the host fails.
    fn unregister_coalesced_zone(&self, base: u64, size: u64) -> Result<(), HostError>;
}
