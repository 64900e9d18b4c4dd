//! A function brought to a dump's state: what software writes is written, what hardware reports is restored.

use anyhow::{Context, Result, bail};
use barscope_device::AccessSize::{Byte, Dword};
use barscope_device::{
    AccessSize, BadState, ConfigHeader, Context as DeviceContext, Fixture, InterruptSet, PciDevice, Refused,
    Region, RegisterMap, State,
};
use serde_json::Value;

use crate::dump::Dump;

/// A device that has a header and no behaviour. Its interrupt is pending, as the dump says, or not.
struct Dumped {
    header: ConfigHeader,
    interrupt: bool,
}

impl PciDevice for Dumped {
    fn name(&self) -> &str {
        "dumped"
    }

    fn header(&self) -> ConfigHeader {
        self.header.clone()
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &[]
    }

    fn read(&mut self, _: &mut DeviceContext<'_>, _: Region, _: u64, _: AccessSize) -> Result<u64, Refused> {
        Err(Refused::Reserved)
    }

    fn write(
        &mut self,
        _: &mut DeviceContext<'_>,
        _: Region,
        _: u64,
        _: AccessSize,
        _: u64,
    ) -> Result<(), Refused> {
        Err(Refused::Reserved)
    }

    fn interrupts(&self, pending: &mut InterruptSet) {
        pending.insert_mask(self.interrupt.into());
    }

    fn peek(&self, _: Region, _: u64) -> Option<u64> {
        None
    }

    fn reset(&mut self) {}

    fn save(&self) -> Value {
        Value::Null
    }

    fn restore(&mut self, _: Value) -> Result<(), BadState> {
        Ok(())
    }
}

/// Makes the function, brings it to the dump's state and reads all of the dump's bytes back.
///
/// # Errors
/// The first byte that differs.
pub fn read_back(header: ConfigHeader, dump: &Dump) -> Result<()> {
    let status = u16::from(dump.bytes[6]) | u16::from(dump.bytes[7]) << 8;
    let mut fixture = Fixture::new(Dumped { header, interrupt: status & 1 << 3 != 0 });
    // As firmware and a driver do, four bytes at a time. Errors that a one clears are not there yet.
    for (index, bytes) in dump.bytes.chunks_exact(4).enumerate() {
        let value = u32::from_le_bytes(bytes.try_into()?);
        fixture.config_write(4 * index as u64, Dword, value.into());
    }
    // What is still missing, hardware must have reported: restoring refuses it where no type says that it can.
    let mut saved = serde_json::to_value(fixture.function().save())?;
    let text = saved["function"]["config"].as_str().context("configuration space is a text")?;
    let mut digits = text.to_owned();
    for (index, byte) in dump.bytes.iter().enumerate().filter(|(index, _)| *index != 0x0e) {
        digits.replace_range(2 * index..2 * index + 2, &format!("{byte:02x}"));
    }
    let differing = first_difference(&mut fixture, dump);
    saved["function"]["config"] = digits.into();
    let state: State = serde_json::from_value(saved)?;
    if let Err(error) = fixture.restore(state) {
        match differing {
            Some((offset, found, expected)) => bail!(
                "{error}: at {offset:#x} it has {found:#04x} after all writes, and the dump {expected:#04x}"
            ),
            None => bail!("{error}, though all bytes are there"),
        }
    }
    match first_difference(&mut fixture, dump) {
        Some((offset, found, expected)) => {
            bail!("at {offset:#x}: {found:#04x}, and the dump has {expected:#04x}")
        }
        None => Ok(()),
    }
}

/// Offset, byte and dumped byte where they first differ. That there are functions beside it is not the function's to say.
fn first_difference(fixture: &mut Fixture, dump: &Dump) -> Option<(usize, u8, u8)> {
    dump.bytes.iter().enumerate().find_map(|(offset, &expected)| {
        let expected = if offset == 0x0e { expected & 0x7f } else { expected };
        let found = fixture.config_read(offset as u64, Byte) as u8;
        (found != expected).then_some((offset, found, expected))
    })
}
