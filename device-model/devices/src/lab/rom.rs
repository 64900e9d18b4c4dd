//! The expansion ROM's content: a valid image without a use, so that drivers find something to read.
//!
//! PCI Firmware Specification 3.2, section 5.1.

use super::{DEVICE, REVISION, VENDOR};

/// Size in bytes.
pub(super) const SIZE: usize = 0x1000;

/// Offset of the data structure that describes the image.
const DATA_STRUCTURE: usize = 0x20;
const DATA_STRUCTURE_LENGTH: u8 = 0x18;
/// Images are measured in units of 512 bytes.
const UNITS: u8 = (SIZE / 512) as u8;
const LAST_IMAGE: u8 = 0x80;
/// `retf`, where firmware enters the image.
const RETURN: u8 = 0xcb;

pub(super) static IMAGE: [u8; SIZE] = image();

const fn image() -> [u8; SIZE] {
    let mut image = [0; SIZE];
    put(&mut image, 0, &[0x55, 0xaa, UNITS, RETURN]);
    put(&mut image, 0x18, &[DATA_STRUCTURE as u8, 0]);
    put(&mut image, DATA_STRUCTURE, b"PCIR");
    put(&mut image, DATA_STRUCTURE + 0x04, &VENDOR.to_le_bytes());
    put(&mut image, DATA_STRUCTURE + 0x06, &DEVICE.to_le_bytes());
    put(&mut image, DATA_STRUCTURE + 0x0a, &[DATA_STRUCTURE_LENGTH, 0]);
    put(&mut image, DATA_STRUCTURE + 0x0f, &[0xff]);
    put(&mut image, DATA_STRUCTURE + 0x10, &[UNITS, 0, REVISION, 0]);
    put(&mut image, DATA_STRUCTURE + 0x15, &[LAST_IMAGE]);
    // All bytes add up to zero.
    let mut sum = 0_u8;
    let mut index = 0;
    while index < SIZE {
        sum = sum.wrapping_add(image[index]);
        index += 1;
    }
    image[SIZE - 1] = sum.wrapping_neg();
    image
}

const fn put(image: &mut [u8; SIZE], offset: usize, bytes: &[u8]) {
    let mut index = 0;
    while index < bytes.len() {
        image[offset + index] = bytes[index];
        index += 1;
    }
}
