//! What lints find in the scenarios that come with barscope and is meant: they show what a device makes of a mistake.

use barscope_analysis::expectation;
use barscope_analysis::lint::Allow;
use barscope_trace::Definitions;

use crate::args::{Guest, Run};

const TEST_KERNEL: &str = include_str!("meant/test-kernel.expect");
const LINUX: &str = include_str!("meant/linux.expect");

/// Of the scenarios that a run plays; nothing where code of the user's runs.
pub fn in_scenarios(args: &Run) -> Vec<Allow> {
    let text = match args.guest {
        Guest::TestKernel if args.kernel.is_none() => TEST_KERNEL,
        Guest::Linux if args.modules.is_empty() && args.programs.is_empty() && args.shell().is_none() => {
            LINUX
        }
        Guest::TestKernel | Guest::Linux => return Vec::new(),
    };
    allows(text)
}

/// Of the scenarios of a trace, if it is of the test kernel. One of Linux doesn't tell whose programs ran.
pub fn in_trace(definitions: &Definitions) -> Vec<Allow> {
    let is_ours = definitions.machine().is_some_and(|machine| machine.guest == "test kernel");
    if is_ours { allows(TEST_KERNEL) } else { Vec::new() }
}

fn allows(text: &str) -> Vec<Allow> {
    // A test reads them.
    expectation::read("lints.expect", text).map(|contents| contents.allows).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_right_and_name_scenarios_that_there_are() {
        for (text, guest) in [(TEST_KERNEL, Guest::TestKernel), (LINUX, Guest::Linux)] {
            let lines = text.lines().filter(|line| line.starts_with("allow ")).count();
            let allows = allows(text);
            assert!(allows.len() == lines && lines > 0);
            for allow in allows {
                let name = allow.scenario.unwrap_or_default();
                assert!(guest.scenarios().iter().any(|scenario| scenario.name == name), "{name}");
            }
        }
    }
}
