//! How much memory a run takes beyond what its guest touches.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::row::{Aim, Row};
use crate::samples::Samples;
use crate::{Each, Error, Plan};

const NAME: &str = "peak-memory";

const AIM: Aim = Aim::at_most(12.0);
/// Runs.
const BLOCKS: usize = 5;
/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// Guest memory in MiB: no other mapping has this size.
const GUEST_MIB: u64 = 37;

/// Names of rows.
pub(crate) const NAMES: [&str; 1] = [NAME];

/// Measures what the plan asks for: a run of all scenarios, printed.
pub(crate) fn measure(plan: &Plan, each: &mut Each<'_>) -> Result<(), Error> {
    if !plan.wants(NAME) {
        return Ok(());
    }
    let mut mib = Samples::default();
    for _ in 0..BLOCKS {
        mib.extend(run(plan)? as f64 / 1024.0);
    }
    each(Row { value: mib.median(), spread: mib.spread(), ..Row::new(NAME, "MiB") }.aim(AIM))?;
    Ok(())
}

/// KiB that one run takes beyond its guest's memory, at most.
fn run(plan: &Plan) -> Result<u64, Error> {
    let folder = TempDir::new().map_err(Error::system("a folder for the trace"))?;
    let mut command = Command::new(&plan.program);
    command
        .args(["run", "--no-config", "--memory", &GUEST_MIB.to_string(), "--trace"])
        .arg(folder.path().join("trace"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(Error::system("barscope run"))?;
    let mut peak = Peak::default();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::system("barscope run"))? {
            break status;
        }
        let read = |what| fs::read_to_string(format!("/proc/{}/{what}", child.id())).unwrap_or_default();
        peak.take(&read("smaps"), &read("status"));
        thread::sleep(LOOK);
    };
    let failed = |what: String| Error::Guest { machine: "barscope run", what };
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    peak.beyond_guest().ok_or_else(|| failed("its guest's memory was not seen".to_owned()))
}

/// What was seen of a process, in KiB.
#[derive(Debug, Default)]
struct Peak {
    /// The most of the guest's memory that was there.
    guest: u64,
    /// The most that was there of all.
    all: u64,
    /// The most of all but the guest's memory that was there at one time.
    others: u64,
}

impl Peak {
    /// Takes `smaps` and, read right after it, `status` of the process (proc(5)).
    fn take(&mut self, smaps: &str, status: &str) {
        let guest = guest(smaps).unwrap_or_default();
        let now = field(status.lines(), "VmRSS:").unwrap_or_default();
        self.guest = self.guest.max(guest);
        self.all = self.all.max(field(status.lines(), "VmHWM:").unwrap_or_default());
        // Without the guest's memory it isn't known whether that is there.
        if guest > 0 {
            self.others = self.others.max(now.saturating_sub(guest));
        }
    }

    /// What a guest touches stays there until the end: the most of all lies above it by what others had then.
    fn beyond_guest(&self) -> Option<u64> {
        (self.guest > 0).then(|| self.others.max(self.all.saturating_sub(self.guest)))
    }
}

/// How much of the guest's memory is there.
fn guest(smaps: &str) -> Option<u64> {
    let mut lines = smaps.lines();
    lines.find(|line| field([*line], "Size:") == Some(GUEST_MIB << 10))?;
    field(lines, "Rss:")
}

/// The number of KiB on the first line with this name.
fn field<'a>(lines: impl IntoIterator<Item = &'a str>, name: &str) -> Option<u64> {
    let value = lines.into_iter().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
7f0000000000-7f0000021000 rw-p 00000000 00:00 0
Size:                132 kB
Rss:                  12 kB
7f1000000000-7f1002500000 rw-p 00000000 00:00 0
Size:              37888 kB
KernelPageSize:        4 kB
Rss:                1000 kB
";

    #[test]
    fn what_a_guest_touched_is_told_from_the_rest_by_the_size_of_its_mapping() {
        assert_eq!(guest(SMAPS), Some(1000));
        assert_eq!(guest("Size:                132 kB\nRss:                  12 kB\n"), None);
    }

    #[test]
    fn a_peak_before_the_guest_has_touched_all_counts() {
        let mut peak = Peak::default();
        peak.take(&SMAPS.replace("1000", "600"), "VmHWM:\t    6600 kB\nVmRSS:\t    6600 kB\n");
        peak.take(SMAPS, "VmHWM:\t    6700 kB\nVmRSS:\t    5000 kB\n");
        peak.take("", "");
        assert_eq!(peak.beyond_guest(), Some(6000));
    }

    #[test]
    fn a_peak_between_two_looks_counts() {
        let mut peak = Peak::default();
        peak.take(SMAPS, "VmHWM:\t    9000 kB\nVmRSS:\t    5000 kB\n");
        assert_eq!(peak.beyond_guest(), Some(8000));
        assert_eq!(Peak::default().beyond_guest(), None);
    }
}
