//! Does an access that is like one before allocate anything on its vCPU's thread?
//!
//! A device counts for us: at each call it notes how often its thread, which is the vCPU's, has allocated so far. What
//! lies between two notes is everything that happens between two accesses: the record, the effects, the way back into
//! the guest and out of it, the way to the device.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use barscope_bench::Bench;
use barscope_bench::access_loop::{SCRATCH, access_loop};
use barscope_bench::counting::{Counting, allocations};
use barscope_device::register::{Access, Register, RegisterMap};
use barscope_device::state::BadState;
use barscope_device::{
    AccessSize, BarIndex, BarSpec, Bdf, ConfigHeader, Context, PciDevice, Refused, Region,
};
use barscope_trace::EventKind;
use barscope_vmm::Stop;
use serde_json::Value;

/// All of them, with their effects, fit into one block of the trace: taking the next one is no part of an access.
const ROUNDS: usize = 150;
/// After so many rounds everything was there once.
const WARM: usize = 10;
const REGISTER: u64 = SCRATCH & 0xfff;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static MAPS: [RegisterMap; 1] = [RegisterMap {
    region: Region::BAR0,
    registers: Cow::Borrowed(&[Register::new32("SCRATCH", REGISTER, Access::ReadWrite, "what was written")]),
}];

/// What the device notes: how often its thread had allocated, at each call.
struct Notes {
    at: Vec<AtomicU64>,
    next: AtomicUsize,
}

/// A device with a register, which holds what is written, or always the same.
struct Meter {
    notes: Arc<Notes>,
    holds: bool,
    value: u32,
}

impl Meter {
    fn note(&self) {
        let next = self.notes.next.fetch_add(1, Ordering::Relaxed);
        if let Some(note) = self.notes.at.get(next) {
            note.store(allocations(), Ordering::Relaxed);
        }
    }
}

impl PciDevice for Meter {
    fn name(&self) -> &str {
        "meter"
    }

    fn header(&self) -> ConfigHeader {
        let bars = vec![BarSpec::memory32(BarIndex::BAR0, 0x1000)];
        ConfigHeader { vendor: 0x1234, device: 0x5b01, bars, ..ConfigHeader::default() }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &MAPS
    }

    fn read(&mut self, _: &mut Context<'_>, _: Region, _: u64, _: AccessSize) -> Result<u64, Refused> {
        self.note();
        Ok(self.value.into())
    }

    fn write(
        &mut self,
        _: &mut Context<'_>,
        _: Region,
        _: u64,
        _: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        self.note();
        if self.holds {
            self.value = value as u32;
        }
        Ok(())
    }

    fn peek(&self, _: Region, offset: u64) -> Option<u64> {
        (offset == REGISTER).then_some(self.value.into())
    }

    fn reset(&mut self) {
        self.value = 0;
    }

    fn save(&self) -> Value {
        self.value.into()
    }

    fn restore(&mut self, _: Value) -> std::result::Result<(), BadState> {
        Ok(())
    }
}

/// One run at a time: all of them share the counter of this process's threads, and the machine its processors.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs the loop at a ring, and holds all of its accesses but the first ones to allocating nothing.
fn allocates_nothing(ring: u8, holds: bool) -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let accesses = 2 * ROUNDS;
    let at = (0..accesses).map(|_| AtomicU64::new(0)).collect();
    let notes = Arc::new(Notes { at, next: AtomicUsize::new(0) });
    let device = Meter { notes: Arc::clone(&notes), holds, value: 0 };
    let bdf = Bdf::new(0, 4, 0).expect("device 4 of bus 0");
    let run =
        Bench::kernel(access_loop(ROUNDS as i32, ring)?).devices(vec![(bdf, Box::new(device))]).run()?;
    assert!(matches!(run.stop, Stop::TripleFault(_)), "{:?}", run.stop);
    assert_eq!(notes.next.load(Ordering::Relaxed), accesses);
    let changes = run.trace.events().iter().filter(|event| matches!(event.kind, EventKind::Change { .. }));
    assert!(changes.count() >= if holds { ROUNDS } else { 0 });
    let notes: Vec<u64> = notes.at.iter().map(|note| note.load(Ordering::Relaxed)).collect();
    assert_ne!(notes[0], 0, "a vCPU's first access comes after allocations, or none are counted");
    let grown: Vec<_> =
        notes.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]).map(|(at, _)| at).collect();
    let late: Vec<_> = grown.iter().filter(|at| **at >= 2 * WARM).collect();
    assert!(late.is_empty(), "ring {ring}: something is allocated after accesses {late:?} of {accesses}");
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn reads_and_writes_without_effects_allocate_nothing_at_ring_0() -> Result<()> {
    allocates_nothing(0, false)
}

#[test]
#[ignore = "needs /dev/kvm"]
fn reads_and_writes_without_effects_allocate_nothing_at_ring_3() -> Result<()> {
    allocates_nothing(3, false)
}

#[test]
#[ignore = "needs /dev/kvm"]
fn writes_that_change_a_register_allocate_nothing_at_ring_0() -> Result<()> {
    allocates_nothing(0, true)
}

#[test]
#[ignore = "needs /dev/kvm"]
fn writes_that_change_a_register_allocate_nothing_at_ring_3() -> Result<()> {
    allocates_nothing(3, true)
}
