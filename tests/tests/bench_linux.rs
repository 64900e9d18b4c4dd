//! Linux on the bench: somebody's module and program, from a few lines of Rust.

use anyhow::{Result, bail, ensure};
use barscope_analysis::assert::{Expect, read};
use barscope_bench::command::Session;
use barscope_bench::{Bench, compile};
use barscope_trace::definition::Path;
use barscope_vmm::{HostError, MachineError, Stop};

/// Reads VERSION of whatever device it is told, in a function of its own.
const MODULE: &str = r#"
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
static unsigned int device = 0;
module_param(device, uint, 0444);
static noinline u32 read_version(void __iomem *registers) { return readl(registers + 4); }
static int __init peek_init(void)
{
	struct pci_dev *found = pci_get_device(0x1234, device, NULL);
	void __iomem *registers;

	if (!found || pci_enable_device(found))
		return -ENODEV;
	registers = pci_iomap(found, 0, 0);
	read_version(registers);
	iounmap(registers);
	return 0;
}
static void __exit peek_exit(void) { }
module_init(peek_init);
module_exit(peek_exit);
MODULE_LICENSE("GPL");
"#;

/// Maps BAR0 of the device at 00:04.0 as sysfs offers it, and reads ID.
const PROGRAM: &str = r#"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
int main(int argc, char **argv)
{
	int file = open("/sys/bus/pci/devices/0000:00:04.0/resource0", O_RDWR);
	volatile uint32_t *registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (argc != 2 || strcmp(argv[1], "now") || registers == MAP_FAILED)
		return 1;
	return registers[0] == 0x3142414c ? 0 : 2;
}
"#;

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_the_bench_plays_a_module_and_a_program_of_ones_own() -> Result<()> {
    let session = Session::new()?;
    compile::modules(&session, &[("peek", MODULE)])?;
    let program = session.path("look");
    compile::program(&session.file("look.c", PROGRAM.as_bytes())?, &program)?;

    let run = Bench::linux()
        .module(session.path("peek.ko"), "device=0x1ab0")
        .program(&program, &["now"])
        .device("lab", &[])?
        .run_nested()?;

    ensure!(run.ended.code == Some(0), "{}{}", run.ended.stdout, run.ended.stderr);
    ensure!(run.ended.stdout.contains("PASS  look"), "{}", run.ended.stdout);
    let expect = Expect::on(&run.trace);
    expect.sequence([read("BAR0.VERSION").cpl(0).via(Path::Ioremap).file("peek.c")]).assert_passed();
    expect.sequence([read("BAR0.ID").cpl(3).value(0x3142_414c)]).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm, Debian's kernel and its headers"]
fn on_a_kvm_that_cannot_run_linux_the_bench_says_so_and_else_it_runs_there() -> Result<()> {
    let bench = Bench::linux().scenario("probe");
    let run = match bench.run() {
        Ok(run) => run,
        Err(error) => {
            ensure!(
                matches!(error.downcast_ref(), Some(MachineError::Host(HostError::NoLinux))),
                "{error:#}"
            );
            return Ok(());
        }
    };
    let (Stop::Reset | Stop::PowerOff | Stop::Exit { status: 0 }) = run.stop else { bail!("{:?}", run.stop) };
    run.expect("probe").sequence([read("BAR0.ID").cpl(0)]).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn on_linux_a_bench_with_the_test_kernel_plays_in_the_emulated_processor_as_well() -> Result<()> {
    let run = Bench::test_kernel().scenario("probe").device("lab", &[("msi-vectors", "2")])?.run_nested()?;
    ensure!(run.ended.code == Some(0), "{}{}", run.ended.stdout, run.ended.stderr);
    Expect::on(&run.trace).sequence([read("BAR0.ID").value(0x3142_414c)]).assert_passed();
    Ok(())
}
