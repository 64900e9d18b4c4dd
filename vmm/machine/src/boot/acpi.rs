//! ACPI tables: enough for a kernel to find ECAM, the interrupt controllers and the host bridge's
//! windows. ECAM is reserved twice, by the PVH memory map and by a PNP0C02 device: otherwise Linux
//! ignores it (PCI Firmware 3.3, section 4.1.2).

use std::ops::RangeInclusive;

use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, Device, EISAName, IO, Interrupt, Memory32Fixed, Name, Package,
    PackageBuilder, ResourceTemplate, Scope,
};
use acpi_tables::fadt::{FADT, FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace as Space, GAS};
use acpi_tables::madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic};
use acpi_tables::mcfg::MCFG;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, aml};
use vm_memory::{Bytes, GuestAddress};

use super::{BootError, Hardware};
use crate::layout;
use crate::memory::GuestMemory;

const OEM: [u8; 6] = *b"BARSCP";
const OEM_TABLE: [u8; 8] = *b"BARSCOPE";
const OEM_REVISION: u32 = 1;

/// Of the FADT's IAPC_BOOT_ARCH: a PC without display adapter and clock chip. It says nothing of a
/// keyboard controller, so there is none.
const NO_VGA: u16 = 1 << 2;
const NO_CMOS_CLOCK: u16 = 1 << 5;

/// Writes all tables; the RSDP's physical address.
pub(super) fn write(memory: &GuestMemory, hardware: &Hardware) -> Result<u64, BootError> {
    let mut tables = Tables { memory, next: layout::ACPI_BASE + 64 };

    let dsdt = tables.add(&dsdt(&hardware.above_4_gib))?;
    let fadt = tables.add(&fadt(dsdt))?;
    let madt = tables.add(&madt(hardware.cpus))?;
    let mut mcfg = MCFG::new(OEM, OEM_TABLE, OEM_REVISION);
    mcfg.add_ecam(layout::ECAM_BASE, 0, 0, 0);
    let mcfg = tables.add(&mcfg)?;

    let mut xsdt = XSDT::new(OEM, OEM_TABLE, OEM_REVISION);
    for table in [fadt, madt, mcfg] {
        xsdt.add_entry(table);
    }
    let xsdt = tables.add(&xsdt)?;
    // For kernels that know nothing newer than ACPI 1.0.
    let mut rsdt = Sdt::new(*b"RSDT", 36, 1, OEM, OEM_TABLE, OEM_REVISION);
    for table in [fadt, madt, mcfg] {
        rsdt.append(table as u32);
    }
    let rsdt = tables.add(&rsdt)?;
    tables.write(layout::ACPI_BASE, &rsdp(rsdt as u32, xsdt))?;
    Ok(layout::ACPI_BASE)
}

/// The RSDP, which leads to both lists of tables (ACPI 6.5, section 5.2.5.3).
fn rsdp(rsdt: u32, xsdt: u64) -> Vec<u8> {
    /// Offsets of the checksum of the first 20 bytes, of the RSDT's address and of the checksum of all.
    const CHECKSUM: usize = 8;
    const RSDT: usize = 16;
    const EXTENDED_CHECKSUM: usize = 32;
    let mut bytes = bytes(&Rsdp::new(OEM, xsdt));
    bytes[RSDT..RSDT + 4].copy_from_slice(&rsdt.to_le_bytes());
    for (checksum, end) in [(CHECKSUM, 20), (EXTENDED_CHECKSUM, 36)] {
        bytes[checksum] = 0;
        let sum = bytes[..end].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        bytes[checksum] = sum.wrapping_neg();
    }
    bytes
}

fn bytes(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

struct Tables<'a> {
    memory: &'a GuestMemory,
    next: u64,
}

impl Tables<'_> {
    /// Writes a table after the ones before it; its physical address.
    fn add(&mut self, table: &dyn Aml) -> Result<u64, BootError> {
        let address = self.next;
        let length = self.write(address, &bytes(table))?;
        self.next = (address + length).next_multiple_of(16);
        Ok(address)
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<u64, BootError> {
        let length = bytes.len() as u64;
        if address + length > layout::HIGH_MEMORY {
            return Err(BootError::Structure { what: "an ACPI table" });
        }
        self.memory
            .regions()
            .write_slice(bytes, GuestAddress(address))
            .map_err(|_| BootError::Structure { what: "an ACPI table" })?;
        Ok(length)
    }
}

/// No ACPI hardware but a register to switch off by, one to reset by, and a timer: test kernels take its port from here,
/// whatever a machine without ACPI hardware may have.
fn fadt(dsdt: u64) -> FADT {
    let port = |port: u16| GAS::new(Space::SystemIo, 8, 0, AccessSize::ByteAccess, port.into());
    let mut fadt = FADTBuilder::new(OEM, OEM_TABLE, OEM_REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton)
        .flag(Flags::Headless)
        .flag(Flags::ResetRegSup)
        .flag(Flags::TmrValExt);
    fadt.iapc_boot_arch = (NO_VGA | NO_CMOS_CLOCK).into();
    fadt.reset_reg = port(layout::RESET_PORT);
    fadt.reset_value = layout::RESET_VALUE;
    fadt.pm_tmr_blk = u32::from(layout::PM_TIMER_PORT).into();
    fadt.pm_tmr_len = 4;
    fadt.x_pm_tmr_blk =
        GAS::new(Space::SystemIo, 32, 0, AccessSize::DwordAccess, layout::PM_TIMER_PORT.into());
    fadt.sleep_control_reg = port(layout::SLEEP_PORT);
    fadt.sleep_status_reg = port(layout::SLEEP_PORT + 1);
    fadt.finalize()
}

fn madt(cpus: u8) -> MADT {
    let local_apics = LocalInterruptController::Address(layout::LOCAL_APIC_BASE as u32);
    let mut madt = MADT::new(OEM, OEM_TABLE, OEM_REVISION, local_apics);
    for cpu in 0..cpus {
        madt.add_structure(ProcessorLocalApic::new(cpu, cpu, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(0, layout::IOAPIC_BASE as u32, 0));
    madt
}

/// Which input of the IOAPIC each interrupt pin of each device is wired to: ACPI 6.5, section 6.2.13.
fn interrupt_routing() -> PackageBuilder {
    let mut routing = PackageBuilder::new();
    for device in 0..32_u8 {
        for pin in 0..4_u8 {
            let mut entry = PackageBuilder::new();
            entry.add_element(&(u32::from(device) << 16 | 0xffff));
            entry.add_element(&pin);
            entry.add_element(&aml::ZERO);
            entry.add_element(&layout::gsi(device, pin));
            routing.add_element(&entry);
        }
    }
    routing
}

fn dsdt(above_4_gib: &RangeInclusive<u64>) -> Sdt {
    let mut code = Vec::new();
    let buses = AddressSpace::new_bus_number(0u16, 0);
    let config_ports = IO::new(*layout::CONFIG_PORTS.start(), *layout::CONFIG_PORTS.start(), 1, 8);
    let ports = AddressSpace::new_io(*layout::PCI_IO.start() as u16, *layout::PCI_IO.end() as u16, None);
    let memory_32 = AddressSpace::new_memory(
        AddressSpaceCacheable::NotCacheable,
        true,
        *layout::PCI_MEMORY_32.start() as u32,
        *layout::PCI_MEMORY_32.end() as u32,
        None,
    );
    let memory_64 = AddressSpace::new_memory(
        AddressSpaceCacheable::NotCacheable,
        true,
        *above_4_gib.start(),
        *above_4_gib.end(),
        None,
    );
    let routing = interrupt_routing();
    // First what a guest may look for before it can interpret all of this.
    let windows = ResourceTemplate::new(vec![&memory_64, &buses, &config_ports, &ports, &memory_32]);
    let ecam = Memory32Fixed::new(true, layout::ECAM_BASE as u32, layout::ECAM_SIZE as u32);
    let reserved = ResourceTemplate::new(vec![&ecam]);
    let (first, last) = (*layout::SERIAL_PORTS.start(), *layout::SERIAL_PORTS.end());
    let serial_ports = IO::new(first, first, 1, (last - first + 1) as u8);
    let serial_interrupt = Interrupt::new(true, true, false, false, layout::SERIAL_GSI.into());
    let serial = ResourceTemplate::new(vec![&serial_ports, &serial_interrupt]);
    let soft_off = Package::new(vec![&layout::SLEEP_OFF]);
    Scope::new(
        "_SB_".into(),
        vec![
            &Device::new(
                "PCI0".into(),
                vec![
                    &Name::new("_HID".into(), &EISAName::new("PNP0A08")),
                    &Name::new("_CID".into(), &EISAName::new("PNP0A03")),
                    &Name::new("_SEG".into(), &aml::ZERO),
                    &Name::new("_BBN".into(), &aml::ZERO),
                    &Name::new("_UID".into(), &aml::ZERO),
                    &Name::new("_CRS".into(), &windows),
                    &Name::new("_PRT".into(), &routing),
                ],
            ),
            &Device::new(
                "ECAM".into(),
                vec![
                    &Name::new("_HID".into(), &EISAName::new("PNP0C02")),
                    &Name::new("_CRS".into(), &reserved),
                ],
            ),
            &Device::new(
                "COM1".into(),
                vec![
                    &Name::new("_HID".into(), &EISAName::new("PNP0501")),
                    &Name::new("_UID".into(), &aml::ZERO),
                    &Name::new("_CRS".into(), &serial),
                ],
            ),
        ],
    )
    .to_aml_bytes(&mut code);
    Name::new("_S5_".into(), &soft_off).to_aml_bytes(&mut code);

    let mut dsdt = Sdt::new(*b"DSDT", 36, 2, OEM, OEM_TABLE, OEM_REVISION);
    dsdt.append_slice(&code);
    dsdt
}

#[cfg(test)]
mod tests;
