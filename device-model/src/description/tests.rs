mod errors;
mod identity;

use super::*;
use crate::access_size::AccessSize;
use crate::address::{BarIndex, Region, Space};
use crate::bar::BarSpec;
use crate::capability::{Capability, MsiSpec, MsixSpec, Placed};
use crate::header::{CommandSpec, InterruptPin};
use crate::register::{Access, Field, Register};

/// A file with one of each thing that a file can say.
const CARD: &str = include_str!("tests/card.toml");

fn card() -> Description {
    Description::read(CARD).unwrap_or_else(|error| panic!("{}", error.show("card.toml", CARD)))
}

fn map(region: Region) -> RegisterMap {
    let maps = card().register_maps().to_vec();
    maps.into_iter().find(|map| map.region == region).unwrap()
}

#[test]
fn a_file_says_what_software_finds() {
    let card = card();
    assert_eq!([card.name(), card.summary()], ["card", "an example"]);
    let header = card.header();
    assert_eq!((header.vendor, header.device, header.class), (0x1234, 0x11e8, 0x02_0000));
    assert_eq!(header.interrupt_pin, Some(InterruptPin::A));
    assert_eq!(header.command, CommandSpec { reset: 1, writable: 0x0547 });
    assert_eq!(
        header.bars,
        [
            BarSpec::memory32(BarIndex::BAR0, 0x1000),
            BarSpec::io(BarIndex::BAR2, 32),
            BarSpec::memory64(BarIndex::BAR4, 0x10_0000).with_prefetch(),
        ]
    );
    assert_eq!(header.rom, Some(0x800));
    assert_eq!(
        header.capabilities,
        [
            Placed::at(0x50, MsiSpec::new(4)),
            Placed { offset: None, capability: Capability::Msix(MsixSpec::new(8, BarIndex::BAR4, 0, 0x800)) },
        ]
    );
    let [private] = &header.private[..] else { panic!("{:?}", header.private) };
    assert_eq!((private.offset, &*private.content.bytes.0), (0xf0, &[0, 0x11, 0x22, 0x33][..]));
}

#[test]
fn registers_come_in_order_wherever_they_stand() {
    let map = map(Region::BAR0);
    let found: Vec<_> = map
        .registers
        .iter()
        .map(|one| (&*one.name, one.offset, one.size, one.access.abbreviation()))
        .collect();
    assert_eq!(
        found,
        [
            ("CONTROL", 0x00, 8, "RW"),
            ("STATUS", 0x08, 4, "RO"),
            ("QUEUE0", 0x100, 4, "RW"),
            ("QUEUE1", 0x110, 4, "RW"),
            ("QUEUE2", 0x120, 4, "RW"),
            ("QUEUE3", 0x130, 4, "RW"),
            ("BUFFER", 0x800, 0x800, "RW"),
        ]
    );
    let status = &map.registers[1];
    assert_eq!((status.reset, status.volatile, status.memory), (1, true, false));
    assert_eq!(status.doc, "what it is at");
    let [idle, mode] = &status.fields[..] else { panic!("{:?}", status.fields) };
    assert_eq!(*idle, Field::bit("IDLE", 0, ""));
    assert_eq!((&*mode.name, mode.lsb, mode.width, &*mode.doc), ("MODE", 4, 2, "how"));
    assert_eq!(*mode.values, [(0, "OFF".into()), (2, "ON".into())]);
    assert!(map.registers[6].memory);
}

#[test]
fn a_file_that_was_written_again_says_the_same_in_the_same_words() {
    let text = card().to_toml();
    let again = Description::read(&text).unwrap_or_else(|error| panic!("{}", error.show("written", &text)));
    assert_eq!(again, card());
    assert_eq!(again.to_toml(), text);
    let expected = "\
[[bar.register]]
name = \"STATUS\"
offset = 0x008
access = \"RO\"
reset = 0x1
volatile = true
doc = \"what it is at\"
fields = [
  { name = \"IDLE\", bits = 0 },
  { name = \"MODE\", bits = \"5:4\", doc = \"how\", values = { 0 = \"OFF\", 2 = \"ON\" } },
]
";
    assert!(text.contains(expected), "{text}");
    for line in [
        "class = 0x02_0000",
        "command = { reset = 1 }",
        "msi = { masking = false, vectors = 4, wide = true }",
        "serial-number = { number = \"0xffff_ffff_0000_0001\" }",
        "size = \"1 MiB\"",
        "bytes = \"00112233\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn numbers_past_63_bits_are_texts() {
    let register = |reset: &str| {
        let text = format!(
            "name = \"a\"\nvendor = 1\ndevice = 1\nclass = 0\n[[bar]]\nindex = 0\nsize = 16\n\
             [[bar.register]]\nname = \"A\"\noffset = 0\nsize = 8\nreset = {reset}\n"
        );
        Description::read(&text).map(|found| found.register_maps()[0].registers[0].reset)
    };
    assert_eq!(register("\"0xffff_ffff_ffff_ffff\""), Ok(u64::MAX));
    assert_eq!(register("\"18446744073709551615\""), Ok(u64::MAX));
    assert_eq!(register("0x7fff_ffff_ffff_ffff"), Ok(i64::MAX as u64));
    // The reader of TOML that is used here takes more than TOML promises.
    assert_eq!(register("0xffff_ffff_ffff_ffff"), Ok(u64::MAX));
    assert_eq!(register("\"0b1010\""), Ok(10));
    for wrong in
        ["-1", "\"-1\"", "1.0", "\"1_\"", "0x1_0000_0000_0000_0000", "0x", "true", "[]", "1979-05-27"]
    {
        assert!(register(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_no_file_could_say_is_no_description() {
    let map = |doc: &'static str| {
        let register = Register::new32("A", 0, Access::ReadWrite, doc);
        RegisterMap { region: Region::BAR0, registers: vec![register].into() }
    };
    let header =
        ConfigHeader { bars: vec![BarSpec::memory32(BarIndex::BAR0, 16)], ..ConfigHeader::default() };
    let new = |name: &str, summary: &str, maps| {
        Description::new(name, summary, header.clone(), maps).map_err(|bad| bad.to_string())
    };
    assert!(new("a", "", vec![map("|\"\\")]).is_ok());
    let rule = "one line of at most 1000 characters, without control characters or marks of direction";
    assert_eq!(
        new("a b", "", vec![]).unwrap_err(),
        "\"a b\" is no device's name: ASCII letters, digits, - and _, no - first, at most 64"
    );
    assert_eq!(new("a", "\n", vec![]).unwrap_err(), format!("summary: this text can't be shown: {rule}"));
    assert_eq!(
        new("a", "", vec![map("\u{1b}")]).unwrap_err(),
        format!("BAR0.A: this text can't be shown: {rule}")
    );
    let many = (0..70_000_u64).map(|index| {
        let mut register = Register::new32("", index, Access::ReadWrite, "");
        (register.name, register.size) = (format!("R{index}").into(), 1);
        register
    });
    let many = RegisterMap { region: Region::Config, registers: many.collect::<Vec<_>>().into() };
    let header =
        ConfigHeader { bars: vec![BarSpec::memory32(BarIndex::BAR0, 1 << 20)], ..ConfigHeader::default() };
    let many = RegisterMap { region: Region::BAR0, ..many };
    assert_eq!(
        Description::new("a", "", header, vec![many]).unwrap_err().to_string(),
        "70000 registers, fields and named values; a description has 65536 at most"
    );
}

#[test]
fn maps_are_sorted_and_those_without_registers_left_out() {
    let of = |region, registers: Vec<Register>| RegisterMap { region, registers: registers.into() };
    let one = |size: AccessSize| {
        let mut register = Register::new32("A", 0, Access::ReadWrite, "");
        register.size = size.bytes();
        vec![register]
    };
    let maps = vec![
        of(Region::Config, one(AccessSize::Byte)),
        of(Region::Rom, vec![]),
        of(Region::BAR1, one(AccessSize::Dword)),
        of(Region::BAR0, one(AccessSize::Dword)),
    ];
    let bars =
        [BarIndex::BAR0, BarIndex::BAR1].map(|index| BarSpec { space: Space::Io, ..BarSpec::io(index, 16) });
    let header = ConfigHeader { bars: bars.to_vec(), rom: Some(0x800), ..ConfigHeader::default() };
    let found = Description::new("a", "", header, maps).unwrap();
    let regions: Vec<_> = found.register_maps().iter().map(|map| map.region).collect();
    assert_eq!(regions, [Region::BAR0, Region::BAR1, Region::Config]);
}
