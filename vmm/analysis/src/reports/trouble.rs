//! The lines with which a Linux kernel begins to report that something is wrong, as 6.1 to 7.x print them. Each is known
//! by itself: whether a line is one doesn't depend on the lines before.

use super::message::Message;

/// What a kernel reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An exception that the kernel had no handler for: a NULL pointer, a page fault, a general protection fault.
    Oops,
    /// `BUG()`, and what else the kernel calls a bug: sleeping while atomic, a lockup.
    Bug,
    /// `WARN()` and its like: something that must not be, after which the kernel goes on.
    Warning,
    /// The end.
    Panic,
    /// A task that has waited for too long.
    HungTask,
    /// What lockdep finds: a possible deadlock, a wrong context, a lock that isn't held.
    Lockdep,
    /// What KASAN, KFENCE, UBSAN, KMSAN and KCSAN find.
    Sanitizer,
}

/// What lockdep says after `WARNING: `, and where in the message: at its beginning, or in it.
const LOCKDEP_BEGINS: [&str; 9] = [
    "possible circular locking dependency detected",
    "possible recursive locking detected",
    "possible irq lock inversion dependency detected",
    "inconsistent lock state",
    "bad unlock balance detected",
    "bad contention detected",
    "held lock freed",
    "lock held when returning to user space",
    "suspicious RCU usage",
];
const LOCKDEP_HOLDS: [&str; 3] = ["lock order detected", "Nested lock was not taken", "still has locks held"];

impl Trouble {
    /// What the line begins to report, if it does. Without the kernel's time before it, only what hardly any program
    /// prints counts.
    pub fn of(line: &str) -> Option<Self> {
        // Nearly every line is none of them.
        if !["BUG", "WARNING", "panic", "INFO", "UBSAN", " [#"].iter().any(|word| line.contains(word)) {
            return None;
        }
        Self::of_message(&Message::parse(line))
    }

    pub(super) fn of_message(message: &Message<'_>) -> Option<Self> {
        let text = message.text.strip_prefix("watchdog: ").unwrap_or(message.text);
        let begins = |start: &str| text.starts_with(start);
        if begins("Kernel panic - not syncing") {
            return Some(Self::Panic);
        }
        if let Some(what) = text.strip_prefix("BUG: ") {
            let oops = ["kernel NULL pointer dereference", "unable to handle "];
            let sanitizer = ["KASAN: ", "KFENCE: ", "KMSAN: ", "KCSAN: "];
            if oops.iter().any(|start| what.starts_with(start)) {
                return Some(Self::Oops);
            }
            if sanitizer.iter().any(|start| what.starts_with(start)) {
                return Some(Self::Sanitizer);
            }
            return message.stamped.then_some(Self::Bug);
        }
        if begins("kernel BUG at ") {
            return Some(Self::Bug);
        }
        if begins("UBSAN: ") && message.stamped {
            return Some(Self::Sanitizer);
        }
        if begins("[ BUG: ") && message.stamped {
            return Some(Self::Lockdep);
        }
        if let Some(what) = text.strip_prefix("WARNING: ") {
            let of_lockdep = LOCKDEP_BEGINS.iter().any(|start| what.starts_with(start))
                || LOCKDEP_HOLDS.iter().any(|part| what.contains(part));
            if of_lockdep {
                return Some(Self::Lockdep);
            }
            // `CPU: 0 PID: 1 at FILE:LINE FUNCTION`, since 6.19 `FILE:LINE at FUNCTION, CPU#0: COMMAND/1`; what a
            // driver calls a warning has no such place.
            let has_place = what.contains(" at ") && (what.starts_with("CPU: ") || what.contains(", CPU#"));
            return has_place.then_some(Self::Warning);
        }
        if begins("INFO: task ") && text.contains(" blocked ") && text.contains(" for more than ") {
            return Some(Self::HungTask);
        }
        (is_die(text) && message.stamped).then_some(Self::Oops)
    }

    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oops => "oops",
            Self::Bug => "bug",
            Self::Warning => "warning",
            Self::Panic => "panic",
            Self::HungTask => "hung-task",
            Self::Lockdep => "lockdep",
            Self::Sanitizer => "sanitizer",
        }
    }

    /// In words.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Oops => "an oops of the kernel",
            Self::Bug => "a bug that the kernel met",
            Self::Warning => "a warning of the kernel",
            Self::Panic => "the kernel's panic",
            Self::HungTask => "a task that hangs",
            Self::Lockdep => "what lockdep found",
            Self::Sanitizer => "what a sanitizer of the kernel found",
        }
    }
}

/// Whether it is the line of `die()`: what happened, `: `, an error code of four digits, ` [#`, a count, `]`.
pub(super) fn is_die(text: &str) -> bool {
    let Some((what, counted)) = text.split_once(" [#") else { return false };
    let code = what.rsplit(": ").next().unwrap_or_default();
    let counts = counted.split_once(']').is_some_and(|(count, _)| count.parse::<u32>().is_ok());
    what.len() > code.len() && code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_hexdigit()) && counts
}
