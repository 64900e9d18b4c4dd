//! Does code of a Linux guest go by its own name, whenever it runs and whatever lay at its address before?
//!
//! The modules are compiled here, against the headers of the kernel that is booted.

use std::fs;

use anyhow::{Result, ensure};
use barscope_bench::command::{Ended, Session};
use barscope_bench::compile;

/// Reads ID in its `init`, and tells of it for a while after that.
const SLOW: &str = r#"
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
static noinline u32 read_id(void __iomem *registers) { return readl(registers); }
static int __init slow_init(void)
{
	struct pci_dev *lab = pci_get_device(0x1234, 0x1ab0, NULL);
	void __iomem *registers;

	if (!lab || pci_enable_device(lab))
		return -ENODEV;
	registers = pci_iomap(lab, 0, 0);
	pr_info("id %x\n", read_id(registers));
	msleep(200);
	iounmap(registers);
	return 0;
}
static void __exit slow_exit(void) { }
module_init(slow_init);
module_exit(slow_exit);
MODULE_LICENSE("GPL");
"#;

/// Reads ID in a function of its own whenever its parameter is read; nothing in its `init` calls it.
const ON_DEMAND: &str = r#"
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
static noinline u32 FUNCTION(void __iomem *registers) { return readl(registers); }
static int get(char *buffer, const struct kernel_param *parameter)
{
	struct pci_dev *lab = pci_get_device(0x1234, 0x1ab0, NULL);
	void __iomem *registers = lab ? pci_iomap(lab, 0, 0) : NULL;
	u32 id = registers ? FUNCTION(registers) : 0;

	if (registers)
		iounmap(registers);
	return sprintf(buffer, "%x\n", id);
}
static const struct kernel_param_ops ops = { .get = get };
module_param_cb(id, &ops, NULL, 0444);
static int __init demand_init(void)
{
	struct pci_dev *lab = pci_get_device(0x1234, 0x1ab0, NULL);

	return lab ? pci_enable_device(lab) : -ENODEV;
}
static void __exit demand_exit(void) { }
module_init(demand_init);
module_exit(demand_exit);
MODULE_LICENSE("GPL");
"#;

/// Has both modules read, loads them anew the other way round, and has them read again.
const SWAP: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static void check(const char *what, int failed)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}
static void have_read(const char *path)
{
	char text[32];
	int file = open(path, O_RDONLY);

	check(path, file < 0 || read(file, text, sizeof(text)) < 0);
	close(file);
}
static void load(const char *path)
{
	int file = open(path, O_RDONLY);

	check(path, file < 0 || syscall(SYS_finit_module, file, "", 0));
	close(file);
}
int main(void)
{
	have_read("/sys/module/one/parameters/id");
	have_read("/sys/module/two/parameters/id");
	check("two", syscall(SYS_delete_module, "two", O_NONBLOCK));
	check("one", syscall(SYS_delete_module, "one", O_NONBLOCK));
	load("/modules/two.ko");
	load("/modules/renamed.ko");
	have_read("/sys/module/one/parameters/id");
	have_read("/sys/module/two/parameters/id");
	return 0;
}
"#;

/// A guest with these arguments, that has to pass; what is printed of reads of ID while it runs, and what is
/// printed of them afterwards.
fn reads_of_id(session: &Session, arguments: &[&str]) -> Result<(Vec<String>, Vec<String>)> {
    let live = ["run", "--guest", "linux", "--nested", "--format", "json", "--filter", "read BAR0.ID"];
    let live = session.run(&[&live[..], arguments].concat())?;
    ensure!(live.code == Some(0), "{}", live.stderr);
    let later = session.run(&["show", "--format", "json", "barscope.trace", "read BAR0.ID"])?;
    Ok((accesses(&live), accesses(&later)))
}

fn accesses(ended: &Ended) -> Vec<String> {
    ended.stdout.lines().filter(|line| line.contains(r#""event":"access""#)).map(str::to_owned).collect()
}

/// Address, function and module of an access.
fn code(line: &str) -> Result<(String, String, String)> {
    let record: serde_json::Value = serde_json::from_str(line)?;
    let text = |name: &str| record["code"][name].as_str().unwrap_or("none").to_owned();
    Ok((text("rip"), text("function"), text("module")))
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_what_a_modules_init_accesses_has_its_name_at_once() -> Result<()> {
    let session = Session::new()?;
    compile::modules(&session, &[("slow", SLOW)])?;
    let (live, later) = reads_of_id(&session, &["--module", "slow.ko"])?;
    assert_eq!(live, later);
    let [only] = live.as_slice() else { anyhow::bail!("{live:?}") };
    let (_, function, module) = code(only)?;
    assert_eq!((function.as_str(), module.as_str()), ("read_id", "slow"));
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_a_module_in_the_place_of_another_goes_by_its_own_name() -> Result<()> {
    let session = Session::new()?;
    let source = |function: &str| ON_DEMAND.replace("FUNCTION", function);
    compile::modules(&session, &[("one", &source("read_by_one")), ("two", &source("read_by_two"))])?;
    fs::rename(session.path("one.ko"), session.path("renamed.ko"))?;
    let program = session.file("swap.c", SWAP.as_bytes())?;
    compile::program(&program, &session.path("swap"))?;
    let arguments = ["--module", "renamed.ko", "--module", "two.ko", "--program", "./swap"];
    let (live, later) = reads_of_id(&session, &arguments)?;
    assert_eq!(live, later);
    let found = live.iter().map(|line| code(line)).collect::<Result<Vec<_>>>()?;
    let names: Vec<_> = found.iter().map(|(_, function, module)| (&**function, &**module)).collect();
    let [one, two] = [("read_by_one", "one"), ("read_by_two", "two")];
    assert_eq!(names, [one, two, one, two]);
    // What this is about: one has been where two is now.
    ensure!(found[0].0 == found[3].0, "the kernel put them elsewhere: {found:?}");
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_two_programs_of_one_name_both_run() -> Result<()> {
    let session = Session::new()?;
    for (folder, code) in [("a", "return 0;"), ("b", "return argc == 2 ? 0 : 1;")] {
        fs::create_dir(session.path(folder))?;
        let source = format!("int main(int argc, char **argv) {{ (void)argc; (void)argv; {code} }}");
        let source = session.file(&format!("{folder}/test.c"), source.as_bytes())?;
        compile::program(&source, &session.path(&format!("{folder}/test")))?;
    }
    let arguments = ["--program", "a/test", "--program", "b/test one"];
    let run = session.run(&[&["run", "--guest", "linux", "--nested"], &arguments[..]].concat())?;
    ensure!(run.code == Some(0), "{}", run.stderr);
    for heading in ["PASS  a/test", "PASS  b/test"] {
        ensure!(run.stdout.contains(heading), "no {heading:?} in:\n{}", run.stdout);
    }
    Ok(())
}
