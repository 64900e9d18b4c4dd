//! Regions that KVM serves by itself: put in place when they are decoded, and what can be known about
//! accesses to them collected.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use barscope_trace::event::{Backing, Id, Target};
use barscope_trace::{EventKind, Lane};
use device_model::{Cycle, PciFunction, Region};

use super::{Access, Dispatcher, lock};
use crate::host::HostError;

/// Device time of what is recorded, and the access that led to it.
type Why = (u64, u64);

impl Dispatcher {
    /// Serves a region as its function wants it, if it is decoded; whether that is not by trapping.
    pub(super) fn serve(
        &self,
        lane: &mut Lane,
        index: usize,
        model: &mut PciFunction,
        region: Region,
        why: Why,
    ) -> Result<bool, HostError> {
        let Some((destination, decode)) = lock(&self.routes).mapped(index, region) else { return Ok(false) };
        // Nobody could tell where accesses are that the trace doesn't show.
        if destination.id == 0 {
            return Ok(false);
        }
        let mut backings = lock(&self.backings);
        let backing = match backings.serve(index, model, region, destination.id, decode)? {
            device_model::Backing::Trapped => return Ok(false),
            device_model::Backing::Direct => Backing::Direct,
            device_model::Backing::Doorbell => Backing::Doorbell,
            device_model::Backing::Coalesced => Backing::Coalesced,
        };
        self.untrapped.store(true, Ordering::Release);
        drop(backings);
        self.record_backing(lane, destination.id, backing, why)?;
        self.collect_written(lane)?;
        Ok(true)
    }

    /// Traps a region again, or lets go of it, and reports what nobody saw; whether it was not trapped.
    pub(super) fn stop_serving(
        &self,
        lane: &mut Lane,
        index: usize,
        region: Region,
        (at, _): Why,
    ) -> Result<bool, HostError> {
        self.collect_written_at(lane, at)?;
        let mut backings = lock(&self.backings);
        let stopped = backings.trap(index, region)?;
        self.untrapped.store(!backings.is_empty(), Ordering::Release);
        Ok(stopped)
    }

    /// Says that a region, which stays decoded, is trapped from here on.
    pub(super) fn record_trapped(
        &self,
        lane: &mut Lane,
        index: usize,
        region: Region,
        why: Why,
    ) -> Result<(), HostError> {
        let mapped = lock(&self.routes).mapped(index, region);
        match mapped {
            Some((destination, _)) => self.record_backing(lane, destination.id, Backing::Trapped, why),
            None => Ok(()),
        }
    }

    fn record_backing(
        &self,
        lane: &mut Lane,
        route: Id,
        backing: Backing,
        (at, cause): Why,
    ) -> Result<(), HostError> {
        Ok(self.record(lane, None, at, EventKind::Backing { route, backing, cause })?)
    }

    /// Records the pages of directly mapped regions that were written since the last time.
    ///
    /// # Errors
    /// [`HostError`] if KVM or the trace fails.
    pub fn collect_written(&self, lane: &mut Lane) -> Result<(), HostError> {
        self.collect_written_at(lane, self.clock.now())
    }

    fn collect_written_at(&self, lane: &mut Lane, at: u64) -> Result<(), HostError> {
        if !self.untrapped.load(Ordering::Acquire) {
            return Ok(());
        }
        // The number taken here is that of the last record before this look at the pages.
        let written = lock(&self.backings).written(self.writer.last_reserved())?;
        for pages in written {
            let kind = EventKind::PagesWritten {
                route: pages.route,
                offset: pages.offset,
                pages: pages.pages,
                since: pages.since,
            };
            self.record(lane, None, at, kind)?;
        }
        Ok(())
    }

    /// The right to read KVM's ring of coalesced writes, which all vCPUs share; `None` if no region has
    /// any.
    pub fn lock_coalesced(&self) -> Option<MutexGuard<'_, ()>> {
        self.untrapped.load(Ordering::Acquire).then(|| lock(&self.coalesced))
    }

    /// Carries out a write that KVM gathered: where it led when it was made, should its region be served otherwise
    /// by now.
    ///
    /// # Errors
    /// [`HostError`] if the trace can't be written.
    pub fn gathered(&self, lane: &mut Lane, access: &Access, address: u64) -> Result<(), HostError> {
        let retired = lock(&self.backings).retired(address);
        let Some(destination) = retired else { return self.access(lane, access).map(drop) };
        let now = self.clock.tick();
        self.run_timers(lane, now)?;
        let (target, offset) = (Target::Memory(address), address - destination.base);
        self.reach_function(lane, access, now, target, &destination, offset).map(drop)
    }

    /// KVM's ring is empty. Called with the right to read it.
    pub fn all_gathered(&self) {
        let mut backings = lock(&self.backings);
        backings.all_gathered();
        self.untrapped.store(!backings.is_empty(), Ordering::Release);
    }

    /// Tells devices which doorbells rang since the last time.
    ///
    /// # Errors
    /// [`HostError`] if KVM or the trace fails.
    pub fn collect_rung(&self, lane: &mut Lane) -> Result<(), HostError> {
        if !self.untrapped.load(Ordering::Acquire) {
            return Ok(());
        }
        let _told = lock(&self.rung);
        let mut backings = lock(&self.backings);
        let rung = backings.rung();
        self.untrapped.store(!backings.is_empty(), Ordering::Release);
        drop(backings);
        for bell in rung {
            let now = self.clock.tick();
            let mut occurrences = Vec::new();
            let mut function = lock(&self.functions[bell.function].function);
            let seq = self.writer.reserve();
            let kind = EventKind::Doorbell { route: bell.route, offset: bell.offset, count: bell.count };
            self.record_as(lane, seq, now, kind)?;
            let mut cycle = Cycle { now, cause: seq, memory: &self.memory, occurrences: &mut occurrences };
            function.doorbell(&mut cycle, bell.region, bell.offset, bell.count);
            self.settle(lane, bell.function, &mut function, &occurrences)?;
            self.deadlines.set(bell.function, function.next_deadline());
        }
        Ok(())
    }
}
