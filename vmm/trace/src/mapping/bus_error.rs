//! SIGBUS in the mappings of a trace, survived: the page gets memory of its own, and its mapping a mark.
//!
//! Neither seals nor leases keep others from cutting a regular file (`fcntl(2)`: seals are for `memfd_create`, a lease
//! only delays them), and checking its length before a store leaves a gap. So a handler maps zeros over the page that
//! was missing, the store is done again and goes there, and the writer sees the mark before its next record. The
//! handler calls nothing but `mmap` and `sigaction`, which are system calls without locks, and reads atomics. It is the
//! whole process's: a fault elsewhere goes to the handler that was there before.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{io, ptr};

use libc::{c_int, c_void, sigaction, siginfo_t};

/// Size of a page on x86-64.
const PAGE: usize = 4096;

/// A range of addresses that is watched. Ranges stay for ever, as the handler may look at them at any time, and are
/// used again.
#[derive(Debug)]
struct Range {
    /// Its first address; 0 if it isn't in use.
    start: AtomicUsize,
    length: AtomicUsize,
    is_cut: AtomicBool,
    next: Option<&'static Range>,
}

/// The first of all ranges.
static RANGES: AtomicPtr<Range> = AtomicPtr::new(ptr::null_mut());
/// Held by who changes which ranges there are. The handler takes it not.
static CHANGES: Mutex<()> = Mutex::new(());
/// What SIGBUS did before; `Err` holds the errno of a handler that couldn't be installed.
static BEFORE: OnceLock<Result<sigaction, i32>> = OnceLock::new();

/// A mapping that is watched until this is dropped.
#[derive(Debug)]
pub(super) struct Watched(&'static Range);

impl Watched {
    /// Watches `length` bytes from address `start`.
    pub(super) fn new(start: usize, length: usize) -> io::Result<Self> {
        let installed = BEFORE.get_or_init(install).as_ref();
        installed.map_err(|errno| io::Error::from_raw_os_error(*errno))?;
        let _changing = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
        let free = ranges().find(|range| range.start.load(Ordering::Acquire) == 0);
        let range = free.unwrap_or_else(|| {
            let range = Box::leak(Box::new(Range {
                start: AtomicUsize::new(0),
                length: AtomicUsize::new(0),
                is_cut: AtomicBool::new(false),
                next: ranges().next(),
            }));
            RANGES.store(range, Ordering::Release);
            range
        });
        range.length.store(length, Ordering::Relaxed);
        range.is_cut.store(false, Ordering::Relaxed);
        range.start.store(start, Ordering::Release);
        Ok(Self(range))
    }

    #[inline]
    pub(super) fn is_cut(&self) -> bool {
        self.0.is_cut.load(Ordering::Relaxed)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.start.store(0, Ordering::Release);
    }
}

fn ranges() -> impl Iterator<Item = &'static Range> {
    // SAFETY: a pointer in `RANGES` comes from `Box::leak`, or is null.
    let first: Option<&'static Range> = unsafe { RANGES.load(Ordering::Acquire).as_ref() };
    std::iter::successors(first, |range| range.next)
}

/// Has SIGBUS handled here; what handled it before.
fn install() -> Result<sigaction, i32> {
    // SAFETY: all zeros are a `sigaction`: no handler, no flags, no signals.
    let (mut ours, mut before): (sigaction, sigaction) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    ours.sa_sigaction = on_bus_error as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both structures live for the call, and the handler does only what a handler may.
    match unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, &raw mut before) } {
        0 => Ok(before),
        _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)),
    }
}

extern "C" fn on_bus_error(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO, `info` is valid, and SIGBUS carries the address.
    let address = unsafe { (*info).si_addr() }.addr();
    let holds = |range: &&Range| {
        let start = range.start.load(Ordering::Acquire);
        start != 0 && address.wrapping_sub(start) < range.length.load(Ordering::Relaxed)
    };
    match ranges().find(holds) {
        Some(range) if map_zeros(address - address % PAGE) => range.is_cut.store(true, Ordering::Relaxed),
        _ => pass_on(signal, info, context),
    }
}

/// Gives a page of a watched mapping memory of its own.
fn map_zeros(page: usize) -> bool {
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the page is part of a mapping of ours, which is used by atomics only and doesn't mind what it holds; it
    // is unmapped with the rest of that.
    let mapped = unsafe { libc::mmap(ptr::without_provenance_mut(page), PAGE, rights, flags, -1, 0) };
    mapped != libc::MAP_FAILED
}

/// Does what would have been done without this handler.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let before = match BEFORE.get() {
        Some(Ok(before)) if ![libc::SIG_DFL, libc::SIG_IGN].contains(&before.sa_sigaction) => before,
        _ => {
            // SAFETY: all zeros are the default action. The instruction faults again, and that ends the process.
            unsafe {
                let default: sigaction = std::mem::zeroed();
                libc::sigaction(signal, &raw const default, ptr::null_mut());
            }
            return;
        }
    };
    // SAFETY: it was installed as a handler of this kind.
    unsafe {
        if before.sa_flags & libc::SA_SIGINFO == 0 {
            let handler: extern "C" fn(c_int) = std::mem::transmute(before.sa_sigaction);
            handler(signal);
        } else {
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                std::mem::transmute(before.sa_sigaction);
            handler(signal, info, context);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;
    use std::process::Command;
    use std::sync::atomic::Ordering;

    use memmap2::MmapOptions;

    use crate::mapping::Mapping;

    fn file(folder: &Path) -> File {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(folder.join("f")).unwrap();
        file.set_len(3 * 4096).unwrap();
        file
    }

    #[test]
    fn a_missing_page_is_zeros_from_then_on_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path());
        let mapping = Mapping::new(&file, 0, 3 * 4096).unwrap();
        let other = Mapping::new(&file, 0, 4096).unwrap();
        let words = mapping.words();
        words.iter().for_each(|word| word.store(7, Ordering::Relaxed));
        file.set_len(4096).unwrap();
        assert!(!mapping.is_cut());
        assert_eq!([0, 512, 1024].map(|at| words[at].load(Ordering::Relaxed)), [7, 0, 0]);
        words[1024].store(8, Ordering::Relaxed);
        assert_eq!(words[1024].load(Ordering::Relaxed), 8);
        assert_eq!((mapping.is_cut(), other.is_cut()), (true, false));
        drop(mapping);
        let again = Mapping::new(&file, 0, 4096).unwrap();
        assert!(!again.is_cut());
    }

    #[test]
    fn a_bus_error_elsewhere_still_ends_the_process() {
        const INSIDE: &str = "BARSCOPE_BUS_ERROR";
        if let Ok(folder) = std::env::var(INSIDE) {
            let file = file(Path::new(&folder));
            let _watched = Mapping::new(&file, 0, 4096).unwrap();
            let elsewhere = MmapOptions::new().len(3 * 4096).map_raw(&file).unwrap();
            file.set_len(4096).unwrap();
            // SAFETY: the mapping is as long; what it lacks is what this is about.
            unsafe { elsewhere.as_ptr().add(2 * 4096).read_volatile() };
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let name = "mapping::bus_error::tests::a_bus_error_elsewhere_still_ends_the_process";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(INSIDE, folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
    }
}
