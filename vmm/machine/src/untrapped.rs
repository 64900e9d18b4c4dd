//! Regions that are not trapped: served by a memslot, ioeventfds or a coalesced zone.
//!
//! Accesses to them make no exit, so that no record can be made of each. What can still be known is
//! collected: which pages were written, how often a doorbell rang, which writes were gathered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use barscope_device::{Backing, Decode, Doorbell, PciFunction, Region, Space};
use barscope_trace::BusAddress;
use barscope_trace::event::Id;

use crate::host::HostError;
use crate::lock::lock;
use crate::platform::Platform;
use crate::routes::Destination;

/// A page of the dirty log, in bytes.
const PAGE: u64 = 4096;

/// Consecutive pages of a memslot that the guest wrote without anybody seeing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirtyPages {
    /// The route to the region.
    pub route: Id,
    /// Offset of the first page, in bytes.
    pub offset: u64,
    /// Number of pages.
    pub pages: u64,
    /// The last record before which they were certainly not written.
    pub since: u64,
}

/// A doorbell that rang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// All of them.
pub struct UntrappedRegions<P: Platform> {
    platform: Arc<P>,
    state: Mutex<State<P>>,
    /// Whether the state holds anything: accesses look here first.
    any: AtomicBool,
    /// Held by the vCPU that reads KVM's ring of gathered writes.
    gathered: Mutex<()>,
    /// Held while doorbells that rang are told to devices: who comes later sees what came of them.
    ringing: Mutex<()>,
}

struct State<P: Platform> {
    regions: Vec<Untrapped<P>>,
    /// Coalesced zones that are gone, while the ring may hold writes to them.
    former_zones: Vec<Zone>,
    /// Doorbells that rang before they were taken away.
    rung: Vec<Rung>,
}

/// A region that is not trapped.
struct Untrapped<P: Platform> {
    function: usize,
    region: Region,
    route: Id,
    means: Means<P>,
}

enum Means<P: Platform> {
    Memslot {
        memslot: P::Memslot,
        size: u64,
        /// The last record before which nothing was written that isn't reported.
        since: u64,
    },
    /// Each with the offset of its register.
    Ioeventfds(Vec<(u64, P::Ioeventfd)>),
    CoalescedZone {
        base: u64,
        size: u64,
    },
}

/// A coalesced zone.
struct Zone {
    destination: Destination,
    size: u64,
}

impl<P: Platform> State<P> {
    fn is_empty(&self) -> bool {
        self.regions.is_empty() && self.former_zones.is_empty() && self.rung.is_empty()
    }
}

impl<P: Platform> UntrappedRegions<P> {
    /// None yet.
    pub fn new(platform: Arc<P>) -> Self {
        let state = State { regions: Vec::new(), former_zones: Vec::new(), rung: Vec::new() };
        Self {
            platform,
            state: Mutex::new(state),
            any: AtomicBool::new(false),
            gathered: Mutex::new(()),
            ringing: Mutex::new(()),
        }
    }

    /// Serves a region, that decodes `decode` now, as its function wants it, or traps it where that can't be. How it is
    /// served.
    ///
    /// # Errors
    /// [`HostError`] if the host fails; the region is trapped then.
    pub fn map(
        &self,
        index: usize,
        function: &mut PciFunction,
        region: Region,
        route: Id,
        decode: Decode,
    ) -> Result<Backing, HostError> {
        let backing = function.backing(region);
        if decode.space != Space::Memory && backing != Backing::Doorbell {
            return Ok(Backing::Trapped);
        }
        let mut state = lock(&self.state);
        let means = match backing {
            Backing::Trapped => return Ok(backing),
            Backing::Direct => self.map_memslot(function, region, decode)?,
            Backing::Doorbell => self.register_ioeventfds(function, region, decode)?,
            Backing::Coalesced => self.register_coalesced_zone(decode)?,
        };
        let Some(means) = means else { return Ok(Backing::Trapped) };
        state.regions.push(Untrapped { function: index, region, route, means });
        self.note(&state);
        Ok(backing)
    }

    /// Traps a region again, or lets go of it. What was written until now has to be collected before.
    /// Whether it was not trapped.
    ///
    /// # Errors
    /// [`HostError`] if the host fails.
    pub fn unmap(&self, index: usize, region: Region) -> Result<bool, HostError> {
        let mut state = lock(&self.state);
        let is_it = |untrapped: &Untrapped<P>| untrapped.function == index && untrapped.region == region;
        let Some(position) = state.regions.iter().position(is_it) else { return Ok(false) };
        let Untrapped { function, region, route, means } = state.regions.swap_remove(position);
        match means {
            Means::Memslot { memslot, .. } => self.platform.unmap_memslot(memslot)?,
            Means::Ioeventfds(registers) => {
                for (offset, ioeventfd) in registers {
                    let count = self.platform.unregister_ioeventfd(ioeventfd)?;
                    if count > 0 {
                        state.rung.push(Rung { function, region, route, offset, count });
                    }
                }
            }
            Means::CoalescedZone { base, size } => {
                self.platform.unregister_coalesced_zone(base, size)?;
                let destination = Destination { id: route, function, region, base };
                state.former_zones.push(Zone { destination, size });
            }
        }
        self.note(&state);
        Ok(true)
    }

    /// Lets go of all regions: nothing of them is served by the platform any more.
    ///
    /// # Errors
    /// [`HostError`] if the host fails.
    pub fn unmap_all(&self) -> Result<(), HostError> {
        let regions: Vec<_> = lock(&self.state).regions.iter().map(|it| (it.function, it.region)).collect();
        for (function, region) in regions {
            self.unmap(function, region)?;
        }
        Ok(())
    }

    /// Which pages of memslots were written since they were last collected; `now` is the last record, asked while nobody
    /// else collects.
    ///
    /// # Errors
    /// [`HostError`] if the host fails.
    pub fn take_dirty_pages(&self, now: impl FnOnce() -> u64) -> Result<Vec<DirtyPages>, HostError> {
        if !self.any() {
            return Ok(Vec::new());
        }
        let mut state = lock(&self.state);
        let now = now();
        let mut dirty = Vec::new();
        for Untrapped { route, means, .. } in &mut state.regions {
            let Means::Memslot { memslot, size, since } = means else { continue };
            let log = self.platform.take_dirty_pages(memslot)?;
            let is_dirty = |page: u64| log[(page / 64) as usize] >> (page % 64) & 1 != 0;
            let end = *size / PAGE;
            let mut page = 0;
            while page < end {
                let pages = (page..end).take_while(|page| is_dirty(*page)).count() as u64;
                if pages > 0 {
                    dirty.push(DirtyPages { route: *route, offset: page * PAGE, pages, since: *since });
                }
                page += pages + 1;
            }
            *since = now;
        }
        Ok(dirty)
    }

    /// The right to tell devices that doorbells rang, and which did since this was last asked; `None` if nothing is
    /// untrapped.
    pub fn take_rung(&self) -> Option<(MutexGuard<'_, ()>, Vec<Rung>)> {
        if !self.any() {
            return None;
        }
        let ringing = lock(&self.ringing);
        let mut state = lock(&self.state);
        let mut rung = std::mem::take(&mut state.rung);
        for Untrapped { function, region, route, means } in &state.regions {
            let Means::Ioeventfds(registers) = means else { continue };
            for (offset, ioeventfd) in registers {
                let count = self.platform.take_writes(ioeventfd);
                if count > 0 {
                    let (function, region, route) = (*function, *region, *route);
                    rung.push(Rung { function, region, route, offset: *offset, count });
                }
            }
        }
        self.note(&state);
        Some((ringing, rung))
    }

    /// The right to read KVM's ring of gathered writes, which all vCPUs share; `None` if nothing is untrapped.
    pub fn lock_gathered(&self) -> Option<MutexGuard<'_, ()>> {
        self.any().then(|| lock(&self.gathered))
    }

    /// Where a gathered write at `address` leads whose zone is gone, if it is one.
    pub fn former_destination(&self, address: u64) -> Option<Destination> {
        let holds = |zone: &&Zone| {
            address.checked_sub(zone.destination.base).is_some_and(|offset| offset < zone.size)
        };
        lock(&self.state).former_zones.iter().find(holds).map(|zone| zone.destination)
    }

    /// The ring is empty. Called with the right to read it.
    pub fn all_gathered(&self) {
        let mut state = lock(&self.state);
        state.former_zones.clear();
        self.note(&state);
    }

    fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    fn note(&self, state: &State<P>) {
        self.any.store(!state.is_empty(), Ordering::Release);
    }

    fn map_memslot(
        &self,
        function: &mut PciFunction,
        region: Region,
        decode: Decode,
    ) -> Result<Option<Means<P>>, HostError> {
        let Some(content) = function.memory(region) else { return Ok(None) };
        let size = content.size() as u64;
        if !size.is_multiple_of(PAGE) || !decode.base.is_multiple_of(PAGE) {
            return Ok(None);
        }
        let memslot = self.platform.map_memslot(decode.base, content)?;
        Ok(memslot.map(|memslot| Means::Memslot { memslot, size, since: 0 }))
    }

    fn register_ioeventfds(
        &self,
        function: &PciFunction,
        region: Region,
        decode: Decode,
    ) -> Result<Option<Means<P>>, HostError> {
        let mut registers = Vec::new();
        for Doorbell { offset, only } in function.doorbells(region) {
            let address = decode.base + offset;
            let address = match decode.space {
                Space::Memory => BusAddress::Memory(address),
                // A BAR of ports that is decoded lies among 65536 of them.
                Space::Io => BusAddress::Port(address as u16),
            };
            let Some(ioeventfd) = self.platform.register_ioeventfd(address, only)? else {
                // All of them or none, so that a region is served one way.
                for (_, ioeventfd) in registers {
                    self.platform.unregister_ioeventfd(ioeventfd)?;
                }
                return Ok(None);
            };
            registers.push((offset, ioeventfd));
        }
        Ok(Some(Means::Ioeventfds(registers)))
    }

    fn register_coalesced_zone(&self, decode: Decode) -> Result<Option<Means<P>>, HostError> {
        let Decode { base, size, .. } = decode;
        let registered = self.platform.register_coalesced_zone(base, size)?;
        Ok(registered.then_some(Means::CoalescedZone { base, size }))
    }
}
