//! A filter that was held against a trace: its names exist, and it tests fast.

use barscope_device::diagnostic::{Diagnostic, Span};
use barscope_device::{Bdf, Region};
use barscope_trace::Definitions;

use super::contradiction;
use super::expr::{Expr, Term, shown};
use super::field::Type;
use super::interest::Interest;
use super::kind::Kinds;
use super::node::{Hidden, Node, register_field};
use super::operand::{By, Op, Operand, Value};
use super::resolver::Resolver;
use super::truth::Truth;
use crate::view::View;

/// A filter for the events of one trace.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What an event has to be: anything else is out at once.
    interest: Interest,
    nodes: Vec<Node>,
    /// What each of `nodes` was, for people.
    exprs: Vec<Expr>,
}

impl Compiled {
    /// Resolves `parts`, all of which have to hold, for events about `scope`, if it is told, or about no
    /// function.
    pub(super) fn new(
        parts: &[Expr],
        definitions: &Definitions,
        scope: Option<&[Bdf]>,
    ) -> Result<Self, Diagnostic> {
        let resolved = Self::resolved(parts, definitions, scope)?;
        let resolver = Resolver::new(definitions, scope);
        contradiction::check(parts, &|target| resolver.areas(target, Span::default()).ok())?;
        Ok(resolved)
    }

    /// The same for what may contradict itself.
    pub(super) fn resolved(
        parts: &[Expr],
        definitions: &Definitions,
        scope: Option<&[Bdf]>,
    ) -> Result<Self, Diagnostic> {
        let mut nodes = Resolver::new(definitions, scope).all(parts)?;
        let mut exprs = parts.to_vec();
        if let Some(scope) = scope {
            let nothing_to_say = Expr::All(Vec::new());
            exprs.push(nothing_to_say);
            nodes.push(Node::Scope(scope.to_vec()));
        }
        let interest = nodes.iter().fold(Interest::ALL, |interest, node| interest.and(node.interest()));
        Ok(Self { interest, nodes, exprs })
    }

    /// Where a target is, if it is anywhere.
    #[cfg(test)]
    pub(super) fn areas(
        target: &super::expr::Target,
        definitions: &Definitions,
    ) -> Option<Vec<super::node::Area>> {
        Resolver::new(definitions, None).areas(target, Span::default()).ok()
    }

    /// Whether the event is like this, by what is recorded of it.
    pub fn matches(&self, view: &View) -> bool {
        self.holds(view, By::Record) == Truth::Yes
    }

    /// Whether the event is like this, as far as the trace can tell.
    pub(crate) fn test(&self, view: &View) -> Truth {
        self.holds(view, By::Certainty)
    }

    fn holds(&self, view: &View, by: By) -> Truth {
        if !self.interest.kinds().meets(Kinds::possible(view)) {
            return Truth::No;
        }
        Truth::all(self.nodes.iter().map(|node| node.test(view, by)))
    }

    /// Which events it may match.
    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    /// How many conditions hold, and what is amiss with the others.
    pub(crate) fn compare(&self, view: &View) -> (usize, Vec<String>) {
        let parts = self.exprs.iter().zip(&self.nodes);
        let misses: Vec<_> = parts
            .filter(|(_, node)| node.test(view, By::Record) != Truth::Yes)
            .map(|(expr, node)| miss(expr, node, view))
            .collect();
        (self.nodes.len() - misses.len(), misses)
    }

    /// How near an event is that isn't like this: 2 at a place that is asked for, 1 beside it or of the kind. One
    /// that shares neither isn't, nor is an access to configuration space that nothing asks for.
    pub(crate) fn nearness(&self, view: &View) -> Option<u8> {
        let of_kind = self.interest.kinds().meets(Kinds::of(view)).then_some(1);
        let place = view.place();
        let mut regions = Vec::new();
        self.exprs.iter().for_each(|expr| collect_regions(expr, &mut regions));
        if regions.is_empty() {
            return of_kind.filter(|_| place.is_none_or(|place| !place.is_configuration()));
        }
        let place = place.filter(|place| regions.contains(&place.region))?;
        let there = self.nodes.iter().any(|node| node.is_about(place));
        if there { Some(2) } else { of_kind }
    }

    /// Whether some of these accesses may be like this.
    pub(crate) fn may_match_hidden(&self, hidden: &Hidden) -> bool {
        Truth::all(self.nodes.iter().map(|node| node.test_hidden(hidden))) != Truth::No
    }
}

/// The regions that a filter names.
fn collect_regions(expr: &Expr, regions: &mut Vec<Region>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| collect_regions(part, regions)),
        Expr::Is(Term::At(target), _) => regions.push(target.region),
        // It may be anywhere else.
        Expr::Not(_) | Expr::Is(..) => (),
    }
}

/// What is amiss with an event that a condition doesn't hold for.
fn miss(expr: &Expr, node: &Node, view: &View) -> String {
    match (expr, node) {
        (Expr::Is(Term::Kind(_), _), _) => "is something else".to_owned(),
        (Expr::Is(Term::At(_), _), _) => match view.place() {
            Some(place) => {
                let name = place.register_name().map(|name| format!("{}.{name}", place.region));
                format!("is at {}", name.unwrap_or_else(|| place.to_string()))
            }
            None => "is at no place in a device".to_owned(),
        },
        (Expr::Is(Term::Field { field, .. }, _), _) if field.name == "stack" && view.code().is_some() => {
            format!("is not: {expr}")
        }
        (Expr::Is(Term::Field { field, mask, op, operand }, _), _) => {
            let wanted = shown(operand.value(), field.of);
            match field.get(view) {
                Some(Value::Flag(_)) => format!("is not: {expr}"),
                Some(actual) => {
                    let actual = shown(actual, field.of);
                    match (mask, op) {
                        (None, Op::Equal) => format!("{} is {actual}, not {wanted}", field.name),
                        _ => format!("{} is {actual}", field.name),
                    }
                }
                None => format!("{} is unknown", field.name),
            }
        }
        (Expr::Is(Term::Register { name, op, operand }, _), _) => match register_field(view, name) {
            Some((held, named)) => {
                let (held, wanted) = match operand {
                    Operand::Text(wanted) => {
                        (named.map_or_else(|| format!("{held:#x}"), str::to_owned), wanted.clone())
                    }
                    other => (format!("{held:#x}"), shown(other.value(), Type::Hex)),
                };
                match op {
                    Op::Equal => format!("{name} is {held}, not {wanted}"),
                    _ => format!("{name} is {held}"),
                }
            }
            None => format!("it doesn't cover {name}"),
        },
        (Expr::Is(Term::Device(_), _), _) => match view.function() {
            Some(function) => format!("device is {} {}", function.bdf, function.name),
            None => "device is unknown".to_owned(),
        },
        (_, Node::Scope(_)) => match view.function() {
            Some(function) => format!("device is {} {}", function.bdf, function.name),
            None => String::new(),
        },
        _ => format!("is not: {expr}"),
    }
}
