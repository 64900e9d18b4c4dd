//! Regions that the platform serves without an exit: mapped when they are decoded, and what can be known about
//! accesses to them collected.

use std::sync::MutexGuard;

use barscope_device::{PciFunction, Region};
use barscope_trace::event::{Backing, Id, Target};
use barscope_trace::{Event, EventKind, Lane};

use super::{Access, Dispatcher};
use crate::host::HostError;
use crate::lock::lock;
use crate::platform::Platform;

/// When and why a region is served otherwise.
#[derive(Clone, Copy)]
pub(super) struct Cause {
    /// Device time.
    pub(super) at: u64,
    /// The access that led to it.
    pub(super) seq: u64,
}

impl<P: Platform> Dispatcher<P> {
    /// Serves a region as its function wants it, if it is decoded; whether that is not by trapping.
    pub(super) fn map_region(
        &self,
        lane: &mut Lane,
        index: usize,
        model: &mut PciFunction,
        region: Region,
        cause: Cause,
    ) -> Result<bool, HostError> {
        let Some((destination, decode)) = lock(&self.routes).mapped(index, region) else { return Ok(false) };
        // Nobody could tell where accesses are that the trace doesn't show.
        if destination.id == 0 {
            return Ok(false);
        }
        let backing = self.untrapped.map(index, model, region, destination.id, decode)?;
        if backing == Backing::Trapped {
            return Ok(false);
        }
        self.record_backing(lane, destination.id, backing, cause)?;
        self.collect_dirty_pages(lane)?;
        Ok(true)
    }

    /// Traps a region again, or lets go of it, and reports what nobody saw; whether it was not trapped.
    pub(super) fn unmap_region(
        &self,
        lane: &mut Lane,
        index: usize,
        region: Region,
        cause: Cause,
    ) -> Result<bool, HostError> {
        self.record_dirty_pages(lane, cause.at)?;
        self.untrapped.unmap(index, region)
    }

    /// Says that a region, which stays decoded, is trapped from here on.
    pub(super) fn record_trapped(
        &self,
        lane: &mut Lane,
        index: usize,
        region: Region,
        cause: Cause,
    ) -> Result<(), HostError> {
        let mapped = lock(&self.routes).mapped(index, region);
        match mapped {
            Some((destination, _)) => self.record_backing(lane, destination.id, Backing::Trapped, cause),
            None => Ok(()),
        }
    }

    fn record_backing(
        &self,
        lane: &mut Lane,
        route: Id,
        backing: Backing,
        cause: Cause,
    ) -> Result<(), HostError> {
        let kind = EventKind::Backing { route, backing, cause: cause.seq };
        Ok(self.record(lane, None, cause.at, kind)?)
    }

    /// Records the pages of memslots that were written since the last time.
    ///
    /// # Errors
    /// [`HostError`] if the platform or the trace fails.
    pub fn collect_dirty_pages(&self, lane: &mut Lane) -> Result<(), HostError> {
        self.record_dirty_pages(lane, self.now())
    }

    fn record_dirty_pages(&self, lane: &mut Lane, at: u64) -> Result<(), HostError> {
        // The number taken here is that of the last record before this look at the pages.
        for dirty in self.untrapped.take_dirty_pages(|| self.writer.last_reserved())? {
            let kind = EventKind::PagesWritten {
                route: dirty.route,
                offset: dirty.offset,
                pages: dirty.pages,
                since: dirty.since,
            };
            self.record(lane, None, at, kind)?;
        }
        Ok(())
    }

    /// The right to read KVM's ring of gathered writes, which all vCPUs share; `None` if no region has
    /// any.
    pub fn lock_gathered(&self) -> Option<MutexGuard<'_, ()>> {
        self.untrapped.lock_gathered()
    }

    /// Carries out a write that KVM gathered at guest physical `address`: where it led when it was made, should its
    /// region be served otherwise by now.
    ///
    /// # Errors
    /// As [`Dispatcher::access`].
    pub fn gathered(&self, lane: &mut Lane, access: &Access, address: u64) -> Result<(), HostError> {
        let Some(destination) = self.untrapped.former_destination(address) else {
            return self.access(lane, access).map(drop);
        };
        let now = self.clock.tick(&*self.platform);
        self.run_timers(lane, now)?;
        let offset = address - destination.base;
        self.dispatch(lane, access, now, Target::Memory(address), &destination, offset).map(drop)
    }

    /// KVM's ring is empty. Called with the right to read it.
    pub fn all_gathered(&self) {
        self.untrapped.all_gathered();
    }

    /// Tells devices which doorbells rang since the last time.
    ///
    /// # Errors
    /// [`HostError`] if the platform or the trace fails.
    pub fn collect_doorbells(&self, lane: &mut Lane) -> Result<(), HostError> {
        let Some((_ringing, rung)) = self.untrapped.take_rung() else { return Ok(()) };
        for bell in rung {
            let now = self.clock.tick(&*self.platform);
            let mut guarded = lock(&self.functions[bell.function].guarded);
            let seq = self.writer.reserve();
            let kind = EventKind::Doorbell { route: bell.route, offset: bell.offset, count: bell.count };
            let host_ns = self.writer.now_ns();
            lane.record(&Event { seq, host_ns, device_ns: now, vcpu: None, kind })?;
            self.call(&mut guarded, now, seq, |function, bus| {
                function.doorbell(bus, bell.region, bell.offset, bell.count);
            });
            self.finish(lane, bell.function, &mut guarded, self.writer.now_ns())?;
        }
        Ok(())
    }
}
