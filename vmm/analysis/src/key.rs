//! Key of a record: what it means, in a line, without what differs from one run to the next though the driver does the
//! same.
//!
//! Left out are sequence numbers, times, addresses of code and memory, where BARs are, and numbers of processes and
//! vCPUs. Source lines are left out too: a remark further up in a file would change them all.

use barscope_device::{Region, is_msix_register};
use barscope_trace::definition::{Bar, Function, Path};
use barscope_trace::event::{Counted, EventKind, MemoryOperand, Outcome, RouteChange};
use barscope_trace::units;

use crate::code::{Call, Context};
use crate::digits::{decimal, hex, prefixed_hex};
use crate::view::{AccessView, Place, View};
use crate::words;

/// What a value is shown as if it isn't compared.
pub(crate) const ANY: &str = "*";

/// Which parts of a record are in its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The functions that made an access.
    pub(crate) code: bool,
    /// The ring that an access came from.
    pub(crate) ring: bool,
    /// The path of an access, and the memory type that it asks for.
    pub(crate) path: bool,
    /// What time decides: for how long a device is busy, values of registers that change by themselves, counts of what
    /// isn't seen one by one.
    pub(crate) time: bool,
}

/// What of a value is compared, where it isn't all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masked {
    /// Nothing of it.
    Any,
    /// It is an address that the function transfers data to or from.
    DmaAddress,
}

/// The key of a record, appended; whether it has one. `mask` says which values aren't compared as they are.
pub(crate) fn push_key(
    text: &mut String,
    view: &View,
    parts: Parts,
    mask: &dyn Fn(u64) -> Option<Masked>,
) -> bool {
    match view.kind {
        EventKind::Access(_) => {
            let Some(access) = view.access() else { return false };
            push_access(text, access, parts, mask);
        }
        EventKind::NotEmulated { operand, .. } => push_not_emulated(text, view, operand, parts),
        EventKind::Change { old, new, .. } => {
            let Some(place) = view.place() else { return false };
            if place.register().is_some_and(|register| register.volatile) && !parts.time {
                return false;
            }
            text.push_str("then ");
            push_place(text, view, place);
            for (sign, value) in [(" ", old), (" -> ", new)] {
                text.push_str(sign);
                push_value(text, Some(place), value, 8, parts, mask);
            }
        }
        EventKind::Busy { .. } => {
            push_effect(text, view, "busy");
            if let Some(ns) = view.busy_ns().filter(|_| parts.time) {
                text.push(' ');
                words::push_time(text, ns);
            }
        }
        EventKind::Msi { index, delivered, .. } => {
            push_indexed(text, view, "MSI ", index.into());
            if !delivered {
                text.push_str(", not taken");
            }
        }
        EventKind::InterruptMasked { index, .. } => {
            push_indexed(text, view, "interrupt ", index.into());
            text.push_str(" pending, masked");
        }
        EventKind::InterruptLost { index, why, .. } => {
            push_indexed(text, view, "interrupt ", index.into());
            text.push_str(" lost");
            if let Some(why) = why {
                text.push_str(": ");
                text.push_str(words::loss(why));
            }
        }
        EventKind::Intx { asserted, .. } => {
            push_effect(text, view, if asserted { "INTx asserted" } else { "INTx deasserted" });
        }
        EventKind::Dma { to_memory, length, outcome, .. } => {
            push_effect(text, view, if to_memory { "DMA to memory " } else { "DMA from memory " });
            text.push_str(&units::size(length));
            text.push_str(words::dma_outcome(outcome));
        }
        EventKind::AddressCut { bits, .. } => {
            push_indexed(text, view, "DMA address cut to bits ", bits.into());
        }
        EventKind::Route { change, cause, .. } => {
            // Where firmware puts BARs isn't the guest's doing.
            let Some(route) = view.route().filter(|_| cause != 0) else { return false };
            push_effect(text, view, &route.region.to_string());
            text.push_str(match change {
                RouteChange::Added => " is decoded",
                RouteChange::Removed => " is no longer decoded",
                RouteChange::Refused => " overlaps, not decoded",
            });
        }
        EventKind::Backing { backing, .. } => {
            let Some(route) = view.route() else { return false };
            push_effect(text, view, &route.region.to_string());
            text.push_str(" accesses are ");
            text.push_str(backing.name());
        }
        EventKind::PagesWritten { offset, pages, .. } => {
            let Some(route) = view.route().filter(|_| parts.time) else { return false };
            push_effect(text, view, &route.region.to_string());
            text.push('+');
            prefixed_hex(text, offset);
            push_counted(text, " pages written", pages);
        }
        EventKind::Doorbell { count, .. } => {
            let Some(place) = view.place().filter(|_| parts.time) else { return false };
            text.push_str("then ");
            push_place(text, view, place);
            push_counted(text, " rung", count);
        }
        EventKind::Map { .. } | EventKind::Unmap { .. } => return push_mapping(text, view),
        EventKind::Mark { .. } => {
            text.push_str("mark ");
            text.push_str(view.text().unwrap_or_default());
        }
        EventKind::PageWalk { gpa, .. } => {
            text.push_str("page walk of ");
            text.push_str(view.text().unwrap_or_default());
            match (gpa, view.place()) {
                (None, _) => text.push_str(", no page"),
                (_, None) => text.push_str(" -> memory"),
                (_, Some(place)) => {
                    text.push_str(" -> ");
                    push_place(text, view, place);
                }
            }
            if let Some(memory_type) = view.memory_type() {
                text.push(' ');
                text.push_str(memory_type.name());
            }
        }
        EventKind::Spin { .. } => {
            let Some(place) = view.place().filter(|_| parts.time) else { return false };
            text.push_str("spins on ");
            push_place(text, view, place);
        }
        EventKind::ScenarioEnd { passed, .. } => {
            text.push_str(if passed { "scenario passes" } else { "scenario fails" });
        }
        EventKind::Count { what, value, error_code, .. } => match what {
            Counted::KernelEntries => push_counted(text, "kernel entries", value),
            Counted::FaultResolved => text.push_str("page fault resolved by mapping the page"),
            Counted::FaultFatal => {
                text.push_str("page fault stops the program, error code ");
                prefixed_hex(text, error_code.into());
            }
        },
        EventKind::IsrEnter { .. } => text.push_str("handler begins"),
        EventKind::IsrExit { .. } => text.push_str("handler is done"),
        EventKind::Console { .. } => match view.trouble() {
            Some(trouble) => {
                text.push_str("the kernel reports ");
                text.push_str(trouble.name());
            }
            None => return false,
        },
        EventKind::ScenarioBegin { .. } | EventKind::ClockJump { .. } | EventKind::Warning { .. } => {
            return false;
        }
    }
    true
}

/// Functions that write what a program gave to configuration space (`drivers/pci/pci-sysfs.c`, `drivers/pci/proc.c`).
const WRITES_FOR_PROGRAMS: [&str; 2] = ["pci_write_config", "proc_bus_pci_write"];

/// What the guest's kernel does by itself to set devices up, which another build of it may do otherwise: accesses to
/// configuration space and to tables of interrupt messages that no module asked for, and what it reads there and
/// writes as messages in any case. What a program writes through sysfs or `/proc` is the program's. CONFIG_ADDRESS only
/// leads to what is reached by CONFIG_DATA.
///
/// That can be told of a trace with call stacks only.
pub(crate) fn is_kernels_own(view: &View, has_stacks: bool) -> bool {
    let Some(access) = view.access() else { return false };
    let place = access.place();
    let configuration = access.is_configuration();
    if configuration && place.is_some_and(|place| place.bdf.is_none()) {
        return true;
    }
    let message = place.is_some_and(|place| is_message(place) || is_msix_entry(place));
    if !has_stacks || access.cpl == 3 || !(configuration || message) {
        return false;
    }
    // Before stacks can be followed there is no module, either.
    let Some(made) = view.made().filter(|_| view.callers().is_some()) else { return true };
    let by_kernel = made.by.cr3 == 0 && made.by.module().is_none();
    let for_module = made.asked_by.is_some_and(|call| call.module().is_some());
    let for_program = made.by.function.is_some_and(|function| WRITES_FOR_PROGRAMS.contains(&function));
    by_kernel && (message || !access.write || !(for_module || for_program))
}

/// By whom: what runs there, as far as that is the same in every run. `by_vcpu` if nothing but the vCPU tells tasks of
/// the kernel apart.
pub(crate) fn actor(view: &View, by_vcpu: bool) -> String {
    let device = || view.function().map_or("a device", |function| &function.name);
    match (view.access(), view.context) {
        (Some(access), _) if access.coalesced => return "gathered writes".to_owned(),
        (Some(_), _) if view.vcpu.is_none() => return "no processor".to_owned(),
        (_, Some(Context::HardHandler)) => return format!("handler of {}", device()),
        (_, Some(Context::ThreadedHandler)) => return format!("threaded handler of {}", device()),
        (_, Some(Context::Softirq)) => return "softirq".to_owned(),
        (_, Some(Context::Interrupt)) => return "interrupt".to_owned(),
        _ => {}
    }
    if let Some(process) = view.process() {
        let name = &process.name;
        return match process.address_space {
            0 => format!("kernel thread {}", kernel_thread(name)),
            _ => format!("process {name}"),
        };
    }
    let mut who = match (view.kind, view.cpl()) {
        (EventKind::IsrEnter { .. } | EventKind::IsrExit { .. }, _) => "handlers",
        (_, Some(3)) => "program",
        _ => "kernel",
    }
    .to_owned();
    if let Some(vcpu) = view.vcpu.filter(|_| by_vcpu) {
        who.push_str(" on vCPU ");
        decimal(&mut who, vcpu.into());
    }
    who
}

/// The name of a kernel's thread without the numbers that it is given: `kworker/0:1-events` is `kworker`,
/// `irq/24-lab` is `irq/lab`.
fn kernel_thread(name: &str) -> String {
    let Some((kind, rest)) = name.split_once('/') else { return name.to_owned() };
    match rest.split_once('-') {
        Some((_, device)) if kind == "irq" => format!("irq/{device}"),
        _ => kind.to_owned(),
    }
}

/// What records are counted under: an operation and the register that it was about, as far as they have those.
pub(crate) fn push_register(text: &mut String, view: &View) {
    let operation = match view.kind {
        EventKind::Access(access) => {
            if access.write {
                "write"
            } else {
                "read"
            }
        }
        kind => kind.kind().name,
    };
    text.push_str(operation);
    let Some(place) = view.place() else { return };
    text.push(' ');
    push_device(text, view, place);
    text.push_str(&place.region.to_string());
    if let Some((name, _)) = place.register_and_rest() {
        text.push('.');
        text.push_str(name);
    }
}

/// A device, its name and its identifiers.
pub(crate) fn device(function: &Function) -> String {
    format!("{} {:04x}:{:04x}", function.name, function.vendor, function.device)
}

fn push_access(
    text: &mut String,
    access: AccessView<'_>,
    parts: Parts,
    mask: &dyn Fn(u64) -> Option<Masked>,
) {
    if access.read_modify_write {
        text.push_str("rmw-");
    }
    text.push_str(if access.write { "write" } else { "read" });
    decimal(text, access.size.into());
    text.push(' ');
    push_target(text, access);
    text.push(' ');
    let place = access.place().filter(|_| access.outcome == Outcome::Ok);
    push_value(text, place, access.value, access.size, parts, mask);
    if access.outcome != Outcome::Ok {
        text.push_str(", ");
        text.push_str(access.outcome.name());
    }
    push_way(text, access.view, parts);
}

fn push_not_emulated(text: &mut String, view: &View, operand: MemoryOperand, parts: Parts) {
    text.push_str("not emulated: ");
    text.push_str(match (operand.reads, operand.writes) {
        (true, true) => "update",
        (false, true) => "write",
        _ => "read",
    });
    decimal(text, operand.size.into());
    if let Some(place) = view.place() {
        text.push(' ');
        push_place(text, view, place);
    }
    push_way(text, view, parts);
}

/// From which ring, by which path, by whose code.
fn push_way(text: &mut String, view: &View, parts: Parts) {
    if parts.ring && view.cpl() == Some(3) {
        text.push_str(" by user");
    }
    if parts.path
        && let Some(path) = view.path().filter(|path| *path != Path::Unknown)
    {
        text.push_str(" via ");
        text.push_str(path.name());
        if let Some(pat) = view.pat() {
            text.push(' ');
            text.push_str(pat.name());
        }
    }
    if parts.code {
        push_code(text, view);
    }
}

/// The innermost function that is nobody's accessor, and that of the same module or program which called it: inlined or
/// not they are the same. For what the kernel does by itself, the function that asked for it.
fn push_code(text: &mut String, view: &View) {
    let Some(made) = view.made() else { return };
    let mut calls = view.own_calls().filter(|_| view.callers().is_some());
    let inner = calls.find(|call| *call == made.asked_by.unwrap_or(made.by));
    // What a header of the kernel has inlined into a module is a call of the kernel's in another build.
    let is_header = |call: &Call<'_>| call.inlined && call.file.is_some_and(|file| file.ends_with(".h"));
    let site = match made.asked_by {
        None => made.by,
        Some(asked) if is_header(&asked) => calls.find(|call| !is_header(call)).unwrap_or(asked),
        Some(asked) => asked,
    };
    let Some(function) = site.function else { return };
    text.push_str(" in ");
    let caller = inner.and_then(|_| calls.find(|call| !call.accessor)).filter(|_| made.asked_by.is_none());
    let is_alike = |call: &Call<'_>| call.module() == site.module() && (call.cr3 == 0) == (site.cr3 == 0);
    // What starts a program isn't the program.
    let counts = |name: &&str| !name.starts_with("__libc_start") && *name != "_start";
    if let Some(caller) = caller.filter(is_alike).and_then(|call| call.function).filter(counts) {
        text.push_str(plain(caller));
        text.push_str(" < ");
    }
    text.push_str(plain(function));
    if let Some(module) = site.module() {
        text.push_str(" [");
        text.push_str(module);
        text.push(']');
    }
}

/// A function's name without what a compiler adds for a part or a copy of it.
fn plain(function: &str) -> &str {
    let added = [".isra.", ".constprop.", ".part.", ".cold", ".llvm."];
    let end = added.iter().filter_map(|mark| function.find(mark)).min();
    &function[..end.unwrap_or(function.len())]
}

fn push_target(text: &mut String, access: AccessView<'_>) {
    if let Some(place) = access.place() {
        return push_place(text, access.view, place);
    }
    match (access.absent(), access.gpa()) {
        (Some(absent), Some(address)) => {
            text.push_str(&absent.function.name);
            text.push('.');
            text.push_str(&absent.region.to_string());
            if let Some(base) = absent.base {
                text.push('+');
                prefixed_hex(text, address.wrapping_sub(base));
            }
        }
        (None, Some(_)) => text.push_str("nowhere"),
        (_, None) => text.push_str(&words::target(access)),
    }
}

fn push_device(text: &mut String, view: &View, place: &Place) {
    match (&place.function, place.bdf) {
        (Some(function), bdf) => {
            text.push_str(&function.name);
            if let Some(bdf) = bdf.filter(|_| view.alike) {
                text.push('@');
                text.push_str(&bdf.to_string());
            }
        }
        (None, Some(bdf)) => text.push_str(&bdf.to_string()),
        (None, None) => text.push_str("host"),
    }
    text.push('.');
}

fn push_place(text: &mut String, view: &View, place: &Place) {
    push_device(text, view, place);
    match place.register_and_rest() {
        Some((name, within)) => {
            text.push_str(&place.region.to_string());
            text.push('.');
            text.push_str(name);
            if let Some(within) = within {
                text.push('+');
                prefixed_hex(text, within);
            }
        }
        None => {
            text.push_str(&place.region.to_string());
            text.push_str("+0x");
            hex(text, place.offset, 3);
        }
    }
}

fn push_value(
    text: &mut String,
    place: Option<&Place>,
    value: u64,
    size: u8,
    parts: Parts,
    mask: &dyn Fn(u64) -> Option<Masked>,
) {
    let volatile = place.and_then(Place::register).is_some_and(|register| register.volatile);
    match mask(value) {
        Some(Masked::Any) => return text.push_str(ANY),
        Some(Masked::DmaAddress) => return text.push_str("dma-address"),
        None if volatile && !parts.time => return text.push_str(ANY),
        None => {}
    }
    let Some(place) = place else { return prefixed_hex(text, value) };
    if is_address_of_bar(place, value) {
        return text.push_str("address");
    }
    if is_message(place) && value != 0 {
        return text.push_str("message");
    }
    prefixed_hex(text, value);
    let before = text.len();
    text.push(' ');
    place.push_description(text, value, size);
    if text.len() == before + 1 {
        text.truncate(before);
    }
}

/// Whether it is what a BAR register holds as an address: neither all-ones, which asks for its size, nor the answer.
fn is_address_of_bar(place: &Place, value: u64) -> bool {
    const FIRST: u64 = 0x10;
    const ROM: u64 = 0x30;
    if place.region != Region::Config || value == 0xffff_ffff {
        return false;
    }
    let Some(function) = &place.function else { return false };
    if place.offset == ROM {
        // Of a ROM's register, asking for the size leaves ENABLE alone.
        return value != 0xffff_fffe && value != 0xffff_f800 && value > 1;
    }
    let Some(register) = place.offset.checked_sub(FIRST).map(|at| at / 4).filter(|at| *at < 6) else {
        return false;
    };
    let size_mask = |bar: &Bar| {
        let index = u64::from(bar.index.get());
        let mask = !(bar.size - 1);
        match register.checked_sub(index) {
            Some(0) => Some(mask as u32),
            Some(1) if bar.wide => Some((mask >> 32) as u32),
            _ => None,
        }
    };
    let Some(mask) = function.bars.iter().filter(|bar| bar.size > 0).find_map(size_mask) else {
        return false;
    };
    // The low bits say what kind of BAR it is.
    value & !0xf != u64::from(mask) & !0xf
}

/// Whether a register holds what messages of interrupts are made of: the kernel chooses vectors and processors.
fn is_message(place: &Place) -> bool {
    const CAPABILITY: [&str; 4] = ["MSI_ADDRESS", "MSI_ADDRESS_HIGH", "MSI_DATA", "MSI_EXTENDED_DATA"];
    let Some(register) = place.register() else { return false };
    let name = &*register.name;
    CAPABILITY.contains(&name)
        || is_msix_entry(place) && (name.ends_with("_DATA") || name.contains("_ADDRESS"))
}

fn is_msix_entry(place: &Place) -> bool {
    let has = place.function.as_ref().is_some_and(|function| function.msix_vectors > 0);
    has && !place.is_configuration()
        && place.register().is_some_and(|register| is_msix_register(&register.name))
}

fn push_effect(text: &mut String, view: &View, what: &str) {
    text.push_str("then ");
    if let Some(function) = view.function() {
        text.push_str(&function.name);
        text.push(' ');
    }
    text.push_str(what);
}

fn push_indexed(text: &mut String, view: &View, what: &str, index: u64) {
    push_effect(text, view, what);
    decimal(text, index);
}

fn push_counted(text: &mut String, what: &str, count: u64) {
    text.push_str(what);
    text.push_str(": ");
    decimal(text, count);
}

fn push_mapping(text: &mut String, view: &View) -> bool {
    let Some(mapping) = view.mapping() else { return false };
    text.push_str(if matches!(view.kind, EventKind::Map { .. }) { "map " } else { "unmap " });
    text.push_str(mapping.path.name());
    text.push(' ');
    text.push_str(&units::size(mapping.length));
    if mapping.on_fault {
        text.push_str(" on first touch");
    }
    true
}

#[cfg(test)]
mod tests;
