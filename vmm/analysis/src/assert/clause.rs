//! What may be asked of a trace.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use barscope_device::Bdf;

use crate::filter::Filter;

/// Something that has to hold in a window of a trace.
#[derive(Clone, Debug, PartialEq)]
pub enum Clause {
    /// Events like these occur in this order; others may be in between. Any assignment of events to steps
    /// that fulfils all their bounds will do.
    Sequence(Vec<Step>),
    /// Each event like the first step is followed by events like the others.
    Each {
        /// What has to be followed.
        trigger: Step,
        /// By what, in this order.
        then: Vec<Step>,
        /// Whether it passes if there is no such event.
        if_any: bool,
    },
    /// Nothing is like this.
    Never(Filter),
    /// As many instructions (or other events) are like this. Parts of one instruction count once.
    Count(Filter, Limits),
    /// As many entries into the guest's kernel were counted: of the program that opened the window by an access or a
    /// mark, else all. They must have been counted, since a trace of device accesses can't see them.
    KernelEntries {
        /// How many.
        limits: Limits,
        /// Of each process, only those from its first record like this to its last one.
        between: Option<Filter>,
    },
    /// Accesses reached at least these shares of what devices have.
    Coverage(Goal),
    /// There is such a device.
    Device {
        /// The model's name.
        name: String,
        /// Its address.
        bdf: Bdf,
    },
}

/// An event of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it is like.
    pub filter: Filter,
    /// What later steps call it.
    pub name: Option<String>,
    /// How soon it comes.
    pub within: Vec<Within>,
    /// The step whose access led to it, directly or by way of an interrupt.
    pub caused_by: Option<String>,
}

/// A bound on time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// At most this many nanoseconds.
    pub limit_ns: u64,
    /// Of which time.
    pub time: Time,
    /// After which step; the one before if it isn't told.
    pub of: Option<String>,
}

/// Which time a bound is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    /// The device clock's. If that is virtual, bounds are exact.
    #[default]
    Device,
    /// The host's, which includes what else the host did meanwhile.
    Host,
}

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At least.
    pub low: u64,
    /// At most; `None` for any number.
    pub high: Option<u64>,
}

/// Shares in percent that accesses have to reach; 0 asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goal {
    /// Of registers.
    pub registers: u64,
    /// Of fields.
    pub fields: u64,
    /// Of enumerated values.
    pub values: u64,
}

impl From<Filter> for Step {
    fn from(filter: Filter) -> Self {
        Self { filter, name: None, within: Vec::new(), caused_by: None }
    }
}

impl Filter {
    /// As a step that later ones call by this name.
    pub fn named(self, name: &str) -> Step {
        Step::from(self).named(name)
    }

    /// As a step that comes within this device time after the step before.
    pub fn within(self, limit: Duration) -> Step {
        Step::from(self).within(limit)
    }

    /// As a step that the access of the step `name` led to.
    pub fn because_of(self, name: &str) -> Step {
        Step::from(self).because_of(name)
    }
}

impl Step {
    /// Later steps call it by this name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// It comes within this device time after the step before.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        self.bounded(limit, Time::Device, None)
    }

    /// It comes within this time after the step `of`, or the step before.
    #[must_use]
    pub fn bounded(mut self, limit: Duration, time: Time, of: Option<&str>) -> Self {
        let limit_ns = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.within.push(Within { limit_ns, time, of: of.map(str::to_owned) });
        self
    }

    /// The access of the step `name` led to it.
    #[must_use]
    pub fn because_of(self, name: &str) -> Self {
        Self { caused_by: Some(name.to_owned()), ..self }
    }
}

impl Limits {
    /// Those of a range.
    pub fn new(range: &impl RangeBounds<u64>) -> Self {
        let low = match range.start_bound() {
            Bound::Included(low) => *low,
            Bound::Excluded(below) => below.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let high = match range.end_bound() {
            Bound::Included(high) => Some(*high),
            Bound::Excluded(above) => Some(above.saturating_sub(1)),
            Bound::Unbounded => None,
        };
        Self { low, high }
    }

    /// Whether any count is within them.
    pub fn asks_nothing(&self) -> bool {
        self.low == 0 && self.high.is_none()
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clause::Sequence(steps) => write!(f, "{}", Joined(steps, "; then ")),
            Clause::Each { trigger, then, if_any } => {
                let any = if *if_any { " if any" } else { "" };
                write!(f, "each {trigger}{any}: then {}", Joined(then, ", then "))
            }
            Clause::Never(filter) => write!(f, "never {filter}"),
            Clause::Count(filter, limits) => write!(f, "{filter} {limits}"),
            Clause::KernelEntries { limits, between: None } => write!(f, "kernel entries {limits}"),
            Clause::KernelEntries { limits, between: Some(filter) } => {
                write!(f, "kernel entries {limits} between {filter}")
            }
            Clause::Coverage(Goal { registers, fields, values }) => {
                f.write_str("coverage")?;
                for (what, share) in [("registers", registers), ("fields", fields), ("values", values)] {
                    if *share > 0 {
                        write!(f, " {what} >= {share}%")?;
                    }
                }
                Ok(())
            }
            Clause::Device { name, bdf } => write!(f, "device {name} at {bdf}"),
        }
    }
}

struct Joined<'a>(&'a [Step], &'static str);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            write!(f, "{}{step}", if at > 0 { self.1 } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.filter)?;
        for Within { limit_ns, time, of } in &self.within {
            write!(f, " within {}", span(*limit_ns))?;
            if *time == Time::Host {
                f.write_str(" host")?;
            }
            if let Some(of) = of {
                write!(f, " of {of}")?;
            }
        }
        if let Some(cause) = &self.caused_by {
            write!(f, " caused by {cause}")?;
        }
        match &self.name {
            Some(name) => write!(f, " as {name}"),
            None => Ok(()),
        }
    }
}

/// A time as the language writes it, in the largest unit that leaves a whole number.
pub(super) fn span(ns: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    match units.iter().find(|(unit, _)| ns > 0 && ns.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ns / unit),
        None => format!("{ns}ns"),
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |count: u64| if count == 1 { "time" } else { "times" };
        match (self.low, self.high) {
            (low, Some(high)) if low == high => write!(f, "exactly {low} {}", times(low)),
            (0, Some(high)) => write!(f, "at most {high} {}", times(high)),
            (low, Some(high)) => write!(f, "{low}..{high} times"),
            (low, None) => write!(f, "at least {low} {}", times(low)),
        }
    }
}
