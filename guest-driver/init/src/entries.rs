//! Entries into the kernel by any program: the kernel writes each to a ring of its CPU, and the bench reads those.
//!
//! The events are what `perf record -a` would open: system calls and programs' page faults as tracepoints, that a page
//! fault was resolved as a software event, and the side records that tell commands, forks and ends.

use std::fs::File;
use std::io;

use barscope_guest_abi::{Bytes, Ring};

use crate::{bench, system};

/// Tracepoints, and a field that their records have at the place where the bench looks for it.
const SYSTEM_CALL: (&str, &str) = ("raw_syscalls/sys_enter", "field:long id;\toffset:8;\tsize:8;");
const PAGE_FAULT: (&str, &str) =
    ("exceptions/page_fault_user", "field:unsigned long error_code;\toffset:24;\tsize:8;");
const TRACEPOINTS: &str = "/sys/kernel/tracing/events";
const ONLINE: &str = "/sys/devices/system/cpu/online";
/// Kinds of events, and software events of faults without and with a page to be read.
const SOFTWARE: u64 = 1;
const TRACEPOINT: u64 = 2;
const MINOR_FAULTS: u64 = 5;
const MAJOR_FAULTS: u64 = 6;
/// What samples hold: IP, TID, TIME, ADDR, RAW.
const SAMPLE: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 10;
/// `disabled`, `sample_id_all`, `use_clockid`.
const FLAGS: u64 = 1 | 1 << 18 | 1 << 25;
/// `comm` and `task`: one event of a CPU tells commands, forks and ends.
const FOLLOW: u64 = 1 << 9 | 1 << 13;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const CLOCK_MONOTONIC: u64 = 1;
/// Words of `perf_event_attr` in its version of 2015.
const WORDS: usize = 14;
/// Bytes of a ring: a page, and as many as some 19,000 system calls take.
const PAGE: usize = 4096;
const RING: usize = PAGE + (2 << 20);
/// `PERF_EVENT_IOC_ENABLE` and `PERF_EVENT_IOC_SET_OUTPUT`.
const ENABLE: u64 = 0x2400;
const SET_OUTPUT: u64 = 0x2405;

/// Has the kernel tell them, for as long as it runs.
///
/// # Errors
/// What the system said, and of what.
pub fn tell() -> io::Result<()> {
    let [call, fault] = [SYSTEM_CALL, PAGE_FAULT].map(|(name, field)| tracepoint(name, field));
    let (call, fault) = (call?, fault?);
    let mut rings = Vec::new();
    let mut events = Vec::new();
    for cpu in online()? {
        let first = open(cpu, TRACEPOINT, call, FOLLOW)?;
        let ring = system::map(&first, 0, RING)?;
        // The kernel may bring a page only when it is touched.
        for page in (0..RING).step_by(PAGE) {
            // SAFETY: the ring was just mapped, this long.
            unsafe { ring.add(page).read_volatile() };
        }
        let memory = Bytes { address: ring as u64, length: RING as u64 };
        rings.push(Ring { cpu: cpu.into(), memory });
        for (kind, number, flags) in [
            (TRACEPOINT, fault, 0),
            (SOFTWARE, MINOR_FAULTS, EXCLUDE_KERNEL),
            (SOFTWARE, MAJOR_FAULTS, EXCLUDE_KERNEL),
        ] {
            let event = open(cpu, kind, number, flags)?;
            system::control_by_number(&event, SET_OUTPUT, system::number(&first))?;
            events.push(event);
        }
        events.push(first);
    }
    bench::entries(&rings, call, fault);
    for event in events {
        system::control_by_number(&event, ENABLE, 0)?;
        // It is there as long as its descriptor is.
        std::mem::forget(event);
    }
    Ok(())
}

/// The number of a tracepoint that has this field.
fn tracepoint(name: &str, field: &str) -> io::Result<u64> {
    let read = |file: &str| {
        let path = format!("{TRACEPOINTS}/{name}/{file}");
        std::fs::read_to_string(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
    };
    if !read("format")?.contains(field) {
        return Err(io::Error::other(format!("the tracepoint {name} has another form")));
    }
    read("id")?.trim().parse().map_err(|_| io::Error::other(format!("the tracepoint {name} has no number")))
}

/// The numbers of the CPUs that run: ranges like `0-3,5`.
fn online() -> io::Result<Vec<u32>> {
    let text = std::fs::read_to_string(ONLINE)?;
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    let ranges = text.trim().split(',').map(range).collect::<Option<Vec<std::ops::RangeInclusive<u32>>>>();
    Ok(ranges.ok_or_else(|| io::Error::other(format!("{ONLINE}: {text}")))?.into_iter().flatten().collect())
}

/// An event of all threads on a CPU.
fn open(cpu: u32, kind: u64, number: u64, flags: u64) -> io::Result<File> {
    let mut attributes = [0; WORDS];
    attributes[0] = kind | (size_of_val(&attributes) as u64) << 32;
    attributes[1] = number;
    // Each of them is a sample.
    attributes[2] = 1;
    attributes[3] = SAMPLE;
    attributes[5] = FLAGS | flags;
    attributes[11] = CLOCK_MONOTONIC << 32;
    system::open_event(&attributes, cpu)
}
