use std::path::PathBuf;

use barscope_device::{BarSpec, ConfigHeader};
use barscope_trace::definition::{Definition, Path as MadeBy};
use barscope_trace::event::{AccessEvent, Outcome, Target};
use barscope_trace::{Capability, Content, EventKind};
use tempfile::TempDir;

use super::*;

const DRIVER: &str = include_str!("../tests/data/driver.mmiotrace");
const SAMPLE: &str = include_str!("../tests/data/sample.mmiotrace");
const QEMU: &str = include_str!("../tests/data/edu.qemu");
const OLD_QEMU: &str = include_str!("../tests/data/old.qemu");
const RWMMIO: &str = include_str!("../tests/data/edu.rwmmio");

/// QEMU's edu, without its registers.
fn edu() -> Description {
    let bars = vec![BarSpec::memory32(BarIndex::BAR0, 0x10_0000)];
    let header = ConfigHeader { vendor: 0x1234, device: 0x11e8, bars, ..ConfigHeader::default() };
    Description::new("edu", "", header, Vec::new()).unwrap()
}

struct Imported {
    summary: Summary,
    content: Content,
    _folder: TempDir,
}

fn run(text: &[u8], format: Format, place: Option<BarPlace>) -> Result<Imported, String> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("trace");
    let bars: Vec<_> = place.map(|place| BarAt { bar: BarIndex::BAR0, place }).into_iter().collect();
    let summary = import(text, format, &edu(), &bars, &path, WriteOptions::default());
    let summary = summary.map_err(|error| error.to_string())?;
    Ok(Imported { summary, content: Content::open(&path).unwrap(), _folder: folder })
}

fn at(base: u64) -> Option<BarPlace> {
    Some(BarPlace::Address(base, None))
}

impl Imported {
    fn accesses(&self) -> Vec<(u64, AccessEvent)> {
        let events = self.content.events().iter();
        events
            .filter_map(|event| match event.kind {
                EventKind::Access(access) => Some((event.device_ns, access)),
                _ => None,
            })
            .collect()
    }

    /// Write, address and value of each access.
    fn told(&self) -> Vec<(bool, u64, u64)> {
        let address = |access: &AccessEvent| match access.target {
            Target::Memory(address) => address,
            Target::Port { port, .. } => port.into(),
        };
        self.accesses().iter().map(|(_, access)| (access.write, address(access), access.value)).collect()
    }
}

#[test]
fn mmiotrace_tells_accesses_mappings_marks_and_what_it_lost() {
    let imported = run(DRIVER.as_bytes(), Format::Mmiotrace, None).unwrap();
    assert_eq!(
        imported.told(),
        [
            (false, 0xfea0_0000, 0x0100_00ed),
            (true, 0xfea0_0004, 0x1234_5678),
            (false, 0xfea0_0004, 0xedcb_a987),
            (true, 0xfea0_0008, 5),
            (false, 0xfea0_0020, 1),
            (false, 0xfea0_0020, 0),
            (false, 0xfea0_0008, 0x78),
        ]
    );
    // Three that it lost, and one that it couldn't decode.
    assert_eq!((imported.summary.lost, imported.content.info().lost, imported.summary.bad), (4, 4, 0));
    assert_eq!(
        (imported.summary.elsewhere, &imported.summary.elsewhere_at[..]),
        (1, &["0xfec00000".to_owned()][..])
    );
    let (time, first) = imported.accesses()[0];
    assert_eq!(time, 1_175_970_000);
    let definitions = imported.content.definitions();
    let walk = definitions.walk(first.walk).unwrap();
    assert_eq!((walk.path, walk.page), (MadeBy::Ioremap, 0xffff_c900_0020_0000));
    assert_eq!(definitions.instruction(first.instruction).unwrap().rip, 0xffff_ffff_c012_3048);
    assert_eq!(definitions.functions().next().unwrap().1.bdf.to_string(), "00:04.0");
    let texts: Vec<_> = definitions
        .iter()
        .filter_map(|(_, definition)| match definition {
            Definition::Text { text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["load", "unload"]);
    let tells = |capability| imported.content.info().capabilities.tells(capability);
    assert!(tells(Capability::Paths) && tells(Capability::Privilege));
    for untold in
        [Capability::Effects, Capability::Configuration, Capability::ProgramAccesses, Capability::MemoryTypes]
    {
        assert!(!tells(untold), "{}", untold.name());
    }
    assert_eq!(
        imported.summary.notes,
        [
            "there is another such device at 00:05.0; this is the one at 00:04.0",
            "mmiotrace couldn't decode accesses, the first at 0xfea00008: each is a lost record",
        ]
    );
}

#[test]
fn a_device_that_no_line_tells_of_is_where_somebody_says() {
    let error = run(SAMPLE.as_bytes(), Format::Mmiotrace, None).err().unwrap();
    assert_eq!(
        error,
        "none of its 2 accesses is the device's: they went to 0xf0410000; say where it is by --bar 0=ADDRESS"
    );
    let imported = run(SAMPLE.as_bytes(), Format::Mmiotrace, at(0xf041_0000)).unwrap();
    assert_eq!(imported.told(), [(false, 0xf041_0000, 0x3142_414c), (true, 0xf041_0008, 0x77)]);
    assert_eq!((imported.summary.lost, imported.summary.bad), (1, 0));
}

#[test]
fn a_line_that_cant_be_understood_is_shown_by_its_number_and_is_a_lost_record() {
    let text = "VERSION 20070824\nR 4 1.000000 1 0xfea00000 0x1 0x0 0\nR 3 1.000001 1 0xfea00000 0x1 0x0 0\n\
                W 1 1.000002 1 0xfea00000 0x100 0x0 0\nQ\nMARK x y\nPCIDEV 1\nMAP 1\nUNMAP\nUNKNOWN\nR\n";
    let imported = run(text.as_bytes(), Format::Mmiotrace, at(0xfea0_0000)).unwrap();
    let numbers: Vec<_> = imported.summary.bad_lines.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(imported.summary.bad_lines[0].1, "an access has 1, 2, 4 or 8 bytes, not 3");
    assert_eq!(imported.summary.bad_lines[1].1, "0x100 has more than 1 bytes");
    assert_eq!((imported.summary.bad, imported.content.info().lost), (9, 9));
}

#[test]
fn qemus_lines_are_found_by_address_or_by_name() {
    let expected = [
        (false, 0xfea0_0000, 0x0100_00ed),
        (true, 0xfea0_0004, 0x1234_5678),
        (false, 0xfea0_0004, 0xedcb_a987),
        (true, 0xfea0_0008, 5),
        (false, 0xfea0_0008, 0x78),
    ];
    for place in [at(0xfea0_0000), Some(BarPlace::Region("edu-mmio".to_owned()))] {
        let imported = run(QEMU.as_bytes(), Format::Qemu, place).unwrap();
        assert_eq!(imported.told(), expected);
        let summary = &imported.summary;
        assert_eq!((summary.lost, summary.bad, summary.elsewhere, summary.skipped), (13, 1, 1, 2));
        assert_eq!(summary.bad_lines, [(8, "an access has 1, 2, 4 or 8 bytes, not 3".to_owned())]);
        assert_eq!(summary.elsewhere_at, ["vga ports at 0x0"]);
        assert!(!imported.content.info().capabilities.tells(Capability::Privilege));
    }
    let imported = run(OLD_QEMU.as_bytes(), Format::Qemu, at(0x300)).unwrap();
    assert_eq!(imported.told(), [(false, 0x3cc, 0x67), (true, 0x3d4, 0x70e)]);
    let error = run(QEMU.as_bytes(), Format::Qemu, None).err().unwrap();
    assert!(
        error.starts_with("QEMU's lines don't say which are the device's: give --bar 0=ADDRESS"),
        "{error}"
    );
}

#[test]
fn rwmmio_has_two_lines_an_access_and_bits_for_bytes() {
    let imported = run(RWMMIO.as_bytes(), Format::Rwmmio, at(0xffff_8000_1000_0000)).unwrap();
    assert_eq!(
        imported.told(),
        [
            (false, 0xffff_8000_1000_0000, 0x0100_00ed),
            (true, 0xffff_8000_1000_0004, 0x1234_5678),
            (true, 0xffff_8000_1000_0064, 0),
        ]
    );
    let summary = &imported.summary;
    assert_eq!((summary.lost, summary.bad, summary.elsewhere), (13, 1, 1));
    assert_eq!(summary.bad_lines, [(17, "addr= is missing, or no number".to_owned())]);
    let (time, first) = imported.accesses()[0];
    assert_eq!((time, first.size), (2_000, 4));
    let stack = imported.content.definitions().stack(first.stack).unwrap();
    let process = imported.content.definitions().process(stack.process.unwrap()).unwrap();
    assert_eq!((process.pid, process.name.as_str()), (123, "insmod"));
}

#[test]
fn a_read_without_a_value_is_a_lost_record() {
    let line = |name: &str, rest: &str| {
        format!("a-1 [000] ..... 1.0: {name}: f+0x1/0x2 width=32 {rest}addr=0xfea00000\n")
    };
    let text = line("rwmmio_read", "") + &line("rwmmio_write", "val=0x1 ") + &line("rwmmio_read", "");
    let imported = run(text.as_bytes(), Format::Rwmmio, at(0xfea0_0000)).unwrap();
    assert_eq!((imported.told(), imported.content.info().lost), (vec![(true, 0xfea0_0000, 1)], 2));
}

#[test]
fn json_lines_keep_numbers_times_and_the_end() {
    let access = |seq, value| {
        format!(
            "{{\"seq\":{seq},\"event\":\"access\",\"device_ns\":{seq}000,\"host_ns\":5,\"vcpu\":1,\"bdf\":\"00:05.0\",\
             \"region\":\"BAR0\",\"offset\":\"0x4\",\"gpa\":\"0xfea00004\",\"port\":null,\"write\":true,\"size\":4,\
             \"value\":\"{value}\",\"cpl\":3,\"outcome\":\"ok\"}}\n"
        )
    };
    let text = "{\"event\":\"machine\",\"clock\":\"virtual\",\"guest\":\"g\",\"vcpus\":2,\"memory\":4096}\n"
        .to_owned()
        + "{\"event\":\"function\",\"bdf\":\"00:05.0\",\"device\":\"edu\",\"vendor_id\":\"0x1234\",\"device_id\":\"0x11e8\"}\n"
        + &access(3, "0x7")
        + "{\"seq\":4,\"event\":\"msi\",\"device_ns\":4000,\"bdf\":\"00:05.0\",\"cause\":3,\"index\":0,\"address\":\"0xfee00000\",\"data\":\"0x31\",\"delivered\":true}\n"
        + "{\"seq\":4,\"event\":\"mark\",\"device_ns\":4000,\"text\":\"late\"}\n"
        + "{\"event\":\"end\",\"status\":\"failed\",\"reason\":\"it did\",\"lost\":3}\n";
    let imported = run(text.as_bytes(), Format::Jsonl, None).unwrap();
    let events = imported.content.events();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [3, 4]);
    let EventKind::Access(first) = events[0].kind else { panic!("{:?}", events[0]) };
    assert_eq!((first.cpl, first.value, first.outcome, events[0].vcpu), (3, 7, Outcome::Ok, Some(1)));
    assert_eq!((events[0].device_ns, events[0].host_ns), (3000, 5));
    assert!(matches!(events[1].kind, EventKind::Msi { data: 0x31, cause: 3, .. }));
    let info = imported.content.info();
    assert_eq!(info.end, Some(&barscope_trace::End::Failed("it did".to_owned())));
    assert_eq!((info.clock, info.lost), (Clock::Virtual, 3));
    assert_eq!(imported.summary.bad_lines[0].0, 5);
}

/// Whatever a file says, importing it ends, and what it writes can be read.
#[test]
fn damaged_files_end_in_a_trace_or_an_error() {
    let json = "{\"event\":\"machine\",\"clock\":\"host\"}\n{\"event\":\"function\",\"bdf\":\"00:04.0\",\"vendor_id\":\"0x1234\",\
                \"device_id\":\"0x11e8\"}\n{\"seq\":2,\"event\":\"access\",\"device_ns\":9,\"bdf\":\"00:04.0\",\"region\":\"BAR0\",\
                \"offset\":\"0x4\",\"gpa\":\"0xfea00004\",\"write\":true,\"size\":4,\"value\":\"0x7\",\"outcome\":\"ok\",\"gva\":\"0x1\",\
                \"walk\":{\"cr3\":\"0x1000\",\"page_size\":4096,\"entries\":[\"0x1\",\"0x3\"]},\"path\":\"ioremap\"}\n";
    let inputs =
        [(DRIVER, Format::Mmiotrace), (QEMU, Format::Qemu), (RWMMIO, Format::Rwmmio), (json, Format::Jsonl)];
    let mut random = fastrand::Rng::with_seed(15);
    for (text, format) in inputs {
        for _ in 0..300 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..bytes.len());
                match random.u8(..4) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes[at] = *random.choice(b"0123456789abcdefx {}\"\n".iter()).unwrap(),
                    2 => drop(bytes.drain(at..(at + random.usize(..9)).min(bytes.len()))),
                    _ => bytes.extend_from_within(at..),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            if let Ok(imported) = run(&bytes, format, at(0xfea0_0000)) {
                let Imported { summary, content, .. } = imported;
                assert!(content.info().damage.is_empty());
                assert_eq!(content.events().len() as u64, summary.accesses + summary.others);
                assert_eq!(content.info().lost, summary.lost);
            }
        }
    }
}
