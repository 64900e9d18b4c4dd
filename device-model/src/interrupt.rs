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
use crate::interrupt_set::InterruptSet;
use crate::vector::VectorIndex;

/// Addresses at which a message interrupts a processor.
const INTERRUPT_ADDRESSES: RangeInclusive<u64> = 0xfee0_0000..=0xfeef_ffff;

/// The causes and the level of the last call, to compare with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Interrupts {
    /// The causes that were pending.
    pub(crate) causes: InterruptSet,
    /// Whether the pin is asserted.
    pub(crate) asserted: bool,
}

impl Interrupts {
    /// Takes in that `causes` are pending now, and that configuration space may have changed.
    pub(crate) fn update(
        &mut self,
        causes: &InterruptSet,
        pin: Option<InterruptPin>,
        capabilities: &mut ActiveCapabilities,
        config: &mut ConfigSpace,
        effects: &mut Vec<Effect>,
    ) {
        let before = std::mem::replace(&mut self.causes, causes.clone());
        let risen = causes.difference(&before);
        let awake = capabilities.awake(config);
        let mut level = false;
        match capabilities.messages(config) {
            Some(messages) if awake => send(messages, config, &before, causes, effects),
            None if awake && pin.is_some() => {
                level = !causes.is_empty();
                if config.u16(COMMAND) & COMMAND_INTERRUPT_DISABLE != 0 {
                    effects.extend(risen.iter().map(|index| Effect::InterruptMasked { index }));
                }
            }
            _ => {
                let why = if awake { InterruptLoss::NothingEnabled } else { InterruptLoss::Asleep };
                effects.extend(risen.iter().map(|index| Effect::InterruptLost { index, why }));
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

    /// Vectors, or causes of the pin, that wait for a mask or for Interrupt Disable to go.
    pub(crate) fn held_back(
        &self,
        pin: Option<InterruptPin>,
        capabilities: &mut ActiveCapabilities,
        config: &ConfigSpace,
    ) -> InterruptSet {
        let disabled = config.u16(COMMAND) & COMMAND_INTERRUPT_DISABLE != 0;
        let awake = capabilities.awake(config);
        match capabilities.messages(config) {
            Some(messages) if awake => messages.pending(config),
            None if awake && pin.is_some() && disabled => self.causes.clone(),
            _ => InterruptSet::EMPTY,
        }
    }
}

/// Sends the message of each vector that rises or is unmasked while pending.
///
/// A vector that is no longer pending when it is unmasked stays silent: section 6.8.3.5.
fn send(
    messages: &mut dyn Messages,
    config: &mut ConfigSpace,
    before: &InterruptSet,
    causes: &InterruptSet,
    effects: &mut Vec<Effect>,
) {
    let own = InterruptSet::below(messages.vectors(config).into());
    let levels = spread(causes, &own);
    let risen = levels.difference(&spread(before, &own));
    let masked = messages.masked(config);
    let pending = messages.pending(config).union(&risen).intersection(&levels);
    messages.set_pending(config, pending.intersection(&masked));
    let bus_master = config.u16(COMMAND) & COMMAND_BUS_MASTER != 0;
    effects.extend(pending.difference(&masked).iter().map(|index| match messages.message(config, index) {
        (address, data) if bus_master => Effect::Msi { index, address, data },
        _ => Effect::InterruptLost { index, why: InterruptLoss::BusMasterOff },
    }));
    effects.extend(risen.intersection(&masked).iter().map(|index| Effect::InterruptMasked { index }));
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

/// The vectors that `causes` make pending: each its own, and vector 0 for those that have none.
fn spread(causes: &InterruptSet, own: &InterruptSet) -> InterruptSet {
    let mut vectors = causes.intersection(own);
    if !causes.difference(own).is_empty() {
        vectors.insert(VectorIndex::ZERO);
    }
    vectors
}

#[cfg(test)]
mod tests;
