//! Is docs/trace-format.md true, byte by byte?

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use barscope_device::{InterruptLoss, Region};
use barscope_trace::definition::{Cut, Definition, File, MemoryType, Process, Stack};
use barscope_trace::event::{
    AccessEvent, Backing, Bits, Counted, DmaOutcome, KINDS, MemoryOperand, Outcome, RouteChange, Target,
};
use barscope_trace::{Capability, Clock, Content, End, Event, EventKind, Knowledge, Writer};
use tempfile::TempDir;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/trace-format.md");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sample.trace.gz");
const HEADER_BYTES: usize = 4096;
const SLOT_BYTES: usize = 64;
/// Bytes that every event begins with, but for those of its kind.
const OF_ALL: [usize; 25] =
    [0, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31];

/// Where the document says that a field is: bytes, or bits of one.
#[derive(Clone, Debug)]
enum Place {
    Bytes(RangeInclusive<usize>),
    Bits { byte: usize, bits: RangeInclusive<usize> },
}

impl Place {
    /// `2`, `4-7`, `1:0` or `1:3-4`.
    fn parse(text: &str) -> Option<Self> {
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        Some(match text.split_once(':') {
            Some((byte, bits)) => Place::Bits { byte: byte.parse().ok()?, bits: range(bits)? },
            None => Place::Bytes(range(text)?),
        })
    }

    /// The first bit, from the record's beginning, and how many there are.
    fn bits(&self) -> (usize, usize) {
        match self {
            Place::Bytes(bytes) => (8 * bytes.start(), 8 * bytes.clone().count()),
            Place::Bits { byte, bits } => (8 * byte + bits.start(), bits.clone().count()),
        }
    }

    /// What is there, and zeros in its place.
    fn take(&self, record: &mut [u8]) -> u64 {
        match self {
            Place::Bytes(bytes) => {
                let value = bytes.clone().rev().fold(0, |value, at| value << 8 | u64::from(record[at]));
                record[bytes.clone()].fill(0);
                value
            }
            Place::Bits { byte, bits } => {
                let mask = bits.clone().fold(0, |mask, bit| mask | 1 << bit);
                let value = (record[*byte] & mask) >> bits.start();
                record[*byte] &= !mask;
                value.into()
            }
        }
    }
}

/// By its name, the code of a kind, and where its fields are.
type Kinds = BTreeMap<String, (u8, BTreeMap<String, Place>)>;

/// The document.
struct Document(String);

impl Document {
    fn read() -> Result<Self> {
        Ok(Self(fs::read_to_string(DOCUMENT).context(DOCUMENT)?))
    }

    /// Rows of all tables between a heading and the next one.
    fn rows(&self, heading: &str) -> Vec<Vec<&str>> {
        let after = self.0.split_once(&format!("\n{heading}\n")).map_or("", |(_, after)| after);
        let lines = after.lines().take_while(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect()
    }

    /// The code of each kind, and where its fields are.
    fn kinds(&self) -> Result<Kinds> {
        let mut kinds = Kinds::new();
        for row in self.rows("## Events") {
            let [kind, code, field, place, _] = row[..] else { continue };
            let Ok(code) = code.parse() else { continue };
            let (known, fields) = kinds.entry(kind.to_owned()).or_insert((code, BTreeMap::new()));
            ensure!(*known == code, "two codes of {kind}");
            let place = Place::parse(place).with_context(|| format!("{kind}.{field} at {place}"))?;
            ensure!(fields.insert(field.to_owned(), place).is_none(), "two fields {kind}.{field}");
        }
        Ok(kinds)
    }

    /// The names of codes below a heading.
    fn codes(&self, heading: &str) -> Vec<(u64, &str)> {
        let rows = self.rows(heading).into_iter();
        rows.filter_map(|row| Some((row.first()?.parse().ok()?, *row.get(1)?))).collect()
    }
}

/// The file of a finished trace that holds one event.
fn file(kind: EventKind) -> Result<Vec<u8>> {
    let folder = TempDir::new()?;
    let path = folder.path().join("trace");
    let writer = Writer::create(&path, Clock::Virtual)?;
    writer.know(Capability::Paths, Knowledge::Inferred);
    let seq = writer.reserve();
    let event = Event { seq, host_ns: 0x1122_3344_5566, device_ns: 0x6655_4433_2211, vcpu: Some(6), kind };
    writer.lane(Some(6)).record(&event)?;
    writer.finish(End::Failed("broke".to_owned()))?;
    Ok(fs::read(path)?)
}

fn number(bytes: &[u8], place: RangeInclusive<usize>) -> u64 {
    bytes[place].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The bytes of that event, as many as the header page says of its kind.
fn record(kind: EventKind) -> Result<(String, Vec<u8>)> {
    let file = file(kind)?;
    let at = HEADER_BYTES + SLOT_BYTES;
    let listed =
        file[128..2176].chunks(32).find(|entry| entry[0] == file[at]).context("a kind that isn't listed")?;
    let name = std::str::from_utf8(&listed[8..])?.trim_end_matches('\0').to_owned();
    Ok((name, file[at..][..SLOT_BYTES * usize::from(listed[1])].to_vec()))
}

/// Events of every kind, with what each of its fields holds: nothing twice, and all of what has room.
fn events() -> Vec<(EventKind, Vec<(&'static str, u64)>)> {
    let access = AccessEvent {
        route: 0x0102_0304,
        target: Target::Memory(0x1112_1314_1516_1718),
        write: true,
        size: 8,
        value: 0x2122_2324_2526_2728,
        cpl: 2,
        read_modify_write: false,
        coalesced: true,
        outcome: Outcome::Range,
        walk: 0x3132_3334,
        instruction: 0x4142_4344,
        instance: 0x5152_5354,
        fragment: 0x61,
        service_ns: 0x71_7273,
        stack: 0x8182_8384,
        pat: Some(MemoryType::UncacheableMinus),
        memory_type: Some(MemoryType::WriteBack),
    };
    let of_both = [
        ("size", 8),
        ("route", 0x0102_0304),
        ("value", 0x2122_2324_2526_2728),
        ("walk", 0x3132_3334),
        ("instruction", 0x4142_4344),
        ("instance", 0x5152_5354),
        ("fragment", 0x61),
        ("service_ns", 0x71_7273),
        ("stack", 0x8182_8384),
    ];
    let memory = [
        ("write", 1),
        ("read_modify_write", 0),
        ("is_port", 0),
        ("cpl", 2),
        ("coalesced", 1),
        ("outcome", 9),
        ("address", 0x1112_1314_1516_1718),
        ("pat", 2),
        ("memory_type", 6),
    ];
    let target = Target::Port { port: 0x9192, routing_id: 0x9394, offset: 0x9596 };
    let by_port = AccessEvent {
        target,
        write: false,
        cpl: 1,
        read_modify_write: true,
        coalesced: false,
        outcome: Outcome::Unclaimed,
        pat: None,
        memory_type: None,
        ..access
    };
    let port = [
        ("write", 0),
        ("read_modify_write", 1),
        ("is_port", 1),
        ("cpl", 1),
        ("coalesced", 0),
        ("outcome", 1),
        ("port", 0x9192),
        ("routing_id", 0x9394),
        ("port_offset", 0x9596),
        ("pat", 0),
        ("memory_type", 0),
    ];
    let (id, cause) = (0x0102_0304, 0x1112_1314_1516_1718);
    let function = ("function", 0x0102_0304);
    let caused = ("cause", 0x1112_1314_1516_1718);
    let operand = MemoryOperand { reads: true, writes: false, size: 64 };
    vec![
        (EventKind::Access(access), [&memory[..], &of_both].concat()),
        (EventKind::Access(by_port), [&port[..], &of_both].concat()),
        (
            EventKind::Change {
                function: id,
                region: Region::Config,
                offset: 0x21,
                old: 0x31,
                new: 0x41,
                cause,
            },
            vec![function, ("region", 7), ("offset", 0x21), ("old", 0x31), ("new", 0x41), caused],
        ),
        (EventKind::Busy { function: id, until_ns: 0x21, cause }, vec![function, ("until_ns", 0x21), caused]),
        (
            EventKind::Msi {
                function: id,
                index: 0x2122,
                address: 0x31,
                data: 0x4142_4344,
                delivered: true,
                cause,
            },
            vec![
                function,
                ("index", 0x2122),
                ("address", 0x31),
                ("data", 0x4142_4344),
                ("delivered", 1),
                caused,
            ],
        ),
        (
            EventKind::InterruptLost { function: id, index: 0x2122, why: Some(InterruptLoss::Asleep), cause },
            vec![function, ("index", 0x2122), ("why", 3), caused],
        ),
        (
            EventKind::InterruptMasked { function: id, index: 0x2122, cause },
            vec![function, ("index", 0x2122), caused],
        ),
        (
            EventKind::Intx { function: id, asserted: true, gsi: 0x21, cause },
            vec![function, ("asserted", 1), ("gsi", 0x21), caused],
        ),
        (
            EventKind::AddressCut { function: id, asked: 0x21, bits: 28, cause },
            vec![function, ("asked", 0x21), ("bits", 28), caused],
        ),
        (
            EventKind::Dma {
                function: id,
                to_memory: true,
                address: 0x21,
                length: 0x31,
                outcome: DmaOutcome::OutOfBounds,
                cause,
            },
            vec![function, ("to_memory", 1), ("address", 0x21), ("length", 0x31), ("outcome", 2), caused],
        ),
        (
            EventKind::Route { route: id, change: RouteChange::Refused, cause },
            vec![("route", 0x0102_0304), ("change", 2), caused],
        ),
        (
            EventKind::Backing { route: id, backing: Backing::Coalesced, cause },
            vec![("route", 0x0102_0304), ("backing", 3), caused],
        ),
        (
            EventKind::PagesWritten { route: id, offset: 0x21, pages: 0x31, since: 0x41 },
            vec![("route", 0x0102_0304), ("offset", 0x21), ("pages", 0x31), ("since", 0x41)],
        ),
        (
            EventKind::Doorbell { route: id, offset: 0x21, count: 0x31 },
            vec![("route", 0x0102_0304), ("offset", 0x21), ("count", 0x31)],
        ),
        (EventKind::Map { mapping: id }, vec![("mapping", 0x0102_0304)]),
        (EventKind::Unmap { mapping: id }, vec![("mapping", 0x0102_0304)]),
        (
            EventKind::Mark { text: id, process: 0x2122_2324 },
            vec![("text", 0x0102_0304), ("process", 0x2122_2324)],
        ),
        (EventKind::ScenarioBegin { name: id }, vec![("name", 0x0102_0304)]),
        (EventKind::ScenarioEnd { passed: true, summary: id }, vec![("passed", 1), ("summary", 0x0102_0304)]),
        (
            EventKind::Count {
                what: Counted::FaultFatal,
                value: 0x21,
                address: 0x31,
                error_code: 0x4142_4344,
                rip: 0x51,
                process: id,
                call: Some(0x6162_6364),
            },
            vec![
                ("what", 2),
                ("value", 0x21),
                ("address", 0x31),
                ("error_code", 0x4142_4344),
                ("rip", 0x51),
                ("process", 0x0102_0304),
                ("call_known", 1),
                ("call", 0x6162_6364),
            ],
        ),
        (EventKind::IsrEnter { vector: 0x21 }, vec![("vector", 0x21)]),
        (EventKind::IsrExit { vector: 0x21 }, vec![("vector", 0x21)]),
        (EventKind::ClockJump { to_ns: 0x2122_2324_2526_2728 }, vec![("to_ns", 0x2122_2324_2526_2728)]),
        (
            EventKind::NotEmulated {
                cpl: 3,
                instruction: id,
                walk: 0x2122_2324,
                route: 0x3132_3334,
                gpa: Some(0x4142_4344_4546_4748),
                operand,
                stack: 0x5152_5354,
            },
            vec![
                ("cpl", 3),
                ("instruction", 0x0102_0304),
                ("walk", 0x2122_2324),
                ("route", 0x3132_3334),
                ("gpa_known", 1),
                ("gpa", 0x4142_4344_4546_4748),
                ("reads", 1),
                ("writes", 0),
                ("size", 64),
                ("stack", 0x5152_5354),
            ],
        ),
        (
            EventKind::PageWalk {
                cpl: 3,
                text: id,
                address: 0x2122_2324_2526_2728,
                walk: 0x3132_3334,
                gpa: Some(0x4142_4344_4546_4748),
                route: 0x5152_5354,
            },
            vec![
                ("cpl", 3),
                ("text", 0x0102_0304),
                ("address", 0x2122_2324_2526_2728),
                ("walk", 0x3132_3334),
                ("gpa_known", 1),
                ("gpa", 0x4142_4344_4546_4748),
                ("route", 0x5152_5354),
            ],
        ),
        (
            EventKind::Spin {
                function: id,
                region: Region::BAR2,
                offset: 0x2122_2324_2526_2728,
                value: 0x3132_3334_3536_3738,
                times: 0x4142_4344,
                due_ns: Some(0x5152_5354),
                cause: 0x61,
            },
            vec![
                ("function", 0x0102_0304),
                ("region", 2),
                ("offset", 0x2122_2324_2526_2728),
                ("value", 0x3132_3334_3536_3738),
                ("times", 0x4142_4344),
                ("due_ns_known", 1),
                ("due_ns", 0x5152_5354),
                ("cause", 0x61),
            ],
        ),
        (EventKind::Console { text: id }, vec![("text", 0x0102_0304)]),
        (EventKind::Warning { text: id }, vec![("text", 0x0102_0304)]),
    ]
}

#[test]
fn every_field_of_every_kind_of_event_is_where_the_document_says() -> Result<()> {
    let document = Document::read()?;
    let mut kinds = document.kinds()?;
    let mut told = BTreeMap::new();
    for (kind, fields) in events() {
        let (name, mut bytes) = record(kind)?;
        let (code, places) = kinds.get(&name).with_context(|| format!("{name} isn't documented"))?;
        assert_eq!(bytes[0], *code, "{name}");
        for (field, expected) in fields {
            let place = places.get(field).with_context(|| format!("{name}.{field} isn't documented"))?;
            assert_eq!(place.take(&mut bytes), expected, "{name}.{field}");
            told.entry(name.clone()).or_insert_with(Vec::new).push(field.to_owned());
        }
        OF_ALL.iter().for_each(|at| bytes[*at] = 0);
        assert!(bytes.iter().all(|byte| *byte == 0), "{name} holds more: {bytes:x?}");
    }
    for (name, fields) in told {
        let (_, mut places) = kinds.remove(&name).context("a kind twice")?;
        places.retain(|field, _| !fields.contains(field));
        assert!(places.is_empty(), "{name} has no {:?}", places.keys());
    }
    // Kinds that came later are held against the table of events.
    for (name, (_, places)) in kinds {
        let kind =
            KINDS.iter().find(|kind| kind.name == name).with_context(|| format!("there is no {name}"))?;
        let stated = kind.fields.iter().map(|field| {
            let [Bits { word, shift, width }] = *field.at else { panic!("{name}.{} has parts", field.name) };
            (field.name, (64 * usize::from(word) + usize::from(shift), usize::from(width)))
        });
        let documented = places.iter().map(|(field, place)| (field.as_str(), place.bits()));
        assert_eq!(documented.collect::<BTreeMap<_, _>>(), stated.collect(), "{name}");
    }
    Ok(())
}

#[test]
fn every_event_begins_with_its_order_and_its_times() -> Result<()> {
    for (kind, _) in events() {
        let (name, bytes) = record(kind)?;
        assert_eq!(number(&bytes, 8..=13), 1, "{name}");
        assert_eq!(number(&bytes, 14..=15), 7, "{name}");
        assert_eq!(number(&bytes, 16..=23), 0x1122_3344_5566, "{name}");
        assert_eq!(number(&bytes, 24..=31), 0x6655_4433_2211, "{name}");
    }
    Ok(())
}

#[test]
fn the_header_page_lists_the_kinds_that_are_documented() -> Result<()> {
    let file = file(EventKind::IsrExit { vector: 1 })?;
    let mut listed = BTreeMap::new();
    for entry in file[128..2176].chunks(32).filter(|entry| entry[0] != 0) {
        let name = std::str::from_utf8(&entry[8..])?.trim_end_matches('\0');
        listed.insert(name.to_owned(), entry[0]);
    }
    let documented: BTreeMap<_, _> =
        Document::read()?.kinds()?.into_iter().map(|(name, (code, _))| (name, code)).collect();
    assert_eq!(listed, documented);
    Ok(())
}

#[test]
fn header_page_and_block_hold_what_the_document_says() -> Result<()> {
    let file = file(EventKind::IsrExit { vector: 1 })?;
    assert_eq!(file.len(), HEADER_BYTES + 65536);
    let (page, block) = file.split_at(HEADER_BYTES);
    assert_eq!(&page[..8], b"BARSCOPE");
    let words: Vec<_> = page[8..72].chunks(8).map(|word| number(word, 0..=7)).collect();
    // Version, clock, status, events, definitions, blocks, seal, length of the reason.
    assert_eq!((&words[..6], words[7]), (&[2, 1, 4, 1, 0, 1][..], 5));
    assert_eq!(words[6] >> 32, 1);
    assert_eq!((&page[2944..2949], &page[2949..]), (&b"broke"[..], &[0; 1147][..]));
    let capabilities: Vec<_> = page[2176..2944].chunks(32).filter(|entry| entry[0] != 0).collect();
    let names = capabilities.iter().map(|entry| std::str::from_utf8(&entry[..24]).unwrap_or_default());
    let names: Vec<_> = names.map(|name| name.trim_end_matches('\0')).collect();
    let paths = names.iter().position(|name| *name == "paths").context("no paths")?;
    assert_eq!(number(capabilities[paths], 24..=31), 2);
    let document = Document::read()?.0;
    let (_, listed) = document.split_once("says nothing. Names:").context("no names of capabilities")?;
    let listed = listed.split(';').next().context("no end of names")?;
    assert_eq!(listed.split(',').map(|name| name.trim().trim_matches('`')).collect::<Vec<_>>(), names);

    // Kind and vCPU 6, first sequence number, bytes in use, place.
    let words: Vec<_> = block[..64].chunks(8).map(|word| number(word, 0..=7)).collect();
    assert_eq!((&words[..4], words[4] >> 32, &words[5..]), (&[0x701, 1, 64, 0][..], 1, &[0, 0, 0][..]));
    Ok(())
}

#[test]
fn codes_have_the_names_of_the_document() -> Result<()> {
    let document = Document::read()?;
    let (function, route, cause, index) = (1, 1, 0, 0);
    let outcomes = [
        Outcome::Ok,
        Outcome::Unclaimed,
        Outcome::Straddles,
        Outcome::Reserved,
        Outcome::Width,
        Outcome::Alignment,
        Outcome::WriteOnly,
        Outcome::ReadOnly,
        Outcome::Busy,
        Outcome::Range,
    ];
    let access = |outcome| EventKind::Access(AccessEvent { outcome, ..AccessEvent::default() });
    let outcomes = outcomes.map(|outcome| (outcome.name(), access(outcome)));
    let losses = [
        ("nothing-enabled", InterruptLoss::NothingEnabled),
        ("bus-master-off", InterruptLoss::BusMasterOff),
        ("asleep", InterruptLoss::Asleep),
        ("memory-write", InterruptLoss::MemoryWrite),
    ];
    let losses =
        losses.map(|(name, why)| (name, EventKind::InterruptLost { function, index, why: Some(why), cause }));
    let transfers = [DmaOutcome::Done, DmaOutcome::BusMasterOff, DmaOutcome::OutOfBounds].map(|outcome| {
        let transfer = EventKind::Dma { function, to_memory: false, address: 0, length: 0, outcome, cause };
        (outcome.name(), transfer)
    });
    let changes =
        [("added", RouteChange::Added), ("removed", RouteChange::Removed), ("refused", RouteChange::Refused)];
    let changes = changes.map(|(name, change)| (name, EventKind::Route { route, change, cause }));
    let backings = [
        ("trapped", Backing::Trapped),
        ("direct", Backing::Direct),
        ("doorbell", Backing::Doorbell),
        ("coalesced", Backing::Coalesced),
    ];
    let backings = backings.map(|(name, backing)| (name, EventKind::Backing { route, backing, cause }));
    let counts = [
        ("kernel-entries", Counted::KernelEntries),
        ("fault-resolved", Counted::FaultResolved),
        ("fault-fatal", Counted::FaultFatal),
    ];
    let counts = counts.map(|(name, what)| {
        (name, EventKind::Count { what, value: 0, address: 0, error_code: 0, rip: 0, process: 0, call: None })
    });
    for (heading, events) in [
        ("### Outcomes", &outcomes[..]),
        ("### Interrupts that are lost", &losses),
        ("### Transfers", &transfers),
        ("### Routes", &changes),
        ("### Backings", &backings),
        ("### Counts", &counts),
    ] {
        let documented: Vec<_> =
            document.codes(heading).into_iter().filter(|(_, name)| !name.is_empty()).collect();
        let mut found = Vec::new();
        for (name, kind) in events {
            found.push((u64::from(record(*kind)?.1[3]), *name));
        }
        assert_eq!(found, documented, "{heading}");
    }
    let mut found = vec![(0, "")];
    for memory_type in [
        MemoryType::Uncacheable,
        MemoryType::UncacheableMinus,
        MemoryType::WriteCombining,
        MemoryType::WriteThrough,
        MemoryType::WriteProtected,
        MemoryType::WriteBack,
    ] {
        let access = AccessEvent { pat: Some(memory_type), ..AccessEvent::default() };
        found.push((record(EventKind::Access(access))?.1[68].into(), memory_type.name()));
    }
    assert_eq!(found, document.codes("### Memory types"));
    Ok(())
}

#[test]
fn a_definition_is_a_record_of_the_stream_as_the_document_says() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("trace");
    let writer = Writer::create(&path, Clock::Host)?;
    let text = Definition::Text { text: "abc".to_owned() };
    assert_eq!(writer.define_with_blob(&text, &[7; 9])?, 1);
    writer.finish(End::Finished)?;

    let file = fs::read(path)?;
    let content = &file[HEADER_BYTES + SLOT_BYTES..];
    let json = br#"{"define":"text","text":"abc"}"#;
    assert_eq!((number(content, 0..=3), number(content, 4..=7)), (30, 9));
    assert_eq!((&content[8..38], &content[38..40]), (&json[..], &[0; 2][..]));
    assert_eq!((&content[40..49], &content[49..56]), (&[7; 9][..], &[0; 7][..]));
    assert_eq!(number(&file, HEADER_BYTES + 16..=HEADER_BYTES + 23), 56);
    Ok(())
}

#[test]
fn every_definition_has_the_members_of_the_document() -> Result<()> {
    let document = Document::read()?;
    let mut documented = BTreeMap::new();
    for row in document.rows("## Definitions") {
        let [define, members] = row[..] else { continue };
        let known = serde_json::from_str::<Definition>(&format!(r#"{{"define":"{define}"}}"#)).is_err();
        if known {
            documented.insert(define, members.split('`').skip(1).step_by(2).collect::<Vec<_>>());
        }
    }
    let process = Process { address_space: 1, pid: 2, thread: None, name: String::new() };
    let file = File { path: String::new() };
    let stack = Stack { process: Some(1), cut: Some(Cut::Deep), ..Stack::default() };
    let sample = Content::open(Path::new(SAMPLE))?;
    let all = sample.definitions().iter().map(|(_, definition)| definition.clone());
    let mut missing: Vec<_> = documented.keys().copied().collect();
    let others = [Definition::File(file), Definition::Process(process), Definition::Stack(stack)];
    for definition in all.chain(others) {
        let json = serde_json::to_value(&definition)?;
        let define = json["define"].as_str().context("no kind")?;
        let members = documented.get(define).with_context(|| format!("{define} isn't documented"))?;
        for member in json.as_object().into_iter().flat_map(|object| object.keys()) {
            ensure!(member == "define" || members.contains(&member.as_str()), "{define} has {member}");
        }
        missing.retain(|documented| *documented != define);
    }
    assert!(missing.is_empty(), "of no trace: {missing:?}");
    assert_eq!(documented.len(), 11);
    Ok(())
}
