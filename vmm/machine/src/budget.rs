//! Budgets for what a guest makes a trace define: names and pictures of the machine, which readers hold in memory as
//! the host does. Who reaches one is told so once, by a warning; what comes later is recorded all the same, with id 0
//! where it would refer to something that wasn't defined, and the trace says what it knows in part only.
//!
//! | budget | of each | what later records lack |
//! |---|---|---|
//! | texts | 65,536 | texts of marks, warnings and summaries, names of scenarios |
//! | console lines | 65,536 | their texts, but for what a kernel may be reporting |
//! | console lines of reports | 8,192 | their texts |
//! | mappings | 65,536 | mappings; paths are inferred |
//! | page walks | 65,536 | walks: virtual address, path, memory type |
//! | instructions | 65,536 | code |
//! | executables | 1,024, and 256 MiB | names of functions |
//! | executables in address spaces | 65,536 | names of functions |
//! | processes | 65,536 | processes |
//! | call stacks | 32,768 | call stacks |
//! | routes | 16,384 | places in devices |
//!
//! A machine's own definitions count for none: its functions, and the kernel that it boots.

use barscope_trace::definition::Definition;
use barscope_trace::event::Id;
use barscope_trace::{Capability, Knowledge, WriteError, Writer};

/// A kind of things that a guest makes a trace define.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Marks, names of scenarios, summaries, warnings.
    Text,
    /// Lines of its console that differ.
    Console,
    /// The same, where a kernel may be reporting that something is wrong.
    Report,
    /// Mappings that it announces.
    Mapping,
    /// Page walks of its accesses.
    Walk,
    /// Instructions that made them.
    Instruction,
    /// Executables and symbols.
    Image,
    /// Executables where an address space has them.
    Mapped,
    /// Processes.
    Process,
    /// Call stacks of accesses.
    Stack,
    /// Addresses that its functions decode.
    Route,
}

/// What there is room for.
struct Budget {
    /// They, in words.
    what: &'static str,
    /// How many at most.
    most: usize,
    /// How many bytes at most, of those that have bytes.
    bytes: u64,
    /// What the trace knows in part only once it is reached.
    leaves: &'static [Capability],
}

/// All budgets.
const fn budget(kind: Kind) -> Budget {
    const ANY: u64 = u64::MAX;
    match kind {
        Kind::Text => Budget { what: "texts", most: 1 << 16, bytes: ANY, leaves: &[] },
        Kind::Console => Budget { what: "console lines", most: 1 << 16, bytes: ANY, leaves: &[] },
        Kind::Report => Budget { what: "console lines of reports", most: 1 << 13, bytes: ANY, leaves: &[] },
        Kind::Mapping => Budget {
            what: "mappings",
            most: 1 << 16,
            bytes: ANY,
            leaves: &[Capability::Paths, Capability::KernelMappings, Capability::UserMappings],
        },
        Kind::Walk => Budget { what: "page walks", most: 1 << 16, bytes: ANY, leaves: &[] },
        Kind::Instruction => Budget { what: "instructions", most: 1 << 16, bytes: ANY, leaves: &[] },
        Kind::Image => {
            Budget { what: "executables", most: 1 << 10, bytes: 256 << 20, leaves: &[Capability::Functions] }
        }
        Kind::Mapped => Budget {
            what: "executables in address spaces",
            most: 1 << 16,
            bytes: ANY,
            leaves: &[Capability::Functions],
        },
        Kind::Process => {
            Budget { what: "processes", most: 1 << 16, bytes: ANY, leaves: &[Capability::Processes] }
        }
        Kind::Stack => {
            Budget { what: "call stacks", most: 1 << 15, bytes: ANY, leaves: &[Capability::Stacks] }
        }
        Kind::Route => Budget { what: "routes", most: 1 << 14, bytes: ANY, leaves: &[] },
    }
}

/// What is spent of a budget.
#[derive(Debug)]
pub struct Account {
    kind: Kind,
    count: usize,
    bytes: u64,
    is_reached: bool,
    /// The text of a warning that is to be recorded.
    warning: Option<Id>,
}

impl Account {
    /// Nothing is spent.
    pub fn new(kind: Kind) -> Self {
        Self { kind, count: 0, bytes: 0, is_reached: false, warning: None }
    }

    /// Defines something, whose bytes are `blob`; `None` if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn define(
        &mut self,
        writer: &Writer,
        definition: &Definition,
        blob: &[u8],
    ) -> Result<Option<Id>, WriteError> {
        let Budget { most, bytes: most_bytes, .. } = budget(self.kind);
        let bytes = self.bytes.saturating_add(blob.len() as u64);
        if self.is_reached || self.count >= most || bytes > most_bytes {
            self.reach(writer)?;
            return Ok(None);
        }
        self.count += 1;
        self.bytes = bytes;
        writer.define_with_blob(definition, blob).map(Some)
    }

    /// Whether something was left out.
    pub fn is_reached(&self) -> bool {
        self.is_reached
    }

    /// The text of the warning that says so, once.
    pub fn take_warning(&mut self) -> Option<Id> {
        self.warning.take()
    }

    fn reach(&mut self, writer: &Writer) -> Result<(), WriteError> {
        if self.is_reached {
            return Ok(());
        }
        self.is_reached = true;
        let Budget { what, most, bytes, leaves } = budget(self.kind);
        for capability in leaves {
            writer.know(*capability, Knowledge::Incomplete);
        }
        let size =
            if bytes == u64::MAX { String::new() } else { format!(", or {} MiB of them", bytes >> 20) };
        let text = format!("a trace keeps {most} {what}{size}: later records lack theirs");
        self.warning = Some(writer.define(&Definition::Text { text })?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use barscope_trace::{Clock, Content, End};

    use super::*;

    #[test]
    fn who_reaches_a_budget_is_told_once_and_no_more_is_defined() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let writer = Writer::create(&path, Clock::Host).unwrap();
        writer.know(Capability::Processes, Knowledge::Announced);
        let mut account = Account::new(Kind::Process);
        for pid in 0..65_536 {
            let process = definition(pid);
            assert_eq!(account.define(&writer, &process, &[]).unwrap(), Some(pid as Id + 1));
        }
        assert_eq!((account.is_reached(), account.take_warning()), (false, None));
        assert_eq!(account.define(&writer, &definition(65_536), &[]).unwrap(), None);
        assert_eq!(account.define(&writer, &definition(65_537), &[]).unwrap(), None);
        assert_eq!((account.is_reached(), account.take_warning()), (true, Some(65_537)));
        assert_eq!(account.take_warning(), None);
        writer.know(Capability::Processes, Knowledge::Announced);
        writer.finish(End::Finished).unwrap();
        let trace = Content::open(&path).unwrap();
        assert_eq!(
            trace.definitions().text(65_537),
            "a trace keeps 65536 processes: later records lack theirs"
        );
        assert_eq!(trace.info().capabilities.of(Capability::Processes), Knowledge::Incomplete);
        assert_eq!(trace.definitions().iter().count(), 65_537);
    }

    #[test]
    fn bytes_are_counted_where_there_are_any() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::create(&folder.path().join("t"), Clock::Host).unwrap();
        let mut account = Account::new(Kind::Image);
        let blob = vec![0; 100 << 20];
        let defined = |account: &mut Account| account.define(&writer, &definition(1), &blob).unwrap();
        assert_eq!([(); 3].map(|()| defined(&mut account)), [Some(1), Some(2), None]);
        assert_eq!(account.take_warning(), Some(3));
    }

    fn definition(pid: u64) -> Definition {
        Definition::Process(barscope_trace::definition::Process {
            address_space: 0,
            thread: None,
            pid,
            name: String::new(),
        })
    }
}
