//! Regions that KVM serves by itself: mapped directly, doorbells, coalesced writes.
//!
//! Accesses to them make no exit, so that no record can be made of each. What can still be known is
//! collected: which pages were written, how often a doorbell rang, what was gathered.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use barscope_trace::event::Id;
use device_model::{Backing, Decode, PciFunction, Region, Space, Storage};
use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, kvm_userspace_memory_region};
use kvm_ioctls::{IoEventAddress, NoDatamatch, VmFd};
use vm_memory::{MmapRegion, VolatileMemory};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::host::HostError;
use crate::routes::Destination;

/// A page of the dirty log.
const PAGE: u64 = 4096;
/// Guest memory has memslot 0.
const FIRST_SLOT: u32 = 1;

/// A region that is served in another way than trapped.
struct Served {
    function: usize,
    region: Region,
    route: Id,
    how: How,
}

enum How {
    Direct {
        slot: u32,
        base: u64,
        memory: Arc<MmapRegion>,
        /// The last record before which nothing was written that isn't reported.
        since: u64,
    },
    Doorbells(Vec<Bell>),
    Coalesced {
        base: u64,
        size: u32,
    },
}

struct Bell {
    offset: u64,
    address: u64,
    fd: EventFd,
}

/// Pages of a region that the guest wrote without anybody seeing it.
pub struct Written {
    /// The route to the region.
    pub route: Id,
    /// Offset of the first page, in bytes.
    pub offset: u64,
    /// Number of consecutive pages.
    pub pages: u64,
    /// The last record before which they were certainly not written.
    pub since: u64,
}

/// A doorbell that rang.
pub struct Rung {
    /// Index of the function.
    pub function: usize,
    /// The region of the register.
    pub region: Region,
    /// The route to the region.
    pub route: Id,
    /// The register's offset.
    pub offset: u64,
    /// How often.
    pub count: u64,
}

/// All regions that are not trapped.
pub struct Backings {
    vm: Arc<VmFd>,
    /// Wakes the devices' thread when a doorbell rings; with a virtual clock, vCPUs look by themselves.
    epoll: Option<Arc<Epoll>>,
    served: Vec<Served>,
    /// Where gathered writes lead that KVM may hold still.
    retired: Vec<Retired>,
    /// Doorbells that rang before they were taken away.
    rung: Vec<Rung>,
}

/// A region whose writes were gathered.
struct Retired {
    destination: Destination,
    size: u64,
}

impl Backings {
    /// None yet.
    pub fn new(vm: Arc<VmFd>, epoll: Option<Arc<Epoll>>) -> Self {
        Self { vm, epoll, served: Vec::new(), retired: Vec::new(), rung: Vec::new() }
    }

    /// Whether every region is trapped, and nothing is left to be told of those that weren't.
    pub fn is_empty(&self) -> bool {
        self.served.is_empty() && self.retired.is_empty() && self.rung.is_empty()
    }

    /// Where a gathered write at `address` leads whose region is no longer gathered, if it is one.
    pub fn retired(&self, address: u64) -> Option<Destination> {
        let holds = |retired: &&Retired| {
            address.checked_sub(retired.destination.base).is_some_and(|offset| offset < retired.size)
        };
        self.retired.iter().find(holds).map(|retired| retired.destination)
    }

    /// KVM holds no gathered writes any more.
    pub fn all_gathered(&mut self) {
        self.retired.clear();
    }

    /// Serves a region, that decodes `decode` now, as its function wants it; where that can't be, it is
    /// trapped. How it is served.
    ///
    /// # Errors
    /// [`HostError`] if KVM refuses; the region is trapped then.
    pub fn serve(
        &mut self,
        index: usize,
        function: &mut PciFunction,
        region: Region,
        route: Id,
        decode: Decode,
    ) -> Result<Backing, HostError> {
        let backing = function.backing(region);
        if decode.space != Space::Memory {
            return Ok(Backing::Trapped);
        }
        let how = match backing {
            Backing::Trapped => return Ok(backing),
            Backing::Direct => self.map_directly(function, region, decode)?,
            Backing::Doorbell => self.take_doorbells(function, region, decode)?,
            Backing::Coalesced => self.gather(decode)?,
        };
        let Some(how) = how else { return Ok(Backing::Trapped) };
        self.served.push(Served { function: index, region, route, how });
        Ok(backing)
    }

    /// Traps a region again, or lets go of it. What was written until now has to be collected before.
    /// Whether it was served otherwise.
    ///
    /// # Errors
    /// [`HostError`] if KVM refuses.
    pub fn trap(&mut self, index: usize, region: Region) -> Result<bool, HostError> {
        let is_it = |served: &Served| served.function == index && served.region == region;
        let Some(position) = self.served.iter().position(is_it) else { return Ok(false) };
        let Served { function, region, route, how } = self.served.swap_remove(position);
        match how {
            How::Direct { slot, base, memory, .. } => self.set_slot(slot, base, &memory, 0)?,
            How::Doorbells(bells) => {
                for Bell { offset, address, fd } in bells {
                    self.vm
                        .unregister_ioevent(&fd, &IoEventAddress::Mmio(address), NoDatamatch)
                        .map_err(|source| HostError::ioctl("KVM_IOEVENTFD", source))?;
                    if let Ok(count) = fd.read() {
                        self.rung.push(Rung { function, region, route, offset, count });
                    }
                }
            }
            How::Coalesced { base, size } => {
                self.vm
                    .unregister_coalesced_mmio(IoEventAddress::Mmio(base), size)
                    .map_err(|source| HostError::ioctl("KVM_UNREGISTER_COALESCED_MMIO", source))?;
                let destination = Destination { id: route, function, region, base };
                self.retired.push(Retired { destination, size: size.into() });
            }
        }
        Ok(true)
    }

    /// Which directly mapped pages were written since they were last collected; `now` is the last record.
    ///
    /// # Errors
    /// [`HostError`] if KVM refuses.
    pub fn written(&mut self, now: u64) -> Result<Vec<Written>, HostError> {
        let mut written = Vec::new();
        for served in &mut self.served {
            let How::Direct { slot, memory, since, .. } = &mut served.how else { continue };
            let log = self
                .vm
                .get_dirty_log(*slot, memory.size())
                .map_err(|source| HostError::ioctl("KVM_GET_DIRTY_LOG", source))?;
            let dirty = |page: u64| log[(page / 64) as usize] >> (page % 64) & 1 != 0;
            let pages = memory.size() as u64 / PAGE;
            let mut page = 0;
            while page < pages {
                let run = (page..pages).take_while(|page| dirty(*page)).count() as u64;
                if run > 0 {
                    let offset = page * PAGE;
                    written.push(Written { route: served.route, offset, pages: run, since: *since });
                }
                page += run + 1;
            }
            *since = now;
        }
        Ok(written)
    }

    /// Which doorbells rang since this was last asked.
    pub fn rung(&mut self) -> Vec<Rung> {
        let mut rung = std::mem::take(&mut self.rung);
        for Served { function, region, route, how } in &self.served {
            let How::Doorbells(bells) = how else { continue };
            for bell in bells {
                // An error says that it didn't ring.
                if let Ok(count) = bell.fd.read() {
                    let (function, region, route) = (*function, *region, *route);
                    rung.push(Rung { function, region, route, offset: bell.offset, count });
                }
            }
        }
        rung
    }

    fn map_directly(
        &mut self,
        function: &mut PciFunction,
        region: Region,
        decode: Decode,
    ) -> Result<Option<How>, HostError> {
        let Some(content) = function.memory(region) else { return Ok(None) };
        let size = content.size();
        if !(size as u64).is_multiple_of(PAGE) || !decode.base.is_multiple_of(PAGE) {
            return Ok(None);
        }
        let memory = MmapRegion::new(size)
            .map_err(|source| HostError::Memory { mib: size as u64 >> 20, source: Box::new(source) })?;
        let memory = Arc::new(memory);
        content.move_to(Box::new(SharedMemory(Arc::clone(&memory))));
        let taken = |slot: u32| {
            let has = |served: &Served| matches!(served.how, How::Direct { slot: used, .. } if used == slot);
            self.served.iter().any(has)
        };
        let slot = (FIRST_SLOT..).find(|slot| !taken(*slot)).unwrap_or(FIRST_SLOT);
        match self.set_slot(slot, decode.base, &memory, size as u64) {
            // The guest chose an address that KVM has no memory at: past the last one that a processor
            // has, or where KVM keeps something of its own. Nothing is wrong with the host.
            Err(HostError::Ioctl { source, .. })
                if matches!(source.raw_os_error(), Some(libc::EINVAL | libc::EEXIST)) =>
            {
                return Ok(None);
            }
            made => made?,
        }
        Ok(Some(How::Direct { slot, base: decode.base, memory, since: 0 }))
    }

    /// Makes, or with size 0 removes, a memslot.
    fn set_slot(&self, slot: u32, base: u64, memory: &MmapRegion, size: u64) -> Result<(), HostError> {
        let slot = kvm_userspace_memory_region {
            slot,
            guest_phys_addr: base,
            memory_size: size,
            userspace_addr: memory.as_ptr() as u64,
            flags: KVM_MEM_LOG_DIRTY_PAGES,
        };
        // SAFETY: the memory is kept in `served` until its slot is removed, or the VM is gone.
        unsafe { self.vm.set_user_memory_region(slot) }
            .map_err(|source| HostError::ioctl("KVM_SET_USER_MEMORY_REGION", source))
    }

    fn take_doorbells(
        &self,
        function: &PciFunction,
        region: Region,
        decode: Decode,
    ) -> Result<Option<How>, HostError> {
        let mut bells = Vec::new();
        for (offset, _) in function.doorbells(region) {
            let fd = EventFd::new(EFD_NONBLOCK).map_err(|source| HostError::system("eventfd", source))?;
            let address = decode.base + offset;
            self.vm
                .register_ioevent(&fd, &IoEventAddress::Mmio(address), NoDatamatch)
                .map_err(|source| HostError::ioctl("KVM_IOEVENTFD", source))?;
            if let Some(epoll) = &self.epoll {
                epoll
                    .ctl(ControlOperation::Add, fd.as_raw_fd(), EpollEvent::new(EventSet::IN, 0))
                    .map_err(|source| HostError::system("epoll_ctl", source))?;
            }
            bells.push(Bell { offset, address, fd });
        }
        Ok(Some(How::Doorbells(bells)))
    }

    fn gather(&self, decode: Decode) -> Result<Option<How>, HostError> {
        let Ok(size) = u32::try_from(decode.size) else { return Ok(None) };
        self.vm
            .register_coalesced_mmio(IoEventAddress::Mmio(decode.base), size)
            .map_err(|source| HostError::ioctl("KVM_REGISTER_COALESCED_MMIO", source))?;
        Ok(Some(How::Coalesced { base: decode.base, size }))
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
