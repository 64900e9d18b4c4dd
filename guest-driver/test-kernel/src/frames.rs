//! Page frames: memory after the kernel's image, one page at a time.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::lock::Lock;
use crate::paging::{KERNEL_BASE, PAGE, direct};

/// Physical addresses.
struct Frames {
    /// The first frame that was never given out.
    next: u64,
    end: u64,
    /// The first returned frame, each of which holds the address of the next; 0 ends the list.
    returned: u64,
}

static FRAMES: Lock<Frames> = Lock::new(Frames { next: 0, end: 0, returned: 0 });

unsafe extern "C" {
    /// The end of the image, by the linker script.
    safe static kernel_end: u8;
}

/// Begins to give out the frames between the kernel's image and `memory_end`.
pub fn init(memory_end: u64) {
    let image_end = &raw const kernel_end as u64 - KERNEL_BASE;
    FRAMES.with(|frames| {
        frames.next = image_end.next_multiple_of(PAGE);
        frames.end = memory_end;
    });
}

/// A frame filled with zeros, by its physical address.
pub fn allocate() -> Option<u64> {
    let frame = FRAMES.with(|frames| {
        if frames.returned != 0 {
            let frame = frames.returned;
            frames.returned = link(frame).load(Relaxed);
            return Some(frame);
        }
        let frame = frames.next;
        frames.next += PAGE;
        (frame + PAGE <= frames.end).then_some(frame)
    })?;
    // SAFETY: the frame is memory that nobody uses, and the direct map has it.
    unsafe { core::ptr::write_bytes(direct(frame) as *mut u8, 0, PAGE as usize) };
    Some(frame)
}

/// Takes back a frame that [`allocate`] gave, and that nothing maps any more.
pub fn release(frame: u64) {
    FRAMES.with(|frames| {
        link(frame).store(frames.returned, Relaxed);
        frames.returned = frame;
    });
}

/// The link in a returned frame.
fn link(frame: u64) -> &'static AtomicU64 {
    // SAFETY: the frame is memory that the direct map has, and while it is in the list nobody else
    // uses it.
    unsafe { AtomicU64::from_ptr(direct(frame) as *mut u64) }
}
