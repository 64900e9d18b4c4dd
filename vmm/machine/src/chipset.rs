//! What answers at fixed ports besides the serial port and PCI's: registers to reset and to switch off by, a timer, and what
//! test kernels know from QEMU's machines: `isa-debug-exit` and `fw_cfg`.

mod exit_status;
mod fw_cfg;
mod pm_timer;

use std::sync::Mutex;

pub use self::exit_status::ExitStatus;
use self::fw_cfg::FwCfg;
pub use self::fw_cfg::Items;
use crate::layout;
use crate::lock::lock;
use crate::stop::Stop;

/// The chipset; all vCPUs share it.
pub struct Chipset {
    exit_status: ExitStatus,
    fw_cfg: Mutex<FwCfg>,
}

/// What an access to a port came to.
pub enum Answer {
    /// It was carried out: the value read, of no interest for a write.
    Value(u32),
    /// The machine ends.
    Stop(Stop),
}

impl Chipset {
    /// The chipset of a machine of which `fw_cfg` tells these items.
    pub fn new(exit_status: ExitStatus, items: &Items<'_>) -> Self {
        Self { exit_status, fw_cfg: Mutex::new(FwCfg::new(items)) }
    }

    /// Carries out an access of `size` bytes; `None` if nothing of this is there. `now` gives device time in nanoseconds,
    /// if something asks for it.
    pub fn access(
        &self,
        port: u16,
        size: u8,
        written: Option<u32>,
        now: impl FnOnce() -> u64,
    ) -> Option<Answer> {
        let value = match (port, written) {
            // CONFIG_ADDRESS is around it.
            (layout::RESET_PORT, Some(value)) if size == 1 && value & layout::RESET_BIT != 0 => {
                return Some(Answer::Stop(Stop::Reset));
            }
            (layout::SLEEP_PORT, Some(value)) if switches_off(value) => {
                return Some(Answer::Stop(Stop::PowerOff));
            }
            (port, Some(value)) if layout::DEBUG_EXIT_PORTS.contains(&port) => {
                return Some(Answer::Stop(self.exit_status.of(value)));
            }
            (port, None) if layout::DEBUG_EXIT_PORTS.contains(&port) => 0,
            (layout::FW_CFG_SELECTOR, Some(value)) if size == 2 => {
                lock(&self.fw_cfg).select(value as u16);
                0
            }
            (layout::FW_CFG_DATA, None) if size == 1 => lock(&self.fw_cfg).next_byte().into(),
            (port, None) => pm_timer::offset(port).map(|offset| pm_timer::value(now(), offset))?,
            _ => return None,
        };
        Some(Answer::Value(value))
    }
}

/// Whether a write to the sleep control register asks for soft-off.
fn switches_off(value: u32) -> bool {
    let sleep_type = (value >> layout::SLEEP_TYPE_SHIFT) & 7;
    value & layout::SLEEP_ENABLE != 0 && sleep_type == u32::from(layout::SLEEP_OFF)
}

#[cfg(test)]
mod tests;
