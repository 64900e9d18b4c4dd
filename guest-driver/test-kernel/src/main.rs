//! A small kernel that reaches one PCI device in two ways, for the trace to compare: the driver by
//! `ioremap`, a ring-3 program by the driver's `mmap`.
//!
//! It boots by PVH, under the bench and under QEMU. Without the bench it says what PCI functions it
//! found, and ends.
//!
//! Ring 0 has to run where KVM emulates it, instruction by instruction, without SSE arithmetic: no
//! `core::fmt`, and no more instructions than needed.

#![no_std]
#![no_main]

mod acpi;
mod apic;
mod bench;
mod boot_info;
mod bug;
mod check;
mod cpu;
mod field;
mod frames;
mod io_apic;
mod ioremap;
mod irq;
mod lab;
mod lock;
mod machine;
mod paging;
mod pci;
mod port;
mod process;
mod program;
mod scenarios;
mod second_cpu;
mod serial;
mod text;
mod ticker;
mod trap;
mod trap_frame;

use core::arch::global_asm;
use core::panic::PanicInfo;

use boot_info::BootInfo;
use pci::{Bus, Config, Found, Windows};
use scenarios::Machine;
use second_cpu::SecondCpu;
use text::Text;

global_asm!(include_str!("boot.s"), options(att_syntax));

/// Entered from the boot code, with interrupts off.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u64) -> ! {
    cpu::CPUS[0].init();
    trap::init();
    bench::init();
    let Some(boot_info) = BootInfo::read(start_info) else {
        stop("the boot loader passed no PVH start info");
    };
    let mapped_end = paging::init(boot_info.memory_end);
    frames::init(boot_info.memory_end.min(mapped_end));
    let local_apic = apic::LocalApic::enable();
    irq::init(local_apic);

    if let Err(unknown) = bug::choose(boot_info.command_line) {
        unusable("no bug has the name ", unknown);
    }
    let tables = acpi::Tables::find(boot_info.rsdp);
    let enhanced = tables.and_then(acpi::Tables::ecam).map(Config::enhanced);
    if !bench::is_present() {
        list(Config::Ports, "CF8/CFC");
        if let Some(enhanced) = enhanced {
            list(enhanced, "ECAM");
        }
        stop("this machine is not the bench, so that there is nothing to play");
    }
    let Some(enhanced) = enhanced else { stop("ACPI has no MCFG") };
    let functions = pci::enumerate(enhanced);
    if functions != pci::enumerate(Config::Ports) {
        stop("CF8/CFC and ECAM show different PCI functions");
    }
    let windows = Windows::new(tables.and_then(acpi::Tables::window_above_4_gib));
    let mut bus = Bus { config: enhanced, found: functions, windows };
    let lab = bus.claim(lab::PCI_ID);
    let ticker = bus.claim(ticker::PCI_ID);
    let second_cpu = tables.and_then(|tables| SecondCpu::find(tables, local_apic));
    let machine = Machine { lab, ticker, memory_end: boot_info.memory_end, second_cpu, bus };
    match scenarios::play(boot_info.command_line, &machine) {
        Ok(true) => machine::exit(machine::STATUS_PASSED),
        Ok(false) => machine::exit(machine::STATUS_FAILED),
        Err(unknown) => unusable("no scenario has the name ", unknown),
    }
}

/// Prints the functions that answer through `config`.
fn list(config: Config, name: &str) {
    serial::print("PCI bus 0 by ");
    serial::print(name);
    serial::print(":\n");
    for Found { address, id, class, .. } in pci::enumerate(config).into_iter().flatten() {
        let line = Text::<64>::new()
            .str("  ")
            .hex(u64::from(address.device), 2)
            .str(".")
            .decimal(u64::from(address.function))
            .str("  ")
            .hex(u64::from(id & 0xffff), 4)
            .str(":")
            .hex(u64::from(id >> 16), 4)
            .str("  class ")
            .hex(u64::from(class >> 8), 6)
            .str("\n");
        serial::write(line.bytes());
    }
}

/// Says why the machine can't be used, and ends the run.
fn stop(reason: &str) -> ! {
    unusable(reason, &[])
}

/// The same, with a name that the reason ends with.
fn unusable(reason: &str, name: &[u8]) -> ! {
    serial::print("test kernel: ");
    serial::print(reason);
    serial::write(name);
    serial::print("\n");
    machine::exit(machine::STATUS_UNUSABLE)
}

/// Prints where, but not why: the message would need `core::fmt`.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    serial::print("test kernel: panic");
    if let Some(location) = info.location() {
        serial::print(" at ");
        serial::print(location.file());
        let line = Text::<16>::new().str(":").decimal(u64::from(location.line()));
        serial::write(line.bytes());
    }
    serial::print("\n");
    machine::exit(machine::STATUS_BUG)
}
