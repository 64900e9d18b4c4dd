//! Numbers and facts in words, the same everywhere.

use barscope_device::{InterruptLoss, Register};
use barscope_trace::definition::{MemoryType, Route, Walk};
use barscope_trace::event::{Backing, Counted, DmaOutcome, EventKind, MemoryOperand, Outcome, RouteChange};
use barscope_trace::{End, units};

use crate::digits;
use crate::system_call;
use crate::view::{Absence, AccessView, BusAddress, Place, View, Why, describe_value};

/// `1,131`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 fault`, `2 faults`.
pub(crate) fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// `20 us`, `20.13 us`, `1.204 ms`, `18.61 s`: in the unit that leaves at most three digits before the point, with four in
/// all.
pub(crate) fn time(ns: u64) -> String {
    let mut text = String::new();
    push_time(&mut text, ns);
    text
}

/// The same, appended.
pub(crate) fn push_time(text: &mut String, ns: u64) {
    /// Nanoseconds of each unit, and its name.
    const UNITS: [(u64, &str); 3] = [(1_000, " us"), (1_000_000, " ms"), (1_000_000_000, " s")];
    for (unit, name) in UNITS {
        // How many digits stand behind the point, as a power of ten.
        let behind = match ns / unit {
            0..10 => 1000,
            10..100 => 100,
            100..1000 => 10,
            _ => 1,
        };
        let step = unit / behind;
        let steps = ns / step + u64::from(ns % step >= step.div_ceil(2));
        let (whole, mut rest) = (steps / behind, steps % behind);
        if whole >= 1000 && unit < 1_000_000_000 {
            continue;
        }
        digits::decimal(text, whole);
        let mut place = behind / 10;
        if rest > 0 {
            text.push('.');
        }
        while rest > 0 {
            digits::decimal(text, rest / place);
            rest %= place;
            place /= 10;
        }
        text.push_str(name);
        return;
    }
}

/// How a trace ended; `None` if it is finished.
pub(crate) fn early_end(end: Option<&End>) -> Option<String> {
    match end {
        Some(End::Finished) => None,
        Some(End::Interrupted(reason)) => Some(format!("interrupted: {reason}")),
        Some(End::Failed(reason)) => Some(format!("failed: {reason}")),
        None => Some("unfinished: still running, or its writer was killed".to_owned()),
    }
}

/// What was skipped of a trace that a later program wrote; `None` if nothing was.
pub(crate) fn skipped(unknown_kinds: u64) -> Option<String> {
    let what = counted(unknown_kinds, "record of an unknown kind was", "records of unknown kinds were");
    (unknown_kinds > 0).then(|| format!("{what} skipped; a newer barscope reads them"))
}

/// `R4` or `W4`.
pub(crate) fn direction(access: AccessView<'_>) -> String {
    let mut text = String::new();
    push_direction(&mut text, access);
    text
}

/// The same, appended.
pub(crate) fn push_direction(text: &mut String, access: AccessView<'_>) {
    text.push(if access.write { 'W' } else { 'R' });
    digits::decimal(text, access.size.into());
}

/// What an instruction does with its operand: `R16`, `W32`, `RW4`; without a size that nobody knows.
pub(crate) fn operand(operand: MemoryOperand) -> String {
    let MemoryOperand { reads, writes, size } = operand;
    let size = if size == 0 { String::new() } else { size.to_string() };
    format!("{}{}{size}", if reads { "R" } else { "" }, if writes { "W" } else { "" })
}

/// The value and what it means: `0x1 DONE`.
pub(crate) fn value(access: AccessView<'_>) -> String {
    let mut text = String::new();
    push_value(&mut text, access);
    text
}

/// The same, appended.
pub(crate) fn push_value(text: &mut String, access: AccessView<'_>) {
    digits::prefixed_hex(text, access.value);
    if let Some(selected) = access.selects() {
        text.push_str(" -> ");
        text.push_str(&register(selected));
        return;
    }
    let Some(place) = access.place().filter(|_| access.outcome == Outcome::Ok) else { return };
    text.push(' ');
    let before = text.len();
    place.push_description(text, access.value, access.size);
    if text.len() == before {
        text.pop();
    }
}

/// Where an access went, in as few words as tell it: `BAR0.SCRATCH`, `BAR0+0x40`, `port 0xcf8`.
pub(crate) fn target(access: AccessView<'_>) -> String {
    match (access.place(), access.address()) {
        (Some(place), _) => register(place),
        (None, BusAddress::Memory(address)) => format!("{address:#x}"),
        (None, BusAddress::Port(port)) => format!("port {port:#x}"),
    }
}

/// Region and offset, after the function's address where its name doesn't tell it: in configuration space, and
/// where others go by the same one.
pub(crate) fn push_place(text: &mut String, view: &View, place: &Place) {
    if let Some(bdf) = place.bdf.filter(|_| view.alike || place.is_configuration()) {
        text.push_str(&bdf.to_string());
        text.push(' ');
    }
    place.push_name(text);
}

/// A place by its register, if it has one; in configuration space, whose that is.
fn register(place: &Place) -> String {
    match (place.register_name(), place.bdf.filter(|_| place.is_configuration())) {
        (Some(register), None) if place.is_configuration() => register,
        (Some(register), Some(bdf)) => format!("{bdf} {}.{register}", place.region),
        (None, Some(bdf)) => format!("{bdf} {place}"),
        (Some(register), None) => format!("{}.{register}", place.region),
        (None, None) => place.to_string(),
    }
}

/// Why an access wasn't answered, and what came of it; `None` if it was.
pub(crate) fn refusal(access: AccessView<'_>) -> Option<String> {
    let why = match access.outcome {
        Outcome::Ok => return None,
        Outcome::Unclaimed => "nothing decodes this address",
        Outcome::Straddles => "crosses the end of the region",
        Outcome::Reserved => "no register there",
        Outcome::Width => "unsupported width",
        Outcome::Alignment => "unaligned",
        Outcome::WriteOnly => "write-only",
        Outcome::ReadOnly => "read-only",
        Outcome::Busy => "ignored while busy",
        Outcome::Range => "out of range",
    };
    let came_of_it = match (access.write, access.value) {
        (true, _) => "dropped",
        (false, 0) => "reads 0",
        (false, _) => "reads all-ones",
    };
    let absent = access.absent().map(|absent| format!("; {}", absence(absent))).unwrap_or_default();
    Some(format!("{why}: {came_of_it}{absent}"))
}

/// What was where nothing is, and why it isn't there.
pub(crate) fn absence(absent: &Absence) -> String {
    let Absence { function, region, was_there, since, .. } = absent;
    let whose = format!("{region} of {} {}", function.bdf, function.name);
    let why = match (absent.why, was_there) {
        (Why::NoAddress, _) => return format!("{whose} has no address yet"),
        (Why::MemorySpaceOff, true) => "Memory Space went off".to_owned(),
        (Why::MemorySpaceOff, false) => "Memory Space is off".to_owned(),
        (Why::Asleep, true) => "it went to D3hot".to_owned(),
        (Why::Asleep, false) => "it is in D3hot".to_owned(),
        (Why::Reset, _) => "the function was reset".to_owned(),
        (Why::Moved { to: Some(to) }, _) => format!("it moved to {to:#x}"),
        (Why::Moved { to: None }, _) => "its BAR was written".to_owned(),
        (Why::RomOff, _) => "the ROM was switched off".to_owned(),
        (Why::Overlaps, _) => "something else is there".to_owned(),
        (Why::Unknown, _) => "the trace doesn't tell why".to_owned(),
    };
    match (was_there, since) {
        (true, Some(since)) => format!("{whose} was there until record {since}: {why}"),
        (false, Some(since)) => format!("{whose} has this address, but {why} since record {since}"),
        (_, None) => format!("{whose} has this address, but {why}"),
    }
}

/// What became of an instruction that KVM could not emulate.
pub(crate) fn not_emulated(view: &View) -> String {
    let instruction = view.code().map_or("an instruction", |code| &code.text);
    let end = if view.gpa().is_some() { ": #UD" } else { "" };
    format!("KVM can't emulate {instruction}{end}")
}

/// `UC- -> UC`: the memory type that a page asks for, and the one that its accesses have, if that is another one.
pub(crate) fn memory_type(pat: Option<MemoryType>, effective: MemoryType) -> String {
    match pat.filter(|pat| *pat != effective) {
        Some(pat) => format!("{pat} -> {effective}"),
        None => effective.to_string(),
    }
}

/// The path, `?` after one that was inferred.
pub(crate) fn path(access: AccessView<'_>) -> String {
    let mut text = String::new();
    push_path(&mut text, access);
    text
}

/// The same, appended.
pub(crate) fn push_path(text: &mut String, access: AccessView<'_>) {
    match access.address() {
        BusAddress::Port(_) => text.push_str("port"),
        BusAddress::Memory(_) => push_path_of(text, access.walk()),
    }
}

/// The path of a walk, `?` after one that was inferred, appended.
pub(crate) fn push_path_of(text: &mut String, walk: Option<&Walk>) {
    let Some(walk) = walk else { return text.push_str("unknown") };
    text.push_str(walk.path.name());
    if !walk.announced {
        text.push('?');
    }
}

/// What a device did, in words that name no cause. `None` for everything else.
pub(crate) fn effect(view: &View) -> Option<String> {
    Some(match view.kind {
        EventKind::Change { old, new, .. } => {
            let place = view.place()?;
            let name = place.register_name().unwrap_or_else(|| place.to_string());
            let (old, new) = match place.register() {
                Some(register) => changed(register, old, new),
                None => (format!("{old:#x}"), format!("{new:#x}")),
            };
            format!("{name} {old} -> {new}")
        }
        EventKind::Busy { .. } => format!("busy {}", time(view.busy_ns()?)),
        EventKind::Msi { data, delivered, address, .. } => {
            // Intel SDM volume 3, "Message Address Register Format": bits 19:12 name the local APIC.
            let (vector, cpu) = (data & 0xff, address >> 12 & 0xff);
            let lost = if delivered { "" } else { ", not taken" };
            format!("MSI vector {vector:#x} -> vCPU {cpu}{lost}")
        }
        EventKind::InterruptLost { index, why, .. } => match why.map(loss) {
            Some(why) => format!("interrupt {index} lost: {why}"),
            None => format!("interrupt {index} lost"),
        },
        EventKind::AddressCut { asked, bits, .. } => {
            format!("DMA address {asked:#x} cut to {bits} bits: {:#x}", cut(asked, bits))
        }
        EventKind::InterruptMasked { index, .. } => format!("interrupt {index} pending, masked"),
        EventKind::Intx { asserted: true, gsi, .. } => format!("INTx asserted -> GSI {gsi}"),
        EventKind::Intx { asserted: false, gsi, .. } => format!("INTx deasserted -> GSI {gsi}"),
        EventKind::Backing { backing, .. } => {
            let region = view.route()?.region;
            match backing {
                Backing::Trapped => format!("{region} trapped: every access is seen"),
                Backing::Direct => format!("{region} mapped directly: only written pages are seen"),
                Backing::Doorbell => format!("{region} doorbells taken by KVM: only counted"),
                Backing::Coalesced => format!("{region} writes coalesced: they arrive later"),
            }
        }
        EventKind::PagesWritten { offset, pages, since, .. } => {
            let region = view.route()?.region;
            let plural = if pages == 1 { "" } else { "s" };
            format!("{region}+{offset:#x} {pages} page{plural} written directly since record {since}")
        }
        EventKind::Doorbell { count, .. } => {
            let place = view.place()?;
            let name = place.register_name().unwrap_or_else(|| place.to_string());
            let plural = if count == 1 { "" } else { "s" };
            format!("{name} rung {count} time{plural}")
        }
        EventKind::Dma { to_memory, address, length, outcome, .. } => {
            let way = if to_memory { "to" } else { "from" };
            format!("DMA {} {way} {address:#x}{}", units::size(length), dma_outcome(outcome))
        }
        EventKind::Route { change, .. } => {
            let Route { region, base, .. } = view.route()?;
            match change {
                RouteChange::Added => format!("{region} decodes {base:#x}"),
                RouteChange::Removed => format!("{region} no longer decodes {base:#x}"),
                RouteChange::Refused => format!("{region} overlaps at {base:#x}, not decoded"),
            }
        }
        _ => return None,
    })
}

/// What became of a transfer, after what it was; nothing if it was done.
pub(crate) fn dma_outcome(outcome: DmaOutcome) -> &'static str {
    match outcome {
        DmaOutcome::Done => "",
        DmaOutcome::BusMasterOff => ", refused: bus mastering is off",
        DmaOutcome::OutOfBounds => ", refused: outside memory",
    }
}

/// Why an interrupt reached no processor.
pub(crate) fn loss(why: InterruptLoss) -> &'static str {
    match why {
        InterruptLoss::NothingEnabled => "nothing enabled that carries it",
        InterruptLoss::BusMasterOff => "its message can't leave, Bus Master is off",
        InterruptLoss::Asleep => "the function is in D3hot",
        InterruptLoss::MemoryWrite => "its message is a memory write, outside 0xfee00000-0xfeefffff",
    }
}

/// What is left of an address that a device cuts.
pub(crate) fn cut(asked: u64, bits: u8) -> u64 {
    asked & 1_u64.checked_shl(bits.into()).map_or(u64::MAX, |end| end - 1)
}

/// A register's old and new value: by the names of its bits, if it has some for both.
fn changed(register: &Register, old: u64, new: u64) -> (String, String) {
    let known = register.fields.iter().fold(0, |known, field| known | field.mask());
    let name = |value: u64| match describe_value(register, value) {
        meaning if !meaning.is_empty() && value & !known == 0 => meaning,
        _ if value == 0 => "0".to_owned(),
        _ => format!("{value:#x}"),
    };
    (name(old), name(new))
}

/// What the guest counted, or which entry into its kernel a process made, in words.
fn count(view: &View, (what, value, address, error_code): (Counted, u64, u64, u32)) -> String {
    let of =
        view.process().map(|process| format!(" of {} {}", process.name, process.pid)).unwrap_or_default();
    match what {
        Counted::KernelEntries if view.process().is_some() => {
            let how = match view.system_call() {
                Some(number) => system_call::described(number),
                None => format!("page fault at {address:016x}"),
            };
            format!("kernel entry{of}: {how}")
        }
        Counted::KernelEntries => {
            format!("{} counted by the guest", counted(value, "kernel entry", "kernel entries"))
        }
        Counted::FaultResolved => format!("page fault{of} at {address:016x}, resolved by mapping the page"),
        Counted::FaultFatal => {
            // Intel SDM volume 3, "Page-Fault Exceptions": bits 0, 1 and 2 of the error code.
            let who = if error_code & 4 != 0 { "user" } else { "kernel" };
            let way = if error_code & 2 != 0 { "write" } else { "read" };
            let why = if error_code & 1 != 0 { "not allowed" } else { "no page" };
            format!("page fault{of} at {address:016x}, {who} {way}, {why}: the program was stopped")
        }
    }
}

impl View {
    /// It on one short line, as it is told everywhere: what it is, not who asked for it.
    pub fn summary(&self) -> String {
        summary(self)
    }
}

/// A value that a register gives, with its fields.
fn given(place: &Place, value: u64) -> String {
    let meaning = place.register().map(|register| describe_value(register, value)).unwrap_or_default();
    format!("{value:#x} {meaning}").trim_end().to_owned()
}

/// What may end a loop that reads a register of a function which acts next in `due_ns`.
pub fn way_out(due_ns: Option<u64>) -> String {
    match due_ns {
        Some(due) => format!("the device does something in {}", time(due)),
        None => {
            "the device waits for nothing: only an access, or what comes from outside, changes it".to_owned()
        }
    }
}

/// An event on one short line: what it is, not who asked for it.
pub(crate) fn summary(view: &View) -> String {
    let text = || view.text().unwrap_or_default();
    match view.kind {
        EventKind::Access(_) => {
            let Some(access) = view.access() else { return String::new() };
            let whose = access.bdf().filter(|_| view.alike && !access.is_configuration());
            let whose = whose.map(|bdf| format!("{bdf} ")).unwrap_or_default();
            let mut text = format!("{} {whose}{} {}", direction(access), target(access), value(access));
            if let Some(refusal) = refusal(access) {
                text += &format!("  ({refusal})");
            }
            text
        }
        EventKind::Map { .. } => made(view, "map"),
        EventKind::Unmap { .. } => made(view, "unmap"),
        EventKind::Mark { .. } => format!("mark {}", text()),
        EventKind::ScenarioBegin { .. } => format!("scenario {}", text()),
        EventKind::ScenarioEnd { passed, .. } => {
            let name = view.scenario.as_deref().unwrap_or_default();
            format!("end of scenario {name}: {}", if passed { "PASS" } else { "FAIL" })
        }
        EventKind::Count { what, value, address, error_code, .. } => {
            count(view, (what, value, address, error_code))
        }
        EventKind::IsrEnter { vector, .. } => format!("interrupt handler {vector:#x} begins"),
        EventKind::IsrExit { vector } => format!("interrupt handler {vector:#x} is done"),
        EventKind::ClockJump { to_ns } => format!("idle until {}", time(to_ns)),
        EventKind::NotEmulated { gpa, .. } => {
            let instruction = view.code().map_or("an instruction", |code| &code.text);
            let (on, end) = match (view.place(), gpa) {
                (Some(place), Some(gpa)) => (format!("{} at {gpa:#x}", register(place)), ": #UD"),
                (None, Some(gpa)) => (format!("device memory at {gpa:#x}"), ": #UD"),
                (_, None) => ("memory that could not be told".to_owned(), ""),
            };
            format!("KVM can't emulate {instruction} on {on}{end}")
        }
        EventKind::PageWalk { address, gpa, .. } => {
            let at = format!("page walk of {}: {address:016x}", text());
            let Some(gpa) = gpa else { return format!("{at}, no page") };
            let to = view.place().map_or("memory".to_owned(), register);
            let types = view.memory_type().map(|effective| memory_type(view.pat(), effective));
            format!("{at} -> {gpa:x}, {to}{}", types.map(|types| format!(", {types}")).unwrap_or_default())
        }
        EventKind::Spin { value, times, .. } => {
            let Some(place) = view.place() else { return "spin".to_owned() };
            format!(
                "spin: {} of {}, always {}",
                counted(times.into(), "read", "reads"),
                register(place),
                given(place, value)
            )
        }
        EventKind::Console { .. } => format!("console: {}", text()),
        EventKind::Warning { .. } => format!("warning: {}", text()),
        _ => effect(view).unwrap_or_else(|| "unknown route".to_owned()),
    }
}

/// A mapping that is made or undone, in a column of its own.
pub(crate) fn mapping(view: &View) -> String {
    let on_fault = view.mapping().is_some_and(|mapping| mapping.on_fault);
    match view.kind {
        EventKind::Map { .. } if on_fault => made(view, "map   ") + ", on first touch",
        EventKind::Map { .. } => made(view, "map   "),
        _ => made(view, "unmap "),
    }
}

fn made(view: &View, what: &str) -> String {
    match view.mapping() {
        Some(mapping) => format!("{what} {} by {}", mapping.call, mapping.who),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_four_digits_and_the_unit_that_suits_them() {
        for (ns, expected) in [
            (0, "0 us"),
            (1, "0.001 us"),
            (832, "0.832 us"),
            (1_204, "1.204 us"),
            (20_000, "20 us"),
            (20_125, "20.13 us"),
            (20_104, "20.1 us"),
            (999_949, "999.9 us"),
            (999_950, "1 ms"),
            (1_204_000, "1.204 ms"),
            (42_049_999, "42.05 ms"),
            (999_999_999, "1 s"),
            (1_000_500_000, "1.001 s"),
            (18_607_979_832, "18.61 s"),
            (4_805_399_741_000, "4805 s"),
            (u64::MAX, "18446744074 s"),
        ] {
            assert_eq!(time(ns), expected);
        }
    }
}
