//! From the levels of a device's interrupt causes to what leaves the function.
//!
//! A device only says which causes are pending. What becomes of a cause depends on what software has
//! enabled: a message by MSI-X, else by MSI, when it rises; else the INTx pin, as long as it is pending;
//! else nothing. PCI Local Bus 3.0, sections 2.2.6 and 6.8.
//!
//! A message is a memory write of the function. It is an interrupt because of where it goes: on x86, to
//! 0xfee00000-0xfeefffff (Intel SDM volume 3, "Message Address Register Format"). Anywhere else it is
//! carried out as what it is: a write of four bytes, that raises nothing.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::capability::ActiveCapabilities;
use crate::capability::messages::Messages;
use crate::config::{COMMAND, COMMAND_BUS_MASTER, COMMAND_INTERRUPT_DISABLE, STATUS_INTERRUPT};
use crate::config::{ConfigSpace, STATUS};
use crate::dma::DmaMemory;
use crate::effect::{Effect, InterruptLoss};
use crate::header::InterruptPin;
use crate::vector::VectorIndex;

/// Addresses at which a message interrupts a processor.
const INTERRUPT_ADDRESSES: RangeInclusive<u64> = 0xfee0_0000..=0xfeef_ffff;

/// The causes and the level of the last call, to compare with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Interrupts {
    /// The causes that were pending; bit n is cause n.
    pub(crate) causes: u32,
    /// Whether the pin is asserted.
    pub(crate) asserted: bool,
}

impl Interrupts {
    /// Takes in that `causes` are pending now, and that configuration space may have changed.
    pub(crate) fn update(
        &mut self,
        causes: u32,
        pin: Option<InterruptPin>,
        capabilities: &mut ActiveCapabilities,
        config: &mut ConfigSpace,
        effects: &mut Vec<Effect>,
    ) {
        let before = std::mem::replace(&mut self.causes, causes);
        let risen = causes & !before;
        let awake = capabilities.awake(config);
        let mut level = false;
        match capabilities.messages(config) {
            Some(messages) if awake => send(messages, config, before, causes, effects),
            None if awake && pin.is_some() => {
                level = causes != 0;
                if config.u16(COMMAND) & COMMAND_INTERRUPT_DISABLE != 0 {
                    effects.extend(bits(risen).map(|index| Effect::InterruptMasked { index }));
                }
            }
            _ => {
                let why = if awake { InterruptLoss::NothingEnabled } else { InterruptLoss::Asleep };
                effects.extend(bits(risen).map(|index| Effect::InterruptLost { index, why }));
            }
        }
        config.assign(
            STATUS,
            STATUS_INTERRUPT.to_le_bytes(),
            if level { STATUS_INTERRUPT } else { 0 }.to_le_bytes(),
        );
        let asserted = level && config.u16(COMMAND) & COMMAND_INTERRUPT_DISABLE == 0;
        if asserted != self.asserted {
            self.asserted = asserted;
            effects.push(Effect::Intx { asserted });
        }
    }
}

/// Sends the message of each vector that rises or is unmasked while pending.
///
/// A vector that is no longer pending when it is unmasked stays silent: section 6.8.3.5.
fn send(
    messages: &mut dyn Messages,
    config: &mut ConfigSpace,
    before: u32,
    causes: u32,
    effects: &mut Vec<Effect>,
) {
    let vectors = messages.vectors(config);
    let levels = spread(causes, vectors);
    let risen = levels & !spread(before, vectors);
    let masked = messages.masked(config);
    let pending = (messages.pending(config) | risen) & levels;
    messages.set_pending(config, pending & masked);
    let bus_master = config.u16(COMMAND) & COMMAND_BUS_MASTER != 0;
    effects.extend(bits(pending & !masked).map(|index| match messages.message(config, index) {
        (address, data) if bus_master => Effect::Msi { index, address, data },
        _ => Effect::InterruptLost { index, why: InterruptLoss::BusMasterOff },
    }));
    effects.extend(bits(risen & masked).map(|index| Effect::InterruptMasked { index }));
}

/// Carries out the messages among `effects` that go anywhere but to a processor.
pub(crate) fn write_messages(effects: &mut Vec<Effect>, memory: &dyn DmaMemory) {
    let is_write = |effect: &Effect| matches!(effect, Effect::Msi { address, .. } if !INTERRUPT_ADDRESSES.contains(address));
    if !effects.iter().any(is_write) {
        return;
    }
    let carried_out = std::mem::take(effects).into_iter().flat_map(|effect| match effect {
        Effect::Msi { index, address, data } if is_write(&effect) => {
            let outcome = memory.write(address, &data.to_le_bytes());
            let lost = Effect::InterruptLost { index, why: InterruptLoss::MemoryWrite };
            [Some(lost), Some(Effect::Dma { to_memory: true, address, length: 4, outcome })]
        }
        other => [Some(other), None],
    });
    *effects = carried_out.flatten().collect();
}

/// The vectors that `causes` make pending: each its own, and vector 0 for those beyond the last.
fn spread(causes: u32, vectors: u32) -> u32 {
    let own = 1_u32.checked_shl(vectors).map_or(u32::MAX, |end| end - 1);
    causes & own | u32::from(causes & !own != 0)
}

/// The vectors, or causes, whose bits are set.
fn bits(mask: u32) -> impl Iterator<Item = VectorIndex> {
    (0..32).filter(move |index| mask >> index & 1 != 0).filter_map(VectorIndex::new)
}

#[cfg(test)]
mod tests;
