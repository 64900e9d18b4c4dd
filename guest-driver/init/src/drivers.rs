//! Devices that no driver took, and what their probes returned.

use std::path::Path;
use std::{fs, io};

use barscope_guest_abi::linux::Probe;

use crate::bench;
use crate::log::Log;

const DEVICES: &str = "/sys/bus/pci/devices";
/// The kernel's messages for debugging, one by one (`dynamic-debug-howto.rst`).
const DEBUGGING: &str = "/proc/dynamic_debug/control";
/// The base class of bridges, that need no driver.
const BRIDGE: &str = "0x06";

/// Has the kernel say, too, what a probe returned that refuses its device (`-ENODEV`, `-ENXIO`), where it can.
pub fn tell_refusals() {
    fs::write(DEBUGGING, "func call_driver_probe +p").ok();
}

/// Tells of every device that has no driver, with what the kernel says in `log` of its probes.
///
/// # Errors
/// What the system said.
pub fn tell_unbound(log: &mut Log) -> io::Result<()> {
    let said = log.lines();
    let mut devices: Vec<_> = fs::read_dir(DEVICES)?.collect::<Result<_, _>>()?;
    devices.sort_by_key(fs::DirEntry::file_name);
    for device in devices {
        let path = device.path();
        if path.join("driver").exists() || attribute(&path, "class")?.starts_with(BRIDGE) {
            continue;
        }
        let name = device.file_name().to_string_lossy().into_owned();
        let probes = said.iter().filter_map(|line| Probe::parse(line, &name));
        let probes: Vec<_> = probes.map(|probe| returned(&probe)).collect();
        let why = match &probes[..] {
            [] => "no driver that is loaded is for it".to_owned(),
            probes => probes.join(", "),
        };
        let number = |file| Ok::<_, io::Error>(attribute(&path, file)?.trim_start_matches("0x").to_owned());
        let (vendor, device) = (number("vendor")?, number("device")?);
        // Bus, device and function: the bench has one domain.
        let address = name.split_once(':').map_or(&*name, |(_, address)| address);
        bench::warn(&format!("{address} {vendor}:{device} has no driver: {why}"));
    }
    Ok(())
}

fn attribute(device: &Path, file: &str) -> io::Result<String> {
    Ok(fs::read_to_string(device.join(file))?.trim().to_owned())
}

/// `the probe of myedu returned -22, Invalid argument`
fn returned(probe: &Probe<'_>) -> String {
    let error = io::Error::from_raw_os_error(-probe.returned).to_string();
    let meaning = error.split(" (os error").next().unwrap_or_default();
    format!("the probe of {} returned {}, {meaning}", probe.driver, probe.returned)
}
