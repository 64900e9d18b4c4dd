//! Linux's events `rwmmio_write`, `rwmmio_post_write`, `rwmmio_read` and `rwmmio_post_read`, as
//! `include/trace/events/rwmmio.h` prints them, in the lines of ftrace or of `trace-cmd report`.
//!
//! A width is in bits there, an address virtual. An access has two lines: a write is recorded when it begins, a read when
//! it has its value. One of which only the other line is there was told in part: a read without its value is lost.

use std::collections::HashMap;

use barscope_trace::{Capability, WriteError};

use crate::output::{Access, Output};
use crate::text::{access, decimal, hex, time};
use crate::{Line, Reader};

const EVENTS: [&str; 4] = ["rwmmio_write", "rwmmio_post_write", "rwmmio_read", "rwmmio_post_read"];
/// So many processors and tasks are told apart.
const TASKS_MAX: usize = 1 << 12;

/// The format.
#[derive(Debug, Default)]
pub(crate) struct Rwmmio {
    /// Accesses that began and didn't end: of each task, their addresses, and whether they write.
    open: HashMap<u64, (bool, u64)>,
}

/// A line.
struct Event<'a> {
    name: &'a str,
    at: Option<u64>,
    cpu: Option<u8>,
    task: (u64, &'a str),
    width: u64,
    value: Option<u64>,
    address: u64,
}

impl Event<'_> {
    /// Tells threads apart: idle ones are one a processor.
    fn thread(&self) -> u64 {
        if self.task.0 == 0 { u64::MAX - u64::from(self.cpu.unwrap_or(0)) } else { self.task.0 }
    }
}

impl Reader for Rwmmio {
    fn begin(&mut self, output: &mut Output) {
        output.untold(&[
            Capability::Effects,
            Capability::Configuration,
            Capability::ProgramAccesses,
            Capability::MemoryTypes,
        ]);
        output.told(Capability::Processes);
    }

    fn line(&mut self, text: &str, output: &mut Output) -> Result<Line, WriteError> {
        if let Some(count) = lost(text) {
            output.lose(count)?;
            self.open.clear();
            return Ok(Line::Taken);
        }
        if text.starts_with('#') || !text.contains("rwmmio_") {
            return Ok(Line::Other);
        }
        match parse(text) {
            Ok(None) => Ok(Line::Other),
            Ok(Some(event)) => self.event(&event, output),
            Err(why) => Ok(Line::Bad(why)),
        }
    }

    fn end(&mut self, output: &mut Output) -> Result<(), WriteError> {
        let unanswered = self.open.values().filter(|(write, _)| !write).count() as u64;
        if unanswered > 0 {
            output.note(format!("{unanswered} reads have no value: each is a lost record"));
            output.lose(unanswered)?;
        }
        Ok(())
    }
}

impl Rwmmio {
    fn event(&mut self, event: &Event<'_>, output: &mut Output) -> Result<Line, WriteError> {
        let size = match access(event.width / 8, event.value.unwrap_or(0)) {
            Ok(size) if event.width.is_multiple_of(8) => size,
            Ok(_) => return Ok(Line::Bad(format!("a width of {} bits", event.width))),
            Err(why) => return Ok(Line::Bad(why)),
        };
        if let Some(at) = event.at {
            output.time(at);
        }
        let write = event.name.ends_with("write");
        let task = event.thread();
        let before = self.open.remove(&task);
        if !event.name.contains("post") {
            if let Some((false, _)) = before {
                output.note("reads have no value: each is a lost record".to_owned());
                output.lose(1)?;
            }
            if self.open.len() < TASKS_MAX {
                self.open.insert(task, (write, event.address));
            }
        }
        let told = match event.name {
            "rwmmio_write" | "rwmmio_post_read" => true,
            // Its first line is missing.
            "rwmmio_post_write" => before != Some((true, event.address)),
            _ => false,
        };
        if told {
            output.access(&Access {
                write,
                size,
                value: event.value.unwrap_or(0),
                address: event.address,
                vcpu: event.cpu.or(Some(0)),
                process: Some(event.task),
                ..Access::default()
            })?;
        }
        Ok(Line::Taken)
    }
}

/// An event, unless the line has none of these.
fn parse(text: &str) -> Result<Option<Event<'_>>, String> {
    let Some(at) = text.find("rwmmio_") else { return Ok(None) };
    let (before, rest) = text.split_at(at);
    let Some((name, rest)) = rest.split_once(':') else { return Ok(None) };
    if !EVENTS.contains(&name) {
        return Ok(None);
    }
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let find = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
    let width = find("width=").and_then(decimal).ok_or("width= is missing, or no number")?;
    let address = find("addr=").and_then(hex).ok_or("addr= is missing, or no number")?;
    let value = find("val=").map(|value| hex(value).ok_or("val= is no number")).transpose()?;
    if value.is_none() && name != "rwmmio_read" {
        return Err("val= is missing".to_owned());
    }
    // TASK-PID [CPU] flags TIME:, where the task's name may have blanks and dashes.
    let (task, after) = before.split_once('[').unwrap_or((before, ""));
    let (cpu, stamp) = after.split_once(']').unwrap_or(("", after));
    let task = task.trim().trim_end_matches(|character| "()-".contains(character)).trim();
    let (comm, pid) = match task.rsplit_once('-').and_then(|(comm, pid)| Some((comm, decimal(pid)?))) {
        Some(found) => found,
        None => (task, 0),
    };
    let at = match stamp.split_ascii_whitespace().last() {
        Some(stamp) => Some(time(stamp.trim_end_matches(':')).ok_or("the time is no number of seconds")?),
        None => None,
    };
    let cpu = decimal(cpu).filter(|_| !cpu.is_empty()).and_then(|cpu| u8::try_from(cpu).ok());
    let cpu = cpu.filter(|cpu| *cpu < u8::MAX);
    Ok(Some(Event { name, at, cpu, task: (pid, comm), width, value, address }))
}

/// How many events a line of ftrace or trace-cmd says were lost: `CPU:0 [LOST 12 EVENTS]`, `CPU:0 [12 EVENTS DROPPED]`.
pub(crate) fn lost(text: &str) -> Option<u64> {
    let (_, told) = text.trim().strip_prefix("CPU:")?.split_once('[')?;
    let told = told.strip_suffix(']')?;
    if told == "EVENTS DROPPED" {
        return Some(1);
    }
    let count = told.strip_prefix("LOST ").and_then(|told| told.strip_suffix(" EVENTS"));
    decimal(count.or_else(|| told.strip_suffix(" EVENTS DROPPED"))?)
}
