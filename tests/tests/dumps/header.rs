//! A function's header made from its dump alone.

use std::ops::Range;

use barscope_device::{
    BarIndex, BarSpec, Capability, CommandSpec, ConfigHeader, ConventionalSpec, Devsel, ExtendedCapability,
    InterruptPin, MaskedBytes, Placed, PrivateBytes,
};

use crate::bytes::{Expressed, Inexpressible, Space, expect};
use crate::capabilities::capability;
use crate::dump::Dump;
use crate::extended::extended_capability;

/// Status: there is a list of capabilities.
const STATUS_CAPABILITIES: u16 = 1 << 4;
/// Command: bits 10:0 exist; those are writable that firmware or a driver set, besides the usual ones.
const COMMAND_BITS: u16 = 0x07ff;
/// Where the part of configuration space ends that has capabilities.
const CAPABILITIES_END: usize = 0x100;

/// The header whose function, in the state that software brought it to, has the dump's bytes.
pub fn header(dump: &Dump) -> Expressed<ConfigHeader> {
    let mut bytes = [0; 4096];
    bytes[..dump.bytes.len()].copy_from_slice(&dump.bytes);
    let space = Space(bytes);
    let command = space.u16(0x04);
    expect(command & !COMMAND_BITS == 0, || format!("reserved bits of the command, {command:#06x}"))?;
    let bars = bars(&space, 0x10, 6, |index| dump.bars.get(&index).copied())?;
    let listed = list(&space)?;
    let chained = chain(&space, dump.bytes.len())?;
    let mut header = ConfigHeader {
        vendor: space.u16(0x00),
        device: space.u16(0x02),
        revision: space.u8(0x08),
        class: space.u32(0x08) >> 8,
        subsystem_vendor: space.u16(0x2c),
        subsystem: space.u16(0x2e),
        bars,
        rom: rom(&space, dump.rom)?,
        interrupt_pin: pin(space.u8(0x3d))?,
        command: CommandSpec { reset: 0, writable: CommandSpec::default().writable | command },
        conventional: conventional(&space)?,
        self_test: self_test(space.u8(0x0f))?,
        ..ConfigHeader::default()
    };
    expect(space.u32(0x34) >> 8 == 0 && space.u32(0x38) == 0, || {
        "reserved bytes from 0x35 to 0x3b".to_owned()
    })?;
    for at in &listed {
        let end = listed.iter().copied().filter(|other| other > at).min().unwrap_or(CAPABILITIES_END);
        let capability: Capability = capability(&space, *at, end)?;
        header.capabilities.push(Placed { offset: Some(*at as u16), capability });
    }
    for at in &chained {
        let end = chained.iter().copied().filter(|other| other > at).min().unwrap_or(4096);
        let capability: ExtendedCapability = extended_capability(&space, *at, end, &header)?;
        header.extended_capabilities.push(Placed { offset: Some(*at as u16), capability });
    }
    let ranges = header.capability_ranges().map_err(|error| Inexpressible(error.to_string()))?;
    header.private = private(&space, &ranges);
    header.check().map_err(|error| Inexpressible(error.to_string()))?;
    Ok(header)
}

/// Offsets of capabilities in the order of their list.
fn list(space: &Space) -> Expressed<Vec<usize>> {
    let mut found = Vec::new();
    let mut at = space.u8(0x34);
    let has_list = space.u16(0x06) & STATUS_CAPABILITIES != 0;
    expect(has_list == (at != 0), || format!("a capabilities pointer {at:#x} against the status register"))?;
    while at != 0 {
        let offset = usize::from(at);
        expect(at >= 0x40 && at & 3 == 0, || format!("a capability at {at:#x}"))?;
        expect(!found.contains(&offset), || format!("the list of capabilities leads back to {at:#x}"))?;
        found.push(offset);
        at = space.u8(offset + 1);
    }
    Ok(found)
}

/// Offsets of extended capabilities in the order of their list.
fn chain(space: &Space, dumped: usize) -> Expressed<Vec<usize>> {
    let mut found = Vec::new();
    let mut at = 0x100;
    // A conventional function has nothing there, which reads as ones on some buses.
    if dumped <= at || [0, u32::MAX].contains(&space.u32(at)) {
        return Ok(found);
    }
    while at != 0 {
        expect(at >= 0x100 && at & 3 == 0, || format!("an extended capability at {at:#x}"))?;
        expect(!found.contains(&at), || format!("the list of extended capabilities leads back to {at:#x}"))?;
        found.push(at);
        at = (space.u32(at) >> 20) as usize;
    }
    Ok(found)
}

/// BARs from their registers at `at`: address bits say how large each can be, where the text doesn't.
pub fn bars(
    space: &Space,
    at: usize,
    count: u8,
    size_of: impl Fn(u8) -> Option<u64>,
) -> Expressed<Vec<BarSpec>> {
    let mut bars = Vec::new();
    let mut next = 0;
    while let Some(index) = BarIndex::new(next).filter(|_| next < count) {
        let number = next;
        let low = space.u32(at + 4 * usize::from(number));
        next += 1;
        let known = size_of(number);
        if low == 0 && known.is_none() {
            continue;
        }
        let bar = if low & 1 != 0 {
            expect(low & 2 == 0, || format!("{index}: reserved bit 1"))?;
            let base = u64::from(low & !3);
            let known =
                known.filter(|size| size.is_power_of_two() && *size >= 4 && base.is_multiple_of(*size));
            let mut bar = BarSpec::io(index, known.unwrap_or_else(|| alignment(base, 4, 256)));
            bar.wide_ports = low >> 16 != 0;
            bar
        } else {
            let kind = low >> 1 & 3;
            expect(kind != 3 && (kind != 2 || number < 5), || {
                format!("{index}: a BAR of no kind, {low:#x}")
            })?;
            let high = if kind == 2 { space.u32(at + 4 * usize::from(next)) } else { 0 };
            next += u8::from(kind == 2);
            let base = u64::from(high) << 32 | u64::from(low & !0xf);
            let largest = match kind {
                0 => 1 << 31,
                1 => 1 << 20,
                _ => 1 << 63,
            };
            let known =
                known.filter(|size| size.is_power_of_two() && *size >= 16 && base.is_multiple_of(*size));
            let mut bar = BarSpec::memory32(index, known.unwrap_or_else(|| alignment(base, 16, largest)));
            (bar.wide, bar.below_1_mib, bar.prefetchable) = (kind == 2, kind == 1, low & 8 != 0);
            bar
        };
        bars.push(bar);
    }
    Ok(bars)
}

/// The largest size that an address allows.
fn alignment(base: u64, smallest: u64, largest: u64) -> u64 {
    let lowest = if base == 0 { smallest } else { 1 << base.trailing_zeros() };
    lowest.clamp(smallest, largest)
}

fn rom(space: &Space, known: Option<u64>) -> Expressed<Option<u32>> {
    let register = space.u32(0x30);
    expect(register & 0x7fe == 0, || format!("reserved bits of the ROM's register, {register:#x}"))?;
    if register == 0 && known.is_none() {
        return Ok(None);
    }
    Ok(Some(known.unwrap_or_else(|| alignment((register & !0x7ff).into(), 1 << 11, 1 << 24)) as u32))
}

fn pin(number: u8) -> Expressed<Option<InterruptPin>> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(InterruptPin::A)),
        2 => Ok(Some(InterruptPin::B)),
        3 => Ok(Some(InterruptPin::C)),
        4 => Ok(Some(InterruptPin::D)),
        _ => Err(Inexpressible(format!("an interrupt pin {number:#x}"))),
    }
}

fn conventional(space: &Space) -> Expressed<ConventionalSpec> {
    let status = space.u16(0x06);
    expect(status & 0x0007 == 0, || format!("reserved bits of the status, {status:#06x}"))?;
    Ok(ConventionalSpec {
        mhz66: status & 1 << 5 != 0,
        user_definable: status & 1 << 6 != 0,
        fast_back_to_back: status & 1 << 7 != 0,
        devsel: match status >> 9 & 3 {
            0 => Devsel::Fast,
            1 => Devsel::Medium,
            2 => Devsel::Slow,
            _ => return Err(Inexpressible("a reserved DEVSEL# timing".to_owned())),
        },
        latency_timer: if space.u8(0x0d) == 0 { 0 } else { 0xff },
        cardbus_cis: space.u32(0x28),
        min_grant: space.u8(0x3e),
        max_latency: space.u8(0x3f),
    })
}

fn self_test(register: u8) -> Expressed<Option<u8>> {
    match register {
        0 => Ok(None),
        0x80..=0x8f => Ok(Some(register & 0xf)),
        _ => Err(Inexpressible(format!("a self-test register {register:#04x}"))),
    }
}

/// Bytes that are not zero and that neither header nor capability has, each run of them.
fn private(space: &Space, capabilities: &[Range<usize>]) -> Vec<PrivateBytes> {
    let mut taken = vec![false; 4096];
    taken[..0x40].fill(true);
    for range in capabilities {
        taken[range.clone()].fill(true);
    }
    let mut runs: Vec<PrivateBytes> = Vec::new();
    for (at, byte) in space.0.iter().enumerate().filter(|(at, byte)| !taken[*at] && **byte != 0) {
        match runs.last_mut() {
            Some(run) if usize::from(run.offset) + run.content.len() == at => run.content.bytes.0.push(*byte),
            _ => runs.push(PrivateBytes { offset: at as u16, content: MaskedBytes::read_only([*byte]) }),
        }
    }
    runs
}
