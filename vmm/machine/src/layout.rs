//! Where things lie in guest physical memory and among the I/O ports.

/// Smallest and largest guest memory in MiB: from address 0 up, below [`ECAM_BASE`].
pub const MEMORY_MIB: std::ops::RangeInclusive<u64> = 16..=3072;

/// How many vCPUs a machine may have.
pub const CPUS: std::ops::RangeInclusive<i64> = 1..=8;

/// PVH start info, its memory map and the command line: below 64 KiB, that kernels leave alone.
pub const PVH_START_INFO: u64 = 0x6000;
/// The list of modules that the start info points at: one, the initramfs.
pub const PVH_MODULES: u64 = 0x6800;
/// The memory map that the start info points at.
pub const PVH_MEMORY_MAP: u64 = 0x7000;
/// The boot parameters of Linux's own protocol, a page; PVH's are not there then.
pub const ZERO_PAGE: u64 = 0x6000;
/// Segment descriptors of the 64-bit Linux protocol.
pub const BOOT_GDT: u64 = 0x9000;
/// Page tables of the 64-bit Linux protocol: six pages that map the first 4 GiB to themselves.
pub const BOOT_PAGE_TABLES: u64 = 0xa000;
/// What multiboot tells a kernel, from here on where that has left room.
pub const BOOT_INFORMATION: u64 = 0x1_0000;
/// The kernel's command line, NUL-terminated.
pub const COMMAND_LINE: u64 = 0x8000;
/// The longest command line in bytes, its NUL included.
pub const COMMAND_LINE_MAX: u64 = 0x1000;

/// RSDP and the tables after it, in the area that a kernel without a boot protocol scans.
pub const ACPI_BASE: u64 = 0xe_0000;
/// End of the ACPI area and start of the memory that kernels are loaded into.
pub const HIGH_MEMORY: u64 = 0x10_0000;
/// Start of the legacy hole between low and high memory.
pub const LEGACY_HOLE: u64 = 0xa_0000;

/// Enhanced configuration access: bus 0, 4 KiB a function (PCIe 7.2.2).
pub const ECAM_BASE: u64 = 0xe000_0000;
/// 1 MiB: one bus.
pub const ECAM_SIZE: u64 = 0x10_0000;

/// Memory window for 32-bit BARs, as the DSDT announces it.
pub const PCI_MEMORY_32: std::ops::RangeInclusive<u64> = 0xf000_0000..=0xfebf_ffff;
/// How many bits the addresses of the smallest memory window for 64-bit BARs have: it is their upper half, from
/// 32 GiB to 64 GiB. Where devices ask for more, the window ends later: see `placement`.
pub const PCI_MEMORY_64_BITS: u32 = 36;
/// I/O window for BARs, as the DSDT announces it. A BAR that software puts elsewhere is reached there, too,
/// if nothing of [`FIXED_PORTS`] is. Accesses to this window are recorded whether a BAR takes them or not,
/// accesses elsewhere if a BAR takes them or would if it could: kernels look for many old devices at ports
/// where there is nothing.
pub const PCI_IO: std::ops::RangeInclusive<u64> = 0xc000..=0xffff;

/// The IOAPIC's registers, that KVM emulates.
pub const IOAPIC_BASE: u64 = 0xfec0_0000;
/// The local APIC's registers, that KVM emulates.
pub const LOCAL_APIC_BASE: u64 = 0xfee0_0000;
/// Three pages that KVM wants for real mode on Intel processors; no guest uses them.
pub const KVM_TSS: u64 = 0xfffb_d000;

/// CONFIG_ADDRESS and CONFIG_DATA (PCI Local Bus 3.0, section 3.2.2.3.2).
pub const CONFIG_PORTS: std::ops::RangeInclusive<u16> = 0xcf8..=0xcff;
/// The first serial port's eight registers.
pub const SERIAL_PORTS: std::ops::RangeInclusive<u16> = 0x3f8..=0x3ff;

/// Ports that something of the machine's answers at, first and last: no BAR can have them. Those of the
/// interrupt controllers are KVM's own, and never arrive here.
pub const FIXED_PORTS: [std::ops::RangeInclusive<u16>; 10] = [
    // The two 8259A interrupt controllers, and the registers that make their inputs edges or levels.
    0x20..=0x21,
    0xa0..=0xa1,
    0x4d0..=0x4d1,
    SERIAL_PORTS,
    SLEEP_PORT..=SLEEP_PORT + 1,
    PM_TIMER_PORT..=PM_TIMER_PORT + 3,
    DEBUG_EXIT_PORTS,
    FW_CFG_SELECTOR..=FW_CFG_DATA,
    // The guest ABI's, four bytes wide.
    barscope_guest_abi::PORT..=barscope_guest_abi::PORT + 3,
    CONFIG_PORTS,
];

/// The reset control register of PC chipsets.
pub const RESET_PORT: u16 = 0xcf9;
/// The bit of it that resets the processor.
pub const RESET_BIT: u32 = 1 << 2;
/// What the FADT says to write there: the bit, and that it is a cold reset.
pub const RESET_VALUE: u8 = 0x6;

/// ACPI's sleep control register (ACPI 6.5, section 4.8.3.7); the status register is the port after it.
pub const SLEEP_PORT: u16 = 0x600;
/// The sleep type of soft-off, as `_S5` gives it.
pub const SLEEP_OFF: u8 = 5;
/// SLP_EN: go to sleep now, and where the type lies.
pub const SLEEP_ENABLE: u32 = 1 << 5;
/// Where the sleep type begins, three bits wide.
pub const SLEEP_TYPE_SHIFT: u32 = 2;

/// The power management timer's register, four bytes (ACPI 6.5, section 4.8.3.3).
pub const PM_TIMER_PORT: u16 = 0x608;
/// QEMU's `isa-debug-exit`, by which test kernels end with a status.
pub const DEBUG_EXIT_PORTS: std::ops::RangeInclusive<u16> = 0xf4..=0xf7;
/// QEMU's `fw_cfg`: which item is read, and its next byte.
pub const FW_CFG_SELECTOR: u16 = 0x510;
/// See [`FW_CFG_SELECTOR`].
pub const FW_CFG_DATA: u16 = 0x511;

/// The first serial port's interrupt, an edge.
pub const SERIAL_GSI: u8 = 4;

/// The IOAPIC's first input for interrupt pins; the ISA interrupts are below.
const FIRST_PIN_GSI: u8 = 16;

/// The global system interrupt that pin `pin` (0 for INTA#) of `device` is wired to: four inputs, in
/// turns, so that devices share them (PCI Local Bus 3.0, section 2.2.6).
pub const fn gsi(device: u8, pin: u8) -> u8 {
    FIRST_PIN_GSI + (device + pin) % 4
}
