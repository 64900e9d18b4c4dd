//! A second CPU, for one process beside the first CPU's: woken by INIT and SIPI (Intel SDM volume 3,
//! section 8.4), and stopped for good once the process has come to its end.

use core::arch::{asm, global_asm};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::acpi::Tables;
use crate::apic::LocalApic;
use crate::cpu::CPUS;
use crate::paging::{self, direct};
use crate::process::{Exit, Process};
use crate::trap;

global_asm!(include_str!("second_cpu.s"), options(att_syntax));

/// Physical address of the page that it begins in: below 1 MiB, and above what a boot loader leaves.
const TRAMPOLINE: u64 = 0x1_0000;

/// What it is at.
static STATE: AtomicU32 = AtomicU32::new(STOPPED);
const STOPPED: u32 = 0;
const WOKEN: u32 = 1;
const RUNNING: u32 = 2;

/// What it is to run.
static PROCESS: AtomicPtr<Process> = AtomicPtr::new(core::ptr::null_mut());

unsafe extern "C" {
    safe static trampoline: u8;
    safe static trampoline_end: u8;
}

/// A CPU that waits to be woken.
#[derive(Clone, Copy)]
pub struct SecondCpu {
    id: u8,
    local_apic: LocalApic,
}

impl SecondCpu {
    /// One of those in `tables` that is not the one that this runs on, whose local APIC is `local_apic`.
    pub fn find(tables: Tables, local_apic: LocalApic) -> Option<Self> {
        let this = local_apic.id();
        Some(Self { id: tables.local_apic(|id| id != this)?, local_apic })
    }

    /// Runs `there` on this second CPU and, once that has begun, `here` on the first. Gives how they
    /// ended.
    pub fn run_both(self, here: &mut Process, there: &mut Process) -> [Exit; 2] {
        PROCESS.store(there, Ordering::Relaxed);
        STATE.store(WOKEN, Ordering::Release);
        let code = &raw const trampoline as u64;
        let size = &raw const trampoline_end as u64 - code;
        let (from, to) = (direct(code) as *const u8, direct(TRAMPOLINE) as *mut u8);
        // SAFETY: the code is linked at its physical address, and the page is memory that nobody uses.
        unsafe { core::ptr::copy_nonoverlapping(from, to, size as usize) };
        paging::set_identity(true);
        self.local_apic.start(self.id, TRAMPOLINE);
        while STATE.load(Ordering::Acquire) == WOKEN {
            spin_loop();
        }
        paging::set_identity(false);
        let here = here.run();
        while STATE.load(Ordering::Acquire) != STOPPED {
            spin_loop();
        }
        [here, there.exit()]
    }
}

/// Entered from the trampoline, with interrupts off.
#[unsafe(no_mangle)]
extern "C" fn second_main() -> ! {
    CPUS[1].init();
    trap::load();
    STATE.store(RUNNING, Ordering::Release);
    // SAFETY: `run_both` lends the process until the state says that it is over.
    unsafe { (*PROCESS.load(Ordering::Relaxed)).run() };
    STATE.store(STOPPED, Ordering::Release);
    loop {
        // SAFETY: nothing is left to do.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
