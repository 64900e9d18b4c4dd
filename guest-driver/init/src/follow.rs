//! Follows programs and what they start, so that the bench knows their code: what each process maps is told when it begins
//! a program, once its loader has brought the libraries, and before it ends.
//!
//! Nothing is stopped in between, no system call but `ptrace`: whoever traces others needs them for itself. It gets them,
//! the trace says so, and what they trace is looked at now and then instead. A loader's end is found by a breakpoint where the program begins, which is gone before it does.

use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use barscope_guest_abi::state;

use crate::maps::{self, Told};
use crate::ptrace::{self, Change, Thread};
use crate::watch::Watched;

/// The instruction of a breakpoint, and the signal that it gives.
const BREAKPOINT: u8 = 0xcc;
const TRAP: i32 = 5;
/// How often processes are looked at that others trace.
const LOOK: Duration = Duration::from_millis(1);

/// Whom it follows.
#[derive(Default)]
pub struct Follower {
    threads: HashMap<Thread, Followed>,
    /// New threads that are stopped, of which their makers haven't told yet.
    early: HashSet<Thread>,
    /// Scripts that processes run.
    scripts: HashMap<Thread, String>,
    told: Told,
    /// Processes that others trace.
    watched: Watched,
}

/// A thread that is followed.
#[derive(Clone, Copy)]
struct Followed {
    process: Thread,
    /// It uses the memory of the process that made it.
    borrows: bool,
    /// The breakpoint where its program begins, and what is there else.
    breakpoint: Option<(u64, u8)>,
}

impl Follower {
    /// Follows a child from here on.
    ///
    /// # Errors
    /// What the system said.
    pub fn seize(&mut self, child: Thread) -> io::Result<()> {
        ptrace::seize(child)?;
        self.threads.insert(child, Followed { process: child, borrows: false, breakpoint: None });
        Ok(())
    }

    /// Follows all until a child has ended.
    ///
    /// # Errors
    /// What the system said.
    pub fn until_ended(&mut self, child: Thread) -> io::Result<ExitStatus> {
        loop {
            let found = if self.watched.is_empty() { Some(ptrace::wait(-1)?) } else { ptrace::look(-1)? };
            let Some((thread, change)) = found else {
                self.watched.look(&mut self.told);
                std::thread::sleep(LOOK);
                continue;
            };
            // Whoever is gone by now tells that himself.
            self.changed(thread, change).ok();
            if let (true, Change::Ended(status)) = (thread == child, change) {
                return Ok(ExitStatus::from_raw(status));
            }
        }
    }

    fn changed(&mut self, thread: Thread, change: Change) -> io::Result<()> {
        match change {
            Change::Ended(_) => self.ended(thread),
            Change::Executed(before) => self.executed(thread, before),
            Change::Forked(new) => self.made(thread, new, false),
            Change::Cloned(new) => self.made(thread, new, true),
            Change::Ends => self.ends(thread),
            Change::Calls => self.calls(thread),
            Change::GroupStopped => ptrace::listen(thread),
            Change::Signalled(TRAP) if self.is_at_breakpoint(thread) => self.begins(thread),
            Change::Signalled(signal) => ptrace::go_on(thread, signal),
            Change::Stopped if self.threads.contains_key(&thread) => ptrace::go_on(thread, 0),
            Change::Stopped => {
                self.early.insert(thread);
                Ok(())
            }
        }
    }

    fn ended(&mut self, thread: Thread) -> io::Result<()> {
        self.early.remove(&thread);
        if let Some(followed) = self.threads.remove(&thread)
            && !self.has_threads(followed.process)
        {
            self.scripts.remove(&followed.process);
            crate::bench::maps(followed.process, state::ENDS, "", "");
        }
        // One of them may be a thread that it made and can't tell of any more.
        for early in std::mem::take(&mut self.early) {
            self.threads.insert(early, Followed { process: early, borrows: true, breakpoint: None });
            ptrace::go_on(early, 0)?;
        }
        Ok(())
    }

    fn has_threads(&self, process: Thread) -> bool {
        self.threads.values().any(|followed| followed.process == process)
    }

    /// A process has another program, and one thread.
    fn executed(&mut self, process: Thread, before: Thread) -> io::Result<()> {
        self.threads.remove(&before);
        self.threads.retain(|_, followed| followed.process != process);
        match maps::script(process) {
            Some(script) => self.scripts.insert(process, script),
            None => self.scripts.remove(&process),
        };
        self.tell(process, process, state::RUNS).ok();
        let breakpoint = maps::entry(process).and_then(|entry| {
            let byte = replaced(process, entry, BREAKPOINT).ok()?;
            Some((entry, byte))
        });
        self.threads.insert(process, Followed { process, borrows: false, breakpoint });
        ptrace::go_on(process, 0)
    }

    /// A thread made another one, which is stopped, or is about to be.
    fn made(&mut self, thread: Thread, new: Thread, borrows: bool) -> io::Result<()> {
        self.adopt(thread, new, borrows)?;
        ptrace::go_on(thread, 0)
    }

    fn adopt(&mut self, thread: Thread, new: Thread, borrows: bool) -> io::Result<()> {
        let process = process_of(new).unwrap_or(new);
        self.threads.insert(new, Followed { process, borrows: borrows && process == new, breakpoint: None });
        if !borrows {
            let maker = self.threads.get(&thread).map(|maker| maker.process);
            if let Some(script) = maker.and_then(|maker| self.scripts.get(&maker)).cloned() {
                self.scripts.insert(new, script);
            }
            self.tell(new, new, state::RUNS).ok();
        }
        if self.early.remove(&new) { ptrace::go_on(new, 0) } else { Ok(()) }
    }

    /// A thread ends: the last chance to see what its process maps.
    fn ends(&mut self, thread: Thread) -> io::Result<()> {
        if let Some(Followed { process, borrows: false, .. }) = self.threads.get(&thread).copied() {
            let of_process = self.threads.values().filter(|followed| followed.process == process);
            let state = if of_process.count() == 1 { state::ENDS } else { state::RUNS };
            self.tell(process, thread, state).ok();
        }
        ptrace::go_on(thread, 0)
    }

    fn is_at_breakpoint(&self, thread: Thread) -> bool {
        let Some((entry, _)) = self.threads.get(&thread).and_then(|followed| followed.breakpoint) else {
            return false;
        };
        ptrace::registers(thread).is_ok_and(|mut registers| *registers.rip() == entry.wrapping_add(1))
    }

    /// The loader is done, and the program begins.
    fn begins(&mut self, thread: Thread) -> io::Result<()> {
        if let Some(followed) = self.threads.get_mut(&thread)
            && let Some((entry, byte)) = followed.breakpoint.take()
        {
            replaced(thread, entry, byte)?;
            let mut registers = ptrace::registers(thread)?;
            *registers.rip() = entry;
            ptrace::set_registers(thread, registers)?;
            self.tell(thread, thread, state::RUNS).ok();
        }
        ptrace::go_on(thread, 0)
    }

    /// A thread is about to trace another one, or to be traced.
    fn calls(&mut self, thread: Thread) -> io::Result<()> {
        match ptrace::registers(thread)?.arguments() {
            [ptrace::TRACE_ME, _] => self.let_go(thread, 0),
            [ptrace::ATTACH | ptrace::SEIZE, other] => {
                self.let_go_other(other as Thread).ok();
                ptrace::go_on(thread, 0)
            }
            _ => ptrace::go_on(thread, 0),
        }
    }

    fn let_go_other(&mut self, thread: Thread) -> io::Result<()> {
        if self.early.remove(&thread) {
            return self.let_go(thread, 0);
        }
        if !self.threads.contains_key(&thread) {
            return Ok(());
        }
        ptrace::interrupt(thread)?;
        match ptrace::wait(thread)?.1 {
            ended @ Change::Ended(_) => self.changed(thread, ended),
            Change::Signalled(signal) => self.let_go(thread, signal),
            Change::Forked(new) => self.adopt(thread, new, false).and_then(|()| self.let_go(thread, 0)),
            Change::Cloned(new) => self.adopt(thread, new, true).and_then(|()| self.let_go(thread, 0)),
            _ => self.let_go(thread, 0),
        }
    }

    /// Follows a stopped thread no more.
    fn let_go(&mut self, thread: Thread, signal: i32) -> io::Result<()> {
        let followed = self.threads.remove(&thread);
        if let Some((entry, byte)) = followed.and_then(|followed| followed.breakpoint) {
            replaced(thread, entry, byte)?;
        }
        let process = followed.map_or(thread, |followed| followed.process);
        self.tell(process, thread, state::LET_GO).ok();
        self.watched.add(process);
        ptrace::detach(thread, signal)
    }

    fn tell(&mut self, process: Thread, thread: Thread, state: u64) -> io::Result<()> {
        let script = self.scripts.get(&process).map_or("", String::as_str);
        self.told.maps(process, thread, state, script)
    }
}

/// Replaces a byte of a stopped thread's code; what was there.
fn replaced(thread: Thread, address: u64, byte: u8) -> io::Result<u8> {
    let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{thread}/mem"))?;
    let mut before = [0];
    memory.read_exact_at(&mut before, address)?;
    memory.write_all_at(&[byte], address)?;
    Ok(before[0])
}

/// The process that a thread is of.
fn process_of(thread: Thread) -> Option<Thread> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}
