//! A ring of Linux's perf events in guest memory: `perf_event_open(2)`, `struct perf_event_mmap_page`.

use std::sync::atomic::{Ordering, fence};

use barscope_x86::{PhysicalMemory, Registers, walk};

use super::record::{HEADER, LONGEST, Record, Tracepoints, size};
use crate::memory::GuestMemory;

/// Bytes of a page.
const PAGE: u64 = 4096;
/// Offsets in the first page, which holds no records: how far the kernel wrote, and how far was read.
const HEAD: u64 = 1024;
const TAIL: u64 = 1032;
/// With less room than this at the moment, in bytes, a record may have found none.
const ROOM: u64 = LONGEST as u64;

/// A ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Whose entries it holds: the guest counts CPUs as vCPUs are counted.
    pub cpu: u8,
    /// Physical addresses of its pages: the first one, and those with records.
    control: u64,
    pages: Vec<u64>,
    tail: u64,
}

/// What rings held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records of interest with their CPUs; those of one ring in their order.
    pub records: Vec<(u8, Record)>,
    /// Some may be missing.
    pub incomplete: bool,
}

impl Ring {
    /// The ring at this virtual address. `None` if it isn't mapped memory, or has another size than rings have: a page,
    /// and a power of two of pages.
    pub fn new(
        memory: &GuestMemory,
        registers: &Registers,
        cpu: u8,
        address: u64,
        length: u64,
    ) -> Option<Self> {
        let count = (length / PAGE).checked_sub(1).filter(|count| count.is_power_of_two())?;
        if !address.is_multiple_of(PAGE)
            || !length.is_multiple_of(PAGE)
            || length > barscope_guest_abi::MAX_RING
        {
            return None;
        }
        let page = |index: u64| {
            let at = address.checked_add(index * PAGE)?;
            Some(walk(memory, registers, at)?.translate(at))
        };
        let pages = (1..=count).map(page).collect::<Option<_>>()?;
        Some(Self { cpu, control: page(0)?, pages, tail: 0 })
    }

    /// Takes what was written since: no more than it has room for, whatever it holds.
    pub fn take(&mut self, memory: &GuestMemory, tracepoints: Tracepoints, taken: &mut Taken) {
        let Some(head) = memory.read_entry(self.control + HEAD) else {
            taken.incomplete = true;
            return;
        };
        if head == self.tail {
            return;
        }
        // What the kernel wrote before it said so.
        fence(Ordering::Acquire);
        let size = self.pages.len() as u64 * PAGE;
        let written = head.wrapping_sub(self.tail);
        // A ring that was full has no record yet of what it had no room for.
        taken.incomplete |= size.saturating_sub(written) < ROOM;
        if written > size || self.records(memory, tracepoints, head, &mut taken.records).is_none() {
            taken.incomplete = true;
        }
        self.tail = head;
        // All was read before it may be written anew.
        memory.store_word(self.control + TAIL, head);
    }

    /// Reads the records up to `head`. `None` if there is something else.
    fn records(
        &self,
        memory: &GuestMemory,
        tracepoints: Tracepoints,
        head: u64,
        records: &mut Vec<(u8, Record)>,
    ) -> Option<()> {
        let mut at = self.tail;
        let mut bytes = [0; LONGEST];
        while at != head {
            let left = head.wrapping_sub(at);
            let mut header = [0; HEADER];
            self.read(memory, at, &mut header)?;
            let size = size(header);
            if size < HEADER || !size.is_multiple_of(8) || size as u64 > left {
                return None;
            }
            let bytes = bytes.get_mut(..size)?;
            self.read(memory, at, bytes)?;
            records.extend(Record::parse(bytes, tracepoints).map(|record| (self.cpu, record)));
            at = at.wrapping_add(size as u64);
        }
        Some(())
    }

    /// Reads bytes that begin at a position, around the ring's end.
    fn read(&self, memory: &GuestMemory, mut position: u64, mut data: &mut [u8]) -> Option<()> {
        while !data.is_empty() {
            let page = self.pages[(position / PAGE) as usize & (self.pages.len() - 1)];
            let within = position % PAGE;
            let (part, rest) = data.split_at_mut(((PAGE - within) as usize).min(data.len()));
            if !memory.read_physical(page + within, part) {
                return None;
            }
            position = position.wrapping_add(part.len() as u64);
            data = rest;
        }
        Some(())
    }
}
