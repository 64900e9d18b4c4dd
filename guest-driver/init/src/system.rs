//! System calls that the standard library has no names for. The C library is linked, so its functions are
//! there; this declares them.

use std::ffi::{CString, c_char, c_int, c_long, c_ulong, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;

unsafe extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn umount2(target: *const c_char, flags: c_int) -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn ioperm(from: c_ulong, count: c_ulong, on: c_int) -> c_int;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn setsid() -> c_int;
    fn reboot(command: c_int) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn mmap(
        address: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn munmap(address: *mut c_void, length: usize) -> c_int;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
    fn pread(fd: c_int, data: *mut c_void, length: usize, position: i64) -> isize;
    fn write(fd: c_int, data: *const c_void, length: usize) -> isize;
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> *const c_void;
    fn siginterrupt(number: c_int, on: c_int) -> c_int;
    fn pthread_self() -> c_ulong;
    fn pthread_kill(thread: c_ulong, number: c_int) -> c_int;
    fn sched_setaffinity(pid: c_int, size: usize, mask: *const u64) -> c_int;
}

const SYS_FINIT_MODULE: c_long = 313;
const SYS_DELETE_MODULE: c_long = 176;
const SYS_PERF_EVENT_OPEN: c_long = 298;
const POWER_OFF: c_int = 0x4321_fedc;
const O_NONBLOCK: c_long = 0o4000;
const SET_WINDOW_SIZE: u32 = 0x5414;
const SIGKILL: c_int = 9;
const WNOHANG: c_int = 1;
const MNT_DETACH: c_int = 2;
const ECHILD: i32 = 10;
const READ_WRITE: c_int = 3;
const SHARED: c_int = 1;
/// The serial port, where the guest is spoken to.
pub const CONSOLE: &str = "/dev/ttyS0";
/// Something can be read.
pub const POLL_IN: i16 = 1;

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: i16,
    returned: i16,
}

fn text(text: impl AsRef<[u8]>) -> io::Result<CString> {
    CString::new(text.as_ref()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

fn check(result: impl Into<i64>) -> io::Result<i64> {
    let result = result.into();
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Mounts a file system that needs no device.
///
/// # Errors
/// What the system said.
pub fn mount_kind(kind: &str, target: &str) -> io::Result<()> {
    let (kind, target) = (text(kind)?, text(target)?);
    // SAFETY: NUL-terminated strings that live through the call; no data.
    check(unsafe { mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) }).map(drop)
}

/// Unmounts a file system and what is mounted in it, as soon as nobody uses it.
///
/// # Errors
/// What the system said.
pub fn unmount(target: &str) -> io::Result<()> {
    let target = text(target)?;
    // SAFETY: a NUL-terminated string that lives through the call.
    check(unsafe { umount2(target.as_ptr(), MNT_DETACH) }).map(drop)
}

/// Kills every process but this one, process 1. Threads of the kernel don't listen.
///
/// # Errors
/// What the system said.
pub fn kill_all() -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { kill(-1, SIGKILL) }).map(drop)
}

/// Takes in a child that has ended; whether there was one.
///
/// # Errors
/// What the system said.
pub fn reap() -> io::Result<bool> {
    // SAFETY: nobody wants to know the status.
    match check(unsafe { waitpid(-1, std::ptr::null_mut(), WNOHANG) }) {
        Ok(pid) => Ok(pid > 0),
        Err(error) if error.raw_os_error() == Some(ECHILD) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets this process and its children use ports.
///
/// # Errors
/// What the system said.
pub fn allow_ports(from: u16, count: u16) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { ioperm(from.into(), count.into(), 1) }).map(drop)
}

/// Makes a file standard input, output and error.
///
/// # Errors
/// What the system said.
pub fn use_as_terminal(file: &File) -> io::Result<()> {
    for standard in 0..3 {
        // SAFETY: plain numbers; nothing owns the three.
        check(unsafe { dup2(file.as_raw_fd(), standard) })?;
    }
    Ok(())
}

/// Begins a session, which has no terminal yet.
///
/// # Errors
/// What the system said.
pub fn begin_session() -> io::Result<()> {
    // SAFETY: it takes nothing.
    check(unsafe { setsid() }).map(drop)
}

/// Tells a terminal how many rows and columns it has.
///
/// # Errors
/// What the system said.
pub fn set_terminal_size(terminal: &File, [rows, columns]: [u16; 2]) -> io::Result<()> {
    // `struct winsize`: nobody knows how many pixels that is.
    control(terminal, SET_WINDOW_SIZE, &mut [rows, columns, 0, 0])
}

/// Switches the machine off. Returns only if that fails.
pub fn power_off() -> io::Error {
    // SAFETY: a plain number; file systems here are in memory, so nothing is to be written back.
    unsafe { reboot(POWER_OFF) };
    io::Error::last_os_error()
}

/// Loads a kernel module.
///
/// # Errors
/// What the system said.
pub fn load_module(path: &Path, parameters: &str) -> io::Result<()> {
    let file = File::open(path)?;
    let parameters = text(parameters)?;
    // SAFETY: an open file and a NUL-terminated string that live through the call.
    check(unsafe { syscall(SYS_FINIT_MODULE, file.as_raw_fd(), parameters.as_ptr(), 0) }).map(drop)
}

/// Unloads a kernel module.
///
/// # Errors
/// What the system said.
pub fn unload_module(name: &str) -> io::Result<()> {
    let name = text(name)?;
    // SAFETY: a NUL-terminated string that lives through the call.
    check(unsafe { syscall(SYS_DELETE_MODULE, name.as_ptr(), O_NONBLOCK) }).map(drop)
}

/// An `ioctl` whose argument is a structure that the kernel reads and writes.
///
/// # Errors
/// What the system said.
pub fn control<T: Copy>(file: &File, request: u32, argument: &mut T) -> io::Result<()> {
    let pointer: *mut T = argument;
    // SAFETY: the request's number holds the size of `T`, which the callers in `lab` see to: the kernel
    // touches no more than that.
    check(unsafe { ioctl(file.as_raw_fd(), request.into(), pointer) }).map(drop)
}

/// Maps a file, shared and writable.
///
/// # Errors
/// What the system said.
pub fn map(file: &File, offset: u64, length: usize) -> io::Result<*mut u8> {
    let offset = i64::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the kernel chooses the place, where nothing is yet.
    let address = unsafe { mmap(std::ptr::null_mut(), length, READ_WRITE, SHARED, file.as_raw_fd(), offset) };
    if address as isize == -1 { Err(io::Error::last_os_error()) } else { Ok(address.cast()) }
}

/// Undoes [`map`].
///
/// # Safety
/// Nothing may use the mapping any more.
pub unsafe fn unmap(address: *mut u8, length: usize) {
    // SAFETY: the caller's promise.
    unsafe { munmap(address.cast(), length) };
}

/// Reads a part of a file to memory that may be a device's, or lead nowhere.
///
/// # Errors
/// What the system said; or there was less to read.
///
/// # Safety
/// Nothing else may rely on what is there.
pub unsafe fn read_to(file: &File, position: u64, address: *mut u8, length: usize) -> io::Result<()> {
    let position = i64::try_from(position).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the caller's promise.
    whole(unsafe { pread(file.as_raw_fd(), address.cast(), length, position) } as i64, length)
}

/// Writes memory that may be a device's, or lead nowhere, to a file.
///
/// # Errors
/// What the system said; or not all could be written.
///
/// # Safety
/// Nobody may be changing what is there but a device.
pub unsafe fn write_from(file: &impl AsRawFd, address: *const u8, length: usize) -> io::Result<()> {
    // SAFETY: the caller's promise.
    whole(unsafe { write(file.as_raw_fd(), address.cast(), length) } as i64, length)
}

fn whole(moved: i64, length: usize) -> io::Result<()> {
    let moved = check(moved)?;
    if moved as usize == length { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) }
}

/// Waits up to a time for something to read; what the kernel says is ready.
///
/// # Errors
/// What the system said.
pub fn wait_readable(file: &File, milliseconds: i32) -> io::Result<i16> {
    let mut one = PollFd { fd: file.as_raw_fd(), events: POLL_IN, returned: 0 };
    // SAFETY: one structure, that lives through the call.
    check(unsafe { poll(&raw mut one, 1, milliseconds) })?;
    Ok(one.returned)
}

/// A thread that signals can be sent to, which do nothing but end the system call that it is in.
#[derive(Clone, Copy)]
pub struct Interruptible(c_ulong);

impl Interruptible {
    const SIGNAL: c_int = 10;

    /// The calling thread. Its system calls aren't started again.
    ///
    /// # Errors
    /// What the system said.
    pub fn this_thread() -> io::Result<Self> {
        extern "C" fn nothing(_: c_int) {}
        // SAFETY: a handler that does nothing may run at any point.
        unsafe { signal(Self::SIGNAL, nothing) };
        // SAFETY: plain numbers.
        check(unsafe { siginterrupt(Self::SIGNAL, 1) })?;
        // SAFETY: it asks for nothing.
        Ok(Self(unsafe { pthread_self() }))
    }

    /// Sends it a signal.
    ///
    /// # Safety
    /// The thread has to be there.
    pub unsafe fn interrupt(self) {
        // SAFETY: the caller's promise.
        unsafe { pthread_kill(self.0, Self::SIGNAL) };
    }
}

/// Keeps the calling thread on one CPU.
///
/// # Errors
/// What the system said.
pub fn stay_on(cpu: u32) -> io::Result<()> {
    let mask = 1_u64 << cpu;
    // SAFETY: one word, that lives through the call.
    check(unsafe { sched_setaffinity(0, size_of::<u64>(), &raw const mask) }).map(drop)
}

/// Opens a counter of events in this thread, as `attributes` describes them (`perf_event_attr`).
///
/// # Errors
/// What the system said.
pub fn open_counter(attributes: &[u64]) -> io::Result<File> {
    open_perf(attributes, 0, -1)
}

/// Opens events of all threads on a CPU, as `attributes` describes them (`perf_event_attr`).
///
/// # Errors
/// What the system said.
pub fn open_event(attributes: &[u64], cpu: u32) -> io::Result<File> {
    open_perf(attributes, -1, cpu as c_int)
}

fn open_perf(attributes: &[u64], thread: c_int, cpu: c_int) -> io::Result<File> {
    let pointer = attributes.as_ptr();
    // SAFETY: the structure holds its own size, that of the slice, which lives through the call.
    let fd = unsafe { syscall(SYS_PERF_EVENT_OPEN, pointer, thread, cpu, -1, 0) };
    // SAFETY: a descriptor that was just opened, and that nobody else has.
    Ok(unsafe { File::from_raw_fd(check(fd)? as c_int) })
}

/// An `ioctl` whose argument is a number.
///
/// # Errors
/// What the system said.
pub fn control_by_number(file: &File, request: u64, argument: i32) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { ioctl(file.as_raw_fd(), request, c_long::from(argument)) }).map(drop)
}

/// The number of a file's descriptor, for calls that name files by it.
pub fn number(file: &File) -> i32 {
    file.as_raw_fd()
}
