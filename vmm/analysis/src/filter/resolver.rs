//! Names, held against what a trace has.

use barscope_device::diagnostic::{Diagnostic, Span, did_you_mean};
use barscope_device::{Bdf, Register};
use barscope_trace::Definitions;
use barscope_trace::definition::Function;

use super::check::{self, Context};
use super::expr::{Expr, Spot, Target, Term};
use super::node::{Area, Node};
use super::operand::{Op, Operand};

/// Resolves names.
pub(super) struct Resolver<'a> {
    definitions: &'a Definitions,
    /// The functions that an event may be about.
    functions: Vec<&'a Function>,
    /// The registers that fields may be of; none is named if empty.
    registers: Vec<&'a Register>,
}

impl<'d> Resolver<'d> {
    pub(super) fn new(definitions: &'d Definitions, scope: Option<&[Bdf]>) -> Self {
        let functions = definitions.functions().map(|(_, function)| function);
        let functions = functions.filter(|function| scope.is_none_or(|scope| scope.contains(&function.bdf)));
        Self { definitions, functions: functions.collect(), registers: Vec::new() }
    }

    /// Conditions that hold together: what one says of the device and the place, it says for all.
    pub(super) fn all(&self, parts: &[Expr]) -> Result<Vec<Node>, Diagnostic> {
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
    fn check_place(&self, target: &Target, span: Span) -> Result<(), Diagnostic> {
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
    fn check_properties(&self, parts: &[Expr]) -> Result<(), Diagnostic> {
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

    fn node(&self, expr: &Expr) -> Result<Node, Diagnostic> {
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

    fn term(&self, term: &Term, span: Span) -> Result<Node, Diagnostic> {
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

    fn called(&self, name: &str, span: Span) -> Result<Vec<&'d Function>, Diagnostic> {
        let found: Vec<_> =
            self.functions.iter().copied().filter(|function| is_called(function, name)).collect();
        if found.is_empty() {
            let known = self.functions.iter().map(|function| function.name.as_str());
            let hint = did_you_mean(name, known);
            return Err(Diagnostic::new(span, format!("the trace has no device {name}{hint}")));
        }
        Ok(found)
    }

    pub(super) fn areas(&self, target: &Target, span: Span) -> Result<Vec<Area>, Diagnostic> {
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
    fn registers_at(&self, target: &Target, span: Span) -> Result<Vec<(Bdf, &'d Register)>, Diagnostic> {
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
            return Err(Diagnostic::new(span, message));
        }
        Ok(found)
    }

    /// Whether there is such a field, with such a value.
    fn check_field(&self, name: &str, op: Op, operand: &Operand, span: Span) -> Result<(), Diagnostic> {
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
            return Err(Diagnostic::new(span, format!("{whose} {no} field {name}{hint}")));
        }
        if let Operand::Text(wanted) = operand {
            let known = || fields.iter().flat_map(|field| field.values.iter()).map(|(_, name)| &**name);
            if !known().any(|value| value == wanted) {
                let hint = did_you_mean(wanted, known());
                return Err(Diagnostic::new(span, format!("{name} has no value called {wanted}{hint}")));
            }
        }
        check::width(&fields, op, operand, span)
    }
}

/// Whether a function goes by this name: its model's, or its address.
pub(crate) fn is_called(function: &Function, name: &str) -> bool {
    function.name == name || name.parse() == Ok(function.bdf)
}
