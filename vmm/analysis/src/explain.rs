//! One record, with everything in its trace that concerns it.
//!
//! [`explain`] reads the trace once from its start and keeps only that: for an access the instruction and its
//! other parts, the mapping and who made it, the page walk, the exit, route and register, what the device
//! did and what the interrupt handler answered. [`print()`] draws it; [`Comparison`] sets two accesses side by
//! side.

mod compare;
mod gather;
mod lasting;
mod layers;
mod paging;
mod register;
mod text;
mod way;

use std::path::{Path, PathBuf};

use barscope_device::Region;
use barscope_trace::definition::MemoryType;
use barscope_trace::event::{Event, EventKind};
use barscope_trace::{Damage, ReadError, Stream};
use serde::Serialize;

use self::gather::Gather;
use crate::Completeness;
use crate::maps::{Entered, MappingUse};
use crate::serial::{as_hex, as_text};
use crate::view::{View, Viewer};

pub use compare::Comparison;
pub use lasting::{Fact, Lasting};
pub use paging::{Entry, PageTable};
pub use register::{FieldUse, RegisterUse};
pub use text::print;

/// Why a record can't be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The trace can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The trace ends before, or begins after it.
    #[error("{} has no record {seq}: it holds records {first} to {last}", path.display())]
    NoRecord {
        /// The trace.
        path: PathBuf,
        /// What was asked for.
        seq: u64,
        /// The first record that there is.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// It is missing between others.
    #[error("{} has lost record {seq}: it holds others up to {last}{}", path.display(), because(damage))]
    Lost {
        /// The trace.
        path: PathBuf,
        /// What was asked for.
        seq: u64,
        /// The last record.
        last: u64,
        /// Parts of the file that can't be trusted.
        damage: Vec<Damage>,
    },
    /// There is nothing to explain.
    #[error("{} holds no records{}", path.display(), because(damage))]
    Empty {
        /// The trace.
        path: PathBuf,
        /// Parts of the file that can't be trusted.
        damage: Vec<Damage>,
    },
    /// Only accesses and page walks can be compared.
    #[error("record {seq} is no access, so it has no layers to compare: {what}")]
    NoLayers {
        /// What was asked for.
        seq: u64,
        /// What it is.
        what: String,
    },
}

fn because(damage: &[Damage]) -> String {
    damage.first().map(|damage| format!(": {damage}")).unwrap_or_default()
}

/// A record and what concerns it.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The record.
    pub record: View,
    /// The access that led to it, by way of an interrupt for what a handler does.
    pub cause: Option<View>,
    /// What is special to an access.
    pub access: Option<Layers>,
    /// What is special to a page walk that somebody asked for.
    pub walked: Option<Walked>,
    /// The mapping that is made or undone here, or that a page fault was about: once for each BAR that it
    /// leads to.
    pub mappings: Vec<Mapped>,
    /// For a page fault: the function and line whose instruction faulted, if known.
    pub faulted: Option<String>,
    /// What came of it, or of the access that led to it: what devices did, the interrupt handler's accesses
    /// and what devices did because of those.
    pub followed: Vec<View>,
    /// So many more followed.
    pub not_shown: u64,
    /// How complete the trace is that all this is from.
    pub trace: Completeness,
}

/// An access, layer by layer. What the record itself says is not repeated.
#[derive(Clone, Debug, Serialize)]
pub struct Layers {
    /// The other accesses of the same executed instruction: parts of a wide or repeated one, the other half
    /// of a read-modify-write.
    pub parts: Vec<View>,
    /// So many more parts.
    pub parts_not_shown: u64,
    /// The record that announces the mapping.
    #[serde(rename = "made")]
    pub mapped: Option<u64>,
    /// The record of its end.
    #[serde(rename = "undone")]
    pub unmapped: Option<u64>,
    /// The page fault that filled the page, if the guest counted it.
    pub fault: Option<Fault>,
    /// The page walk, decoded.
    pub page_table: Option<PageTable>,
    /// Why the memory type is what it is.
    pub memory_type: Option<TypeReason>,
    /// What the access ended in for KVM.
    pub exit: &'static str,
    /// The range of addresses that leads to the device.
    pub route: Option<RouteUse>,
    /// The register.
    pub register: Option<RegisterUse>,
    /// What the guest counted next, in the same scenario.
    pub kernel_entries: Option<View>,
    /// Entries of its program since its access before, if each is recorded.
    pub entered: Option<Entered>,
}

/// The page walk of an address that nothing accesses.
#[derive(Clone, Debug, Serialize)]
pub struct Walked {
    /// The page walk, decoded; `None` if there is no page.
    pub page_table: Option<PageTable>,
    /// Why the memory type is what it is.
    pub memory_type: Option<TypeReason>,
}

/// A mapping, and one of the BARs that it leads to.
#[derive(Clone, Debug, Serialize)]
pub struct Mapped {
    /// The BAR, like `00:04.0 lab BAR0`; `None` if it leads to none.
    pub to: Option<String>,
    /// The mapping, and what it was used for there.
    #[serde(flatten)]
    pub mapping: MappingUse,
}

/// A page fault.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    /// Its record.
    pub record: View,
    /// The function and line whose instruction faulted, if known.
    pub code: Option<String>,
}

/// A memory type, and where it comes from.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TypeReason {
    /// The type that the access had.
    pub memory_type: MemoryType,
    /// The type that the page asks for through PAT, if it is known.
    pub pat: Option<MemoryType>,
    /// The type that the MTRRs say of the address, if it is known.
    pub mtrr: Option<MemoryType>,
    /// Which entry of IA32_PAT the page-table entry chooses; `None` with paging off.
    pub pat_entry: Option<u8>,
}

/// A range of addresses.
#[derive(Clone, Debug, Serialize)]
pub struct RouteUse {
    /// First bus address or port.
    #[serde(serialize_with = "as_hex")]
    pub first: u64,
    /// The last one.
    #[serde(serialize_with = "as_hex")]
    pub last: u64,
    /// The region that it leads into.
    #[serde(serialize_with = "as_text")]
    pub region: Region,
    /// The record since which it leads there; `None` if it always did.
    pub since: Option<u64>,
    /// The access that led to that.
    pub cause: Option<u64>,
}

/// Explains a record of the trace at `path`.
///
/// # Errors
/// The trace can't be read, or doesn't hold the record.
pub fn explain(path: &Path, seq: u64) -> Result<Explanation, ExplainError> {
    let mut found = all(path, &[seq])?;
    found.pop().ok_or_else(|| ExplainError::Empty { path: path.to_owned(), damage: Vec::new() })
}

/// Explains two accesses and compares them.
///
/// # Errors
/// The trace can't be read, or doesn't hold the records, or they are no accesses.
pub fn compare(path: &Path, left: u64, right: u64) -> Result<Comparison, ExplainError> {
    let mut found = all(path, &[left, right])?;
    let (Some(right), Some(left)) = (found.pop(), found.pop()) else {
        return Err(ExplainError::Empty { path: path.to_owned(), damage: Vec::new() });
    };
    Comparison::new(left, right)
}

/// Explains records, in one pass over the trace.
fn all(path: &Path, seqs: &[u64]) -> Result<Vec<Explanation>, ExplainError> {
    let subjects = seqs.iter().map(|seq| find(path, *seq)).collect::<Result<Vec<_>, _>>()?;
    let mut stream = Stream::open(path)?;
    let mut viewer = Viewer::knowing(&stream.info().capabilities);
    let mut gathers: Vec<_> =
        subjects.iter().map(|(event, root)| Gather::new(stream.definitions(), event, *root)).collect();
    while let Some(event) = stream.next()? {
        let view = viewer.view(stream.definitions(), &event);
        for gather in &mut gathers {
            gather.take(stream.definitions(), &event, &view);
        }
    }
    let trace = Completeness::of(&stream);
    let found = gathers.into_iter().filter_map(|gather| gather.finish(&trace));
    Ok(found.collect())
}

/// The event with sequence number `seq`, and the access that led to it, if that is another one.
fn find(path: &Path, seq: u64) -> Result<(Event, Option<u64>), ExplainError> {
    let mut stream = Stream::open(path)?;
    let path = || path.to_owned();
    let Some(first) = stream.next()?.map(|event| event.seq) else {
        return Err(ExplainError::Empty { path: path(), damage: stream.info().damage.to_vec() });
    };
    let last = stream.last_seq()?;
    if !(first..=last).contains(&seq) {
        return Err(ExplainError::NoRecord { path: path(), seq, first, last });
    }
    stream.seek(seq)?;
    let event = stream.next()?.filter(|event| event.seq == seq);
    let Some(event) = event else {
        return Err(ExplainError::Lost { path: path(), seq, last, damage: stream.info().damage.to_vec() });
    };
    let root = match event.kind {
        // What a handler belongs to depends on the interrupts before it.
        EventKind::IsrEnter { vector } | EventKind::IsrExit { vector } => {
            stream.seek(0)?;
            handler_cause(&mut stream, &event, vector)?
        }
        // Accesses of handlers are explained as accesses: their own effects follow.
        EventKind::Access(_) => None,
        _ => Viewer::default().view(stream.definitions(), &event).cause(),
    };
    Ok((event, root))
}

/// The access that led to the interrupt whose handler `event` begins or ends.
fn handler_cause(stream: &mut Stream, event: &Event, vector: u8) -> Result<Option<u64>, ReadError> {
    let mut viewer = Viewer::default();
    let mut cause = None;
    while let Some(next) = stream.next()?.filter(|next| next.seq <= event.seq) {
        let view = viewer.view(stream.definitions(), &next);
        if next.vcpu == event.vcpu && matches!(next.kind, EventKind::IsrEnter { vector: v } if v == vector) {
            cause = view.cause();
        }
    }
    Ok(cause)
}

#[cfg(test)]
mod tests;
