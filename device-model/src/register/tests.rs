use super::*;
use crate::access_size::AccessSize::{Byte, Dword, Qword, Word};

static MAP: RegisterMap = RegisterMap {
    region: Region::BAR0,
    registers: Cow::Borrowed(&[
        Register::new32("STATUS", 0x00, Access::ReadOnly, ""),
        Register::new32("KICK", 0x04, Access::WriteOnly, ""),
        Register::new32("FIFO", 0x10, Access::ReadSideEffect, ""),
        Register::memory("BUFFER", 0x40, 0x40, ""),
    ]),
};

#[test]
fn a_byte_belongs_to_the_register_around_it() {
    let name = |offset| MAP.at(offset).map(|register| register.name.as_ref());

    assert_eq!(name(0x00), Some("STATUS"));
    assert_eq!(name(0x03), Some("STATUS"));
    assert_eq!(name(0x04), Some("KICK"));
    assert_eq!(name(0x08), None);
    assert_eq!(name(0x7f), Some("BUFFER"));
    assert_eq!(name(0x80), None);
    assert_eq!(name(u64::MAX), None);
}

#[test]
fn an_access_must_cover_its_register_exactly() {
    assert!(MAP.check_read(0x00, Dword).is_ok());
    assert_eq!(MAP.check_read(0x00, Word), Err(Refused::Width));
    assert_eq!(MAP.check_read(0x00, Qword), Err(Refused::Width));
    assert_eq!(MAP.check_read(0x02, Dword), Err(Refused::Alignment));
    assert_eq!(MAP.check_read(0x0c, Dword), Err(Refused::Reserved));
}

#[test]
fn an_access_must_suit_what_software_may_do() {
    assert_eq!(MAP.check_write(0x00, Dword), Err(Refused::ReadOnly));
    assert_eq!(MAP.check_read(0x04, Dword), Err(Refused::WriteOnly));
    assert!(MAP.check_write(0x04, Dword).is_ok());
    assert!(MAP.check_read(0x10, Dword).is_ok());
    assert_eq!(MAP.check_write(0x10, Dword), Err(Refused::ReadOnly));
}

#[test]
fn memory_takes_any_access_inside_it() {
    assert!(MAP.check_read(0x41, Qword).is_ok());
    assert!(MAP.check_write(0x7f, Byte).is_ok());
    assert_eq!(MAP.check_read(0x7d, Dword), Err(Refused::Reserved));
    assert_eq!(MAP.check_read(0x3f, Dword), Err(Refused::Reserved));
}

#[test]
fn a_field_is_cut_out_of_its_register() {
    const VALUES: &[(u64, Cow<'static, str>)] = &[(5, Cow::Borrowed("FIVE"))];
    let field = Field::new("MODE", 4, 3, "").with_values(VALUES);

    assert_eq!(field.mask(), 0x70);
    assert_eq!(field.extract(0xffd5), 5);
    assert_eq!(field.value_name(5), Some("FIVE"));
    assert_eq!(field.value_name(4), None);
    assert_eq!(Field::new("ALL", 0, 64, "").mask(), 0xffff_ffff_ffff_ffff);
}
