//! What one trace or several come to: counts, latencies, coverage, polling loops, kernel entries.
//!
//! A [`Collector`] is fed the events of one trace and turns them into [`Stats`]; those of several traces
//! [merge](Stats::merge). Memory depends on how much a trace defines (registers, instructions, texts), not
//! on how many events it has. A [`Stats`] writes itself as JSON, and prints itself as
//! [text](Stats::text) or [Markdown](Stats::markdown).

mod collector;
mod figures;
mod histogram;
mod interrupts;
mod markdown;
mod places;
mod polling;
mod processes;
mod sites;
mod table;
mod text;
mod windows;

use std::path::Path;

use barscope_trace::{End, ReadError, Stream, TraceInfo};
use serde::{Serialize, Serializer};

pub use collector::Collector;
pub use histogram::Histogram;
pub use interrupts::{Interrupts, Line, Mechanism};
pub use places::PlaceKey;
pub use polling::{Loop, LoopEnd, Polling};
pub use processes::ProcessName;
pub use table::{Accesses, Table};
pub use windows::{Window, Windows};

use crate::coverage::{Counts, Coverage};

/// What traces come to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// The traces, in the order in which they were merged.
    pub traces: Vec<Source>,
    /// Events of all kinds.
    pub records: u64,
    /// Accesses to devices, configuration space and ports included: one for each record, though an
    /// instruction may make several.
    pub accesses: u64,
    /// Instructions that made them.
    pub instructions: u64,
    /// Accesses by register; all of a range of device memory is one, and so is all of configuration space.
    pub registers: Table<PlaceKey, Accesses>,
    /// Accesses by the path that their virtual address took, `?` after one that was inferred.
    pub paths: Table<PathName, Accesses>,
    /// Accesses by the function whose code made them.
    pub functions: Table<FunctionName, Accesses>,
    /// Accesses by the process that they were made for, where the trace tells of processes.
    pub processes: Table<ProcessName, Accesses>,
    /// Accesses by vCPU.
    pub vcpus: Table<Vcpu, Accesses>,
    /// For how long devices were busy, each time, in device time.
    pub busy: Table<Device, Histogram>,
    /// Interrupts by device and mechanism.
    pub interrupts: Table<Line, Interrupts>,
    /// Polling loops.
    pub polling: Polling,
    /// What the guest counted, by scenario or from mark to mark.
    pub windows: Windows,
    /// What was made use of.
    pub coverage: Coverage,
}

/// A trace that statistics come from.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Where it lies.
    #[serde(rename = "file")]
    pub path: String,
    /// What its device clock is, `virtual` or `host`.
    pub clock: &'static str,
    /// How it ended.
    #[serde(rename = "status")]
    pub end: SourceEnd,
    /// Why it ended early; empty for a finished trace.
    pub reason: String,
    /// Events that are missing.
    pub lost: u64,
    /// Records and definitions that were skipped because this program doesn't know their kinds.
    pub unknown_kinds: u64,
    /// Parts that can't be trusted and were left out, in words.
    pub damage: Vec<String>,
}

/// How a trace ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceEnd {
    /// The guest was done.
    Finished,
    /// Somebody stopped it.
    Interrupted,
    /// The guest or the host failed.
    Failed,
    /// It is still being written, or its writer was killed.
    Unfinished,
}

impl Source {
    /// Nothing is missing: figures are final.
    pub fn complete(&self) -> bool {
        self.end == SourceEnd::Finished && self.lost == 0 && self.damage.is_empty()
    }
}

impl From<&TraceInfo<'_>> for Source {
    fn from(info: &TraceInfo<'_>) -> Self {
        Self {
            path: info.path.display().to_string(),
            clock: info.clock.name(),
            end: match info.end {
                Some(End::Finished) => SourceEnd::Finished,
                Some(End::Interrupted(_)) => SourceEnd::Interrupted,
                Some(End::Failed(_)) => SourceEnd::Failed,
                None => SourceEnd::Unfinished,
            },
            reason: info.end.map_or("", End::reason).to_owned(),
            lost: info.lost,
            unknown_kinds: info.unknown_kinds,
            damage: info.damage.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A path to count by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PathName {
    /// Its name, `?` after one that was inferred.
    pub path: String,
}

/// A function to count by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FunctionName {
    /// Its name.
    pub function: String,
}

/// A vCPU to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Vcpu {
    /// Its index; `None` for writes that KVM had gathered, by whichever.
    pub vcpu: Option<u8>,
}

/// A device to count by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Device {
    /// Its address, like `00:04.0`.
    pub bdf: String,
    /// The model's name.
    pub device: String,
}

impl Stats {
    /// Of the trace at `path`, as far as it was written and can be read: see [`Source::complete`].
    ///
    /// # Errors
    /// It can't be read, or is no trace of this version.
    pub fn of(path: &Path) -> Result<Self, ReadError> {
        let mut stream = Stream::open(path)?;
        let mut collector = Collector::default();
        while let Some(event) = stream.next()? {
            collector.add(stream.definitions(), &event);
        }
        Ok(collector.finish(&stream.info()))
    }

    /// Adds those of another trace.
    pub fn merge(&mut self, other: Self) {
        self.polling.merge(other.polling, self.traces.len());
        self.traces.extend(other.traces);
        self.records += other.records;
        self.accesses += other.accesses;
        self.instructions += other.instructions;
        self.registers.merge(other.registers, Accesses::merge);
        self.paths.merge(other.paths, Accesses::merge);
        self.functions.merge(other.functions, Accesses::merge);
        self.processes.merge(other.processes, Accesses::merge);
        self.vcpus.merge(other.vcpus, Accesses::merge);
        self.busy.merge(other.busy, Histogram::merge);
        self.interrupts.merge(other.interrupts, Interrupts::merge);
        self.windows.merge(other.windows);
        self.coverage.merge(&other.coverage);
    }

    /// Whether every trace is complete.
    pub fn complete(&self) -> bool {
        self.traces.iter().all(Source::complete)
    }

    /// How much is covered of all functions.
    pub fn coverage_counts(&self) -> Counts {
        self.coverage.counts()
    }

    /// Text of at most `width` columns; of each list the first `top` rows. With colour if `color`.
    pub fn text(&self, width: usize, top: usize, color: bool) -> String {
        text::render(self, width, top, color)
    }

    /// A short page of Markdown, as GitHub shows it for a job: verdicts of scenarios, accesses, what took longest. Of each
    /// list the first `top` rows; of less, if it is more than 128 KiB.
    pub fn markdown(&self, top: usize) -> String {
        markdown::render(self, top)
    }
}

/// An iterator as a JSON array.
fn array<T: Serialize, S: Serializer>(
    items: impl Iterator<Item = T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items)
}

#[cfg(test)]
mod tests;
