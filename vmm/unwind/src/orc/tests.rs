use super::*;
use crate::fixture::{Memory, Types, orc_table, registers};

/// The structure's members as of 6.1, before 6.4.
pub fn types_6_1(types: &mut Types) {
    let int = types.integer(4);
    let members = [
        ("sp_offset", int, 0, 0),
        ("bp_offset", int, 16, 0),
        ("sp_reg", int, 32, 4),
        ("bp_reg", int, 36, 4),
        ("type", int, 40, 2),
        ("end", int, 42, 1),
    ];
    types.bit_fields("orc_entry", 6, &members);
}

/// Since 6.4.
fn types_6_12(types: &mut Types, last: &str) {
    let int = types.integer(4);
    let members = [
        ("sp_offset", int, 0, 0),
        ("bp_offset", int, 16, 0),
        ("sp_reg", int, 32, 4),
        ("bp_reg", int, 36, 4),
        ("type", int, 40, 3),
        (last, int, 43, 1),
    ];
    types.bit_fields("orc_entry", 6, &members);
}

fn layout(add: impl FnOnce(&mut Types)) -> Option<Layout> {
    let mut types = Types::new();
    add(&mut types);
    Layout::new(&Btf::parse(&types.bytes()).unwrap())
}

fn decoded(layout: Layout, bytes: [u8; 6]) -> Option<Entry> {
    let mut word = [0; 8];
    word[..6].copy_from_slice(&bytes);
    layout.decode(u64::from_le_bytes(word))
}

#[test]
fn entries_before_6_4_have_kinds_that_begin_with_a_call_and_a_bit_for_the_end() {
    let layout = layout(types_6_1).unwrap();

    let call = decoded(layout, [0x20, 0, 0xf0, 0xff, 0x15, 0]).unwrap();
    let (sp, bp) = ((Base::Sp, 32), (Base::PreviousSp, -16));
    assert_eq!(call, Entry { sp, bp, kind: Kind::Call, signal: false });
    let registers = decoded(layout, [0x08, 0, 0, 0, 0x05, 1]).unwrap();
    let (sp, bp) = ((Base::Sp, 8), (Base::Undefined, 0));
    assert_eq!(registers, Entry { sp, bp, kind: Kind::Registers, signal: true });
    assert_eq!(decoded(layout, [0, 0, 0, 0, 0x04, 2]).unwrap().kind, Kind::Partial);
    assert_eq!(decoded(layout, [0, 0, 0, 0, 0, 4]).unwrap().kind, Kind::End);
    assert_eq!(decoded(layout, [0, 0, 0, 0, 0x05, 3]), None, "no kind of that number");
    assert_eq!(decoded(layout, [0, 0, 0, 0, 0x0a, 0]), None, "no register of that number");
}

#[test]
fn entries_since_6_4_say_whether_the_caller_was_interrupted() {
    let layout = layout(|types| types_6_12(types, "signal")).unwrap();
    let kind = |byte| decoded(layout, [0, 0, 0, 0, 0x05, byte]).map(|entry| (entry.kind, entry.signal));

    assert_eq!(kind(0), Some((Kind::Undefined, false)));
    assert_eq!(kind(1), Some((Kind::End, false)));
    assert_eq!(kind(2), Some((Kind::Call, false)));
    assert_eq!(kind(3 | 8), Some((Kind::Registers, true)));
    assert_eq!(kind(4), Some((Kind::Partial, false)));
    assert_eq!(kind(5), None);
}

#[test]
fn a_layout_that_nobody_knows_is_none() {
    assert_eq!(layout(|types| types_6_12(types, "end")), None);
    assert_eq!(layout(|types| types_6_12(types, "other")), None);
    assert_eq!(
        layout(|types| {
            types.integer(4);
        }),
        None
    );
}

#[test]
fn code_belongs_to_the_last_entry_that_begins_at_or_before_it() {
    let mut memory = Memory::default();
    let (places, entries) = (0xffff_ffff_8300_0ffa, 0xffff_ffff_8310_0ffd);
    let code = 0xffff_ffff_8100_0000;
    let entry = |offset: u8| [offset, 0, 0, 0, 0x05, 0];
    // Both arrays lie across a page's end, and their code below and above them.
    let last = 0xffff_ffff_8400_0000;
    orc_table(&mut memory, (places, entries), &[(code, entry(8)), (code + 4, entry(16)), (last, entry(24))]);
    let registers = registers();
    let space = Space::new(&memory, &registers);
    let layout = layout(types_6_1).unwrap();
    let table = Table::between((places, places + 12), (entries, entries + 18)).unwrap();
    let offset = |ip| table.find(&space, &layout, ip).map(|entry| entry.sp.1);

    assert_eq!([code - 1, code, code + 3].map(offset), [None, Some(8), Some(8)]);
    assert_eq!([code + 4, last - 1, last, u64::MAX].map(offset), [Some(16), Some(16), Some(24), Some(24)]);
    assert_eq!(Table::between((places, places + 12), (entries, entries + 24)), None, "one more of these");
    assert_eq!(Table::between((places, places - 4), (entries, entries)), None);
    let unmapped = Table::new(0x1000, 0x2000, u64::MAX);
    assert_eq!(unmapped.find(&space, &layout, code), None);
}
