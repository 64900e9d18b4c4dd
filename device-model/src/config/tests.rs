use super::*;
use crate::access_size::AccessSize::{Byte, Word};

#[test]
fn reset_takes_back_what_was_written() {
    let mut config = ConfigSpace::new();
    config.define(0x80, &[0x11, 0x22]);
    config.make_writable(0x80, &[0xf0, 0xff]);

    config.write(0x80, Word, 0xffff).unwrap();
    assert_eq!(config.u16(0x80), 0xfff1);

    config.reset();
    assert_eq!(config.u16(0x80), 0x2211);
}

#[test]
fn sticky_bits_outlast_a_reset_of_the_function_alone() {
    let mut config = ConfigSpace::new();
    config.define(0x80, &[0x11]);
    config.make_writable(0x80, &[0xff]);
    config.make_sticky(0x80, &[0x0f]);

    config.write(0x80, Byte, 0xee).unwrap();
    config.reset_function();
    assert_eq!(config.read(0x80, Byte), Ok(0x1e));

    config.reset();
    assert_eq!(config.read(0x80, Byte), Ok(0x11));
}

#[test]
fn what_the_function_reports_is_read_only_to_software() {
    let mut config = ConfigSpace::new();
    config.make_reported(0x80, &[0x0c]);
    config.assign(0x80, [0x0c], [0xff]);

    config.write(0x80, Byte, 0).unwrap();

    assert_eq!(config.read(0x80, Byte), Ok(0x0c));
}

#[test]
fn bytes_are_taken_back_only_by_a_space_that_is_laid_out_alike() {
    let mut config = ConfigSpace::new();
    config.define(0x80, &[0x11]);
    config.make_writable(0x80, &[0xf0]);
    config.write(0x80, Byte, 0xa0).unwrap();
    let saved = config.bytes().to_vec();
    config.reset();

    assert!(config.restore(&saved));
    assert_eq!(config.read(0x80, Byte), Ok(0xa1));

    assert!(!ConfigSpace::new().restore(&saved));
    assert!(!config.restore(&saved[1..]));
}
