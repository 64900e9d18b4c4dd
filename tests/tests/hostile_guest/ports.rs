//! Every port, in and out, with every size.

use anyhow::Result;
use barscope_bench::{Bench, raw_guest};
use barscope_trace::EventKind;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, ax, dx, eax, ebp, edx};

use super::{assert_through, exit, run};

type Instruction = fn(&mut CodeAssembler) -> Result<(), IcedError>;

/// All of them.
const PORTS: u32 = 0x1_0000;
/// isa-debug-exit's.
const DEBUG_EXIT: std::ops::RangeInclusive<u32> = 0xf4..=0xf7;
/// The reset register's; a wider access in front of it covers it.
const RESET: std::ops::RangeInclusive<u32> = 0xcf6..=0xcf9;

/// One access in each turn of a loop from one port to another.
fn sweep(
    a: &mut CodeAssembler,
    ports: std::ops::Range<u32>,
    access: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.mov(ebp, ports.start)?;
    a.set_label(&mut again)?;
    a.mov(edx, ebp)?;
    // Of no request, and no reset.
    a.mov(eax, 0x6060_6060)?;
    access(a)?;
    a.inc(ebp)?;
    a.cmp(ebp, ports.end as i32)?;
    a.jb(again)
}

#[test]
#[ignore = "needs /dev/kvm"]
fn every_port_takes_in_and_out_of_every_size() -> Result<()> {
    let accesses: [Instruction; 6] = [
        |a| a.in_(al, dx),
        |a| a.in_(ax, dx),
        |a| a.in_(eax, dx),
        |a| a.out(dx, al),
        |a| a.out(dx, ax),
        |a| a.out(dx, eax),
    ];
    for (index, access) in accesses.into_iter().enumerate() {
        println!("access {index}");
        let guest = raw_guest::assemble(|a| {
            if index < 3 {
                sweep(a, 0..PORTS, access)?;
            } else {
                // What ends the machine is known to.
                sweep(a, 0..*DEBUG_EXIT.start(), access)?;
                sweep(a, DEBUG_EXIT.end() + 1..*RESET.start(), access)?;
                sweep(a, RESET.end() + 1..PORTS, access)?;
            }
            exit(a)
        })?;
        let run = run(Bench::kernel(guest))?;
        assert_through(&run);
        let events = run.trace.events().iter();
        let accesses = events.filter(|event| matches!(event.kind, EventKind::Access(_))).count();
        // Those of PCI: the window for BARs, and configuration.
        assert!(accesses >= 0x4000, "{accesses}");
    }
    Ok(())
}
