//! `pci-testdev` by a kernel that runs its tests by memory and by ports: what it reads is the same in QEMU, and what KVM takes
//! without user space is in the trace.

use anyhow::Result;
use barscope_bench::command::Session;
use barscope_trace::EventKind;
use barscope_trace::event::Backing;
use iced_x86::IcedError;
use iced_x86::code_asm::{AsmRegister32, al, byte_ptr, dword_ptr, dx, eax, ebp, ebx, ecx, edi, edx, esi};

use crate::image::{self, Form};
use crate::machines::Kernel;
use crate::program::Program;
use crate::{outcome, program};

/// Vendor 1b36, device 0005.
const ID: i32 = 0x0005_1b36;
const CONFIG_ENABLE: i32 = i32::MIN;

/// How a BAR is accessed, whose address EBX holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Memory,
    Ports,
}

impl By {
    /// Reads a byte or four into EAX; uses EDX.
    fn read(self, p: &mut Program, offset: i32, size: u8) -> Result<(), IcedError> {
        match (self, size) {
            (Self::Memory, 1) => p.a.movzx(eax, byte_ptr(ebx) + offset),
            (Self::Memory, _) => p.a.mov(eax, dword_ptr(ebx) + offset),
            (Self::Ports, size) => {
                p.a.lea(edx, dword_ptr(ebx) + offset)?;
                p.a.mov(eax, 0)?;
                if size == 1 { p.a.in_(al, dx) } else { p.a.in_(eax, dx) }
            }
        }
    }

    /// Writes AL at the offset in a register; uses EDX.
    fn write(self, p: &mut Program, offset: AsmRegister32) -> Result<(), IcedError> {
        match self {
            Self::Memory => p.a.mov(byte_ptr(ebx + offset), al),
            Self::Ports => {
                p.a.lea(edx, dword_ptr(ebx + offset))?;
                p.a.out(dx, al)
            }
        }
    }
}

/// Finds the function and puts the address in a BAR's register into EBX.
fn find(p: &mut Program, register: i32, mask: i32) -> Result<(), IcedError> {
    let (mut again, mut found) = (p.a.create_label(), p.a.create_label());
    p.a.mov(ebx, CONFIG_ENABLE)?;
    p.a.set_label(&mut again)?;
    p.a.mov(edx, 0xcf8)?;
    p.a.mov(eax, ebx)?;
    p.a.out(dx, eax)?;
    p.a.mov(edx, 0xcfc)?;
    p.a.in_(eax, dx)?;
    p.a.cmp(eax, ID)?;
    p.a.je(found)?;
    p.a.add(ebx, 1 << 11)?;
    p.a.cmp(ebx, CONFIG_ENABLE + (32 << 11))?;
    p.a.jne(again)?;
    p.text("there is no pci-testdev\n")?;
    p.exit()?;
    p.a.set_label(&mut found)?;
    p.a.mov(edx, 0xcf8)?;
    p.a.lea(eax, dword_ptr(ebx) + register)?;
    p.a.out(dx, eax)?;
    p.a.mov(edx, 0xcfc)?;
    p.a.in_(eax, dx)?;
    p.a.and(eax, mask)?;
    p.a.mov(ebx, eax)
}

/// Starts a test, and prints what it tells of itself: name, width, offset, data.
fn start(p: &mut Program, by: By, test: i32) -> Result<(), IcedError> {
    let (mut again, mut end) = (p.a.create_label(), p.a.create_label());
    p.a.mov(eax, test)?;
    p.a.mov(ecx, 0)?;
    by.write(p, ecx)?;
    p.a.mov(edi, ebx)?;
    p.a.set_label(&mut again)?;
    by.read(p, 16, 1)?;
    p.a.test(al, al)?;
    p.a.je(end)?;
    p.put()?;
    p.a.inc(ebx)?;
    p.a.jmp(again)?;
    p.a.set_label(&mut end)?;
    p.a.mov(ebx, edi)?;
    for (what, offset, size) in [(" width ", 1, 1), (" offset ", 4, 4), (" data ", 8, 4)] {
        p.text(what)?;
        by.read(p, offset, size)?;
        p.a.mov(edi, eax)?;
        p.hex(edi)?;
    }
    Ok(())
}

/// Runs a test: three writes of its data and one of another value, and the count.
fn run(p: &mut Program, by: By, test: i32) -> Result<(), IcedError> {
    start(p, by, test)?;
    by.read(p, 8, 4)?;
    p.a.mov(esi, eax)?;
    by.read(p, 4, 4)?;
    p.a.mov(edi, eax)?;
    for flip in [0, 0, 0x11, 0] {
        p.a.mov(eax, esi)?;
        p.a.xor(eax, flip)?;
        by.write(p, edi)?;
    }
    p.text(" count ")?;
    by.read(p, 12, 4)?;
    p.a.mov(edi, eax)?;
    p.hex(edi)?;
    p.text("\n")?;
    p.a.inc(ebp)
}

fn kernel() -> Result<Kernel<'static>> {
    let code = program(|p| {
        p.a.mov(ebp, 0)?;
        for (by, register, mask) in [(By::Memory, 0x10, !0xf), (By::Ports, 0x14, !0x3)] {
            find(p, register, mask)?;
            for test in 0..3 {
                run(p, by, test)?;
            }
            start(p, by, 3)?;
            p.text("\n")?;
        }
        Ok(())
    })?;
    let file = image::version_1(Form::Elf32, &code)?;
    Ok(Kernel { file, device: Some("pci-testdev"), ..Kernel::default() })
}

const READ: &str = "\
magic 2badb002
mmio-no-eventfd width 00000001 offset 00000800 data 000000fa count 00000003
mmio-wildcard-eventfd width 00000001 offset 00000801 data 000000ce count 00000000
mmio-datamatch-eventfd width 00000001 offset 00000802 data 000000fa count 00000000
 width 00000000 offset 00000000 data 00000000
portio-no-eventfd width 00000001 offset 00000083 data 000000fa count 00000003
portio-wildcard-eventfd width 00000001 offset 00000084 data 000000ce count 00000000
portio-datamatch-eventfd width 00000001 offset 00000085 data 000000fa count 00000000
 width 00000000 offset 00000000 data 00000000
";

#[test]
#[ignore = "needs QEMU"]
fn the_tests_of_pci_testdev_tell_the_same_in_qemu() -> Result<()> {
    assert_eq!(kernel()?.in_qemu(&Session::new()?)?, outcome(READ, 13));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn writes_that_kvm_takes_by_itself_are_in_the_trace() -> Result<()> {
    let session = Session::new()?;
    assert_eq!(kernel()?.here(&session)?, outcome(READ, 13));
    let trace = session.trace()?;
    let mut rung = Vec::new();
    let mut served = Vec::new();
    for view in trace.views().all() {
        let region = view.place().map(|place| place.region).or_else(|| Some(view.route()?.region));
        let region = region.map(|region| region.to_string()).unwrap_or_default();
        match view.kind {
            EventKind::Doorbell { offset, count, .. } => match rung.last_mut() {
                // KVM may have been asked in between.
                Some((_, last, sum)) if *last == offset => *sum += count,
                _ => rung.push((region, offset, count)),
            },
            EventKind::Backing { backing, .. } => served.push((region, backing)),
            _ => {}
        }
    }
    let rung: Vec<_> = rung.iter().map(|(region, offset, count)| (&**region, *offset, *count)).collect();
    assert_eq!(
        rung,
        // Of the datamatch tests, the write of another value went to the device.
        [("BAR0", 0x801, 4), ("BAR0", 0x802, 3), ("BAR1", 0x84, 4), ("BAR1", 0x85, 3)]
    );
    let served: Vec<_> = served.iter().map(|(region, backing)| (&**region, *backing)).collect();
    let (bell, trapped) = (Backing::Doorbell, Backing::Trapped);
    let of = |bar| [(bar, bell), (bar, bell), (bar, trapped)];
    assert_eq!(served, [of("BAR0"), of("BAR1")].concat());
    Ok(())
}
