//! An allocator that counts, for tests to set as their own: how often each thread allocates, and how much it holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts.
#[derive(Debug)]
pub struct Counting;

thread_local! {
    /// How often this thread has allocated.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread holds, less what it gave back of others', and the most so far.
    static HELD: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

/// How often this thread has allocated so far.
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// The most bytes that this thread held at once while it did this, besides what it held before.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    let done = work();
    let (_, most) = HELD.get();
    (done, u64::try_from(most - before).unwrap_or(0))
}

fn count(more: usize, less: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    hold(more, less);
}

fn hold(more: usize, less: usize) {
    let (held, most) = HELD.get();
    let held = held + more as i64 - less as i64;
    HELD.set((held, most.max(held)));
}

// SAFETY: everything is the system's allocator; counting uses thread-local numbers that need no allocation, and have no
// destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as the caller says.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as the caller says.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
}
