//! Processes that another one traces: nothing stops them here, so they are looked at now and then.

use std::collections::HashMap;
use std::fs;

use barscope_guest_abi::state;

use crate::bench;
use crate::maps::Told;
use crate::ptrace::Thread;

/// Processes, each with what it mapped when it was last looked at.
#[derive(Default)]
pub struct Watched(HashMap<Thread, String>);

impl Watched {
    /// A process is another one's from here on.
    pub fn add(&mut self, process: Thread) {
        self.0.entry(process).or_default();
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at them and at the children that they got, and tells what has changed.
    pub fn look(&mut self, told: &mut Told) {
        let processes: Vec<_> = self.0.keys().copied().collect();
        for process in processes {
            for child in children(process) {
                self.add(child);
            }
        }
        self.0.retain(|process, before| match fs::read_to_string(format!("/proc/{process}/maps")) {
            // What has ended but isn't waited for maps nothing.
            Ok(now) if !now.is_empty() => {
                if now != *before {
                    told.maps(*process, *process, state::RUNS, "").ok();
                    *before = now;
                }
                true
            }
            _ => {
                bench::maps(*process, state::ENDS, "", "");
                false
            }
        });
    }
}

fn children(process: Thread) -> Vec<Thread> {
    let listed = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
