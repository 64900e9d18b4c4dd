//! What a condition names, held against what the devices of a trace have: a BAR, an offset, a vector, a vCPU, a
//! value that none of them can have is a typo, not something that never happens.

use barscope_device::diagnostic::{Diagnostic, Span, one_of};
use barscope_device::{BarIndex, Field, Region, Register};
use barscope_trace::Definitions;
use barscope_trace::definition::{Bar, Function};

use super::expr::{Expr, Spot, Target, Term, shown};
use super::kind::Kinds;
use super::operand::{Op, Operand, Value};

/// Bytes of a function's configuration space, with its extended part (PCIe Base, section 7.2).
const CONFIG_SIZE: u64 = 4096;
/// Interrupt causes that a function can have: a cause beyond the last vector can be lost, too.
const CAUSES: u64 = 32;

/// What a condition is about, by those beside it.
pub(super) struct Context<'a> {
    pub(super) definitions: &'a Definitions,
    /// The functions in question.
    pub(super) functions: &'a [&'a Function],
    /// Conditions that hold together with it.
    pub(super) beside: &'a [Expr],
    /// The registers that a value is of; none is named if empty.
    pub(super) registers: &'a [&'a Register],
}

/// The region of a target has to exist and to be large enough, for one of `functions`.
pub(super) fn place(
    definitions: &Definitions,
    functions: &[&Function],
    target: &Target,
    span: Span,
) -> Result<(), Diagnostic> {
    let region = target.region;
    let Some(size) = functions.iter().filter_map(|function| region_size(definitions, function, region)).max()
    else {
        return Err(Diagnostic::new(span, no_region(functions, region)));
    };
    match target.spot {
        Spot::Offset(offset) if offset >= size => {
            let message = format!("{target} is past the end of {region}, which has {size:#x} bytes");
            Err(Diagnostic::new(span, message))
        }
        _ => Ok(()),
    }
}

/// The offset behind a register has to be within it, for one of `registers`.
pub(super) fn behind<'a>(
    registers: impl Iterator<Item = &'a Register>,
    target: &Target,
    span: Span,
) -> Result<(), Diagnostic> {
    let Spot::Register { name, plus: Some(plus) } = &target.spot else { return Ok(()) };
    match registers.map(|register| register.size).max() {
        Some(size) if *plus >= size => {
            let message = format!("{target} is past the end of {name}, which has {size:#x} bytes");
            Err(Diagnostic::new(span, message))
        }
        _ => Ok(()),
    }
}

/// The value that a field of a register is compared with has to fit into it, for one of `fields`.
pub(super) fn width(fields: &[&&Field], op: Op, operand: &Operand, span: Span) -> Result<(), Diagnostic> {
    let (Some(widest), Operand::Number(wanted)) = (fields.iter().max_by_key(|field| field.width), operand)
    else {
        return Ok(());
    };
    let greatest = widest.mask() >> widest.lsb;
    if !exceeds(op, *wanted, greatest) {
        return Ok(());
    }
    let Field { name, width, .. } = &***widest;
    let bits = if *width == 1 { "1 bit".to_owned() } else { format!("{width} bits") };
    Err(Diagnostic::new(span, format!("{name} has {bits}: {} {wanted:#x} never holds", op.sign())))
}

/// What a property is compared with has to be something that a device, or the machine, has.
pub(super) fn property(context: &Context<'_>, term: &Term, span: Span) -> Result<(), Diagnostic> {
    let Term::Field { field, mask: None, op, operand: Operand::Number(wanted) } = term else { return Ok(()) };
    let never = |greatest: u64, why: &dyn Fn() -> String| {
        let vain = exceeds(*op, *wanted, greatest);
        if vain { Err(Diagnostic::new(span, why())) } else { Ok(()) }
    };
    let value = || shown(Value::Number(*wanted), field.of);
    match field.name {
        "vcpu" => {
            let count = context.definitions.machine().map_or(0, |machine| u64::from(machine.vcpus));
            let why = || format!("the machine has no vCPU {}: it has {}", value(), counted(count, "vCPU"));
            if count == 0 { Ok(()) } else { never(count - 1, &why) }
        }
        "index" => vector(context, *op, *wanted, span),
        "offset" => {
            let sizes = context.functions.iter().flat_map(|function| {
                let regions = BarIndex::all().map(Region::Bar).chain([Region::Rom, Region::Config]);
                let meant = regions.filter(|region| is_meant(context.beside, *region));
                meant.filter_map(|region| region_size(context.definitions, function, region))
            });
            let Some(largest) = sizes.max() else { return Ok(()) };
            never(largest - 1, &|| {
                format!("offset {} is past the end: there are {largest:#x} bytes", value())
            })
        }
        "value" if !context.registers.is_empty() && !is_about_width(context.beside) => {
            let registers = context.registers.iter().filter(|register| !register.memory);
            let plain = registers.clone().count() == context.registers.len();
            let Some(register) = registers.max_by_key(|register| register.size).filter(|_| plain) else {
                return Ok(());
            };
            let greatest = 8_u64.checked_sub(register.size).map_or(u64::MAX, |less| u64::MAX >> (8 * less));
            let Register { name, size, .. } = register;
            never(greatest, &|| {
                let bytes = counted(*size, "byte");
                format!("{name} has {bytes}: a value of {} takes a wider access, like width == 8", value())
            })
        }
        _ => Ok(()),
    }
}

/// The interrupt vector has to be one of a function's.
fn vector(context: &Context<'_>, op: Op, wanted: u64, span: Span) -> Result<(), Diagnostic> {
    let kinds = context.beside.iter().fold(Kinds::EVERY, |kinds, part| match part {
        Expr::Is(Term::Kind(one), _) => kinds.and(*one),
        _ => kinds,
    });
    let vectors = context.functions.iter().map(|function| vectors(function)).max().unwrap_or(0);
    let only_messages = kinds.within(Kinds::MSI);
    let known = if only_messages { vectors } else { vectors.max(CAUSES) };
    let vain = known == 0 || exceeds(op, wanted, known - 1);
    if !vain {
        return Ok(());
    }
    let who = names(context.functions);
    let message = match (only_messages, vectors) {
        (_, 0) => format!("{who} can send no message"),
        (true, 1) => format!("no vector {wanted}: {who} can send the message of vector 0 only"),
        (true, _) => format!("no vector {wanted}: {who} can send those of vectors 0 to {}", vectors - 1),
        (false, _) => format!("no vector {wanted}: {who} can have vectors 0 to {}", known - 1),
    };
    Err(Diagnostic::new(span, message))
}

fn vectors(function: &Function) -> u64 {
    u64::from(function.msi_vectors).max(function.msix_vectors.into())
}

/// Whether nothing up to `greatest` compares so.
fn exceeds(op: Op, wanted: u64, greatest: u64) -> bool {
    match op {
        Op::Equal | Op::GreaterOrEqual => wanted > greatest,
        Op::Greater => wanted >= greatest,
        _ => false,
    }
}

/// Whether conditions leave the region possible.
fn is_meant(beside: &[Expr], region: Region) -> bool {
    beside.iter().all(|part| match part {
        Expr::Is(Term::At(target), _) => target.region == region,
        _ => true,
    })
}

/// Whether conditions are about accesses that don't fit their register.
fn is_about_width(beside: &[Expr]) -> bool {
    beside.iter().any(|part| match part {
        Expr::Is(Term::Field { field, .. }, _) => matches!(field.name, "width" | "outcome"),
        _ => false,
    })
}

/// The size of a function's region in bytes; `None` if it has none.
fn region_size(definitions: &Definitions, function: &Function, region: Region) -> Option<u64> {
    let bar = function.bars.iter().find(|bar| region == Region::Bar(bar.index)).map(|bar| bar.size);
    let config = (region == Region::Config).then_some(CONFIG_SIZE);
    let maps = function.register_maps.iter().filter(|map| map.region == region);
    let mapped = maps.flat_map(|map| map.registers.last());
    let mapped = mapped.map(|register| register.offset.saturating_add(register.size)).max();
    let routed = || {
        let routes = definitions.iter().filter_map(|(id, _)| definitions.route(id));
        let to_it = routes.filter(|route| {
            route.region == region
                && definitions.function_of(route).is_some_and(|found| found.bdf == function.bdf)
        });
        to_it.map(|route| route.size).max()
    };
    let size = bar.max(config).max(mapped);
    // A ROM isn't among the BARs, and may have no register map.
    if bar.is_none() && config.is_none() { size.max(routed()) } else { size }
}

/// Why there is no such region, and which there are.
fn no_region(functions: &[&Function], region: Region) -> String {
    if functions.is_empty() {
        return format!("no device in the trace has a {region}");
    }
    let who = names(functions);
    let lower = |bar: &&Bar| bar.wide && bar.index.next().map(Region::Bar) == Some(region);
    if let Some(bar) = functions.iter().flat_map(|function| &function.bars).find(lower) {
        let index = bar.index;
        return format!("{region} is the upper half of {index}, which is 64 bits wide: say {index}");
    }
    let mut bars: Vec<_> =
        functions.iter().flat_map(|function| &function.bars).map(|bar| bar.index).collect();
    bars.sort_unstable();
    bars.dedup();
    let has = match bars.as_slice() {
        [] => "no BAR".to_owned(),
        bars => bars.iter().map(BarIndex::to_string).collect::<Vec<_>>().join(", "),
    };
    let verb = if functions.len() == 1 { "has" } else { "have" };
    let no = if functions.len() == 1 {
        format!("{who} has no {region}")
    } else {
        format!("none of {who} has a {region}")
    };
    format!("{no}: {} {verb} {has}", if functions.len() == 1 { "it" } else { "they" })
}

fn names(functions: &[&Function]) -> String {
    let mut names: Vec<_> = functions.iter().map(|function| function.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        "no device in the trace".to_owned()
    } else {
        one_of(names).replace(" or ", " and ")
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests;
