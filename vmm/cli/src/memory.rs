//! Memory that the system doesn't give ends a program with an error like others, not with SIGABRT.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ending::Code;

/// The system's allocator, which never fails: memory that the system doesn't give ends the program with an error like
/// others and exit code 3, not with SIGABRT. What was recorded until then is in the trace. A program that wants
/// it, as `barscope` does, makes it its `#[global_allocator]`.
pub struct OrEnd;

// SAFETY: all is left to the system's allocator, and what that refuses returns nowhere.
unsafe impl GlobalAlloc for OrEnd {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        or_end(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        or_end(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        or_end(unsafe { System.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) };
    }
}

fn or_end(memory: *mut u8) -> *mut u8 {
    if !memory.is_null() {
        return memory;
    }
    const TEXT: &[u8] = b"error: no memory left; free some, or raise the limit (ulimit -v)\n";
    static TOLD: AtomicBool = AtomicBool::new(false);
    // SAFETY: the text is as long as it says. None of the calls allocates.
    unsafe {
        // Another thread that has no memory either is ended by the first one.
        while TOLD.swap(true, Ordering::SeqCst) {
            libc::pause();
        }
        libc::write(libc::STDERR_FILENO, ptr::from_ref(TEXT).cast(), TEXT.len());
        libc::_exit(Code::Host as i32)
    }
}
