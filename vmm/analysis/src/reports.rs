//! What a Linux kernel reports on its console when something is wrong: oops, BUG, WARN, panic, hung task, and what lockdep
//! and sanitizers find. It is recognised from the lines alone, in the forms of 6.1 to 7.x (`Documentation/admin-guide/
//! bug-hunting.rst`, `dev-tools/kasan.rst`, `locking/lockdep-design.rst`).
//!
//! A report begins with a line that [`Trouble::of`] knows, or with `------------[ cut here ]------------` or a rule of `=`
//! right before that, and ends with `---[ end ..`, with the rule or the call trace that ends its kind, or where another
//! one begins. Where the kernel says who printed a line, those of others that stand between are left out.

mod frame;
mod message;
#[cfg(test)]
mod tests;
mod trouble;

use std::sync::Arc;

use barscope_trace::Definitions;

use self::message::Message;
use crate::symbols::{SourceLine, Symbols};

pub use frame::Frame;
pub use trouble::Trouble;

/// The most reports that are kept; those after them are counted.
const MOST: usize = 64;
/// The most lines of a report: a panic with many CPUs has a few hundred.
const LONGEST: usize = 1024;
/// How many reports may be under way at once.
const OPEN: usize = 16;
/// How many lines may stand between `cut here` and what is wrong: the message of a `WARN()`.
const BEFORE: usize = 8;
/// How many lines after the one that says what is wrong `die()` may come.
const DIE_WITHIN: usize = 16;

/// A report.
#[derive(Clone, Debug)]
pub struct Report {
    /// What is wrong.
    pub trouble: Trouble,
    /// Sequence number of the console line that says so.
    pub seq: u64,
    /// Host time of that line in nanoseconds since the trace began.
    pub host_ns: u64,
    /// What it says, without what [`Report::place`] and [`Report::source`] have.
    pub title: String,
    /// All of its lines, as they were printed.
    pub lines: Vec<Arc<str>>,
    /// The code that met it.
    pub place: Option<Frame>,
    /// The innermost code of a module that led there.
    pub caller: Option<Frame>,
    /// File and line, where the report says so itself.
    pub source: Option<SourceLine>,
    /// Text of the `WARN()`.
    message: Option<String>,
}

/// Collects the reports of a console.
#[derive(Default)]
pub struct Reports {
    list: Vec<Report>,
    open: Vec<Open>,
    /// Lines since a rule or a `cut here`, each with who printed it.
    before: Vec<(Option<String>, Arc<str>)>,
    left_out: u64,
}

/// A report that goes on.
struct Open {
    index: usize,
    caller: Option<String>,
    stamped: bool,
}

impl Reports {
    /// Those so far, in their order.
    pub fn list(&self) -> &[Report] {
        &self.list
    }

    /// How many more there were.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes the next line of the console: the sequence number of its record, the host time in nanoseconds since the trace
    /// began, and the text.
    pub fn take(&mut self, seq: u64, host_ns: u64, line: &Arc<str>) {
        let message = Message::parse(line);
        let trouble = Trouble::of_message(&message);
        let of_same = |open: &Open| match (&open.caller, message.caller) {
            (Some(one), Some(other)) => one == other,
            (None, None) => open.stamped == message.stamped,
            _ => false,
        };
        let open = self.open.iter().rposition(of_same);
        match (trouble, open) {
            (Some(trouble), Some(at)) if self.goes_on(&self.open[at], trouble, message.text) => {
                self.push(at, &message, line);
            }
            (Some(trouble), open) => {
                // Where another one begins, it ends.
                open.map(|at| self.open.remove(at));
                self.begin(trouble, (seq, host_ns), &message, line);
            }
            (None, Some(at)) if is_cut(message.text) => {
                self.open.remove(at);
                self.before = vec![(message.caller.map(str::to_owned), Arc::clone(line))];
            }
            (None, Some(at)) => self.push(at, &message, line),
            (None, None) => self.wait(&message, line),
        }
    }

    /// Whether what the line says is part of the report: `die()` comes after what led to it.
    fn goes_on(&self, open: &Open, trouble: Trouble, text: &str) -> bool {
        let report = &self.list[open.index];
        let dies = trouble == Trouble::Oops && trouble::is_die(text);
        dies && matches!(report.trouble, Trouble::Oops | Trouble::Bug) && report.lines.len() < DIE_WITHIN
    }

    /// Keeps what may come before a report.
    fn wait(&mut self, message: &Message<'_>, line: &Arc<str>) {
        let caller = message.caller.map(str::to_owned);
        if is_cut(message.text) || is_rule(message.text) {
            self.before.clear();
        } else if self.before.is_empty() {
            return;
        } else if self.before.len() > BEFORE {
            self.before.clear();
            return;
        }
        self.before.push((caller, Arc::clone(line)));
    }

    fn begin(
        &mut self,
        trouble: Trouble,
        (seq, host_ns): (u64, u64),
        message: &Message<'_>,
        line: &Arc<str>,
    ) {
        let before = std::mem::take(&mut self.before);
        if self.list.len() >= MOST {
            self.left_out += 1;
            return;
        }
        let same = before.iter().filter(|(caller, _)| caller.as_deref() == message.caller);
        let mut lines: Vec<_> = same.map(|(_, line)| Arc::clone(line)).collect();
        // Between `cut here` and the warning stands what `WARN()` says.
        let first = lines.first().filter(|first| is_cut(Message::parse(first).text)).and(lines.get(1));
        let said = first.map(|first| Message::parse(first).text.trim().to_owned());
        lines.push(Arc::clone(line));
        let (title, place, source) = heading(trouble, message.text);
        self.list.push(Report {
            trouble,
            seq,
            host_ns,
            title,
            lines,
            place,
            caller: None,
            source,
            message: said.filter(|_| trouble == Trouble::Warning),
        });
        if self.open.len() >= OPEN {
            self.open.remove(0);
        }
        self.open.push(Open {
            index: self.list.len() - 1,
            caller: message.caller.map(str::to_owned),
            stamped: message.stamped,
        });
    }

    /// Adds a line to the report that is open there.
    fn push(&mut self, at: usize, message: &Message<'_>, line: &Arc<str>) {
        let Some(report) = self.list.get_mut(self.open[at].index) else { return };
        report.lines.push(Arc::clone(line));
        let text = message.text.trim();
        // What is left of a program has `0033` there.
        if let Some(place) = text.strip_prefix("RIP: 0010:") {
            report.place = report.place.take().or_else(|| Frame::parse(place));
        } else if let Some(frame) = Frame::parse(text).filter(|frame| frame.module.is_some()) {
            report.caller = report.caller.take().or(Some(frame));
        }
        if report.lines.len() >= LONGEST || report.ends_with(text) {
            self.open.remove(at);
        }
    }
}

impl Report {
    /// Whether it is over with this line.
    fn ends_with(&self, text: &str) -> bool {
        match self.trouble {
            _ if text.starts_with("---[ end ") => true,
            Trouble::Sanitizer => is_rule(text),
            Trouble::Bug => text == "</TASK>" && self.place.is_none(),
            Trouble::HungTask | Trouble::Lockdep => text == "</TASK>",
            Trouble::Oops | Trouble::Warning | Trouble::Panic => false,
        }
    }

    /// Whether it fails a run: a warning does unless warnings are allowed.
    pub fn fails(&self, allows_warnings: bool) -> bool {
        !(allows_warnings && self.trouble == Trouble::Warning)
    }

    /// The file and line of the code that met it, or of the code of a module that led there, if the trace has the
    /// module's debug information or the report says it itself.
    pub fn source(&self, definitions: &Definitions, symbols: &mut Symbols) -> Option<SourceLine> {
        let own = self.own();
        let line = own.and_then(|(frame, call)| line_of(frame, call, definitions, symbols));
        // What the kernel says is its own line, where it was called.
        line.or_else(|| self.source.clone().filter(|_| !own.is_some_and(|(_, call)| call)))
    }

    /// The code that it is about, the driver's if one is known; whether the place is that of a call's return.
    fn own(&self) -> Option<(&Frame, bool)> {
        match (&self.place, &self.caller) {
            (Some(place), _) if place.module.is_some() => Some((place, false)),
            (_, Some(caller)) => Some((caller, true)),
            (Some(place), None) => Some((place, false)),
            (None, None) => None,
        }
    }

    /// What is wrong and where, on one line.
    pub fn describe(&self, definitions: &Definitions, symbols: &mut Symbols) -> String {
        let mut text = self.title.clone();
        let mut add = |before: &str, frame: &Frame, call: bool| {
            text += before;
            text += &frame.to_string();
            let line = line_of(frame, call, definitions, symbols);
            let line = line.or_else(|| self.source.clone().filter(|_| !call));
            if let Some(line) = line {
                text += &format!(" {}:{}", line.name(), line.line);
            }
        };
        match (&self.place, &self.caller) {
            (Some(place), Some(caller)) if place.module.is_none() => {
                add(" in ", place, false);
                add(", called from ", caller, true);
            }
            (Some(place), _) => add(" in ", place, false),
            (None, Some(caller)) => add(" in ", caller, true),
            (None, None) => {
                if let Some(line) = &self.source {
                    text += &format!(" at {}:{}", line.name(), line.line);
                }
            }
        }
        if let Some(message) = &self.message {
            text += ": ";
            text += message;
        }
        text
    }
}

/// The line of a place in code; of the call, for the place that it returns to.
fn line_of(
    frame: &Frame,
    call: bool,
    definitions: &Definitions,
    symbols: &mut Symbols,
) -> Option<SourceLine> {
    let offset = if call { frame.offset.checked_sub(1)? } else { frame.offset };
    symbols.source_line(definitions, frame.module.as_deref(), (&frame.function, frame.size), offset)
}

/// What the line says that begins a report: what is wrong, the code, file and line.
fn heading(trouble: Trouble, text: &str) -> (String, Option<Frame>, Option<SourceLine>) {
    let text = text.strip_prefix("watchdog: ").unwrap_or(text).trim();
    let whole = || (text.to_owned(), None, None);
    match trouble {
        Trouble::Oops => {
            let text = text.split_once(" [#").map_or(text, |(what, _)| what);
            let code = text.rsplit_once(": ").filter(|(_, code)| code.len() == 4);
            let text = code.map_or(text, |(what, _)| what);
            let text = text.strip_suffix(", address").unwrap_or(text);
            let null = text.starts_with("BUG: kernel NULL pointer dereference");
            let text = if null { text.split(',').next().unwrap_or(text) } else { text };
            (text.to_owned(), None, None)
        }
        Trouble::Bug => match text.strip_prefix("kernel BUG at ") {
            Some(place) => ("kernel BUG".to_owned(), None, SourceLine::parse(place.trim_end_matches('!'))),
            None => match text.rsplit_once(" at ").map(|(what, at)| (what, SourceLine::parse(at))) {
                Some((what, Some(line))) => (what.to_owned(), None, Some(line)),
                _ => whole(),
            },
        },
        Trouble::Warning => {
            let words = || text.split(' ').map(|word| word.trim_end_matches(','));
            ("WARNING".to_owned(), Frame::find(text), words().find_map(SourceLine::parse))
        }
        Trouble::Sanitizer => match text.rsplit_once(" in ").map(|(what, at)| (what, at, Frame::parse(at))) {
            Some((what, _, Some(frame))) => (what.to_owned(), Some(frame), None),
            // `FILE:LINE:COLUMN`
            Some((what, at, None)) => {
                let line = at.rsplit_once(':').and_then(|(line, _)| SourceLine::parse(line));
                if line.is_some() { (what.to_owned(), None, line) } else { whole() }
            }
            None => whole(),
        },
        Trouble::Lockdep => (text.trim_matches(['[', ']', ' ']).to_owned(), None, None),
        Trouble::HungTask => (text.trim_end_matches('.').to_owned(), None, None),
        Trouble::Panic => whole(),
    }
}

/// `------------[ cut here ]------------`
fn is_cut(text: &str) -> bool {
    text.contains("---[ cut here ]---")
}

/// A rule of `=`, as lockdep and KASAN print it before and after what they found.
fn is_rule(text: &str) -> bool {
    let text = text.trim();
    text.len() >= 20 && text.bytes().all(|byte| byte == b'=')
}
