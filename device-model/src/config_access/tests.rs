use super::*;
use crate::access_size::AccessSize::{Byte, Dword, Word};

fn selecting(value: u64) -> ConfigAddress {
    let mut address = ConfigAddress::default();
    address.write(0, Dword, value).unwrap();
    address
}

fn bdf(text: &str) -> Bdf {
    text.parse().unwrap()
}

#[test]
fn the_address_register_keeps_all_that_is_written() {
    assert_eq!(selecting(0xffff_ffff).read(0, Dword), Ok(0xffff_ffff));
    assert_eq!(selecting(0x7f00_0003).read(0, Dword), Ok(0x7f00_0003));
    assert_eq!(selecting(0x8000_0000).read(0, Dword), Ok(0x8000_0000));
}

#[test]
fn bytes_and_words_at_the_address_register_pass_it_by() {
    let mut address = selecting(0x8000_2000);

    assert_eq!(address.write(3, Byte, 0x01), Err(Refused::Width));
    assert_eq!(address.write(0, Word, 0xffff), Err(Refused::Width));
    assert_eq!(address.read(0, Byte), Err(Refused::Width));
    assert_eq!(address.write(1, Dword, 0xffff_ffff), Err(Refused::Alignment));

    assert_eq!(address.read(0, Dword), Ok(0x8000_2000));
}

#[test]
fn the_data_ports_reach_what_the_address_register_selects() {
    let address = selecting(0x80ab_cd40);

    assert_eq!(address.target(0), Some((bdf("ab:19.5"), 0x40)));
}

#[test]
fn each_data_port_reaches_its_own_byte() {
    let address = selecting(0x8000_2004);

    assert_eq!(address.target(1), Some((bdf("00:04.0"), 0x05)));
    assert_eq!(address.target(2), Some((bdf("00:04.0"), 0x06)));
    assert_eq!(address.target(3), Some((bdf("00:04.0"), 0x07)));
    assert_eq!(address.target(4), None);
}

#[test]
fn low_bits_of_the_address_register_are_part_of_the_offset() {
    assert_eq!(selecting(0x8000_2006).target(0), Some((bdf("00:04.0"), 0x06)));
    assert_eq!(selecting(0x8000_2001).target(2), Some((bdf("00:04.0"), 0x03)));
    assert_eq!(selecting(0x8000_20ff).target(3), Some((bdf("00:04.0"), 0xff)));
}

#[test]
fn reserved_bits_of_the_address_register_select_nothing() {
    assert_eq!(selecting(0xff00_2004).target(0), Some((bdf("00:04.0"), 0x04)));
}

#[test]
fn the_data_ports_reach_nothing_while_disabled() {
    assert_eq!(selecting(0x0000_2000).target(0), None);
    assert_eq!(ConfigAddress::default().target(0), None);
}

#[test]
fn ecam_addresses_functions_by_4_kib() {
    assert_eq!(ecam_target(0x0000_0000), (bdf("00:00.0"), 0x000));
    assert_eq!(ecam_target(0x0002_0ffc), (bdf("00:04.0"), 0xffc));
    assert_eq!(ecam_target(0x0abc_d123), (bdf("ab:19.5"), 0x123));
    assert_eq!(ecam_target(0x0fff_ffff), (bdf("ff:1f.7"), 0xfff));
}
