//! The address that an access carries on the bus.

/// An address on the memory bus or among the I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BusAddress {
    /// Guest physical address.
    Memory(u64),
    /// I/O port.
    Port(u16),
}
