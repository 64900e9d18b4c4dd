//! An access in words: layers, each with rows that have a label. The drawing and the comparison are made of
//! the same.

use barscope_trace::definition::MemoryType;
use barscope_trace::units;

use super::{Explanation, Layers, PageTable, RouteUse, TypeReason, Walked};
use crate::maps::Entered;
use crate::view::{AccessView, BusAddress, Context, Place, View};
use crate::words;

/// What an access goes through from one layer to the next.
pub(super) struct Layer {
    /// The first row's label is the layer's name.
    pub rows: Vec<Row>,
}

/// One fact.
pub(super) struct Row {
    pub label: String,
    /// In words: an item each.
    pub items: Vec<String>,
    pub likeness: Likeness,
}

/// When two rows are the same.
pub(super) enum Likeness {
    /// It is of no interest: no two accesses share it.
    Aside,
    /// By its words.
    Words,
    /// By these bits: what else is there always differs.
    Bits(Vec<&'static str>),
    /// By this.
    Key(String),
}

impl Row {
    fn new(label: &str, items: Vec<String>, likeness: Likeness) -> Self {
        Self { label: label.to_owned(), items, likeness }
    }

    fn words(label: &str, item: impl Into<String>) -> Self {
        Self::new(label, vec![item.into()], Likeness::Words)
    }

    pub(super) fn aside(label: &str, items: Vec<String>) -> Self {
        Self::new(label, items, Likeness::Aside)
    }
}

/// The layers of an access.
pub(super) fn layers(explanation: &Explanation) -> Vec<Layer> {
    let view = &explanation.record;
    if let Some(walked) = &explanation.walked {
        return self::walked(view, walked).into_iter().map(|rows| Layer { rows }).collect();
    }
    let (Some(access), Some(layers)) = (view.access(), &explanation.access) else { return Vec::new() };
    let mut list = vec![code(view, access, layers)];
    list.extend(virtual_address(access, layers));
    list.extend(layers.page_table.as_ref().map(|table| page_walk(table, layers.memory_type, true)));
    list.push(bus(access, layers));
    list.push(register(access, layers));
    list.into_iter().map(|rows| Layer { rows }).collect()
}

fn code(view: &View, access: AccessView<'_>, layers: &Layers) -> Vec<Row> {
    if view.vcpu.is_none() {
        return vec![Row::words("code", "none: no processor made this access")];
    }
    let mut rows = vec![Row::aside("code", vec![whose(access)])];
    if let Some(code) = access.code() {
        let mut items = vec![code.text.clone(), format!("at {:x}", code.rip)];
        if code.ambiguous {
            items.push("others that end here would fit too".to_owned());
        }
        rows.push(Row::aside("instruction", items));
    }
    let ring = match access.cpl {
        0 => "ring 0, kernel".to_owned(),
        3 => "ring 3, user".to_owned(),
        other => format!("ring {other}"),
    };
    let mut items = vec![ring.clone()];
    items.extend(access.process().map(|process| format!("{} {}", process.name, process.pid)));
    rows.push(Row::new("privilege", items, Likeness::Key(ring)));
    rows.extend(handler(view));
    if access.coalesced {
        rows.push(Row::words("late", "KVM gathered this write: who made it is not known"));
    }
    if !layers.parts.is_empty() {
        rows.push(Row::aside("parts", parts(view, layers)));
    }
    rows
}

/// What the code runs as, where that isn't a task, and what led to it.
fn handler(view: &View) -> Option<Row> {
    let mut items = Vec::new();
    if let Some(cause) = view.cause() {
        let sure = if view.knows_cause() { "" } else { "probably " };
        items.push(format!("interrupt {sure}caused by record {cause}"));
    }
    let label = match view.context {
        Some(Context::ThreadedHandler) => {
            items.insert(0, "in a thread of its own".to_owned());
            "handler"
        }
        Some(Context::HardHandler) if view.callers().is_some() => {
            items.insert(0, "of a device, interrupts off".to_owned());
            "handler"
        }
        Some(Context::Softirq) => {
            items.insert(0, "put off by an interrupt".to_owned());
            "softirq"
        }
        Some(Context::Interrupt) => {
            items.insert(0, "not of a device's line".to_owned());
            "interrupt"
        }
        Some(Context::Task | Context::HardHandler) | None => "handler",
    };
    (!items.is_empty()).then(|| Row::new(label, items, Likeness::Key(label.to_owned())))
}

/// Who made it: function and line, or the address.
pub(super) fn whose(access: AccessView<'_>) -> String {
    code_name(access.view)
}

/// The same of any record of an instruction.
pub(super) fn code_name(view: &View) -> String {
    match view.made() {
        Some(made) if made.by.function.is_some() => made.describe(),
        Some(made) => format!("no known function at {:x}", made.by.address),
        None => "unknown".to_owned(),
    }
}

fn parts(view: &View, layers: &Layers) -> Vec<String> {
    let own = view.access();
    let half = |part: &View| {
        let other = part.access();
        own.zip(other).is_some_and(|(own, other)| {
            own.read_modify_write && own.write != other.write && own.address() == other.address()
        })
    };
    if let [only] = layers.parts.as_slice()
        && half(only)
    {
        let which = if only.seq > view.seq { "writes back" } else { "reads first" };
        return vec![format!("of a read-modify-write: record {} {which}", only.seq)];
    }
    let more = layers.parts_not_shown;
    let all = layers.parts.len() as u64 + more + 1;
    let seqs: Vec<_> = layers.parts.iter().map(|part| part.seq.to_string()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    vec![format!("one of {all} of one instruction: also records {}{more}", seqs.join(", "))]
}

fn virtual_address(access: AccessView<'_>, layers: &Layers) -> Option<Vec<Row>> {
    let address = access.gva()?;
    let mut rows = vec![Row::words("virtual", format!("{address:016x}"))];
    let Some(mapping) = access.mapping() else {
        let guess = format!("{}: inferred from the page walk, not announced", access.path());
        rows.push(Row::new("mapping", vec![guess], Likeness::Key(access.path().to_string())));
        rows.extend(fault(layers).map(|fault| Row::aside("filled", vec![fault])));
        return Some(rows);
    };
    let items = vec![mapping.call.clone(), format!("by {}", mapping.who)];
    rows.push(Row::new("mapping", items, Likeness::Words));
    let made = match layers.mapped {
        Some(seq) => format!("record {seq}, announced"),
        None if mapping.announced => "announced, in no record".to_owned(),
        None => "not announced: read from what the kernel says of the process".to_owned(),
    };
    let mut items = vec![made];
    items.extend(layers.unmapped.map(|seq| format!("undone in record {seq}")));
    rows.push(Row::aside("made", items));
    let filled = match (fault(layers), mapping.on_fault) {
        (Some(fault), _) => fault,
        (None, true) => "on first touch".to_owned(),
        (None, false) => "at once".to_owned(),
    };
    let how = if mapping.on_fault { "on first touch" } else { "at once" };
    rows.push(Row::new("filled", vec![filled], Likeness::Key(how.to_owned())));
    Some(rows)
}

fn fault(layers: &Layers) -> Option<String> {
    let fault = layers.fault.as_ref()?;
    let code = fault.code.as_ref().map(|code| format!(" in {code}")).unwrap_or_default();
    Some(format!("by a page fault, record {}{code}", fault.record.seq))
}

/// What somebody wanted to know of an address: who, where it is, its page walk, what it leads to.
fn walked(view: &View, walked: &Walked) -> Vec<Vec<Row>> {
    let mut who: Vec<_> = view.cpl().map(|cpl| format!("ring {cpl}")).into_iter().collect();
    who.extend(view.process().map(|process| format!("{} {}", process.name, process.pid)));
    let mut rows =
        vec![Row::words("virtual", view.gva().map(|gva| format!("{gva:016x}")).unwrap_or_default())];
    rows.extend(view.mapping().map(|mapping| {
        Row::new("mapping", vec![mapping.call.clone(), format!("by {}", mapping.who)], Likeness::Words)
    }));
    let mut list = vec![vec![Row::aside("asked by", who)], rows];
    let Some(table) = &walked.page_table else {
        list.push(vec![Row::words(
            "page walk",
            "ends at an entry that isn't present: an access would fault",
        )]);
        return list;
    };
    list.push(page_walk(table, walked.memory_type, view.place().is_some() || view.place_is_open()));
    let gpa = view.gpa().map(|gpa| format!("{gpa:x}")).unwrap_or_default();
    let leads = match view.place() {
        Some(place) => {
            let register = place.register_name().map(|name| format!(" {name}")).unwrap_or_default();
            format!("{place}{register}, a device's")
        }
        None if view.place_is_open() => "a device".to_owned(),
        None => "memory, no device's".to_owned(),
    };
    list.push(vec![Row::words("physical", gpa), Row::words("leads to", leads)]);
    list
}

fn page_walk(table: &PageTable, reason: Option<TypeReason>, device: bool) -> Vec<Row> {
    if table.entries.is_empty() {
        return vec![Row::words("page walk", "paging is off")];
    }
    let mut rows = vec![Row::aside("page walk", vec![format!("CR3 {:x}", table.cr3)])];
    for entry in &table.entries {
        let text = format!("[{:03}] {:x} {}", entry.index, entry.value, entry.flags());
        rows.push(Row::new(entry.table, vec![text], Likeness::Bits(entry.bits.clone())));
    }
    rows.push(Row::words("page", units::size(table.page_size)));
    let who = if table.user { "ring 3 too" } else { "ring 0 only" };
    let what = if table.writable { "writable" } else { "read-only" };
    rows.push(Row::words("rights", format!("{who}, {what}")));
    if let Some(reason) = reason {
        let mut items = reason.words();
        let meaning = if device { of_device } else { of_memory };
        items.push(meaning(reason.memory_type).to_owned());
        let key = words::memory_type(reason.pat, reason.memory_type);
        rows.push(Row::new("memory type", items, Likeness::Key(key)));
    }
    rows
}

/// What a memory type does to accesses to memory.
fn of_memory(memory_type: MemoryType) -> &'static str {
    match memory_type {
        MemoryType::Uncacheable | MemoryType::UncacheableMinus => "uncached",
        MemoryType::WriteCombining => "uncached, and writes may be merged",
        MemoryType::WriteThrough | MemoryType::WriteProtected => "cached for reads",
        MemoryType::WriteBack => "cached: loads and stores need not leave the processor",
    }
}

/// What a memory type does to accesses to a device.
fn of_device(memory_type: MemoryType) -> &'static str {
    match memory_type {
        MemoryType::Uncacheable | MemoryType::UncacheableMinus => {
            "uncached: each access goes out by itself, in order"
        }
        MemoryType::WriteCombining => "a real device may see writes merged, late, out of order",
        MemoryType::WriteThrough | MemoryType::WriteProtected => "cached: a real device may not see a read",
        MemoryType::WriteBack => "cached: a real device may see neither reads nor writes",
    }
}

fn bus(access: AccessView<'_>, layers: &Layers) -> Vec<Row> {
    let mut rows = match access.address() {
        BusAddress::Memory(address) => vec![Row::words("physical", format!("{address:x}"))],
        BusAddress::Port(port) => vec![Row::words("port", format!("{port:x}"))],
    };
    rows.push(Row::words("KVM exit", layers.exit));
    let Some(route) = &layers.route else {
        let (nothing, place) = match access.place() {
            Some(place) => (place.bdf.map(|bdf| format!(" at {bdf}")).unwrap_or_default(), ""),
            None => (String::new(), " of this machine"),
        };
        let mut items = vec![format!("none: no function{nothing}{place} decodes it")];
        items.extend(access.absent().map(words::absence));
        rows.push(Row::new("route", items, Likeness::Words));
        return rows;
    };
    rows.push(Row::new("route", way(access, route), Likeness::Key(format!("{:x}", route.first))));
    rows
}

fn way(access: AccessView<'_>, route: &RouteUse) -> Vec<String> {
    let whose = match access.place() {
        Some(place) => {
            let bdf = place.bdf.map_or_else(|| "the host bridge".to_owned(), |bdf| bdf.to_string());
            format!("{bdf} {}", place.device())
        }
        None => "nothing".to_owned(),
    };
    let mechanism = match (access.is_configuration(), access.address()) {
        (false, _) => route.region.to_string(),
        (true, BusAddress::Memory(_)) => "configuration space by ECAM".to_owned(),
        (true, BusAddress::Port(_)) => "configuration space by CF8/CFC".to_owned(),
    };
    let mut items =
        vec![format!("{:x}-{:x}", route.first, route.last), format!("{} {mechanism}", whose.trim())];
    if let Some(since) = route.since {
        let cause = route.cause.map_or_else(|| "firmware".to_owned(), |cause| cause.to_string());
        items.push(format!("since record {since} (by {cause})"));
    }
    items
}

fn register(access: AccessView<'_>, layers: &Layers) -> Vec<Row> {
    let mut rows = Vec::new();
    let place = access.place().map(ToString::to_string);
    match (&layers.register, place) {
        (Some(register), Some(place)) => {
            let within = access.place().and_then(Place::register_name);
            let name = within.unwrap_or_else(|| register.name.clone());
            let kind = if register.memory { "memory".to_owned() } else { format!("{} bytes", register.size) };
            let mut items = vec![format!("{place} {name}"), register.access.abbreviation().to_owned(), kind];
            if !register.doc.is_empty() {
                items.push(register.doc.clone());
            }
            rows.push(Row::new("register", items, Likeness::Key(format!("{place} {name}"))));
        }
        (None, Some(place)) if access.is_configuration() => rows.push(Row::words("register", place)),
        (None, Some(place)) => rows.push(Row::words("register", format!("{place}, which has no name"))),
        (_, None) => rows.push(Row::words("register", "none")),
    }
    let direction = if access.write { "write" } else { "read" };
    let bytes = words::counted(access.size.into(), "byte", "bytes");
    rows.push(Row::aside(direction, vec![words::value(access), bytes]));
    if let Some(why) = words::refusal(access) {
        rows.push(Row::words("refused", why));
    }
    if let Some(register) = &layers.register {
        if let (Some(old), Some(new)) = (register.old, register.new) {
            rows.push(Row::aside("value", vec![format!("{old:#x} -> {new:#x}")]));
        }
        let fields: Vec<_> = register.fields.iter().map(super::register::FieldUse::describe).collect();
        if !fields.is_empty() {
            rows.push(Row::aside("fields", fields));
        }
    }
    if access.service_ns > 0 {
        let time = words::time(access.service_ns.into());
        rows.push(Row::aside("served in", vec![format!("{time} of the host: bus, function, device")]));
    }
    match &layers.kernel_entries {
        None if layers.entered.is_some() => {
            let items = layers.entered.iter().map(Entered::describe).collect();
            rows.push(Row::aside("kernel entry", items));
        }
        Some(view) => {
            let items = vec![format!("record {}: {}", view.seq, words::summary(view))];
            rows.push(Row::aside("kernel entry", items));
        }
        // Without a processor there is no kernel.
        None if access.view.vcpu.is_none() => {}
        None => {
            let text = if access.cpl == 0 { "none: it is the kernel" } else { "not counted around it" };
            rows.push(Row::aside("kernel entry", vec![text.to_owned()]));
        }
    }
    rows
}
