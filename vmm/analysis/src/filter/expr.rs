//! What a filter says, before it is held against a trace.

use std::fmt;

use barscope_device::diagnostic::Span;
use barscope_device::{BarIndex, Region};

use super::field::{Field, Type};
use super::kind::Kinds;
use super::operand::{Op, Operand, Value};

/// A condition on an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// All of these hold.
    All(Vec<Expr>),
    /// One of these holds.
    Any(Vec<Expr>),
    /// It doesn't hold.
    Not(Box<Expr>),
    /// This is so.
    Is(Term, Span),
}

/// A condition that has no parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    /// It is an event of this kind.
    Kind(Kinds),
    /// It is at this place in a device.
    At(Target),
    /// A field of the event compares like this with `operand`, after `mask`.
    Field { field: &'static Field, mask: Option<u64>, op: Op, operand: Operand },
    /// A field of the register compares like this.
    Register { name: String, op: Op, operand: Operand },
    /// It is about this device: a name, or an address like `00:04.0`.
    Device(String),
}

/// A place in a device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// The device's name, if it is told.
    pub(crate) device: Option<String>,
    pub(crate) region: Region,
    pub(crate) spot: Spot,
}

/// What in a region.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Spot {
    /// Any of it.
    Anywhere,
    /// What begins in this register, or that many bytes after its beginning.
    Register { name: String, plus: Option<u64> },
    /// What begins at this offset.
    Offset(u64),
}

impl Expr {
    /// The kinds of events that may fulfil it.
    pub(crate) fn kinds(&self) -> Kinds {
        match self {
            Expr::All(parts) => parts.iter().fold(Kinds::ALL, |kinds, part| kinds.and(part.kinds())),
            Expr::Any(parts) => parts.iter().fold(Kinds::NONE, |kinds, part| kinds.or(part.kinds())),
            Expr::Is(Term::Kind(kinds), _) => *kinds,
            Expr::Not(_) | Expr::Is(..) => Kinds::ALL,
        }
    }
}

impl Op {
    pub(crate) const ALL: [(&'static str, Op); 9] = [
        ("==", Op::Equal),
        ("=", Op::Equal),
        ("!=", Op::Unequal),
        ("<", Op::Less),
        ("<=", Op::LessOrEqual),
        (">", Op::Greater),
        (">=", Op::GreaterOrEqual),
        ("~", Op::Like),
        ("!~", Op::Unlike),
    ];

    pub(crate) fn sign(self) -> &'static str {
        Op::ALL.iter().find(|(_, op)| *op == self).map_or("", |(sign, _)| sign)
    }

    /// Whether `actual` compares like this with `wanted`; values of different kinds never do.
    pub(crate) fn holds(self, actual: Value<'_>, wanted: &Operand) -> bool {
        match (actual, wanted) {
            (Value::Number(actual), Operand::Number(wanted)) => self.orders(actual.cmp(wanted)),
            (Value::Flag(actual), Operand::Flag(wanted)) => self.orders(actual.cmp(wanted)),
            (Value::Text(actual), Operand::Text(wanted)) => match self {
                Op::Like => like(actual, wanted),
                Op::Unlike => !like(actual, wanted),
                _ => self.orders(actual.cmp(wanted)),
            },
            _ => false,
        }
    }

    fn orders(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Op::Equal => ordering.is_eq(),
            Op::Unequal => ordering.is_ne(),
            Op::Less => ordering.is_lt(),
            Op::LessOrEqual => ordering.is_le(),
            Op::Greater => ordering.is_gt(),
            Op::GreaterOrEqual => ordering.is_ge(),
            Op::Like | Op::Unlike => false,
        }
    }
}

/// Whether `text` is like `pattern`, in which `*` stands for anything and `?` for one character.
pub(super) fn like(text: &str, pattern: &str) -> bool {
    // Where to go on if what follows the last `*` doesn't fit: one character later.
    let (text, pattern): (Vec<_>, Vec<_>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut next, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(next) {
            Some('*') => {
                star = Some((next, at));
                next += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == text[at] => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((after, from)) = star else { return false };
                next = after + 1;
                at = from + 1;
                star = Some((after, at));
            }
        }
    }
    pattern[next..].iter().all(|rest| *rest == '*')
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::All(parts) => join(f, parts, " ", |part| matches!(part, Expr::Any(_))),
            Expr::Any(parts) => join(f, parts, " or ", |_| false),
            Expr::Not(part) => match **part {
                Expr::Is(..) => write!(f, "not {part}"),
                _ => write!(f, "not ({part})"),
            },
            Expr::Is(term, _) => write!(f, "{term}"),
        }
    }
}

fn join(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expr],
    separator: &str,
    in_brackets: impl Fn(&Expr) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(separator)?;
        }
        if in_brackets(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Kind(kinds) => f.write_str(kinds.name().unwrap_or("event")),
            Term::At(target) => write!(f, "{target}"),
            Term::Field { field, op: Op::Equal, operand: Operand::Flag(true), .. } => f.write_str(field.name),
            Term::Field { field, mask, op, operand } => {
                f.write_str(field.name)?;
                if let Some(mask) = mask {
                    write!(f, " & {mask:#x}")?;
                }
                write!(f, " {} {}", op.sign(), shown(operand.value(), field.of))
            }
            Term::Register { name, op, operand } => {
                let sign = if *op == Op::Equal { "=" } else { op.sign() };
                match operand {
                    Operand::Text(value) => write!(f, "{{{name}{sign}{value}}}"),
                    value => write!(f, "{{{name}{sign}{}}}", shown(value.value(), Type::Hex)),
                }
            }
            Term::Device(name) => write!(f, "on {name}"),
        }
    }
}

impl Operand {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Operand::Number(value) => Value::Number(*value),
            Operand::Text(text) => Value::Text(text),
            Operand::Flag(flag) => Value::Flag(*flag),
        }
    }
}

/// A value as people write it.
pub(crate) fn shown(value: Value<'_>, of: Type) -> String {
    match value {
        Value::Number(number) if of == Type::Hex => format!("{number:#x}"),
        Value::Number(number) if of == Type::Time => format!("{number}ns"),
        Value::Number(number) => number.to_string(),
        Value::Text(text) if matches!(of, Type::Name(_)) && !text.contains(['-', '*', '?']) => {
            text.to_owned()
        }
        Value::Text(text) => format!("\"{text}\""),
        Value::Flag(flag) => flag.to_string(),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(device) = &self.device {
            write!(f, "{device}.")?;
        }
        write!(f, "{}", self.region)?;
        match &self.spot {
            Spot::Anywhere => Ok(()),
            Spot::Register { name, plus: None } => write!(f, ".{name}"),
            Spot::Register { name, plus: Some(plus) } => write!(f, ".{name}+{plus:#x}"),
            Spot::Offset(offset) => write!(f, "+{offset:#x}"),
        }
    }
}

impl Target {
    /// The place that `text` names: `BAR0`, `BAR0.SCRATCH`, `BAR0.MEMORY+0x10`, `BAR0+0x8`, `CONFIG+4`,
    /// `ROM`, all of them also as `lab.BAR0`; and a field of the register, as in `BAR0.STATUS.DONE`.
    pub(crate) fn parse(text: &str) -> Option<(Target, Option<&str>)> {
        if let Some(found) = Self::parse_in(text, None) {
            return Some(found);
        }
        let (device, rest) = text.split_once('.')?;
        Self::parse_in(rest, Some(device))
    }

    fn parse_in<'a>(text: &'a str, device: Option<&str>) -> Option<(Target, Option<&'a str>)> {
        let end = text.find(['.', '+']).unwrap_or(text.len());
        let (region, rest) = text.split_at(end);
        let region = region_named(region)?;
        let mut field = None;
        let spot = match rest.split_at_checked(1) {
            None => Spot::Anywhere,
            Some(("+", offset)) => Spot::Offset(number(offset)?),
            Some((_, name)) => {
                let (name, plus) = match name.split_once('+') {
                    Some((name, plus)) => (name, Some(number(plus)?)),
                    None => (name, None),
                };
                let name = match name.split_once('.') {
                    Some((register, of_register)) => {
                        field = Some(of_register);
                        register
                    }
                    None => name,
                };
                Spot::Register { name: name.to_owned(), plus }
            }
        };
        Some((Target { device: device.map(str::to_owned), region, spot }, field))
    }
}

fn region_named(text: &str) -> Option<Region> {
    Some(match text.to_ascii_uppercase().as_str() {
        "ROM" => Region::Rom,
        "CONFIG" => Region::Config,
        bar => Region::Bar(BarIndex::new(bar.strip_prefix("BAR")?.parse().ok()?)?),
    })
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_places() {
        let register = |name: &str, plus| Spot::Register { name: name.to_owned(), plus };
        let parse = |text| {
            let (target, field) = Target::parse(text)?;
            assert_eq!(target.device, None);
            Some((target.region, target.spot, field))
        };
        assert_eq!(parse("BAR0"), Some((Region::BAR0, Spot::Anywhere, None)));
        assert_eq!(parse("bar5.ID"), Some((Region::BAR5, register("ID", None), None)));
        assert_eq!(parse("BAR5.S.DONE"), Some((Region::BAR5, register("S", None), Some("DONE"))));
        assert_eq!(parse("BAR2+0x10"), Some((Region::BAR2, Spot::Offset(16), None)));
        assert_eq!(parse("BAR2.M+16"), Some((Region::BAR2, register("M", Some(16)), None)));
        assert_eq!(parse("CONFIG+4"), Some((Region::Config, Spot::Offset(4), None)));
        assert_eq!(parse("rom"), Some((Region::Rom, Spot::Anywhere, None)));
        for text in ["", "BAR", "BAR6", "BAR0+", "BAR0+x", "lab", ".ID", "é", "lab.x"] {
            assert_eq!(Target::parse(text), None, "{text}");
        }
        let (on_lab, _) = Target::parse("lab.BAR0.ID").unwrap();
        assert_eq!((on_lab.device.as_deref(), on_lab.to_string().as_str()), (Some("lab"), "lab.BAR0.ID"));
    }

    #[test]
    fn likeness() {
        for (text, pattern) in
            [("lab_irq", "lab_*"), ("lab_irq", "*irq"), ("", "*"), ("aXbXc", "a*X?"), ("a", "a")]
        {
            assert!(like(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [("lab_irq", "lab"), ("", "?"), ("abc", "a*b"), ("a", "")] {
            assert!(!like(text, pattern), "{text} {pattern}");
        }
    }
}
