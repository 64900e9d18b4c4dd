//! A message of a Linux kernel as its console has it: `[   12.345678][  T123] text`, where the time is there unless
//! `printk.time` is off, and the caller (`T` and a thread's number, `C` and a CPU's) if the kernel was built with
//! `CONFIG_PRINTK_CALLER`.

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// It has a time: nobody but a kernel writes so.
    pub stamped: bool,
    /// Who printed it, if the kernel says so: messages of several may stand between each other.
    pub caller: Option<&'a str>,
    /// What it says.
    pub text: &'a str,
}

impl<'a> Message<'a> {
    /// Takes a line apart. What a program printed before the message on the same line is left out.
    pub fn parse(line: &'a str) -> Self {
        let starts = line.match_indices('[').map(|(at, _)| &line[at..]);
        let Some(after) = starts.into_iter().find_map(after_time) else {
            return Self { stamped: false, caller: None, text: line };
        };
        let (caller, text) = match after_caller(after) {
            Some((caller, text)) => (Some(caller), text),
            None => (None, after),
        };
        Self { stamped: true, caller, text: text.strip_prefix(' ').unwrap_or(text) }
    }
}

/// What follows a time: `[`, blanks, seconds, a dot, microseconds, `]`.
fn after_time(text: &str) -> Option<&str> {
    let (inner, after) = text.strip_prefix('[')?.split_once(']')?;
    let (seconds, microseconds) = inner.trim_start_matches(' ').split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(seconds) && digits(microseconds) && microseconds.len() == 6).then_some(after)
}

/// The caller and what follows it.
fn after_caller(text: &str) -> Option<(&str, &str)> {
    let (inner, after) = text.strip_prefix('[')?.split_once(']')?;
    let caller = inner.trim_start_matches(' ');
    let number = caller.strip_prefix(['T', 'C'])?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some((caller, after))
}
