//! `adder`: adds up words of guest memory, which it reads by DMA, and interrupts when it is done.

use std::borrow::Cow;

use barscope_device::Access::{ReadOnly, ReadWrite, WriteOneToClear};
use barscope_device::*;

/// The device, as the command and the bench take it.
pub fn entry() -> Entry {
    Entry::new("adder", "adds up words of memory by DMA", |_| Adder::default())
}

const VERSION: &[Field] = &[Field::new("MINOR", 0, 16, ""), Field::new("MAJOR", 16, 16, "")];
const OPERATION: Field = Field::bit("OPERATION", 1, "what becomes of the words")
    .with_values(&[(0, Cow::Borrowed("ADD")), (1, Cow::Borrowed("XOR"))]);
const CONTROL: &[Field] = &[Field::bit("START", 0, "starts a run, and reads as 0"), OPERATION];
const STATUS: &[Field] = &[Field::new("STATE", 0, 2, "").with_values(&[
    (0, Cow::Borrowed("IDLE")),
    (1, Cow::Borrowed("BUSY")),
    (2, Cow::Borrowed("FAILED")),
])];
const CAUSES: &[Field] =
    &[Field::bit("DONE", 0, "a run ended"), Field::bit("ERROR", 1, "DMA failed")];

static MAPS: [RegisterMap; 1] = [RegisterMap {
    region: Region::BAR0,
    registers: Cow::Borrowed(&[
        Register::new32("ID", 0x00, ReadOnly, "\"ADD1\"").reset_to(0x3144_4441),
        Register::new32("VERSION", 0x04, ReadOnly, "").with_fields(VERSION).reset_to(0x1_0000),
        Register::new32("CONTROL", 0x08, ReadWrite, "").with_fields(CONTROL),
        Register::new32("STATUS", 0x0c, ReadOnly, "").with_fields(STATUS),
        Register::new32("INT_STATUS", 0x10, WriteOneToClear, "pending causes").with_fields(CAUSES),
        Register::new32("INT_MASK", 0x14, ReadWrite, "causes that interrupt").with_fields(CAUSES),
        Register::new32("SOURCE", 0x18, ReadWrite, "bus address of the words"),
        Register::new32("COUNT", 0x1c, ReadWrite, "how many words: up to 1024"),
        Register::new32("RESULT", 0x20, ReadOnly, "of the last run"),
        Register::new32("RUNS", 0x24, ReadOnly, "runs so far"),
    ]),
}];

/// The device: its registers.
pub struct Adder([u32; 10]);

impl Default for Adder {
    fn default() -> Self {
        let reset: Vec<u32> =
            MAPS[0].registers.iter().map(|register| register.reset as u32).collect();
        Self(reset.try_into().expect("there are ten"))
    }
}

impl Adder {
    /// The register called `name`.
    fn register(&mut self, name: &str) -> &mut u32 {
        let offset = MAPS[0].named(name).expect("the map has it").offset;
        &mut self.0[offset as usize / 4]
    }
}

impl PciDevice for Adder {
    fn name(&self) -> &str {
        "adder"
    }

    fn header(&self) -> ConfigHeader {
        let bars = vec![BarSpec::memory32(BarIndex::BAR0, 4096)];
        let capabilities = vec![MsiSpec::new(1).into()];
        ConfigHeader {
            vendor: 0x1234,
            device: 0x1ab3,
            class: 0xff_0000,
            bars,
            capabilities,
            ..Default::default()
        }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &MAPS
    }

    fn read(
        &mut self,
        _: &mut Context<'_>,
        bar: Region,
        at: u64,
        size: AccessSize,
    ) -> Result<u64, Refused> {
        MAPS[0].check_read(at, size)?;
        self.peek(bar, at).ok_or(Refused::Reserved)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: Region,
        at: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        let (name, value) = (&MAPS[0].check_write(at, size)?.name, value as u32);
        match &**name {
            "INT_STATUS" => *self.register(name) &= !value,
            "INT_MASK" => *self.register(name) = value & 3,
            "COUNT" => *self.register(name) = value.min(1024),
            "CONTROL" => {
                *self.register(name) = value & 2;
                if value & 1 != 0 {
                    *self.register("STATUS") = 1;
                    context.set_timer(0, 1_000 + 10 * u64::from(*self.register("COUNT")));
                }
            }
            _ => *self.register(name) = value,
        }
        Ok(())
    }

    /// A run ends.
    fn timer(&mut self, context: &mut Context<'_>, _: u8) {
        let mut bytes = vec![0; 4 * *self.register("COUNT") as usize];
        let read = context.dma_read((*self.register("SOURCE")).into(), &mut bytes);
        let words = bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap_or_default()));
        *self.register("RESULT") = match *self.register("CONTROL") {
            0 => words.fold(0, u32::wrapping_add),
            _ => words.fold(0, |all, word| all ^ word),
        };
        *self.register("STATUS") = if read.is_ok() { 0 } else { 2 };
        *self.register("INT_STATUS") |= if read.is_ok() { 1 } else { 2 };
        *self.register("RUNS") = self.0[9].wrapping_add(1);
    }

    fn interrupts(&self, pending: &mut InterruptSet) {
        // Bit n is cause n. They share the only message.
        pending.insert_mask((self.0[4] & self.0[5]).into());
    }

    fn peek(&self, _: Region, at: u64) -> Option<u64> {
        self.0.get(at as usize / 4).map(|value| (*value).into())
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn save(&self) -> state::Value {
        state::encode(&self.0)
    }

    fn restore(&mut self, state: state::Value) -> Result<(), BadState> {
        self.0 = state::decode(state)?;
        Ok(())
    }
}
