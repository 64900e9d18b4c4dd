//! A filter that was held against a trace: its names exist, and it tests fast.

use device_model::{Bdf, Region, Register};

use super::check::{self, Context};
use super::contradiction;
use super::expr::{Expr, Op, Operand, Spot, Target, Term, shown};
use super::field::{Field, Type, Value, place, value};
use super::kind::Kinds;
use super::mistake::{Mistake, Span, did_you_mean};
use crate::definition::Function;
use crate::definitions::Definitions;
use crate::view::{Place, View};

/// A filter for the events of one trace.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What an event has to be: anything else is out at once.
    kinds: Kinds,
    parts: Vec<(Expr, Node)>,
    regions: Vec<Region>,
}

/// A condition, with names resolved.
#[derive(Clone, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Kind(Kinds),
    /// In one of these areas.
    At(Vec<Area>),
    Field {
        field: &'static Field,
        mask: u64,
        op: Op,
        operand: Operand,
    },
    Register {
        name: String,
        op: Op,
        operand: Operand,
    },
    /// About one of these functions.
    Device(Vec<Bdf>),
    /// About one of these functions, or about none.
    Scope(Vec<Bdf>),
}

/// Offsets of a region.
#[derive(Clone, Debug)]
pub(super) struct Area {
    /// `None` for any function.
    bdf: Option<Bdf>,
    region: Region,
    first: u64,
    last: u64,
}

impl Area {
    fn contains(&self, place: &Place) -> bool {
        self.region == place.region
            && self.first <= place.offset
            && place.offset <= self.last
            && self.bdf.is_none_or(|bdf| place.bdf == Some(bdf))
    }

    /// What is in both.
    pub(super) fn common(&self, other: &Area) -> Option<Area> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        let apart = matches!((self.bdf, other.bdf), (Some(one), Some(another)) if one != another);
        let exists = self.region == other.region && !apart && first <= last;
        exists.then_some(Area { bdf: self.bdf.or(other.bdf), region: self.region, first, last })
    }

    /// Whether all of it is in `other`.
    pub(super) fn within(&self, other: &Area) -> bool {
        self.region == other.region
            && (other.bdf.is_none() || other.bdf == self.bdf)
            && other.first <= self.first
            && self.last <= other.last
    }
}

/// Resolves names.
struct Resolver<'a> {
    definitions: &'a Definitions,
    /// The functions that an event may be about.
    functions: Vec<&'a Function>,
    /// The registers that fields may be of; none is named if empty.
    registers: Vec<&'a Register>,
}

impl Compiled {
    /// Resolves `parts`, all of which have to hold, for events about `scope`, if it is told, or about no
    /// function.
    pub(super) fn new(
        parts: &[Expr],
        definitions: &Definitions,
        scope: Option<&[Bdf]>,
    ) -> Result<Self, Mistake> {
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
    ) -> Result<Self, Mistake> {
        let all = Expr::All(parts.to_vec());
        let nodes = Resolver::new(definitions, scope).all(parts)?;
        let mut resolved: Vec<_> = parts.iter().cloned().zip(nodes).collect();
        if let Some(scope) = scope {
            let nothing_to_say = Expr::All(Vec::new());
            resolved.push((nothing_to_say, Node::Scope(scope.to_vec())));
        }
        let mut regions = Vec::new();
        collect_regions(&all, &mut regions);
        let kinds = resolved.iter().fold(Kinds::ALL, |kinds, (_, node)| kinds.and(node.kinds()));
        Ok(Self { kinds, parts: resolved, regions })
    }

    /// Where a target is, if it is anywhere.
    #[cfg(test)]
    pub(super) fn areas(target: &Target, definitions: &Definitions) -> Option<Vec<Area>> {
        Resolver::new(definitions, None).areas(target, Span::default()).ok()
    }

    /// Whether the event is like this.
    pub fn matches(&self, view: &View) -> bool {
        self.kinds.meets(Kinds::of(view)) && self.parts.iter().all(|(_, node)| node.holds(view))
    }

    /// What kinds of events it may match.
    pub(crate) fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// How many conditions hold, and what is amiss with the others.
    pub(crate) fn compare(&self, view: &View) -> (usize, Vec<String>) {
        let misses: Vec<_> = self
            .parts
            .iter()
            .filter(|(_, node)| !node.holds(view))
            .map(|(expr, node)| miss(expr, node, view))
            .collect();
        (self.parts.len() - misses.len(), misses)
    }

    /// How near an event is that isn't like this: 2 at a place that is asked for, 1 beside it or of the kind. One
    /// that shares neither isn't, nor is an access to configuration space that nothing asks for.
    pub(crate) fn nearness(&self, view: &View) -> Option<u8> {
        let of_kind = self.kinds.meets(Kinds::of(view)).then_some(1);
        let place = place(view);
        if self.regions.is_empty() {
            return of_kind.filter(|_| place.is_none_or(|place| !place.is_configuration()));
        }
        let place = place.filter(|place| self.regions.contains(&place.region))?;
        let there = self.parts.iter().any(|(_, node)| node.is_about(place));
        if there { Some(2) } else { of_kind }
    }

    /// Whether accesses to a region may be like this, and nothing but accesses.
    pub(crate) fn asks_about(&self, region: Region) -> bool {
        let of_access = self.kinds != Kinds::NONE && self.kinds.within(Kinds::ACCESS);
        of_access && (self.regions.is_empty() || self.regions.contains(&region))
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

impl<'d> Resolver<'d> {
    fn new(definitions: &'d Definitions, scope: Option<&[Bdf]>) -> Self {
        let functions = definitions.functions().map(|(_, function)| function);
        let functions = functions.filter(|function| scope.is_none_or(|scope| scope.contains(&function.bdf)));
        Self { definitions, functions: functions.collect(), registers: Vec::new() }
    }

    /// Conditions that hold together: what one says of the device and the place, it says for all.
    fn all(&self, parts: &[Expr]) -> Result<Vec<Node>, Mistake> {
        let mut narrowed = Resolver {
            definitions: self.definitions,
            functions: self.functions.clone(),
            registers: self.registers.clone(),
        };
        for part in parts {
            if let Expr::Is(Term::Device(name), span) = part {
                narrowed.functions = narrowed.called(name, *span)?;
            }
        }
        for part in parts {
            let Expr::Is(Term::At(target), span) = part else { continue };
            narrowed.check_place(target, *span)?;
            if let Spot::Register { .. } = target.spot {
                narrowed.registers =
                    narrowed.registers_at(target, *span)?.into_iter().map(|(_, found)| found).collect();
            }
        }
        narrowed.check_properties(parts)?;
        parts.iter().map(|part| narrowed.node(part)).collect()
    }

    /// Whether there is such a place.
    fn check_place(&self, target: &Target, span: Span) -> Result<(), Mistake> {
        let functions = match &target.device {
            Some(device) => self.called(device, span)?,
            None => self.functions.clone(),
        };
        match target.spot {
            Spot::Register { .. } => {
                let found = self.registers_at(target, span)?;
                check::behind(found.into_iter().map(|(_, register)| register), target, span)
            }
            _ => check::place(self.definitions, &functions, target, span),
        }
    }

    /// Whether what properties are compared with exists, in conditions that hold together or are denied.
    fn check_properties(&self, parts: &[Expr]) -> Result<(), Mistake> {
        let named = parts.iter().find_map(|part| match part {
            Expr::Is(Term::At(Target { device: Some(device), .. }), span) => Some((device, *span)),
            _ => None,
        });
        let functions = match named {
            Some((device, span)) => self.called(device, span)?,
            None => self.functions.clone(),
        };
        let context = Context {
            definitions: self.definitions,
            functions: &functions,
            beside: parts,
            registers: &self.registers,
        };
        parts.iter().try_for_each(|part| match part {
            Expr::Is(term, span) => check::property(&context, term, *span),
            Expr::Not(inner) => match &**inner {
                Expr::Is(term, span) => check::property(&context, term, *span),
                _ => Ok(()),
            },
            _ => Ok(()),
        })
    }

    fn node(&self, expr: &Expr) -> Result<Node, Mistake> {
        Ok(match expr {
            Expr::All(parts) => Node::All(self.all(parts)?),
            Expr::Any(parts) => {
                let alternative = |part| Ok(Node::All(self.all(std::slice::from_ref(part))?));
                Node::Any(parts.iter().map(alternative).collect::<Result<_, _>>()?)
            }
            Expr::Not(part) => Node::Not(Box::new(self.node(part)?)),
            Expr::Is(term, span) => self.term(term, *span)?,
        })
    }

    fn term(&self, term: &Term, span: Span) -> Result<Node, Mistake> {
        Ok(match term {
            Term::Kind(kinds) => Node::Kind(*kinds),
            Term::At(target) => {
                self.check_place(target, span)?;
                Node::At(self.areas(target, span)?)
            }
            Term::Field { field, mask, op, operand } => {
                Node::Field { field, mask: mask.unwrap_or(u64::MAX), op: *op, operand: operand.clone() }
            }
            Term::Register { name, op, operand } => {
                self.check_field(name, *op, operand, span)?;
                Node::Register { name: name.clone(), op: *op, operand: operand.clone() }
            }
            Term::Device(name) => {
                Node::Device(self.called(name, span)?.iter().map(|function| function.bdf).collect())
            }
        })
    }

    fn called(&self, name: &str, span: Span) -> Result<Vec<&'d Function>, Mistake> {
        let found: Vec<_> =
            self.functions.iter().copied().filter(|function| is_called(function, name)).collect();
        if found.is_empty() {
            let known = self.functions.iter().map(|function| function.name.as_str());
            let hint = did_you_mean(name, known);
            return Err(Mistake::new(span, format!("the trace has no device {name}{hint}")));
        }
        Ok(found)
    }

    fn areas(&self, target: &Target, span: Span) -> Result<Vec<Area>, Mistake> {
        let region = target.region;
        let (first, last) = match target.spot {
            Spot::Anywhere => (0, u64::MAX),
            Spot::Offset(offset) => (offset, offset),
            Spot::Register { plus, .. } => {
                let areas = self.registers_at(target, span)?.into_iter().map(|(bdf, register)| {
                    let end = register.offset.saturating_add(register.size.saturating_sub(1));
                    let (first, last) = match plus {
                        Some(plus) => {
                            (register.offset.saturating_add(plus), register.offset.saturating_add(plus))
                        }
                        None => (register.offset, end),
                    };
                    Area { bdf: Some(bdf), region, first, last }
                });
                return Ok(areas.collect());
            }
        };
        Ok(match &target.device {
            None => vec![Area { bdf: None, region, first, last }],
            Some(name) => {
                let functions = self.called(name, span)?;
                let area = |function: &&Function| Area { bdf: Some(function.bdf), region, first, last };
                functions.iter().map(area).collect()
            }
        })
    }

    /// The registers that a target names.
    fn registers_at(&self, target: &Target, span: Span) -> Result<Vec<(Bdf, &'d Register)>, Mistake> {
        let Spot::Register { name, .. } = &target.spot else { return Ok(Vec::new()) };
        let functions = match &target.device {
            Some(device) => self.called(device, span)?,
            None => self.functions.clone(),
        };
        let all = functions.iter().flat_map(|function| {
            let maps = function.register_maps.iter().filter(|map| map.region == target.region);
            maps.flat_map(|map| map.registers.iter()).map(|register| (function.bdf, register))
        });
        let all: Vec<_> = all.collect();
        let found: Vec<_> =
            all.iter().copied().filter(|(_, register)| register.name.eq_ignore_ascii_case(name)).collect();
        if found.is_empty() {
            let wanted = target.to_string();
            let known: Vec<_> =
                all.iter().map(|(_, register)| format!("{}.{}", target.region, register.name)).collect();
            let hint = did_you_mean(&wanted, known.iter().map(String::as_str));
            let message = format!("no device in the trace has a register {wanted}{hint}");
            return Err(Mistake::new(span, message));
        }
        Ok(found)
    }

    /// Whether there is such a field, with such a value.
    fn check_field(&self, name: &str, op: Op, operand: &Operand, span: Span) -> Result<(), Mistake> {
        let everywhere = || {
            self.functions
                .iter()
                .flat_map(|function| &function.register_maps)
                .flat_map(|map| map.registers.iter())
                .collect()
        };
        let registers = if self.registers.is_empty() { everywhere() } else { self.registers.clone() };
        let all: Vec<_> = registers.iter().flat_map(|register| register.fields.iter()).collect();
        let fields: Vec<_> = all.iter().filter(|field| field.name == name).collect();
        if fields.is_empty() {
            let hint = did_you_mean(name, all.iter().map(|field| &*field.name));
            let whose = match self.registers.first() {
                Some(register) => format!("{} has", register.name),
                None => "no register has".to_owned(),
            };
            let no = if self.registers.is_empty() { "a" } else { "no" };
            return Err(Mistake::new(span, format!("{whose} {no} field {name}{hint}")));
        }
        if let Operand::Text(wanted) = operand {
            let known = || fields.iter().flat_map(|field| field.values.iter()).map(|(_, name)| &**name);
            if !known().any(|value| value == wanted) {
                let hint = did_you_mean(wanted, known());
                return Err(Mistake::new(span, format!("{name} has no value called {wanted}{hint}")));
            }
        }
        check::width(&fields, op, operand, span)
    }
}

/// Whether a function goes by this name: its model's, or its address.
pub(crate) fn is_called(function: &Function, name: &str) -> bool {
    function.name == name || name.parse() == Ok(function.bdf)
}

impl Node {
    /// Whether it asks for this place.
    fn is_about(&self, place: &Place) -> bool {
        match self {
            Node::All(parts) | Node::Any(parts) => parts.iter().any(|part| part.is_about(place)),
            Node::At(areas) => areas.iter().any(|area| area.contains(place)),
            _ => false,
        }
    }

    fn kinds(&self) -> Kinds {
        match self {
            Node::All(parts) => parts.iter().fold(Kinds::ALL, |kinds, part| kinds.and(part.kinds())),
            Node::Any(parts) => parts.iter().fold(Kinds::NONE, |kinds, part| kinds.or(part.kinds())),
            Node::Kind(kinds) => *kinds,
            _ => Kinds::ALL,
        }
    }

    fn holds(&self, view: &View) -> bool {
        match self {
            Node::All(parts) => parts.iter().all(|part| part.holds(view)),
            Node::Any(parts) => parts.iter().any(|part| part.holds(view)),
            Node::Not(part) => !part.holds(view),
            Node::Kind(kinds) => kinds.meets(Kinds::of(view)),
            Node::At(areas) => place(view).is_some_and(|place| {
                areas.iter().any(|area| {
                    area.region == place.region
                        && area.first <= place.offset
                        && place.offset <= area.last
                        && area.bdf.is_none_or(|bdf| place.bdf == Some(bdf))
                })
            }),
            Node::Field { field, mask, op, operand } => field.get(view).is_some_and(|actual| {
                let actual = match actual {
                    Value::Number(number) => Value::Number(number & mask),
                    other => other,
                };
                op.holds(actual, operand)
            }),
            Node::Register { name, op, operand } => {
                register_field(view, name).is_some_and(|(held, named)| match operand {
                    Operand::Text(_) => op.holds(Value::Text(named.unwrap_or_default()), operand),
                    _ => op.holds(Value::Number(held), operand),
                })
            }
            Node::Device(bdfs) => view.function().is_some_and(|function| bdfs.contains(&function.bdf)),
            Node::Scope(bdfs) => view.function().is_none_or(|function| bdfs.contains(&function.bdf)),
        }
    }
}

/// What the event's value holds in a field of the register, and what that is called.
fn register_field<'a>(view: &'a View, name: &str) -> Option<(u64, Option<&'a str>)> {
    let place = place(view)?;
    let content = value(view)?;
    let size = view.access().map_or(8, |access| access.size);
    let register = place.register().filter(|register| register.offset == place.offset)?;
    let field = register.fields.iter().find(|field| field.name == name)?;
    if u16::from(field.lsb) + u16::from(field.width) > 8 * u16::from(size) {
        return None;
    }
    let held = field.extract(content);
    Some((held, field.value_name(held)))
}

/// What is amiss with an event that a condition doesn't hold for.
fn miss(expr: &Expr, node: &Node, view: &View) -> String {
    match (expr, node) {
        (Expr::Is(Term::Kind(_), _), _) => "is something else".to_owned(),
        (Expr::Is(Term::At(_), _), _) => match place(view) {
            Some(place) => {
                let name = place.register_name().map(|name| format!("{}.{name}", place.region));
                format!("is at {}", name.unwrap_or_else(|| place.to_string()))
            }
            None => "is at no place in a device".to_owned(),
        },
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
