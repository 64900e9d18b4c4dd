//! A short run: a register reached both ways, an interrupt.

use barscope_device::Region;
use barscope_trace::event::{Counted, EventKind};

use super::{MMAP, Sample};
use crate::Trace;

/// The guest counts something.
pub(crate) fn count(sample: &mut Sample, what: Counted, value: u64, address: u64) -> u64 {
    sample.event(EventKind::Count { what, value, address, error_code: 6, rip: 0, process: 0, call: None })
}

/// That run as a trace.
pub(crate) fn run() -> Trace {
    let mut sample = Sample::new();
    sample.play();
    sample.finished()
}

impl Sample {
    /// Records setup, a register reached both ways, an interrupt.
    pub(crate) fn play(&mut self) {
        let decode = self.configuration(4, 6);
        self.add_routes(decode);
        self.event(EventKind::Map { mapping: self.kernel_mapping });
        self.scenario_begin("same-register");
        let write = self.kernel_write(8, 0xc0ff_ee01);
        let cause = self.access(write);
        let (function, region) = (self.lab, Region::BAR0);
        self.event(EventKind::Change { function, region, offset: 8, old: 0, new: 0xc0ff_ee01, cause });
        self.event(EventKind::Map { mapping: self.user_mapping });
        count(self, Counted::FaultResolved, 1, MMAP + 8);
        let read = self.user_read(8, 0xc0ff_ee01);
        self.access(read);
        count(self, Counted::KernelEntries, 0, 0);
        self.event(EventKind::Unmap { mapping: self.user_mapping });
        self.scenario_end(true, "both reached 0xfe000008");
        self.scenario_begin("interrupt");
        self.computation();
        self.scenario_end(true, "");
    }
}
