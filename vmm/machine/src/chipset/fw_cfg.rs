//! `fw_cfg`, QEMU's way to tell firmware and kernels of the machine: an item is selected, and read byte by byte (QEMU's
//! `docs/specs/fw_cfg.rst`). There are no files, no DMA, and nothing can be written.

/// Items, by their numbers.
const SIGNATURE: u16 = 0x00;
const ID: u16 = 0x01;
const RAM_SIZE: u16 = 0x03;
const CPUS: u16 = 0x05;
const MAX_CPUS: u16 = 0x0f;
const COMMAND_LINE_SIZE: u16 = 0x14;
const COMMAND_LINE: u16 = 0x15;
const FILES: u16 = 0x19;

/// What ID says: there is the interface by ports, and none by DMA.
const BY_PORTS: u32 = 1 << 0;

/// What a machine tells of itself.
pub struct Items<'a> {
    /// Bytes of memory.
    pub memory_size: u64,
    /// Number of vCPUs.
    pub cpus: u8,
    /// The kernel's command line.
    pub command_line: &'a str,
}

/// The items, and where the next byte comes from.
pub(super) struct FwCfg {
    items: Vec<(u16, Vec<u8>)>,
    selected: u16,
    offset: usize,
}

impl FwCfg {
    pub(super) fn new(of: &Items<'_>) -> Self {
        let mut command_line = of.command_line.as_bytes().to_vec();
        command_line.push(0);
        let cpus = u16::from(of.cpus).to_le_bytes().to_vec();
        let items = vec![
            (SIGNATURE, b"QEMU".to_vec()),
            (ID, BY_PORTS.to_le_bytes().to_vec()),
            (RAM_SIZE, of.memory_size.to_le_bytes().to_vec()),
            (CPUS, cpus.clone()),
            (MAX_CPUS, cpus),
            (COMMAND_LINE_SIZE, (command_line.len() as u32).to_le_bytes().to_vec()),
            (COMMAND_LINE, command_line),
            // How many there are, the only number that is big-endian.
            (FILES, 0_u32.to_be_bytes().to_vec()),
        ];
        Self { items, selected: SIGNATURE, offset: 0 }
    }

    /// Selects an item, to be read from its beginning.
    pub(super) fn select(&mut self, item: u16) {
        (self.selected, self.offset) = (item, 0);
    }

    /// The next byte of the item; 0 after its end, and where there is none.
    pub(super) fn next_byte(&mut self) -> u8 {
        let item = self.items.iter().find(|(number, _)| *number == self.selected);
        let byte = item.and_then(|(_, content)| content.get(self.offset)).copied();
        self.offset = self.offset.saturating_add(1);
        byte.unwrap_or(0)
    }
}
