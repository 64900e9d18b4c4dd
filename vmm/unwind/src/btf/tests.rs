use super::*;
use crate::fixture::Types;

const UNION: (u32, u32, bool) = (5, 1, false);
const CONST: (u32, u32, bool) = (10, 0, false);

#[test]
fn members_have_offsets_also_within_structures_without_names() {
    let mut types = Types::new();
    let int = types.integer(4);
    let inner = types.structure("", 8, &[("first", int, 0), ("second", int, 4)]);
    let nameless = types.add("", UNION, 8, &[0, inner, 0]);
    let alias = types.add("alias_t", (8, 0, false), int, &[]);
    let constant = types.add("", CONST, alias, &[]);
    let array = types.array(int, 7);
    let named = types.structure("named", 12, &[("x", int, 4)]);
    types.structure(
        "outer",
        64,
        &[("a", constant, 0), ("", nameless, 16), ("many", array, 24), ("n", named, 52)],
    );
    let bytes = types.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let offset = |path: &[&str]| btf.member("outer", path).map(|member| member.offset());

    assert_eq!([offset(&["a"]), offset(&["first"]), offset(&["second"])], [Some(0), Some(16), Some(20)]);
    assert_eq!(offset(&["n", "x"]), Some(56));
    assert_eq!([offset(&["x"]), offset(&["n", "y"]), offset(&["a", "x"])], [None; 3]);
    assert_eq!(btf.member("another", &["a"]), None);
    assert_eq!((btf.size("outer"), btf.size("another")), (Some(64), None));
    let many = btf.member("outer", &["many"]).unwrap();
    assert_eq!((btf.elements(many.of), btf.elements(int)), (Some(7), None));
}

#[test]
fn bit_fields_have_their_bits() {
    let mut types = Types::new();
    let int = types.integer(4);
    types.bit_fields("orc_entry", 6, &[("sp_offset", int, 0, 0), ("type", int, 40, 3)]);
    let bytes = types.bytes();
    let btf = Btf::parse(&bytes).unwrap();

    let of = int;
    assert_eq!(btf.member("orc_entry", &["sp_offset"]), Some(Member { first_bit: 0, bits: None, of }));
    assert_eq!(btf.member("orc_entry", &["type"]), Some(Member { first_bit: 40, bits: Some(3), of }));
}

#[test]
fn what_is_no_btf_is_refused() {
    let mut types = Types::new();
    types.integer(4);
    let bytes = types.bytes();

    assert_eq!(Btf::parse(b"").err(), Some(BtfError::Header));
    assert_eq!(Btf::parse(&[0; 100]).err(), Some(BtfError::Header));
    assert_eq!(Btf::parse(&bytes[..bytes.len() - 1]).err(), Some(BtfError::Short));
    types.add("new", (25, 0, false), 0, &[]);
    assert_eq!(Btf::parse(&types.bytes()).err(), Some(BtfError::Kind { id: 2, kind: 25 }));
}

#[test]
fn a_type_that_leads_to_itself_ends_nothing() {
    let mut types = Types::new();
    // Number 1 is another name for 2, and that for 1; number 3 holds itself.
    types.add("a_t", (8, 0, false), 2, &[]);
    types.add("b_t", (8, 0, false), 1, &[]);
    types.structure("round", 8, &[("a", 1, 0), ("", 3, 0)]);
    let bytes = types.bytes();
    let btf = Btf::parse(&bytes).unwrap();

    assert_eq!(btf.member("round", &["a", "b"]), None);
    assert_eq!(btf.member("round", &["c"]), None);
}

#[test]
fn any_change_of_a_byte_is_read_or_refused() {
    let mut types = Types::new();
    let int = types.integer(4);
    let array = types.array(int, 7);
    let inner = types.structure("", 8, &[("first", int, 0), ("second", int, 4)]);
    types.structure("outer", 64, &[("", inner, 16), ("many", array, 24)]);
    let bytes = types.bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            if let Ok(btf) = Btf::parse(&bytes) {
                let member = btf.member("outer", &["second"]);
                btf.member("outer", &["many"]).and_then(|member| btf.elements(member.of));
                assert!(member.is_none_or(|member| member.first_bit < 1 << 34));
            }
        }
    }
}
