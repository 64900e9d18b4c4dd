//! What a Linux guest can play, in the order in which it does.

use crate::scenario::{Needs, Scenario};

/// The file that says what the first process is to do.
pub const TASK: &str = "/task";

/// The symbols of a kernel that was built here: its `System.map`.
pub const SYSTEM_MAP: &str = "/System.map";

/// The folder that programs are started in: what the host names by a relative path is below it.
pub const FOLDER: &str = "/root";

/// Where programs find others (`PATH`).
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What became of a driver's probe that didn't take its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe<'a> {
    /// The driver.
    pub driver: &'a str,
    /// What the probe returned: a negative error number.
    pub returned: i32,
}

impl<'a> Probe<'a> {
    /// Reads what a kernel says of a probe of `device`, like `0000:00:04.0`: up to 6.6 `DRIVER: probe of DEVICE failed with
    /// error -5` or `.. rejects match -19`, later `DEVICE: probe with driver DRIVER ..`.
    pub fn parse(message: &'a str, device: &str) -> Option<Self> {
        let (driver, rest) = match message.split_once(": probe of ") {
            Some((driver, rest)) => (driver, rest.strip_prefix(device)?.strip_prefix(' ')?),
            None => {
                let (before, rest) = message.split_once(": probe with driver ")?;
                let of_device = before.strip_suffix(device)?;
                if !(of_device.is_empty() || of_device.ends_with(' ')) {
                    return None;
                }
                rest.split_once(' ')?
            }
        };
        let error =
            rest.strip_prefix("failed with error ").or_else(|| rest.strip_prefix("rejects match "))?;
        Some(Self { driver, returned: error.trim().parse().ok()? })
    }
}

const fn scenario(name: &'static str, question: &'static str) -> Scenario {
    Scenario { name, question, needs: Needs::Lab }
}

/// All of them. A name is also that of the program that plays it, so at most 15 bytes.
pub const SCENARIOS: &[Scenario] = &[
    scenario("probe", "can the driver read the device's ID through ioremap?"),
    scenario("ioctl-and-mmap", "do both ways reach the same register, and what does each cost?"),
    scenario(
        "calls-or-loads",
        "how often do read and write enter the kernel, and how often loads and stores?",
    ),
    scenario("mmap-by-fault", "what does a mapping cost that is filled page by page?"),
    scenario("no-ioremap", "does mmap work in a driver that never calls ioremap?"),
    scenario("iounmap", "does a program's mapping survive the driver's iounmap?"),
    scenario("munmap", "does the driver's mapping survive a program's munmap?"),
    scenario("small-bar", "does the driver give away a page of which its BAR is only a part?"),
    scenario(
        "write-combining",
        "what do the page tables say of a write-combining mapping, and what arrives?",
    ),
    scenario("sysfs", "what can be mapped through sysfs, with a driver and without?"),
    scenario("dev-mem", "when does /dev/mem give away a BAR?"),
    scenario("file-mapping", "does a mapped file reach the device?"),
    scenario("msi-x", "does a vector of its own wake the program?"),
    scenario("msi", "does the one message wake the program?"),
    scenario("msi-shared", "is a cause lost that comes while the handler of the one message is at another?")
        .that_needs(Needs::SecondCpu),
    scenario("intx", "does the pin wake the program?"),
    scenario("dma", "does DMA arrive in both directions, and only while bus mastering is on?"),
    scenario("taken-back", "what becomes of a mapping when its driver takes it back?"),
    scenario("outlives-driver", "what does a mapping reach after its driver went?"),
    scenario("rescan", "does the driver find the device again after its removal?"),
    scenario("unbind-in-use", "what becomes of programs that use the device when its driver goes?"),
    scenario("signals", "does a signal end a call before the device is done?").that_needs(Needs::SecondCpu),
    scenario("two-cpus", "is anything lost when two CPUs use both ways at once?")
        .that_needs(Needs::SecondCpu),
    scenario("memcpy", "what does the C library's memcpy do to device memory?"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_says_what_a_probe_returned_in_two_forms() {
        let read =
            |message| Probe::parse(message, "0000:00:04.0").map(|probe| (probe.driver, probe.returned));

        assert_eq!(read("myedu: probe of 0000:00:04.0 failed with error -22"), Some(("myedu", -22)));
        assert_eq!(read("myedu: probe of 0000:00:04.0 rejects match -19"), Some(("myedu", -19)));
        let newer = "myedu 0000:00:04.0: probe with driver myedu failed with error -5";
        assert_eq!(read(newer), Some(("myedu", -5)));
        assert_eq!(read("pci 0000:00:04.0: probe with driver myedu rejects match -6"), Some(("myedu", -6)));
        for other in [
            "myedu: probe of 0000:00:05.0 failed with error -22",
            "myedu: probe of 0000:00:04.01 failed with error -22",
            "pci 10000:00:04.0: probe with driver myedu failed with error -5",
            "myedu: probe of 0000:00:04.0 failed with error many",
            "myedu 0000:00:04.0: enabling device",
            "",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
