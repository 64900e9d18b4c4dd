//! Reading a golden: what people edited or merged by hand has clear mistakes.

use std::sync::Arc;

use barscope_device::diagnostic::{Diagnostic, Span, did_you_mean};

use super::{ANYONE, Golden, OUTSIDE, VERSION};
use crate::diff::Terms;
use crate::diff::items::DEVICES;
use crate::diff::lines::Line;
use crate::filter::Filter;

/// The most records that one may stand for.
const RECORDS: u64 = 1 << 24;

/// What the lines of records begin with.
const HEADS: [&str; 12] = [
    "read",
    "write",
    "rmw-read",
    "rmw-write",
    "then",
    "mark",
    "map",
    "unmap",
    "handler",
    "scenario",
    "kernel",
    "page",
];
const OTHER_HEADS: [&str; 2] = ["not", "the"];

/// What a merge that wasn't finished leaves.
const CONFLICTS: [&str; 4] = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];

impl Golden {
    /// Reads one.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let mut reader = Reader::default();
        let mut start = 0;
        for (number, line) in (1..).zip(text.split('\n')) {
            let content = line.trim_end();
            reader.line(content, start, number)?;
            start += line.len() + 1;
        }
        if !reader.has_version {
            let end = Span::from(text.len()..text.len());
            return Err(Diagnostic::new(end, format!("a golden begins with \"golden {VERSION}\"")));
        }
        Ok(Self { terms: reader.terms, lines: reader.lines })
    }

    /// The terms of one, also if the rest of it can't be read: it is to be written anew by them. `None` if it is none.
    pub fn terms_of(text: &str) -> Option<Terms> {
        let mut lines =
            text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.find(|line| !CONFLICTS.iter().any(|mark| line.starts_with(mark)))?.strip_prefix("golden ")?;
        let is_head = |line: &&str| !line.starts_with("scenario ") && *line != OUTSIDE;
        let mut terms = Terms::default();
        for line in lines.take_while(is_head) {
            if let Some(Ok(ignore)) = line.strip_prefix("ignore ").map(str::parse) {
                terms = terms.without(ignore);
            } else if let Some(only) = line.strip_prefix("only ") {
                terms.only = Some(only.to_owned());
            }
        }
        Some(terms)
    }
}

#[derive(Default)]
struct Reader {
    has_version: bool,
    terms: Terms,
    lines: Vec<Line>,
    /// The scenario, or outside of all.
    section: Option<Option<Arc<str>>>,
    actor: Option<Arc<str>>,
    records: u64,
}

impl Reader {
    fn line(&mut self, content: &str, start: usize, number: u64) -> Result<(), Diagnostic> {
        let text = content.trim_start_matches(' ');
        let indent = content.len() - text.len();
        let at = |from: usize, length: usize| Span::from(start + from..start + from + length);
        let whole = at(indent, text.len());
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        if let Some(mark) = CONFLICTS.iter().find(|mark| content.starts_with(**mark)) {
            let message =
                "a merge left both sides here: keep one of them, or have `barscope bless` write it anew";
            return Err(Diagnostic::new(at(0, mark.len()), message));
        }
        if text.starts_with('\t') {
            return Err(Diagnostic::new(at(indent, 1), "a tab: lines are indented by blanks"));
        }
        if !self.has_version {
            return self.version(text, whole);
        }
        match (indent, &self.section) {
            (0, _) => self.head(text, at, number),
            (_, None) => Err(Diagnostic::new(
                whole,
                format!(
                    "an indented line belongs to \"scenario NAME\" or \"{OUTSIDE}\", and there is none before it"
                ),
            )),
            (2, Some(_)) => {
                self.actor = Some(if text == ANYONE { "" } else { text }.into());
                Ok(())
            }
            (4.., Some(section)) => {
                let Some(actor) = &self.actor else {
                    let message =
                        "who did this? Above it belongs a line that is indented by 2, like \"process test\"";
                    return Err(Diagnostic::new(whole, message));
                };
                let (times, key) = record(text, whole)?;
                self.records = self.records.saturating_add(times);
                if self.records > RECORDS {
                    return Err(Diagnostic::new(whole, format!("these are more than {RECORDS} records")));
                }
                let (section, actor) = (section.clone(), Arc::clone(actor));
                self.lines.push(Line { section, actor, text: key.into(), times, number });
                Ok(())
            }
            _ => Err(Diagnostic::new(whole, "lines are indented by 2 for who, and by 4 or 6 for what")),
        }
    }

    fn version(&mut self, text: &str, whole: Span) -> Result<(), Diagnostic> {
        let version = text.strip_prefix("golden ").and_then(|version| version.parse::<u64>().ok());
        match version {
            Some(VERSION) => {
                self.has_version = true;
                Ok(())
            }
            Some(other) => {
                let message = format!(
                    "version {other}: this program reads version {VERSION}; bless the trace anew by it"
                );
                Err(Diagnostic::new(whole, message))
            }
            None => Err(Diagnostic::new(whole, format!("a golden begins with \"golden {VERSION}\""))),
        }
    }

    fn head(&mut self, text: &str, at: impl Fn(usize, usize) -> Span, number: u64) -> Result<(), Diagnostic> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest_at = at(word.len() + 1, rest.len());
        if self.section.is_some() && matches!(word, "device" | "ignore" | "only") {
            return Err(Diagnostic::new(at(0, word.len()), "this belongs before the first scenario"));
        }
        match word {
            _ if text == OUTSIDE => self.section = Some(None),
            "scenario" if !rest.is_empty() => self.section = Some(Some(rest.into())),
            "device" if !rest.is_empty() => {
                let actor = DEVICES.into();
                self.lines.push(Line { section: None, actor, text: rest.into(), times: 1, number });
            }
            "ignore" => {
                let ignore = rest.parse().map_err(|error: String| Diagnostic::new(rest_at, error))?;
                self.terms = std::mem::take(&mut self.terms).without(ignore);
            }
            "only" if self.terms.only.is_some() => {
                return Err(Diagnostic::new(
                    at(0, text.len()),
                    "only one line may choose records; join them by \"or\"",
                ));
            }
            "only" => {
                Filter::parse(rest).map_err(|Diagnostic { span, message }| {
                    Diagnostic::new(at(word.len() + 1 + span.start, span.end - span.start), message)
                })?;
                self.terms.only = Some(rest.to_owned());
            }
            _ => {
                let known = ["device", "ignore", "only", "scenario", "outside"];
                let message = format!(
                    "{word:?} begins no line: device, ignore, only, scenario or \"{OUTSIDE}\"{}",
                    did_you_mean(word, known)
                );
                return Err(Diagnostic::new(at(0, word.len()), message));
            }
        }
        self.actor = None;
        Ok(())
    }
}

/// How many records a line stands for, and their key.
fn record(text: &str, whole: Span) -> Result<(u64, &str), Diagnostic> {
    let span = |length: usize| Span::from(whole.start..whole.start + length);
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (times, key) = match rest.strip_prefix("x ") {
        Some(key) if first.bytes().all(|byte| byte.is_ascii_digit()) => {
            let times = first.parse().ok().filter(|times| (1..=RECORDS).contains(times));
            let wrong = || format!("a line stands for 1 to {RECORDS} records");
            (times.ok_or_else(|| Diagnostic::new(span(first.len()), wrong()))?, key)
        }
        _ => (1, text),
    };
    let word = key.split(' ').next().unwrap_or_default();
    let from = whole.start + text.len() - key.len();
    let at = Span::from(from..from + word.len());
    let plain = word.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let digits = &word[plain.len()..];
    let is_access = ["read", "write", "rmw-read", "rmw-write"].contains(&plain);
    if is_access && !["1", "2", "3", "4", "5", "6", "7", "8"].contains(&digits) {
        let message = format!("{plain} of how many bytes? As in {plain}4, from 1 to 8");
        return Err(Diagnostic::new(at, message));
    }
    let is_known =
        is_access || digits.is_empty() && HEADS.iter().chain(&OTHER_HEADS).any(|head| *head == word);
    if !is_known {
        let message = format!("{word:?} is nothing that a record does{}", did_you_mean(plain, HEADS));
        return Err(Diagnostic::new(at, message));
    }
    if is_access && key.split(' ').count() < 3 {
        return Err(Diagnostic::new(
            whole,
            "an access has a place and a value, as in: read4 lab.BAR0.ID 0x1",
        ));
    }
    Ok((times, key))
}
