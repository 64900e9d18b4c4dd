use crate::address::BarIndex;
use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::fixture::Fixture;
use crate::probe::Probe;
use crate::register::Access;

const REGION: Region = Region::BAR0;

fn map(registers: Vec<Register>) -> RegisterMap {
    RegisterMap { region: REGION, registers: registers.into() }
}

fn register(name: &'static str, offset: u64, size: u64) -> Register {
    let mut register = Register::new32(name, offset, Access::ReadWrite, "");
    register.size = size;
    register
}

/// What is wrong with a map of a region of 16 bytes.
fn wrong(registers: Vec<Register>) -> String {
    map(registers).check(16).unwrap_err().to_string()
}

fn with_fields(size: u64, fields: &[Field]) -> Register {
    let mut register = register("A", 0, size);
    register.fields = fields.to_vec().into();
    register
}

fn wrong_field(fields: &[Field]) -> String {
    wrong(vec![with_fields(4, fields)])
}

#[test]
fn registers_ascend_apart_up_to_the_end_of_their_region() {
    let apart = vec![register("A", 0, 4), register("B", 4, 8), register("C", 14, 1), register("D", 15, 1)];
    assert_eq!(map(apart).check(16), Ok(()));
    assert_eq!(map(vec![]).check(0), Ok(()));
}

#[test]
fn registers_out_of_order_or_over_each_other_are_refused() {
    assert_eq!(
        wrong(vec![register("A", 8, 4), register("B", 0, 4)]),
        "BAR0: B at 0x0 begins before A ends, at 0xc"
    );
    assert_eq!(
        wrong(vec![register("A", 0, 8), register("B", 4, 4)]),
        "BAR0: B at 0x4 begins before A ends, at 0x8"
    );
    assert_eq!(
        wrong(vec![register("A", 0, 4), register("B", 0, 4)]),
        "BAR0: B at 0x0 begins before A ends, at 0x4"
    );
}

#[test]
fn a_register_past_the_end_of_its_region_is_refused() {
    assert_eq!(wrong(vec![register("A", 12, 8)]), "BAR0: A at 0xc, 0x8 bytes, ends past the region's 0x10");
    assert_eq!(wrong(vec![register("A", 16, 1)]), "BAR0: A at 0x10, 0x1 bytes, ends past the region's 0x10");
    let last = Register::memory("A", u64::MAX, 1, "");
    assert_eq!(wrong(vec![last]), "BAR0: A at 0xffffffffffffffff, 0x1 bytes, ends past the region's 0x10");
}

#[test]
fn only_memory_has_a_size_that_no_access_has() {
    assert_eq!(
        wrong(vec![register("A", 0, 3)]),
        "BAR0: A has 3 bytes; a register has 1, 2, 4 or 8, and memory at least 1"
    );
    assert_eq!(map(vec![Register::memory("A", 0, 3, "")]).check(16), Ok(()));
    assert!(map(vec![Register::memory("A", 0, 0, "")]).check(16).is_err());
}

#[test]
fn a_reset_value_beyond_the_register_is_refused() {
    let byte = |reset| register("A", 0, 1).reset_to(reset);
    assert_eq!(map(vec![byte(0xff)]).check(16), Ok(()));
    assert_eq!(wrong(vec![byte(0x100)]), "BAR0: A can't hold its reset value 0x100");
}

#[test]
fn fields_ascend_apart_inside_their_register() {
    let apart = [Field::bit("X", 0, ""), Field::new("Y", 1, 30, ""), Field::bit("Z", 31, "")];
    assert_eq!(map(vec![with_fields(4, &apart)]).check(16), Ok(()));
    assert_eq!(map(vec![with_fields(8, &[Field::new("X", 0, 64, "")])]).check(16), Ok(()));

    assert_eq!(
        wrong_field(&[Field::new("X", 0, 8, ""), Field::bit("Y", 7, "")]),
        "BAR0: A.Y: it begins before the end of the field before it: fields come lowest first, apart"
    );
    assert_eq!(
        wrong_field(&[Field::bit("X", 8, ""), Field::bit("Y", 0, "")]),
        "BAR0: A.Y: it begins before the end of the field before it: fields come lowest first, apart"
    );
    assert_eq!(
        wrong_field(&[Field::new("X", 31, 2, "")]),
        "BAR0: A.X: it ends past bit 31, the register's highest"
    );
    assert_eq!(wrong_field(&[Field::new("X", 4, 0, "")]), "BAR0: A.X: a field has at least one bit");
}

#[test]
fn a_named_value_that_a_field_can_not_have_is_refused() {
    const VALUES: &[(u64, Cow<'static, str>)] = &[(3, Cow::Borrowed("THREE")), (4, Cow::Borrowed("FOUR"))];
    assert_eq!(
        wrong_field(&[Field::new("X", 0, 2, "").with_values(VALUES)]),
        "BAR0: A.X: it can't have the value 0x4, which has a name"
    );
}

#[test]
fn what_nobody_could_ask_for_by_name_is_refused() {
    let rule = "ASCII letters, digits and _, no digit first, at most 64";
    assert_eq!(wrong(vec![register("A B", 0, 4)]), format!("BAR0: \"A B\" is no register's name: {rule}"));
    assert_eq!(
        wrong_field(&[Field::bit("\u{1b}", 0, "")]),
        format!("BAR0: A.\\u{{1b}}: that is no field's name: {rule}")
    );
    let values = |values: &[(u64, &'static str)]| {
        let mut field = Field::new("X", 0, 2, "");
        field.values = values.iter().map(|&(value, name)| (value, name.into())).collect();
        wrong_field(&[field])
    };
    assert_eq!(values(&[(1, "")]), format!("BAR0: A.X: the name of its value 0x1 is none: {rule}"));
    assert_eq!(
        values(&[(1, "A"), (2, "A")]),
        "BAR0: A.X: its value 0x2 has the name of another one; give one of them another name"
    );
    assert_eq!(values(&[(1, "A"), (1, "B")]), "BAR0: A.X: its value 0x1 has two names; leave one out");
    assert_eq!(
        wrong(vec![register("A", 0, 4), register("B", 4, 4), register("A", 8, 4)]),
        "BAR0: A is at 0x0 and at 0x8: give one of them another name"
    );
    assert_eq!(
        wrong_field(&[Field::bit("X", 0, ""), Field::bit("X", 1, "")]),
        "BAR0: A.X: the register has two fields of this name; give one of them another name"
    );
}

#[test]
fn a_fault_is_found_at_its_place() {
    let mut faulty = with_fields(4, &[Field::bit("X", 0, ""), Field::bit("Y", 1, "")]);
    faulty.fields.to_mut()[1].values = vec![(0, "OFF".into()), (2, "ON".into())].into();
    faulty.offset = 4;
    let (place, _) = map(vec![register("B", 0, 4), faulty]).fault(16).unwrap();
    assert_eq!(place, Place { register: 1, field: Some(1), value: Some(1) });
}

#[test]
fn memory_has_no_reset_value() {
    let memory = Register::memory("A", 0, 16, "").reset_to(1);
    assert_eq!(wrong(vec![memory]), "BAR0: A is memory, which has no reset value");
}

#[test]
fn memory_has_no_fields() {
    let mut memory = with_fields(8, &[Field::bit("X", 0, "")]);
    memory.memory = true;
    assert_eq!(wrong(vec![memory]), "BAR0: A.X: memory has no fields");
}

#[test]
fn a_map_belongs_to_a_region_that_the_function_has_and_to_it_alone() {
    let size = |region| (region == Region::Rom).then_some(0x800);
    let of = |region| RegisterMap { region, registers: Vec::new().into() };

    assert_eq!(check(&[of(Region::Rom)], size), Ok(()));
    assert_eq!(check(&[of(Region::BAR1)], size), Err(BadMap::NoRegion(Region::BAR1)));
    assert_eq!(check(&[of(Region::Rom), of(Region::Rom)], size), Err(BadMap::TwoMaps(Region::Rom)));
}

#[test]
#[should_panic(expected = "probe: BAR0: VALUE at 0x0, 0x8 bytes, ends past the region's 0x4")]
fn a_function_with_a_map_that_can_not_hold_is_not_made() {
    Fixture::new(Probe::with_bars(&[crate::BarSpec::io(BarIndex::BAR0, 4)]));
}

const NAMES: [&str; 5] = ["A", "B", "C", "D", "E"];

/// Registers in any order and place, as no person would write them.
fn registers() -> impl Strategy<Value = Vec<Register>> {
    let size = prop_oneof![6 => Just(1_u64), 6 => Just(2), 6 => Just(4), 3 => Just(8), 1 => 0_u64..20];
    let offset = prop_oneof![20 => 0_u64..40, 1 => u64::MAX - 8..=u64::MAX];
    let one = (offset, size, prop::bool::weighted(0.1)).prop_map(|(offset, size, memory)| {
        let mut register = register("R", offset, size);
        register.memory = memory;
        register
    });
    let any = prop::collection::vec(one.clone(), 0..5);
    let sorted = prop::collection::vec(one, 0..5).prop_map(|mut registers| {
        registers.sort_by_key(|register| register.offset);
        registers
    });
    prop_oneof![1 => any, 3 => sorted].prop_map(|mut registers| {
        for (register, name) in registers.iter_mut().zip(NAMES) {
            register.name = name.into();
        }
        registers
    })
}

/// Whether each byte of each register leads to it, asked byte by byte.
fn every_byte_leads_to_its_register(map: &RegisterMap, size: u64) -> bool {
    map.registers.iter().all(|register| {
        let possible = register.memory || matches!(register.size, 1 | 2 | 4 | 8);
        let bytes = (0..register.size).map(|byte| register.offset.checked_add(byte));
        let mut reached = bytes.map(|at| {
            at.filter(|at| *at < size).and_then(|at| map.at(at)).is_some_and(|at| std::ptr::eq(at, register))
        });
        possible && register.size > 0 && reached.all(|reached| reached)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_map_is_accepted_just_if_every_byte_of_every_register_leads_to_it(
        registers in registers(),
        size in 0_u64..48,
    ) {
        let map = map(registers);

        let accepted = map.check(size).is_ok();

        // A search by offset may find what is out of order, by luck.
        let ascending = map.registers.is_sorted_by_key(|register| register.offset);
        prop_assert_eq!(accepted, ascending && every_byte_leads_to_its_register(&map, size));
    }

    #[test]
    fn fields_are_accepted_just_if_no_bit_has_two_and_all_have_their_bits(
        fields in prop::collection::vec((0_u8..36, 0_u8..8), 0..5),
    ) {
        let named = fields.iter().zip(NAMES);
        let declared = named.map(|((lsb, width), name)| Field::new(name, *lsb, *width, "")).collect::<Vec<_>>();
        let mut register = register("A", 0, 4);
        register.fields = declared.into();

        let accepted = map(vec![register]).check(16).is_ok();

        let bits = fields.iter().flat_map(|(lsb, width)| *lsb..lsb + width).collect::<Vec<_>>();
        let apart = bits.is_sorted_by(|a, b| a < b) && bits.iter().all(|bit| *bit < 32);
        prop_assert_eq!(accepted, apart && fields.iter().all(|(_, width)| *width > 0));
    }
}
