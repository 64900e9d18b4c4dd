//! Guest memory: allocated, given to KVM, and lent to devices for DMA.

use std::sync::atomic::Ordering;

use barscope_device::{DmaError, DmaMemory};
use barscope_x86::PhysicalMemory;
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap,
    MemoryRegionAddress,
};

use crate::host::HostError;

/// Guest memory, from address 0 up. Clones share it.
#[derive(Clone)]
pub struct GuestMemory(GuestMemoryMmap);

impl GuestMemory {
    /// Allocates `size` bytes from guest physical address 0.
    ///
    /// # Errors
    /// [`HostError::Memory`] if the host has not enough.
    pub fn new(size: u64) -> Result<Self, HostError> {
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        GuestMemoryMmap::from_ranges(&[(GuestAddress(0), length)])
            .map(Self)
            .map_err(|source| HostError::Memory { mib: size >> 20, source: Box::new(source) })
    }

    /// Makes it visible to the guest, one memslot a region.
    ///
    /// # Errors
    /// [`HostError::Ioctl`] if KVM refuses.
    pub fn register(&self, vm: &VmFd) -> Result<(), HostError> {
        for (slot, region) in (0..).zip(self.0.iter()) {
            let slot = kvm_userspace_memory_region {
                slot,
                guest_phys_addr: region.start_addr().0,
                memory_size: region.len(),
                userspace_addr: region.as_ptr() as u64,
                flags: 0,
            };
            // SAFETY: the region stays mapped as long as the VM exists: both are owned by the
            // machine, which drops its vCPUs and its VM first.
            unsafe { vm.set_user_memory_region(slot) }
                .map_err(|source| HostError::ioctl("KVM_SET_USER_MEMORY_REGION", source))?;
        }
        Ok(())
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.0.last_addr().0 + 1
    }

    /// Stores a word, at an address that is a multiple of its size: what was read and written before is done by then.
    /// Where there is no memory it is dropped.
    pub fn store_word(&self, address: u64, word: u64) {
        if let Some(region) = self.only_region() {
            region.store(word, MemoryRegionAddress(address), Ordering::Release).ok();
        }
    }

    /// The mapped regions, for loaders.
    pub fn regions(&self) -> &GuestMemoryMmap {
        &self.0
    }

    /// Memory is one region from 0 up: every access walks page tables here, so nothing is searched.
    fn only_region(&self) -> Option<&GuestRegionMmap> {
        self.0.iter().next()
    }
}

impl PhysicalMemory for GuestMemory {
    fn read_physical(&self, address: u64, data: &mut [u8]) -> bool {
        self.only_region().is_some_and(|region| region.read_slice(data, MemoryRegionAddress(address)).is_ok())
    }

    fn read_entry(&self, address: u64) -> Option<u64> {
        self.only_region()?.load(MemoryRegionAddress(address), Ordering::Relaxed).ok()
    }
}

impl DmaMemory for GuestMemory {
    fn read(&self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        self.check(address, data.len())?;
        self.0.read_slice(data, GuestAddress(address)).map_err(|_| DmaError::OutOfBounds)
    }

    fn write(&self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        self.check(address, data.len())?;
        self.0.write_slice(data, GuestAddress(address)).map_err(|_| DmaError::OutOfBounds)
    }
}

impl GuestMemory {
    /// Refuses a transfer that leaves memory anywhere, before a byte of it moved.
    fn check(&self, address: u64, length: usize) -> Result<(), DmaError> {
        if self.0.check_range(GuestAddress(address), length) { Ok(()) } else { Err(DmaError::OutOfBounds) }
    }
}
