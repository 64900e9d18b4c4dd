//! The lints, each with its texts and its rule.

mod acts_on_masked;
mod all_ones_trusted;
mod asleep;
mod config_w1c_merge;
mod decode_off;
mod device_length;
mod dma_after_stop;
mod double_fetch;
mod early_interrupt;
mod edge_lost;
mod handled_not_cleared;
mod memory_type;
mod mmap_range;
mod msix_live_edit;
mod no_bus_master;
mod reserved_write;
mod stolen_clear_on_read;
mod sub_page_leak;
mod too_soon;
mod torn_64;
mod unbounded_poll;
mod unflushed;
mod w1c_write_back;
mod write_only_read;
mod wrong_width;

use super::rule::Rule;

/// All of them.
pub(super) struct Rules {
    pub(super) list: Vec<Box<dyn Rule + Send>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            list: vec![
                Box::<acts_on_masked::ActsOnMasked>::default(),
                Box::<all_ones_trusted::AllOnesTrusted>::default(),
                Box::new(asleep::Asleep),
                Box::<config_w1c_merge::ConfigW1cMerge>::default(),
                Box::new(decode_off::DecodeOff),
                Box::<device_length::DeviceLength>::default(),
                Box::<dma_after_stop::DmaAfterStop>::default(),
                Box::<double_fetch::DoubleFetch>::default(),
                Box::<early_interrupt::EarlyInterrupt>::default(),
                Box::<edge_lost::EdgeLost>::default(),
                Box::<handled_not_cleared::HandledNotCleared>::default(),
                Box::<memory_type::MemoryTypes>::default(),
                Box::<mmap_range::MmapRange>::default(),
                Box::<msix_live_edit::MsixLiveEdit>::default(),
                Box::new(no_bus_master::NoBusMaster),
                Box::<reserved_write::ReservedWrite>::default(),
                Box::<stolen_clear_on_read::StolenClearOnRead>::default(),
                Box::new(sub_page_leak::SubPageLeak),
                Box::<too_soon::TooSoon>::default(),
                Box::<torn_64::Torn64>::default(),
                Box::<unbounded_poll::UnboundedPoll>::default(),
                Box::<unflushed::Unflushed>::default(),
                Box::<w1c_write_back::W1cWriteBack>::default(),
                Box::new(write_only_read::WriteOnlyRead),
                Box::new(wrong_width::WrongWidth),
            ],
        }
    }
}
