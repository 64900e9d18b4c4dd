//! Sleep and reset: what the device forgets, and what the driver has to restore.

use super::Shown;
use crate::check::{Failure, equal};
use crate::lab;
use crate::lab::registers::PCI_ID;
use crate::pci::Function;

const ALL_ONES: u64 = 0xffff_ffff;

const POWER_MANAGEMENT: u8 = 0x01;
/// Offset of Power Management Control/Status, and the states in it.
const POWER_CONTROL: u16 = 0x04;
const D0: u32 = 0;
const D3_HOT: u32 = 3;

const PCI_EXPRESS: u8 = 0x10;
/// Offset of Device Control, and its bit for a Function Level Reset.
const DEVICE_CONTROL: u16 = 0x08;
const INITIATE_RESET: u32 = 1 << 15;
/// The half of that dword that is not Device Status, whose bits a one would clear.
const DEVICE_CONTROL_MASK: u32 = 0xffff;

/// Puts the device to sleep and wakes it.
pub fn d3hot(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    let power = function.capability(POWER_MANAGEMENT).ok_or(Failure::Reason("no power management"))?;
    lab::write_scratch(&lab, 0xc0ff_ee19);
    function.write(power + POWER_CONTROL, D3_HOT);
    let asleep = lab::read_scratch(&lab);
    let id = function.read(0);
    function.write(power + POWER_CONTROL, D0);
    function.restore();
    equal("SCRATCH asleep", u64::from(asleep), ALL_ONES)?;
    equal("vendor and device asleep", u64::from(id), u64::from(PCI_ID))?;
    equal("SCRATCH awake again", u64::from(lab::read_scratch(&lab)), 0)?;
    Ok("asleep only configuration space answered; awake, all was reset")
}

/// Resets the function.
pub fn function_reset(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    let express = function.capability(PCI_EXPRESS).ok_or(Failure::Reason("no PCI Express capability"))?;
    lab::write_scratch(&lab, 0xc0ff_ee1a);
    let control = function.read(express + DEVICE_CONTROL) & DEVICE_CONTROL_MASK;
    function.write(express + DEVICE_CONTROL, control | INITIATE_RESET);
    let after_reset = lab::read_scratch(&lab);
    function.restore();
    equal("SCRATCH after the reset", u64::from(after_reset), ALL_ONES)?;
    equal("SCRATCH restored", u64::from(lab::read_scratch(&lab)), 0)?;
    Ok("the reset took the addresses and what the registers held")
}
