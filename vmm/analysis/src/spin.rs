//! Loops that read one register and get the same again and again, told to whoever waits for a guest that goes on.

use barscope_trace::event::{Event, EventKind};
use barscope_trace::{Capabilities, Definitions};

use crate::view::Viewer;
use crate::words;

/// So many of the last accesses are remembered: a loop's read comes right before the record that tells of the loop.
const RECENT: usize = 64;

/// What to say of loops while they go on.
#[derive(Default)]
pub struct Spins {
    recent: Vec<Event>,
}

impl Spins {
    /// Takes the next event. If it tells of a loop: which register, function and line, and what may end it, in a sentence.
    pub fn take(&mut self, definitions: &Definitions, event: &Event) -> Option<String> {
        let EventKind::Spin { cause, due_ns, .. } = event.kind else {
            if let EventKind::Access(_) = event.kind {
                let at = event.seq as usize % RECENT;
                if self.recent.len() <= at {
                    self.recent.resize(RECENT, *event);
                }
                self.recent[at] = *event;
            }
            return None;
        };
        let mut viewer = Viewer::knowing(&Capabilities::default());
        let read = self.recent.iter().find(|recent| recent.seq == cause);
        let read = read.map(|read| viewer.view(definitions, read));
        let code = read.as_ref().and_then(|read| Some(format!(" by {}", read.made()?.describe())));
        let spin = words::summary(&viewer.view(definitions, event));
        let way_out = words::way_out(due_ns);
        Some(format!("{spin}{}, record {cause}; {way_out}", code.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use barscope_device::Region;
    use barscope_trace::End;
    use barscope_trace::event::AccessEvent;

    use super::*;
    use crate::Trace;
    use crate::sample::Sample;

    const STATUS: u64 = 0x10;

    fn told(due_ns: Option<u64>) -> Vec<String> {
        let mut sample = Sample::new();
        let read = sample.kernel_read(STATUS, 1);
        let cause = sample.access(AccessEvent { ..read });
        let function = sample.lab;
        let (region, offset, value, times) = (Region::BAR0, STATUS, 1, 4096);
        sample.event(EventKind::Spin { function, region, offset, value, times, due_ns, cause });
        sample.writer.finish(End::Finished).unwrap();
        let trace = Trace::open(&sample.path()).unwrap();
        let mut spins = Spins::default();
        let views = trace.views().all();
        views.iter().filter_map(|view| spins.take(trace.definitions(), &view.event)).collect()
    }

    #[test]
    fn a_loop_is_told_with_its_code_and_what_may_end_it() {
        assert_eq!(
            told(Some(20_000)),
            [
                "spin: 4,096 reads of BAR0.STATUS, always 0x1 BUSY by lab::probe lab.rs:13, record 1; the device does \
              something in 20 us"
            ]
        );
        assert_eq!(
            told(None),
            [
                "spin: 4,096 reads of BAR0.STATUS, always 0x1 BUSY by lab::probe lab.rs:13, record 1; the device waits \
              for nothing: only an access, or what comes from outside, changes it"
            ]
        );
    }
}
