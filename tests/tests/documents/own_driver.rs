//! The tests in docs/expectations.md, for them to compile; what they boot and load is the reader's.

use anyhow::{Result, ensure};
use barscope_analysis::assert::{Expect, access, msi, read, write};
use barscope_bench::Bench;
use barscope_trace::definition::Path;

pub fn expectations() -> Result<()> {
    let run = Bench::kernel(std::fs::read("my-kernel")?).run()?;
    let expect = Expect::on(&run.trace);
    expect
        .sequence([
            write("BAR0.INT_MASK").field("DONE", 1),
            write("BAR0.OPCODE").cpl(0).via(Path::Ioremap).uncached(),
            msi(0).delivered(true),
            read("BAR0.INT_STATUS").in_handler(),
            write("BAR0.INT_STATUS").field("DONE", 1).in_handler(),
        ])
        .assert_passed();
    expect.never(access("BAR0").via(Path::Mmap)).assert_passed();
    Ok(())
}

pub fn linux() -> Result<()> {
    let run = Bench::linux()
        .module("my-driver.ko", "debug=1")
        .program("./my-tool", &["--selftest"])
        .device("lab", &[("msi-vectors", "1")])?
        .run_nested()?;
    ensure!(run.ended.code == Some(0), "{}", run.ended.stderr);
    Expect::on(&run.trace).sequence([read("BAR0.ID").cpl(0).via(Path::Ioremap)]).assert_passed();
    Ok(())
}
