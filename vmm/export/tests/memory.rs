//! Does an export take more memory for a longer trace?
//!
//! Alone in its program: it counts what is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use barscope_analysis::print::{JsonPrinter, Printer};
use barscope_analysis::view::Viewer;
use barscope_device::{Bdf, Region, Space};
use barscope_export::{CsvPrinter, FstPrinter, MmiotracePrinter, PerfettoPrinter, VcdPrinter};
use barscope_trace::definition::{Function, Machine, Route};
use barscope_trace::event::{AccessEvent, Target};
use barscope_trace::{Clock, Definition, End, Event, EventKind, Stream, Writer};

/// Counts bytes that are allocated now, and the most that were.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Takes everything, and keeps nothing but how much it is.
#[derive(Default)]
struct Nowhere {
    at: u64,
    length: u64,
}

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.at += bytes.len() as u64;
        self.length = self.length.max(self.at);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Nowhere {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A trace of accesses all over a BAR of 16 MiB, and what each led to.
fn trace(path: &Path, records: u64) -> Result<()> {
    let writer = Writer::create(path, Clock::Virtual)?;
    let define = |definition| writer.define(&definition);
    define(Definition::Machine(Machine { guest: "guest".into(), vcpus: 1, memory: 1 << 25 }))?;
    let function = define(Definition::Function(Function {
        bdf: Bdf::from_routing_id(0x20),
        name: "card".into(),
        vendor: 1,
        device: 2,
        bars: Vec::new(),
        msi_vectors: 1,
        msix_vectors: 0,
        register_maps: Vec::new(),
        untrapped: Vec::new(),
    }))?;
    let (space, base, size) = (Space::Memory, 0xe000_0000, 1 << 24);
    let route = Route { function: Some(function), region: Region::BAR0, space, base, size };
    let route = define(Definition::Route(route))?;
    let mut lane = writer.lane(Some(0));
    for at in 0..records {
        let seq = writer.reserve();
        let kind = match at % 4 {
            0 => EventKind::Busy { function, until_ns: 1000 * at + 500, cause: seq - 1 },
            1 => {
                let (index, address, data, delivered) = (0, 0xfee0_0000, 0x31, true);
                EventKind::Msi { function, index, address, data, delivered, cause: seq - 1 }
            }
            _ => EventKind::Access(AccessEvent {
                route,
                target: Target::Memory(base + at * 68 % size),
                write: at % 2 == 0,
                size: 4,
                value: at,
                ..AccessEvent::default()
            }),
        };
        lane.record(&Event { seq, host_ns: 1000 * at, device_ns: 1000 * at, vcpu: Some(0), kind })?;
    }
    Ok(writer.finish(End::Finished)?)
}

/// The most bytes that this had allocated at one time.
fn peak(act: impl FnOnce() -> Result<()>) -> Result<usize> {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    act()?;
    Ok(MOST.load(Ordering::Relaxed) - before)
}

fn export(path: &Path, mut printer: impl Printer) -> Result<()> {
    let mut stream = Stream::open(path)?;
    let mut viewer = Viewer::default();
    while let Some(event) = stream.next()? {
        let view = viewer.view(stream.definitions(), &event);
        printer.print(stream.definitions(), &view)?;
    }
    Ok(printer.finish(&stream.info())?)
}

#[test]
fn ten_times_the_trace_takes_no_more_memory() -> Result<()> {
    const RECORDS: u64 = 50_000;
    const MORE: usize = 2 << 20;
    type Way = fn(&Path) -> Result<()>;
    let ways: [(&str, Way); 7] = [
        ("jsonl", |path| export(path, JsonPrinter::new(Nowhere::default(), Clock::Virtual))),
        ("csv", |path| export(path, CsvPrinter::new(Nowhere::default()))),
        ("mmiotrace", |path| export(path, MmiotracePrinter::new(Nowhere::default(), Clock::Virtual))),
        ("perfetto", |path| export(path, PerfettoPrinter::new(Nowhere::default()))),
        ("vcd", |path| export(path, VcdPrinter::new(Nowhere::default()))),
        ("fst", |path| export(path, FstPrinter::new(Nowhere::default()))),
        ("pack", |path| {
            barscope_trace::pack::pack(path, &mut Nowhere::default())?;
            Ok(())
        }),
    ];
    let folder = tempfile::tempdir()?;
    let (one, ten) = (folder.path().join("one"), folder.path().join("ten"));
    trace(&one, RECORDS)?;
    trace(&ten, 10 * RECORDS)?;
    for (name, way) in ways {
        let (short, long) = (peak(|| way(&one))?, peak(|| way(&ten))?);
        println!("{name}: {short} bytes, {long} for ten times as many records");
        assert!(long < short + MORE, "{name} takes {short} bytes, and {long} for ten times as many records");
    }
    Ok(())
}
