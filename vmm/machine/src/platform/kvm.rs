//! A virtual machine of KVM's as the dispatcher's platform.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use barscope_device::{AccessSize, DeviceMemory, DmaError, DmaMemory, Storage};
use barscope_trace::{BusAddress, Clock};
use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, kvm_msi, kvm_userspace_memory_region};
use kvm_ioctls::{IoEventAddress, NoDatamatch, VmFd};
use vm_memory::{MmapRegion, VolatileMemory};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::timerfd::TimerFd;

use super::Platform;
use crate::host::HostError;
use crate::lock::lock;
use crate::memory::GuestMemory;

/// Guest memory has memslot 0.
const FIRST_MEMSLOT: u32 = 1;

/// The virtual machine, and what wakes the thread that serves devices.
pub struct KvmPlatform {
    vm: Arc<VmFd>,
    memory: GuestMemory,
    began: Instant,
    clock: Clock,
    epoll: Epoll,
    timer: Mutex<TimerFd>,
    /// Numbers of the memslots in use, guest memory's aside.
    memslots: Mutex<BTreeSet<u32>>,
}

/// A memslot, and the memory that the guest reaches there.
pub struct Memslot {
    number: u32,
    base: u64,
    memory: Arc<MmapRegion>,
}

/// An eventfd that KVM adds one to instead of leaving the guest.
pub struct Ioeventfd {
    address: BusAddress,
    /// The size and the value of the only write that it counts.
    only: Option<(AccessSize, u64)>,
    fd: EventFd,
}

impl KvmPlatform {
    /// The platform of devices with this clock. Host time begins.
    ///
    /// # Errors
    /// [`HostError::System`] if the system has no descriptors left.
    pub fn new(vm: Arc<VmFd>, memory: GuestMemory, clock: Clock) -> Result<Self, HostError> {
        let epoll = Epoll::new().map_err(|source| HostError::system("epoll_create", source))?;
        let timer = TimerFd::new().map_err(|error| HostError::system("timerfd_create", error.into()))?;
        let timer_fd = timer.as_raw_fd();
        let platform = Self {
            vm,
            memory,
            began: Instant::now(),
            clock,
            epoll,
            timer: Mutex::new(timer),
            memslots: Mutex::default(),
        };
        // A timer that came due stays readable until it is set anew.
        platform.watch(timer_fd, EventSet::IN | EventSet::EDGE_TRIGGERED)?;
        Ok(platform)
    }

    /// Has [`KvmPlatform::wait`] return when `fd` is readable.
    ///
    /// # Errors
    /// [`HostError::System`].
    pub fn wake_on(&self, fd: RawFd) -> Result<(), HostError> {
        self.watch(fd, EventSet::IN)
    }

    /// Waits until a deadline, a doorbell with a host clock, or another descriptor that it is to wake on; not longer
    /// than `limit`.
    ///
    /// # Errors
    /// What the system says, a signal among it.
    pub fn wait(&self, limit: Duration) -> io::Result<()> {
        let mut events = [EpollEvent::default(); 4];
        self.epoll.wait(i32::try_from(limit.as_millis()).unwrap_or(0), &mut events).map(drop)
    }

    fn watch(&self, fd: RawFd, events: EventSet) -> Result<(), HostError> {
        let added = self.epoll.ctl(ControlOperation::Add, fd, EpollEvent::new(events, 0));
        added.map_err(|source| HostError::system("epoll_ctl", source))
    }

    /// Has KVM count writes, or no longer.
    fn assign(&self, ioeventfd: &Ioeventfd, assign: bool) -> Result<(), HostError> {
        let Ioeventfd { only, fd, .. } = ioeventfd;
        let address = match ioeventfd.address {
            BusAddress::Memory(address) => IoEventAddress::Mmio(address),
            BusAddress::Port(port) => IoEventAddress::Pio(port.into()),
        };
        // The width of the value is that of the write.
        let assigned = match *only {
            None => assign_match(&self.vm, fd, &address, NoDatamatch, assign),
            Some((AccessSize::Byte, value)) => assign_match(&self.vm, fd, &address, value as u8, assign),
            Some((AccessSize::Word, value)) => assign_match(&self.vm, fd, &address, value as u16, assign),
            Some((AccessSize::Dword, value)) => assign_match(&self.vm, fd, &address, value as u32, assign),
            Some((AccessSize::Qword, value)) => assign_match(&self.vm, fd, &address, value, assign),
        };
        assigned.map_err(|source| HostError::ioctl("KVM_IOEVENTFD", source))
    }

    /// Makes a memslot, or with size 0 removes it.
    fn set_memslot(&self, memslot: &Memslot, size: u64) -> Result<(), kvm_ioctls::Error> {
        let region = kvm_userspace_memory_region {
            slot: memslot.number,
            guest_phys_addr: memslot.base,
            memory_size: size,
            userspace_addr: memslot.memory.as_ptr() as u64,
            flags: KVM_MEM_LOG_DIRTY_PAGES,
        };
        // SAFETY: whoever holds the `Memslot` keeps its memory until it is unmapped, or the VM is gone.
        unsafe { self.vm.set_user_memory_region(region) }
    }
}

fn assign_match<T: Into<u64>>(
    vm: &VmFd,
    fd: &EventFd,
    address: &IoEventAddress,
    only: T,
    assign: bool,
) -> Result<(), kvm_ioctls::Error> {
    if assign { vm.register_ioevent(fd, address, only) } else { vm.unregister_ioevent(fd, address, only) }
}

impl Platform for KvmPlatform {
    type Memslot = Memslot;
    type Ioeventfd = Ioeventfd;

    fn signal_msi(&self, address: u64, data: u32) -> bool {
        let message = kvm_msi {
            address_lo: address as u32,
            address_hi: (address >> 32) as u32,
            data,
            ..Default::default()
        };
        self.vm.signal_msi(message).is_ok_and(|delivered| delivered > 0)
    }

    fn set_irq_line(&self, gsi: u8, asserted: bool) {
        // KVM knows every input of the IOAPIC that it made.
        if let Err(error) = self.vm.set_irq_line(gsi.into(), asserted) {
            log::error!("KVM_IRQ_LINE for input {gsi} failed: {error}");
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn set_deadline(&self, deadline: Option<u64>) {
        let mut timer = lock(&self.timer);
        let set = match deadline {
            Some(deadline) => {
                // A time of 0 would stop it.
                let wait = Duration::from_nanos(deadline.saturating_sub(self.now()).max(1));
                timer.reset(wait, None)
            }
            None => timer.clear(),
        };
        if let Err(error) = set {
            log::error!("timerfd_settime failed: {error}");
        }
    }

    fn map_memslot(&self, base: u64, memory: &mut DeviceMemory) -> Result<Option<Memslot>, HostError> {
        let size = memory.size();
        let shared = MmapRegion::new(size)
            .map_err(|source| HostError::Memory { mib: size as u64 >> 20, source: Box::new(source) })?;
        let shared = Arc::new(shared);
        // Before the guest reaches it.
        memory.move_to(Box::new(SharedMemory(Arc::clone(&shared))));
        let mut taken = lock(&self.memslots);
        let number = (FIRST_MEMSLOT..).find(|number| !taken.contains(number)).unwrap_or(FIRST_MEMSLOT);
        let memslot = Memslot { number, base, memory: shared };
        match self.set_memslot(&memslot, size as u64) {
            Ok(()) => {
                taken.insert(number);
                Ok(Some(memslot))
            }
            // The guest chose an address that KVM has no memory at: past the last one that a processor
            // has, or where KVM keeps something of its own. Nothing is wrong with the host.
            Err(error) if matches!(error.errno(), libc::EINVAL | libc::EEXIST) => Ok(None),
            Err(source) => Err(HostError::ioctl("KVM_SET_USER_MEMORY_REGION", source)),
        }
    }

    fn unmap_memslot(&self, memslot: Memslot) -> Result<(), HostError> {
        let mut taken = lock(&self.memslots);
        self.set_memslot(&memslot, 0)
            .map_err(|source| HostError::ioctl("KVM_SET_USER_MEMORY_REGION", source))?;
        taken.remove(&memslot.number);
        Ok(())
    }

    fn take_dirty_pages(&self, memslot: &Memslot) -> Result<Vec<u64>, HostError> {
        self.vm
            .get_dirty_log(memslot.number, memslot.memory.size())
            .map_err(|source| HostError::ioctl("KVM_GET_DIRTY_LOG", source))
    }

    fn register_ioeventfd(
        &self,
        address: BusAddress,
        only: Option<(AccessSize, u64)>,
    ) -> Result<Option<Ioeventfd>, HostError> {
        let fd = EventFd::new(EFD_NONBLOCK).map_err(|source| HostError::system("eventfd", source))?;
        let ioeventfd = Ioeventfd { address, only, fd };
        self.assign(&ioeventfd, true)?;
        // With a virtual clock, vCPUs look by themselves.
        if self.clock == Clock::Host {
            self.wake_on(ioeventfd.fd.as_raw_fd())?;
        }
        Ok(Some(ioeventfd))
    }

    fn unregister_ioeventfd(&self, ioeventfd: Ioeventfd) -> Result<u64, HostError> {
        self.assign(&ioeventfd, false)?;
        Ok(self.take_writes(&ioeventfd))
    }

    fn take_writes(&self, ioeventfd: &Ioeventfd) -> u64 {
        // An error says that there was none.
        ioeventfd.fd.read().unwrap_or(0)
    }

    fn register_coalesced_zone(&self, base: u64, size: u64) -> Result<bool, HostError> {
        let Ok(size) = u32::try_from(size) else { return Ok(false) };
        self.vm
            .register_coalesced_mmio(IoEventAddress::Mmio(base), size)
            .map_err(|source| HostError::ioctl("KVM_REGISTER_COALESCED_MMIO", source))?;
        Ok(true)
    }

    fn unregister_coalesced_zone(&self, base: u64, size: u64) -> Result<(), HostError> {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.vm
            .unregister_coalesced_mmio(IoEventAddress::Mmio(base), size)
            .map_err(|source| HostError::ioctl("KVM_UNREGISTER_COALESCED_MMIO", source))
    }
}

impl DmaMemory for KvmPlatform {
    fn read(&self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        self.memory.read(address, data)
    }

    fn write(&self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        self.memory.write(address, data)
    }
}

/// Memory that a device shares with the guest, which may change it at any time.
struct SharedMemory(Arc<MmapRegion>);

impl Storage for SharedMemory {
    fn load(&self, offset: usize, data: &mut [u8]) {
        if let Ok(slice) = self.0.get_slice(offset, data.len()) {
            slice.copy_to(data);
        }
    }

    fn store(&mut self, offset: usize, data: &[u8]) {
        if let Ok(slice) = self.0.get_slice(offset, data.len()) {
            slice.copy_from(data);
        }
    }
}
