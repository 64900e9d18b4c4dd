//! Lines of the guest's console as records refer to them. A guest that floods its console uses up what there is for
//! that, but nothing of what a kernel reports when something is wrong.

use barscope_trace::event::Id;
use barscope_trace::{WriteError, Writer};

use super::Texts;
use crate::budget::{Account, Kind};

/// What a line has in it with which a kernel may begin to report that something is wrong. Who reads the trace is more
/// particular.
const ALARMS: [&str; 6] = ["cut here", "BUG: ", " BUG at ", " [#", "WARNING: ", "Kernel panic"];
/// How many lines from there on may be part of it.
const REPORT_LINES: u32 = 512;

/// The lines that are defined.
pub struct ConsoleLines {
    lines: Texts,
    reports: Texts,
    /// How many of the next lines may be part of a report.
    reported: u32,
}

impl ConsoleLines {
    /// None yet.
    pub fn new(writer: &Writer) -> Self {
        let texts = |kind| Texts::new(writer.clone(), kind);
        Self { lines: texts(Kind::Console), reports: texts(Kind::Report), reported: 0 }
    }

    /// What is spent of the budgets.
    pub(super) fn accounts(&mut self) -> [&mut Account; 2] {
        [self.lines.account(), self.reports.account()]
    }

    /// The id of a line; 0 if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn id(&mut self, line: &str) -> Result<Id, WriteError> {
        self.reported = if alarms(line) { REPORT_LINES } else { self.reported.saturating_sub(1) };
        match self.lines.id(line)? {
            0 if self.reported > 0 => self.reports.id(line),
            id => Ok(id),
        }
    }
}

/// Whether a kernel may begin to report something with this line.
pub fn alarms(line: &str) -> bool {
    ALARMS.iter().any(|alarm| line.contains(alarm))
}

#[cfg(test)]
mod tests {
    use barscope_trace::Clock;

    use super::*;

    #[test]
    fn a_report_has_room_after_a_flood() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::create(&folder.path().join("t"), Clock::Host).unwrap();
        let mut lines = ConsoleLines::new(&writer);
        let mut id = |line: &str| lines.id(line).unwrap();
        for number in 0..65_536 {
            assert_ne!(id(&number.to_string()), 0);
        }
        assert_eq!((id("one more"), id("1") > 0), (0, true));
        let began = id("[    2.000001] BUG: kernel NULL pointer dereference");
        assert!(began > 0);
        assert!(id("[    2.000002] RIP: 0010:f+0x1/0x2") > began);
        for number in 0..510 {
            assert_ne!(id(&format!("line {number}")), 0, "{number}");
        }
        assert_eq!(id("after it"), 0);
    }
}
