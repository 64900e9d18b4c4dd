//! Following threads as `ptrace(2)` has it: stops, and going on from them.

use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::io;

unsafe extern "C" {
    fn ptrace(request: c_long, pid: c_int, address: *mut c_void, data: *mut c_void) -> c_long;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn prctl(option: c_int, second: c_ulong, third: c_ulong, fourth: c_ulong, fifth: c_ulong) -> c_int;
}

/// Calls of `ptrace` by which somebody becomes a tracer.
pub const TRACE_ME: u64 = 0;
pub const ATTACH: u64 = 16;
pub const SEIZE: u64 = 0x4206;

const CONT: c_long = 7;
const GET_REGISTERS: c_long = 12;
const SET_REGISTERS: c_long = 13;
const DETACH: c_long = 17;
const GET_EVENT_MESSAGE: c_long = 0x4201;
const INTERRUPT: c_long = 0x4207;
const LISTEN: c_long = 0x4208;
/// Stops at fork, vfork, clone, exec, exit, and at what a filter of system calls says.
const OPTIONS: usize = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7;
/// Threads of others' too (`__WALL`).
const ALL: c_int = 0x4000_0000;
/// Signals that stop a process.
const STOPPING: [c_int; 4] = [19, 20, 21, 22];

/// A thread's number; that of its first thread is a process's.
pub type Thread = c_int;

/// What became of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It ended, with this status of `wait(2)`.
    Ended(c_int),
    /// It made another thread, with memory of its own.
    Forked(Thread),
    /// It made another thread, with the same memory.
    Cloned(Thread),
    /// It runs another program; it was this thread before.
    Executed(Thread),
    /// It is about to end.
    Ends,
    /// It is about to make a system call that the filter names.
    Calls,
    /// It is new, or was interrupted.
    Stopped,
    /// Its process is stopped by a signal.
    GroupStopped,
    /// It is to get a signal.
    Signalled(c_int),
}

/// Registers as the kernel has them (`struct user_regs_struct`).
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct Registers([u64; 27]);

impl Registers {
    /// The first two arguments of a system call.
    pub fn arguments(&self) -> [u64; 2] {
        [self.0[14], self.0[13]]
    }

    /// RIP.
    pub fn rip(&mut self) -> &mut u64 {
        &mut self.0[16]
    }
}

fn check(result: impl Into<i64>) -> io::Result<i64> {
    let result = result.into();
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A request whose arguments are numbers.
fn request(request: c_long, thread: Thread, data: usize) -> io::Result<()> {
    // SAFETY: none of the requests that come here reads or writes this process's memory.
    check(unsafe { ptrace(request, thread, std::ptr::null_mut(), data as *mut c_void) }).map(drop)
}

/// Follows a thread and what it makes from here on.
///
/// # Errors
/// What the system said.
pub fn seize(thread: Thread) -> io::Result<()> {
    request(SEIZE as c_long, thread, OPTIONS)
}

/// Lets a stopped thread go on, with a signal unless that is 0.
///
/// # Errors
/// It is gone.
pub fn go_on(thread: Thread, signal: c_int) -> io::Result<()> {
    request(CONT, thread, signal as usize)
}

/// Leaves a thread stopped whose process is, until that goes on.
///
/// # Errors
/// It is gone.
pub fn listen(thread: Thread) -> io::Result<()> {
    request(LISTEN, thread, 0)
}

/// Stops a thread.
///
/// # Errors
/// It is gone.
pub fn interrupt(thread: Thread) -> io::Result<()> {
    request(INTERRUPT, thread, 0)
}

/// Follows a stopped thread no more, and lets it go on with a signal unless that is 0.
///
/// # Errors
/// It is gone.
pub fn detach(thread: Thread, signal: c_int) -> io::Result<()> {
    request(DETACH, thread, signal as usize)
}

/// The registers of a stopped thread.
///
/// # Errors
/// It is gone.
pub fn registers(thread: Thread) -> io::Result<Registers> {
    let mut registers = Registers::default();
    let pointer: *mut Registers = &raw mut registers;
    // SAFETY: the kernel writes one `user_regs_struct`, which `Registers` is as long as.
    check(unsafe { ptrace(GET_REGISTERS, thread, std::ptr::null_mut(), pointer.cast()) })?;
    Ok(registers)
}

/// Sets the registers of a stopped thread.
///
/// # Errors
/// It is gone.
pub fn set_registers(thread: Thread, mut registers: Registers) -> io::Result<()> {
    let pointer: *mut Registers = &raw mut registers;
    // SAFETY: the kernel reads one `user_regs_struct`.
    check(unsafe { ptrace(SET_REGISTERS, thread, std::ptr::null_mut(), pointer.cast()) }).map(drop)
}

fn event_message(thread: Thread) -> io::Result<u64> {
    let mut message = 0_u64;
    let pointer: *mut u64 = &raw mut message;
    // SAFETY: the kernel writes one word.
    check(unsafe { ptrace(GET_EVENT_MESSAGE, thread, std::ptr::null_mut(), pointer.cast()) })?;
    Ok(message)
}

/// Waits for something to become of a thread; of any child and any that is followed with -1.
///
/// # Errors
/// There is no such thread.
pub fn wait(thread: Thread) -> io::Result<(Thread, Change)> {
    loop {
        if let Some(found) = found(thread, ALL)? {
            return Ok(found);
        }
    }
}

/// As [`wait`], but `None` at once if nothing became of it yet.
///
/// # Errors
/// There is no such thread.
pub fn look(thread: Thread) -> io::Result<Option<(Thread, Change)>> {
    const AT_ONCE: c_int = 1;
    found(thread, ALL | AT_ONCE)
}

fn found(thread: Thread, options: c_int) -> io::Result<Option<(Thread, Change)>> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one status.
        let found = check(unsafe { waitpid(thread, &raw mut status, options) })? as Thread;
        if found == 0 {
            return Ok(None);
        }
        // One that was killed meanwhile has no message: its end comes next.
        if let Ok(change) = change(found, status) {
            return Ok(Some((found, change)));
        }
    }
}

fn change(thread: Thread, status: c_int) -> io::Result<Change> {
    if status & 0xff != 0x7f {
        return Ok(Change::Ended(status));
    }
    let other = || event_message(thread).map(|message| message as Thread);
    let signal = status >> 8 & 0xff;
    Ok(match status >> 16 {
        0 => Change::Signalled(signal),
        1 => Change::Forked(other()?),
        2 | 3 => Change::Cloned(other()?),
        4 => Change::Executed(other()?),
        6 => Change::Ends,
        7 => Change::Calls,
        _ if STOPPING.contains(&signal) => Change::GroupStopped,
        _ => Change::Stopped,
    })
}

/// An instruction of a filter (`struct sock_filter`).
#[repr(C)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    operand: u32,
}

/// A filter (`struct sock_fprog`).
#[repr(C)]
struct Filter {
    length: u16,
    instructions: *const Instruction,
}

/// Has whoever follows this process asked when it, or what it starts, calls `ptrace`: no other system call is looked at.
///
/// # Errors
/// What the system said.
pub fn report_tracers() -> io::Result<()> {
    const SET_SECCOMP: c_int = 22;
    const FILTER: c_ulong = 2;
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const X86_64: u32 = 0xc000_003e;
    const PTRACE: u32 = 101;
    let instruction = |code, if_true, if_false, operand| Instruction { code, if_true, if_false, operand };
    // Offsets 4 and 0 of `struct seccomp_data` are the architecture and the number.
    let instructions = [
        instruction(LOAD, 0, 0, 4),
        instruction(EQUAL, 0, 3, X86_64),
        instruction(LOAD, 0, 0, 0),
        instruction(EQUAL, 0, 1, PTRACE),
        instruction(RETURN, 0, 0, 0x7ff0_0000),
        instruction(RETURN, 0, 0, 0x7fff_0000),
    ];
    let filter = Filter { length: instructions.len() as u16, instructions: instructions.as_ptr() };
    let pointer: *const Filter = &raw const filter;
    // SAFETY: the kernel copies the filter and its instructions, which live through the call.
    check(unsafe { prctl(SET_SECCOMP, FILTER, pointer as c_ulong, 0, 0) }).map(drop)
}
