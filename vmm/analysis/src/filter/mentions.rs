//! Mentions: what a filter names that only a whole trace can confirm, and what it needs a guest to have told.

use barscope_trace::definition::Path;
use barscope_trace::{Capabilities, Capability};

use super::Filter;
use super::expr::{Expr, Term, like};
use super::field::Field;
use super::kind::Kinds;
use super::operand::{Op, Operand};

/// A name, or a pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This name.
    Name(String),
    /// Names like this, with `*` and `?`.
    Pattern(String),
}

/// What a filter names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Functions of the code.
    pub functions: Vec<Wanted>,
    /// Source files.
    pub files: Vec<Wanted>,
    /// Who asked for mappings.
    pub owners: Vec<Wanted>,
    /// Commands of processes.
    pub processes: Vec<Wanted>,
    /// Texts of marks.
    pub marks: Vec<Wanted>,
    /// Scenarios.
    pub scenarios: Vec<Wanted>,
    /// What it can't be decided without, in the order of [`Capability::ALL`].
    pub needs: Vec<Need>,
}

/// What something can't be decided without: a property, or another one that does as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The property.
    pub capability: Capability,
    /// The one that does as well.
    pub or: Option<Capability>,
}

impl From<Capability> for Need {
    fn from(capability: Capability) -> Self {
        Self { capability, or: None }
    }
}

impl Need {
    /// Handlers of interrupts that run, announced or seen in call stacks.
    pub const HANDLERS: Need = Need { capability: Capability::Handlers, or: Some(Capability::Stacks) };

    /// Whether a trace tells it.
    pub fn is_told(self, capabilities: &Capabilities) -> bool {
        self.any().any(|capability| capabilities.tells(capability))
    }

    /// The properties of which one does.
    pub fn any(self) -> impl Iterator<Item = Capability> {
        [Some(self.capability), self.or].into_iter().flatten()
    }

    fn place(self) -> (usize, bool) {
        (self.capability as usize, self.or.is_some())
    }
}

/// What is known of the records that a condition is about.
#[derive(Clone, Copy)]
struct Context {
    kinds: Kinds,
    kernel: bool,
    user: bool,
}

impl Wanted {
    /// Whether a name is the one, or like it.
    pub fn fits(&self, name: &str) -> bool {
        match self {
            Wanted::Name(wanted) => wanted == name,
            Wanted::Pattern(pattern) => like(name, pattern),
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        match self {
            Wanted::Name(text) | Wanted::Pattern(text) => text,
        }
    }
}

impl Filter {
    /// What it names, and what it needs the trace to tell.
    pub fn mentions(&self) -> Mentions {
        let mut mentions = Mentions::default();
        let context = Context { kinds: Kinds::EVERY, kernel: true, user: true };
        mentions.add_all(&self.parts, context);
        mentions.sort();
        mentions
    }
}

impl Mentions {
    /// What either names.
    #[must_use]
    pub fn and(mut self, other: Mentions) -> Mentions {
        self.functions.extend(other.functions);
        self.files.extend(other.files);
        self.owners.extend(other.owners);
        self.marks.extend(other.marks);
        self.scenarios.extend(other.scenarios);
        self.processes.extend(other.processes);
        self.needs.extend(other.needs);
        self.sort();
        self
    }

    fn sort(&mut self) {
        self.needs.sort_unstable_by_key(|need| need.place());
        self.needs.dedup();
    }

    /// Conditions that hold together.
    fn add_all(&mut self, parts: &[Expr], context: Context) {
        let context = parts.iter().fold(context, Context::narrowed);
        parts.iter().for_each(|part| self.add(part, context));
    }

    fn add(&mut self, expr: &Expr, context: Context) {
        match expr {
            Expr::All(parts) => self.add_all(parts, context),
            Expr::Any(parts) => {
                parts.iter().for_each(|part| self.add_all(std::slice::from_ref(part), context));
            }
            Expr::Not(part) => self.add(part, context),
            Expr::Is(Term::Kind(kinds), _) => self.add_kinds(*kinds, context),
            Expr::Is(Term::Field { field, op, operand, .. }, _) => {
                self.add_property(field, context);
                if let Operand::Text(text) = operand {
                    self.add_name(field, *op, text, context);
                }
            }
            Expr::Is(Term::At(_) | Term::Register { .. } | Term::Device(_), _) => (),
        }
    }

    fn add_kinds(&mut self, kinds: Kinds, context: Context) {
        for (of, capability) in [
            (Kinds::HANDLER, Capability::Handlers),
            (Kinds::KERNEL_ENTRIES, Capability::KernelEntries),
            (Kinds::PAGE_FAULT, Capability::PageFaults),
            (Kinds::EFFECT, Capability::Effects),
        ] {
            if kinds.within(of) {
                self.needs.push(capability.into());
            }
        }
        if kinds.within(Kinds::MAPPING) {
            self.add_mappings(context);
        }
    }

    fn add_property(&mut self, field: &Field, context: Context) {
        match field.name {
            "handler" | "context" => self.needs.push(Need::HANDLERS),
            "stack" => self.needs.extend([Capability::Functions, Capability::Stacks].map(Need::from)),
            "syscall" => self.needs.push(Capability::Stacks.into()),
            "cpl" => self.needs.push(Capability::Privilege.into()),
            "process" | "pid" => self.needs.push(Capability::Processes.into()),
            // What a device does has its cause from the device itself.
            "cause" if context.kinds.meets(Kinds::ACCESS.or(Kinds::HANDLER)) => {
                self.needs.push(Need::HANDLERS);
            }
            "path" | "announced" => self.needs.push(Capability::Paths.into()),
            "mapped-by" | "call" | "on-fault" => self.add_mappings(context),
            "function" | "file" | "line" => self.needs.push(Capability::Functions.into()),
            "memtype" | "pat" => self.needs.push(Capability::MemoryTypes.into()),
            "error-code" => self.needs.push(Capability::PageFaults.into()),
            _ => (),
        }
    }

    fn add_mappings(&mut self, context: Context) {
        if context.kernel {
            self.needs.push(Capability::KernelMappings.into());
        }
        if context.user {
            self.needs.push(Capability::UserMappings.into());
        }
    }

    fn add_name(&mut self, field: &Field, op: Op, text: &str, context: Context) {
        let names = match field.name {
            "function" | "stack" => &mut self.functions,
            "process" => &mut self.processes,
            "file" => &mut self.files,
            "mapped-by" => &mut self.owners,
            "text" if context.kinds.within(Kinds::MARK) => &mut self.marks,
            "scenario" => &mut self.scenarios,
            _ => return,
        };
        match op {
            Op::Equal | Op::Unequal => names.push(Wanted::Name(text.to_owned())),
            Op::Like | Op::Unlike => names.push(Wanted::Pattern(text.to_owned())),
            Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => (),
        }
    }
}

impl Context {
    /// What is known with a condition that holds.
    fn narrowed(self, part: &Expr) -> Self {
        match part {
            Expr::Is(Term::Kind(kinds), _) => Self { kinds: self.kinds.and(*kinds), ..self },
            Expr::Is(Term::Field { field, op: Op::Equal, operand: Operand::Text(name), .. }, _)
                if field.name == "path" =>
            {
                let of_kernel =
                    [Path::Ioremap, Path::IoremapWc, Path::DirectMap].iter().any(|path| path.name() == name);
                let unknown = name == Path::Unknown.name();
                Self {
                    kernel: self.kernel && (of_kernel || unknown),
                    user: self.user && (!of_kernel || unknown),
                    ..self
                }
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Capability::*;

    fn mentions(text: &str) -> Mentions {
        Filter::parse(text).unwrap().mentions()
    }

    #[test]
    fn names_are_told_whatever_is_said_of_them() {
        let name = |text: &str| vec![Wanted::Name(text.to_owned())];
        let pattern = |text: &str| vec![Wanted::Pattern(text.to_owned())];
        assert_eq!(mentions("read in lab::isr").functions, name("lab::isr"));
        assert_eq!(mentions("read not in \"lab::*\"").functions, pattern("lab::*"));
        assert_eq!(mentions("read function != lab::isr").functions, name("lab::isr"));
        assert_eq!(mentions("read in stack \"lab::*\"").functions, pattern("lab::*"));
        assert_eq!(mentions("read by process test").processes, name("test"));
        assert_eq!(mentions("read file == lab.rs").files, name("lab.rs"));
        assert_eq!(mentions("map mapped-by ~ \"user *\"").owners, pattern("user *"));
        assert_eq!(mentions("msi or mark \"a\"").marks, name("a"));
        assert_eq!(mentions("warning text == a").marks, []);
        assert_eq!(mentions("read scenario == s or scenario-begin \"s\"").scenarios.len(), 2);
        let both = mentions("read in a").and(mentions("mark \"b\""));
        assert_eq!((both.functions, both.marks), (name("a"), name("b")));
    }

    #[test]
    fn what_a_guest_may_not_tell_is_needed() {
        let need = Need::from;
        for (text, needed) in [
            ("access", &[][..]),
            ("read BAR0.STATUS {DONE=1} via mmap", &[need(Paths)]),
            ("read by user memtype WC", &[need(Privilege), need(MemoryTypes)]),
            ("read by kernel", &[need(Privilege)]),
            ("msi or mark \"a\"", &[need(Effects)]),
            ("isr", &[need(Handlers)]),
            ("msi or isr-exit 0x31", &[need(Handlers), need(Effects)]),
            ("read in handler", &[Need::HANDLERS]),
            ("access not in handler", &[Need::HANDLERS]),
            ("read in softirq", &[Need::HANDLERS]),
            ("isr or read in threaded handler", &[need(Handlers), Need::HANDLERS]),
            ("read in stack f", &[need(Functions), need(Stacks)]),
            ("read in syscall ioctl", &[need(Stacks)]),
            ("read by process test pid 3", &[need(Processes)]),
            ("read cause == 3", &[Need::HANDLERS]),
            ("change cause == 3", &[need(Effects)]),
            ("read via mmap", &[need(Paths)]),
            ("read announced", &[need(Paths)]),
            ("map", &[need(KernelMappings), need(UserMappings)]),
            ("map via ioremap", &[need(Paths), need(KernelMappings)]),
            ("unmap via sysfs", &[need(Paths), need(UserMappings)]),
            ("read mapped-by == lab::probe via mmap", &[need(Paths), need(UserMappings)]),
            ("read on-fault", &[need(KernelMappings), need(UserMappings)]),
            ("kernel-entries", &[need(KernelEntries)]),
            ("page-fault", &[need(PageFaults)]),
            ("fault-fatal error-code == 4", &[need(PageFaults)]),
            ("read in lab::isr line == 3", &[need(Functions)]),
        ] {
            assert_eq!(mentions(text).needs, needed, "{text}");
        }
    }
}
