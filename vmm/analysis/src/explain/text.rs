//! A record as a drawing: layers from top to bottom, what followed below.

use std::io::{self, Write};

use barscope_trace::event::EventKind;
use barscope_trace::units;

use super::layers::{code_name, layers, whose};
use super::way::way;
use super::{Explanation, Mapped};
use crate::maps::MappingUse;
use crate::style::{ASIDE, HEADING, Paint, WARNING};
use crate::table::wrap;
use crate::view::View;
use crate::words;

/// Where what labels say begins.
pub(super) const LABEL: usize = 15;
/// Where the words on what followed begin.
const FOLLOWED: usize = 36;

/// Prints an explanation in lines of `width` columns.
///
/// # Errors
/// `out` can't be written to.
pub fn print(out: &mut dyn Write, explanation: &Explanation, width: usize, color: bool) -> io::Result<()> {
    Drawing { out, paint: Paint { color }, width: width.max(FOLLOWED + 24) }.print(explanation)
}

struct Drawing<'a> {
    out: &'a mut dyn Write,
    paint: Paint,
    width: usize,
}

impl Drawing<'_> {
    fn print(&mut self, explanation: &Explanation) -> io::Result<()> {
        let view = &explanation.record;
        for line in wrap(&format!("record {}: ", view.seq), 4, &[words::summary(view)], self.width) {
            writeln!(self.out, "{}", self.paint.paint(HEADING, line))?;
        }
        for line in wrap("", 4, &circumstances(view), self.width) {
            writeln!(self.out, "{}", self.paint.paint(ASIDE, line))?;
        }
        writeln!(self.out)?;
        let layers = layers(explanation);
        if layers.is_empty() {
            self.other(explanation)?;
        }
        let way = way(view);
        for (index, row) in way.iter().enumerate() {
            self.row(&row.label, &row.items, index > 0, true)?;
        }
        if !way.is_empty() {
            writeln!(self.out, "v")?;
        }
        for (at, layer) in layers.iter().enumerate() {
            let open = at + 1 < layers.len() || !explanation.followed.is_empty();
            for (index, row) in layer.rows.iter().enumerate() {
                self.row(&row.label, &row.items, index > 0, open)?;
            }
            if open {
                writeln!(self.out, "v")?;
            }
        }
        self.followed(explanation)?;
        for note in explanation.trace.notes() {
            writeln!(self.out, "{}", self.paint.paint(WARNING, note))?;
        }
        Ok(())
    }

    /// A row; `inner` rows of a layer that something follows on hang on a line.
    fn row(&mut self, label: &str, items: &[String], inner: bool, open: bool) -> io::Result<()> {
        let edge = if open { "|" } else { " " };
        let head = if inner { format!("{edge} {label}") } else { label.to_owned() };
        let lines = wrap(&format!("{head:<LABEL$}"), LABEL, items, self.width);
        for (index, line) in lines.iter().enumerate() {
            let (head, rest) = line.split_at_checked(LABEL).unwrap_or((line, ""));
            let head = match index {
                0 if inner => head.to_owned(),
                0 => self.paint.paint(HEADING, head),
                _ => format!("{edge:<LABEL$}"),
            };
            writeln!(self.out, "{head}{}", rest.trim_end())?;
        }
        Ok(())
    }

    /// What is no access.
    fn other(&mut self, explanation: &Explanation) -> io::Result<()> {
        let mut items = kind(&explanation.record);
        items.extend(explanation.faulted.clone());
        if let EventKind::Count { address: 1.., .. } = explanation.record.kind
            && explanation.mappings.is_empty()
        {
            items.push("no mapping of a device held the address".to_owned());
        }
        self.row("what", &items, false, false)?;
        if let Some(cause) = &explanation.cause {
            let mut items = vec![format!("record {}: {}", cause.seq, words::summary(cause))];
            items.extend(cause.access().map(whose));
            self.row("caused by", &items, false, false)?;
        }
        if let EventKind::NotEmulated { .. } = explanation.record.kind {
            for (label, items) in not_emulated(&explanation.record) {
                self.row(label, &items, false, false)?;
            }
        }
        if let Some(Mapped { mapping, .. }) = explanation.mappings.first() {
            self.mapping(mapping)?;
        }
        for mapped in &explanation.mappings {
            self.used(mapped)?;
        }
        if !explanation.followed.is_empty() {
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn mapping(&mut self, mapping: &MappingUse) -> io::Result<()> {
        let MappingUse { virtual_address, physical_address, length, .. } = mapping;
        let last = |first: &u64| first.saturating_add(length.saturating_sub(1));
        let from = format!("{virtual_address:016x}-{:016x}", last(virtual_address));
        let to = format!("{physical_address:x}-{:x}", last(physical_address));
        let space = match mapping.address_space {
            Some(cr3) => format!("in the address space of CR3 {cr3:x}"),
            None => "in the kernel's part of all address spaces".to_owned(),
        };
        let items = vec![format!("{from} -> {to}"), units::size(*length), space];
        self.row("mapping", &items, false, false)?;
        let mut items = vec![format!("{} by {}", mapping.call, mapping.who)];
        items.extend(mapping.made.map(|seq| format!("made in record {seq}")));
        items.extend(mapping.undone.map(|seq| format!("undone in record {seq}")));
        if mapping.on_fault {
            items.push("filled on first touch".to_owned());
        }
        self.row("", &items, false, false)
    }

    fn used(&mut self, Mapped { to, mapping }: &Mapped) -> io::Result<()> {
        let MappingUse { used, .. } = mapping;
        let mut items = vec![to.clone().unwrap_or_else(|| "for no BAR".to_owned())];
        items.push(words::counted(used.accesses, "access", "accesses"));
        if let (Some(first), Some(last)) = (used.first, used.last) {
            items.push(if first == last {
                format!("record {first}")
            } else {
                format!("records {first} to {last}")
            });
        }
        if used.unclaimed > 0 {
            items.push(format!("{} reached nothing", words::number(used.unclaimed)));
        }
        let types = mapping.types();
        if !types.is_empty() {
            items.push(format!("memory type {}", types.join(" and ")));
        }
        items.push(words::counted(
            mapping.faults_resolved + mapping.faults_fatal,
            "page fault",
            "page faults",
        ));
        self.row("used", &items, false, false)
    }

    /// What devices did, and what the handler did about that.
    fn followed(&mut self, explanation: &Explanation) -> io::Result<()> {
        let Some(first) = explanation.followed.first() else { return Ok(()) };
        let cause = explanation.cause.as_ref().unwrap_or(&explanation.record);
        let label = if first.is_effect() { "device" } else { "followed" };
        let head = format!("{:<LABEL$}", self.paint.paint(HEADING, label));
        let pad = LABEL.saturating_sub(label.len());
        let head = if self.paint.color { head + &" ".repeat(pad) } else { head };
        let columns = format!("time since record {}: of the device clock, of the host", cause.seq);
        writeln!(self.out, "{head}{}", self.paint.paint(ASIDE, columns))?;
        for view in &explanation.followed {
            let own = if view.seq == explanation.record.seq { ">" } else { " " };
            let (device, host) = (after(view.device_ns, cause.device_ns), after(view.host_ns, cause.host_ns));
            let nested = if view.cause() == Some(cause.seq) { "" } else { "  " };
            let head = format!("{own} {:>8} {device:>10} {host:>12}  {nested}", view.seq);
            let mut items = vec![words::summary(view)];
            items.extend(view.access().map(whose));
            for line in wrap(&head, FOLLOWED, &items, self.width) {
                writeln!(self.out, "{}", line.trim_end())?;
            }
        }
        if explanation.not_shown > 0 {
            writeln!(self.out, "  and {} records more", words::number(explanation.not_shown))?;
        }
        Ok(())
    }
}

/// What is known of an instruction that could not be emulated: a label and the items of its row, each.
fn not_emulated(view: &View) -> Vec<(&'static str, Vec<String>)> {
    let mut rows = vec![("code", vec![code_name(view)])];
    if let Some(code) = view.code() {
        rows.push(("instruction", vec![code.text.clone(), format!("at {:x}", code.rip)]));
    }
    let mut items: Vec<_> = view.cpl().map(|cpl| format!("ring {cpl}")).into_iter().collect();
    items.extend(view.process().map(|process| format!("{} {}", process.name, process.pid)));
    rows.push(("privilege", items));
    if let (Some(virtual_address), Some(walk)) = (view.gva(), view.walk()) {
        let path = format!("{}{}", walk.path, if walk.announced { "" } else { ", inferred" });
        let memory_type = words::memory_type(walk.pat, walk.memory_type);
        let items = vec![format!("{virtual_address:016x}"), path, format!("memory type {memory_type}")];
        rows.push(("virtual", items));
    }
    if let Some(address) = view.gpa() {
        let mut items = vec![format!("{address:x}")];
        items.extend(view.place().map(|place| {
            let register = place.register_name().map(|name| format!(" {name}")).unwrap_or_default();
            format!("{place}{register}")
        }));
        rows.push(("bus", items));
    }
    rows
}

/// Time between two records.
fn after(ns: u64, cause_ns: u64) -> String {
    format!("+{}", words::time(ns.saturating_sub(cause_ns)))
}

/// When and where it happened.
fn circumstances(view: &View) -> Vec<String> {
    let mut items = Vec::new();
    items.extend(view.scenario.as_ref().map(|scenario| format!("scenario {scenario}")));
    items.push(match view.vcpu {
        Some(vcpu) => format!("vCPU {vcpu}"),
        None if view.access().is_some() => "no vCPU".to_owned(),
        None => match view.function() {
            Some(function) => format!("{} {} by itself", function.bdf, function.name),
            None => "a device by itself".to_owned(),
        },
    });
    items.push(format!("{} device clock", words::time(view.device_ns)));
    items.push(format!("{} host", words::time(view.host_ns)));
    items
}

/// What a record is, where its summary isn't enough.
fn kind(view: &View) -> Vec<String> {
    let whose = view.function().map(|function| format!("{} {}", function.bdf, function.name));
    let of = whose.map(|whose| format!(" of {whose}")).unwrap_or_default();
    match view.kind {
        EventKind::Access(_) => vec!["an access".to_owned()],
        EventKind::Change { old, new, .. } => {
            let place = view.place().map(ToString::to_string).unwrap_or_default();
            vec![format!("a register{of} changed: {place} from {old:#x} to {new:#x}")]
        }
        EventKind::Busy { .. } => {
            let duration = words::time(view.busy_ns().unwrap_or(0));
            vec![format!("work{of} that takes {duration} on the device clock")]
        }
        EventKind::Msi { index, address, data, delivered, .. } => {
            let taken = if delivered { "KVM took it" } else { "KVM did not take it" };
            vec![
                format!("message-signalled interrupt{of}"),
                format!("vector {index} of the function: {data:#x} written to {address:x}"),
                taken.to_owned(),
            ]
        }
        EventKind::InterruptLost { .. } => {
            vec![format!("an interrupt{of} that reached no processor and won't")]
        }
        EventKind::AddressCut { bits, .. } => {
            vec![format!("an address for DMA, too long for the {bits} address bits{of}")]
        }
        EventKind::InterruptMasked { .. } => vec![format!("an interrupt{of} that waits for its mask to go")],
        EventKind::Intx { .. } => vec![format!("the interrupt pin{of}")],
        EventKind::Dma { .. } => vec![format!("a transfer{of} between the device and guest memory")],
        EventKind::Route { .. } => match view.route() {
            Some(route) => {
                let last = route.base.saturating_add(route.size.saturating_sub(1));
                vec![format!("what decodes {:x}-{last:x}: {}{of}", route.base, route.region)]
            }
            None => vec!["what decodes a range of addresses".to_owned()],
        },
        EventKind::Backing { .. } => vec![format!("how accesses to a BAR{of} are served from here on")],
        EventKind::PagesWritten { .. } => vec![format!("pages{of} that the guest wrote without a trap")],
        EventKind::Doorbell { .. } => vec![format!("a doorbell{of} that KVM takes without a record of each")],
        EventKind::Map { .. } => vec!["the guest announces a mapping".to_owned()],
        EventKind::Unmap { .. } => vec!["the guest announces that a mapping ends".to_owned()],
        EventKind::Mark { .. } => vec!["a point that the guest or the bench named".to_owned()],
        EventKind::ScenarioBegin { .. } => vec!["what follows is part of this scenario".to_owned()],
        EventKind::ScenarioEnd { .. } => {
            vec![format!("the scenario's result: {}", view.text().unwrap_or_default())]
        }
        EventKind::Count { call: Some(_), .. } => {
            vec!["a program enters the kernel by a system call".to_owned()]
        }
        EventKind::Count { address: 0, .. } => vec!["what the guest's kernel counted".to_owned()],
        EventKind::Count { rip: 0, .. } => vec!["a page fault".to_owned()],
        EventKind::Count { rip, .. } => vec![format!("a page fault of the instruction at {rip:x}")],
        EventKind::IsrEnter { .. } => vec!["from here on this vCPU is in an interrupt handler".to_owned()],
        EventKind::IsrExit { .. } => vec!["this vCPU leaves the interrupt handler".to_owned()],
        EventKind::ClockJump { .. } => vec!["the guest waits, so the virtual device clock jumps".to_owned()],
        EventKind::NotEmulated { gpa: None, .. } => {
            vec!["KVM_EXIT_INTERNAL_ERROR: emulation failed".to_owned()]
        }
        EventKind::NotEmulated { .. } => vec![
            format!("an access{of} that never happened"),
            "KVM_EXIT_INTERNAL_ERROR: emulation failed".to_owned(),
            "the guest got #UD".to_owned(),
        ],
        EventKind::Spin { due_ns, .. } => vec![
            "a loop reads this register and gets the same again and again".to_owned(),
            words::way_out(due_ns),
        ],
        EventKind::PageWalk { .. } => {
            vec!["how an address is mapped, which nothing accesses here".to_owned()]
        }
        EventKind::Console { .. } => match view.trouble() {
            Some(trouble) => vec![format!("{} on the guest's console", trouble.about())],
            None => vec!["a line that the guest printed on its console".to_owned()],
        },
        EventKind::Warning { .. } => vec!["something worth knowing".to_owned()],
    }
}
