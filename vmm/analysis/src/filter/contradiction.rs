//! Contradictions: filters that no record can fulfil, in no trace or not in the one at hand.
//!
//! A filter is taken apart into alternatives, lists of conditions that hold together, and each of them into kinds
//! of records, places and the values of each property. What isn't certainly impossible counts as possible: a
//! filter that a record can fulfil is refused only for an alternative of which nothing can come by itself: that one
//! is a mistake.

mod values;

use barscope_device::diagnostic::{Diagnostic, Span};
use barscope_trace::event::DmaOutcome;

use self::values::{Constraint, allowed, number_exists, text_exists};
use super::expr::{Expr, Spot, Target, Term, shown as value_shown};
use super::field::{Field, Type};
use super::holders::{holders, holders_of};
use super::kind::Kinds;
use super::node::Area;
use super::operand::{Operand, Value};

/// How many alternatives are looked at. A filter of more is taken to be possible.
const ALTERNATIVES: usize = 256;
/// How many conditions a filter may have to be looked at.
const CONDITIONS: usize = 128;

/// Where a target is in the trace, if there is one and it is known.
pub(super) type Places<'a> = dyn Fn(&Target) -> Option<Vec<Area>> + 'a;

/// A condition, or its negation.
#[derive(Clone, Copy)]
struct Literal<'a> {
    term: &'a Term,
    span: Span,
    holds: bool,
}

/// Refuses conditions that can't hold together, and alternatives that nothing can come of by themselves.
///
/// # Errors
/// What excludes what.
pub(super) fn check(parts: &[Expr], places: &Places<'_>) -> Result<(), Diagnostic> {
    if parts.iter().map(conditions).sum::<usize>() > CONDITIONS {
        return Ok(());
    }
    let parts: Vec<_> = parts.iter().collect();
    check_together(&parts, places)
}

fn conditions(expr: &Expr) -> usize {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().map(conditions).sum(),
        Expr::Not(part) => conditions(part),
        Expr::Is(..) => 1,
    }
}

/// Refuses `parts` if they can't hold together, or if one of them means nothing by itself.
fn check_together(parts: &[&Expr], places: &Places<'_>) -> Result<(), Diagnostic> {
    if !satisfiable(parts, places) {
        return Err(explain(parts, places));
    }
    parts.iter().try_for_each(|part| match part {
        Expr::Is(..) => Ok(()),
        Expr::All(inner) => check_together(&inner.iter().collect::<Vec<_>>(), places),
        Expr::Any(inner) => inner.iter().try_for_each(|one| check_together(&[one], places)),
        Expr::Not(inner) => check_together(&[inner], places),
    })
}

/// Whether a record can fulfil all of `parts`. Only a certain no is a no.
fn satisfiable(parts: &[&Expr], places: &Places<'_>) -> bool {
    let Some(alternatives) = product(parts.iter().map(|part| alternatives(part, true))) else { return true };
    alternatives.iter().any(|literals| possible(literals, places))
}

/// The alternatives of a condition or its negation; `None` if they are too many.
fn alternatives(expr: &Expr, holds: bool) -> Option<Vec<Vec<Literal<'_>>>> {
    match (expr, holds) {
        (Expr::Is(term, span), _) => Some(vec![vec![Literal { term, span: *span, holds }]]),
        (Expr::Not(part), _) => alternatives(part, !holds),
        (Expr::All(parts), true) | (Expr::Any(parts), false) => {
            product(parts.iter().map(|part| alternatives(part, holds)))
        }
        (Expr::Any(parts), true) | (Expr::All(parts), false) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(alternatives(part, holds)?);
                if all.len() > ALTERNATIVES {
                    return None;
                }
            }
            Some(all)
        }
    }
}

/// One alternative of each part, in every combination.
fn product<'a>(parts: impl Iterator<Item = Option<Vec<Vec<Literal<'a>>>>>) -> Option<Vec<Vec<Literal<'a>>>> {
    let mut all = vec![Vec::new()];
    for part in parts {
        let part = part?;
        if all.len() * part.len() > ALTERNATIVES {
            return None;
        }
        all = all.iter().flat_map(|left| part.iter().map(|right| [&left[..], &right[..]].concat())).collect();
    }
    Some(all)
}

/// Whether conditions can hold together.
fn possible(literals: &[Literal<'_>], places: &Places<'_>) -> bool {
    let denied = |term| literals.iter().any(|other| !other.holds && other.term == term);
    if literals.iter().any(|literal| literal.holds && denied(literal.term)) {
        return false;
    }
    let kinds = literals.iter().fold(Kinds::EVERY, |kinds, literal| match literal.term {
        Term::Kind(excluded) if !literal.holds => kinds.without(*excluded),
        term if literal.holds => kinds.and(holders(term)),
        _ => kinds,
    });
    kinds != Kinds::NONE
        && place_exists(literals, places)
        && registers_hold(literals)
        && properties_hold(literals, kinds)
}

/// Whether there is a place that all conditions on the place allow.
fn place_exists(literals: &[Literal<'_>], places: &Places<'_>) -> bool {
    let targets = |wanted| {
        literals.iter().filter_map(move |literal| match literal.term {
            Term::At(target) if literal.holds == wanted => Some(target),
            _ => None,
        })
    };
    let Some(first) = targets(true).next() else { return true };
    let offset = |target: &Target| match target.spot {
        Spot::Offset(offset) => Some(offset),
        _ => None,
    };
    let one_region = targets(true).all(|target| target.region == first.region);
    let mut offsets = targets(true).filter_map(offset);
    let one_offset = offsets.next().is_none_or(|first| offsets.all(|other| other == first));
    let whole = |target: &Target| target.device.is_none() && target.spot == Spot::Anywhere;
    let excluded = targets(false).any(|target| whole(target) && target.region == first.region);
    if !one_region || !one_offset || excluded {
        return false;
    }
    // The areas of those that the trace knows.
    let mut left: Option<Vec<Area>> = None;
    for areas in targets(true).filter_map(places) {
        left = Some(match left {
            None => areas,
            Some(left) => {
                left.iter().flat_map(|one| areas.iter().filter_map(|area| one.common(area))).collect()
            }
        });
    }
    let Some(left) = left else { return true };
    let gone: Vec<_> = targets(false).filter_map(places).flatten().collect();
    left.iter().any(|area| !gone.iter().any(|gone| area.within(gone)))
}

/// Whether each field of the register can have a value.
fn registers_hold(literals: &[Literal<'_>]) -> bool {
    literals.iter().filter(|literal| literal.holds).all(|literal| {
        let Term::Register { name, .. } = literal.term else { return true };
        let constraints = |numbers: bool| {
            let of_this = literals.iter().filter_map(|other| match other.term {
                Term::Register { name: same, op, operand } if same == name => {
                    let constraint = Constraint { mask: None, op: *op, operand, holds: other.holds };
                    (numbers == matches!(operand, Operand::Number(_))).then_some(constraint)
                }
                _ => None,
            });
            of_this.collect::<Vec<_>>()
        };
        number_exists(&constraints(true), 0..=u64::MAX) && text_exists(&constraints(false))
    })
}

/// Whether each property that the record has to have can have a value, for a record of one of `kinds`.
fn properties_hold(literals: &[Literal<'_>], kinds: Kinds) -> bool {
    let mut kinds = kinds;
    let mut types: Option<Vec<Value<'_>>> = None;
    let mut uncached: Option<Vec<Value<'_>>> = None;
    for literal in literals.iter().filter(|literal| literal.holds) {
        let Term::Field { field, .. } = literal.term else { continue };
        let constraints: Vec<_> = literals.iter().filter_map(|other| constraint(other, field)).collect();
        let exists = match field.of {
            Type::Number | Type::Hex | Type::Time => number_exists(&constraints, domain(field.name)),
            // Inlined code may have several names, in several files; a call stack has several functions.
            Type::Text if matches!(field.name, "function" | "file" | "stack") => true,
            Type::Text => text_exists(&constraints),
            Type::Name(names) => {
                let left = allowed(names.iter().map(|name| Value::Text(name)), &constraints);
                let exists = !left.is_empty();
                match field.name {
                    "outcome" => kinds = kinds.and(kinds_with_outcome(&left)),
                    "memtype" => types = Some(left),
                    _ => (),
                }
                exists
            }
            Type::Flag => {
                let left = allowed([Value::Flag(false), Value::Flag(true)], &constraints);
                let exists = !left.is_empty();
                if field.name == "uncached" {
                    uncached = Some(left);
                }
                exists
            }
        };
        if !exists {
            return false;
        }
    }
    let agree = match (types, uncached) {
        (Some(types), Some(uncached)) => types.iter().any(|of| {
            let is_uncached = matches!(of, Value::Text(name) if name.starts_with("UC"));
            uncached.contains(&Value::Flag(is_uncached))
        }),
        _ => true,
    };
    agree && kinds != Kinds::NONE
}

fn constraint<'a>(literal: &Literal<'a>, wanted: &Field) -> Option<Constraint<'a>> {
    match literal.term {
        Term::Field { field, mask, op, operand } if field.name == wanted.name => {
            Some(Constraint { mask: *mask, op: *op, operand, holds: literal.holds })
        }
        _ => None,
    }
}

/// The numbers that a property can be.
fn domain(property: &str) -> std::ops::RangeInclusive<u64> {
    match property {
        "cpl" => 0..=3,
        "width" => 1..=8,
        "vector" | "vcpu" | "gsi" => 0..=0xff,
        "index" | "port" => 0..=0xffff,
        _ => 0..=u64::MAX,
    }
}

/// The kinds of records that can have one of these outcomes.
fn kinds_with_outcome(outcomes: &[Value<'_>]) -> Kinds {
    let of_dma = [DmaOutcome::Done, DmaOutcome::BusMasterOff, DmaOutcome::OutOfBounds];
    let is_of_dma = |outcome: &Value<'_>| of_dma.iter().any(|known| *outcome == Value::Text(known.name()));
    let mut kinds = Kinds::EVERY;
    if !outcomes.iter().any(is_of_dma) {
        kinds = kinds.without(Kinds::DMA);
    }
    if outcomes.iter().all(is_of_dma) {
        kinds = kinds.without(Kinds::ACCESS);
    }
    kinds
}

/// The mistake in `parts`, which can't hold together: that of the one condition, or the two, that can't hold.
fn explain(parts: &[&Expr], places: &Places<'_>) -> Diagnostic {
    let mut literals = Vec::new();
    for part in parts {
        collect(part, true, &mut literals);
    }
    if let Some(literal) = literals.iter().find(|literal| !possible(&[**literal], places)) {
        return Diagnostic::new(literal.span, impossible(literal));
    }
    for (at, second) in literals.iter().enumerate() {
        for first in &literals[..at] {
            if !possible(&[*first, *second], places) {
                return Diagnostic::new(second.span, conflict(first, second));
            }
        }
    }
    let span = parts.last().and_then(|part| first_span(part)).unwrap_or_default();
    let all = Expr::All(parts.iter().map(|part| (*part).clone()).collect());
    Diagnostic::new(span, format!("no record can be all of this: {all}"))
}

/// The conditions that hold whatever else does.
fn collect<'a>(expr: &'a Expr, holds: bool, literals: &mut Vec<Literal<'a>>) {
    match (expr, holds) {
        (Expr::Is(term, span), _) => literals.push(Literal { term, span: *span, holds }),
        (Expr::Not(part), _) => collect(part, !holds, literals),
        (Expr::All(parts), true) | (Expr::Any(parts), false) => {
            parts.iter().for_each(|part| collect(part, holds, literals));
        }
        (Expr::All(_), false) | (Expr::Any(_), true) => (),
    }
}

fn first_span(expr: &Expr) -> Option<Span> {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().find_map(first_span),
        Expr::Not(part) => first_span(part),
        Expr::Is(_, span) => Some(*span),
    }
}

/// What is wrong with a condition that nothing fulfils.
fn impossible(literal: &Literal<'_>) -> String {
    let shown = shown(literal);
    match literal.term {
        Term::Field { field, mask: None, .. } if domain(field.name) != (0..=u64::MAX) => {
            let (least, greatest) = domain(field.name).into_inner();
            let number = |number| value_shown(Value::Number(number), field.of);
            let (least, greatest) = (number(least), number(greatest));
            format!("{shown} never holds: {} is {least} to {greatest}", field.name)
        }
        Term::Field { mask: Some(mask), .. } => {
            format!("{shown} never holds: no bit outside of {mask:#x} is left")
        }
        _ => format!("{shown} never holds"),
    }
}

/// Why two conditions exclude each other.
fn conflict(first: &Literal<'_>, second: &Literal<'_>) -> String {
    let (left, right) = (shown(first), shown(second));
    let kinds = first.holds && second.holds && !holders(first.term).meets(holders(second.term));
    match (first.term, second.term) {
        (Term::Kind(_), Term::Kind(_)) if kinds => {
            format!("no record is both {left} and {right}: say \"or\" for one of them")
        }
        (Term::Kind(_), Term::Field { field, .. }) if kinds => no_such(&left, field),
        (Term::Field { field, .. }, Term::Kind(_)) if kinds => no_such(&right, field),
        (Term::Kind(_), Term::At(_) | Term::Register { .. }) if kinds => {
            format!("no {left} record is at a place in a device, so none is at {right}")
        }
        (Term::At(_), Term::At(_)) if first.holds && second.holds => {
            format!("no record is both at {left} and at {right}: say \"or\" for one of them")
        }
        (Term::Kind(_), Term::Device(_)) if kinds => format!("no {left} record is about a device"),
        _ => format!("{left} and {right} exclude each other"),
    }
}

fn no_such(kind: &str, field: &Field) -> String {
    let have = super::KINDS.iter().filter(|(_, kinds, _)| {
        let one = super::KINDS.iter().filter(|(_, other, _)| other.within(*kinds)).count() == 1;
        one && kinds.meets(holders_of(field.name))
    });
    let have: Vec<_> = have.map(|(name, ..)| *name).collect();
    let property = field.name;
    format!("no {kind} record has the property {property}: {} records have it", have.join(", "))
}

fn shown(literal: &Literal<'_>) -> String {
    let not = if literal.holds { "" } else { "not " };
    format!("{not}{}", literal.term)
}

#[cfg(test)]
pub(super) mod tests;
