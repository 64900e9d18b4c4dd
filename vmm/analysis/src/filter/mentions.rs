//! Mentions: what a filter names that only a whole trace can confirm, and what it needs a guest to have told.

use barscope_trace::Capability;
use barscope_trace::definition::Path;

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
    /// Texts of marks.
    pub marks: Vec<Wanted>,
    /// Scenarios.
    pub scenarios: Vec<Wanted>,
    /// What it can't be decided without, in the order of [`Capability::ALL`].
    pub capabilities: Vec<Capability>,
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
        mentions.capabilities.sort_unstable_by_key(|capability| *capability as usize);
        mentions.capabilities.dedup();
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
        self.capabilities.extend(other.capabilities);
        self.capabilities.sort_unstable_by_key(|capability| *capability as usize);
        self.capabilities.dedup();
        self
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
        ] {
            if kinds.within(of) {
                self.capabilities.push(capability);
            }
        }
        if kinds.within(Kinds::MAPPING) {
            self.add_mappings(context);
        }
    }

    fn add_property(&mut self, field: &Field, context: Context) {
        match field.name {
            "handler" => self.capabilities.push(Capability::Handlers),
            // What a device does has its cause from the device itself.
            "cause" if context.kinds.meets(Kinds::ACCESS.or(Kinds::HANDLER)) => {
                self.capabilities.push(Capability::Handlers);
            }
            "path" | "announced" => self.capabilities.push(Capability::Paths),
            "mapped-by" | "call" | "on-fault" => self.add_mappings(context),
            "function" | "file" | "line" => self.capabilities.push(Capability::Functions),
            "error-code" => self.capabilities.push(Capability::PageFaults),
            _ => (),
        }
    }

    fn add_mappings(&mut self, context: Context) {
        if context.kernel {
            self.capabilities.push(Capability::KernelMappings);
        }
        if context.user {
            self.capabilities.push(Capability::UserMappings);
        }
    }

    fn add_name(&mut self, field: &Field, op: Op, text: &str, context: Context) {
        let names = match field.name {
            "function" => &mut self.functions,
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
                let of_kernel = [Path::Ioremap, Path::DirectMap].iter().any(|path| path.name() == name);
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
        for (text, needed) in [
            ("access", &[][..]),
            ("read BAR0.STATUS {DONE=1} by user memtype WC", &[]),
            ("msi or mark \"a\"", &[]),
            ("isr", &[Handlers]),
            ("msi or isr-exit 0x31", &[Handlers]),
            ("read in handler", &[Handlers]),
            ("access not in handler", &[Handlers]),
            ("read cause == 3", &[Handlers]),
            ("change cause == 3", &[]),
            ("read via mmap", &[Paths]),
            ("read announced", &[Paths]),
            ("map", &[KernelMappings, UserMappings]),
            ("map via ioremap", &[Paths, KernelMappings]),
            ("unmap via sysfs", &[Paths, UserMappings]),
            ("read mapped-by == lab::probe via mmap", &[Paths, UserMappings]),
            ("read on-fault", &[KernelMappings, UserMappings]),
            ("kernel-entries", &[KernelEntries]),
            ("page-fault", &[PageFaults]),
            ("fault-fatal error-code == 4", &[PageFaults]),
            ("read in lab::isr line == 3", &[Functions]),
        ] {
            assert_eq!(mentions(text).capabilities, needed, "{text}");
        }
    }
}
