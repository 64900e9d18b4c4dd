//! Does what reads a trace need more memory for a longer one?

use std::fmt::Write;

use anyhow::{Result, ensure};
use barscope_analysis::lint;
use barscope_bench::command::Session;
use barscope_bench::counting::{Counting, peak};
use fastrand::Rng;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Accesses of the shorter trace, which fill all that lints remember, and of the longer one.
const SHORT: usize = 20_000;
const LONG: usize = 200_000;
/// Registers of `lab` that random steps touch, refused ones and holes among them.
const REGISTERS: [&str; 14] = [
    "ID",
    "SCRATCH",
    "CONTROL",
    "STATUS",
    "INT_STATUS",
    "INT_MASK",
    "OPERAND",
    "OPCODE",
    "RESULT",
    "DMA_STATUS",
    "FIFO_DATA",
    "COUNTER",
    "EVENTS",
    "TRIGGER",
];

/// Random accesses to registers and to configuration space, as a script of `barscope poke`.
fn script(accesses: usize) -> Result<String> {
    let mut random = Rng::with_seed(1);
    let mut script = String::new();
    for _ in 0..accesses {
        let value = random.choice([0, 1, 2, 5, 0x10, 0x8000_0000_u32]).unwrap_or_default();
        let register = random.choice(REGISTERS).unwrap_or_default();
        match random.u8(0..10) {
            0 => writeln!(script, "read1 BAR0.{register}")?,
            1 => writeln!(script, "write CONFIG.COMMAND 6")?,
            2 => writeln!(script, "write BAR2+{:#x} {value}", 4 * random.u32(0..0x4_0000))?,
            3..6 => writeln!(script, "write BAR0.{register} {value}")?,
            _ => writeln!(script, "read BAR0.{register}")?,
        }
    }
    Ok(script)
}

#[test]
fn lints_need_no_more_memory_for_ten_times_the_records() -> Result<()> {
    let session = Session::new()?;
    let mut peaks = Vec::new();
    for (name, accesses) in [("short", SHORT), ("long", LONG)] {
        session.file("script", script(accesses)?.as_bytes())?;
        let ended = session.run(&["poke", "lab", "--file", "script", "--trace", name])?;
        ensure!(ended.code == Some(0), "{}", ended.stderr);
        let (report, bytes) = peak(|| lint::lint(&session.path(name)));
        let report = report?;
        assert!(report.records >= accesses as u64 && !report.findings.is_empty(), "{}", report.total());
        peaks.push(bytes);
    }
    // A reader knows where each block of the file begins, which is less than a byte a record.
    assert!(peaks[0] > 10_000 && peaks[1] < peaks[0] + (LONG - SHORT) as u64, "{peaks:?}");
    Ok(())
}
