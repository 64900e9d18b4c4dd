//! Does a kernel's build tree tell what the kernel itself keeps to itself?
//!
//! Debian's kernel stands in for one that somebody built: its tree is made here, of its own image and of the symbols that it tells
//! while nothing moves it. Then it is moved, and hides them.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, ensure};
use barscope_bench::command::{Session, libraries, output};
use barscope_bench::compile;
use barscope_vmm::linux::{Kernel, KernelChoice};

/// Something to load, so that no driver has to be compiled for the tree.
const MODULE: &str = "
#include <linux/module.h>
static int __init nothing_init(void) { return 0; }
module_init(nothing_init);
MODULE_LICENSE(\"GPL\");
";

/// Prints what the trace keeps no name of: variables, and symbols where others are.
const VARIABLES: &str = "#!/bin/sh
grep -E ' (_stext|_einittext|page_offset_base|vmalloc_base|modules|init_task|current_task|__per_cpu_offset|__st(art|op)_(BTF|orc_unwind|orc_unwind_ip))$' /proc/kallsyms
";

/// Tells how many symbols are hidden, and reads configuration space.
const READ: &str = "#!/bin/sh
echo hidden $(grep -c '^0000000000000000 ' /proc/kallsyms)
dd if=/sys/bus/pci/devices/0000:00:04.0/config of=/tmp/config bs=4 count=1
";

fn run(session: &Session, arguments: &[&str]) -> Result<String> {
    let mut command = session.barscope(&["run", "--guest", "linux", "--nested", "--module", "nothing.ko"])?;
    command.args(arguments);
    libraries(&mut command)?;
    let ended = output(&mut command)?;
    ensure!(ended.code == Some(0), "{:?}\n{}\n{}", ended.code, ended.stdout, ended.stderr);
    Ok(fs::read_to_string(session.path("console"))?)
}

/// `System.map` of the kernel as it was linked.
fn system_map(session: &Session) -> Result<String> {
    session.file("variables", VARIABLES.as_bytes())?;
    let said = run(session, &["--program", "variables", "--append", "nokaslr", "--console", "console"])?;
    let trace = session.trace()?;
    let definitions = trace.definitions();
    let mut map: String = said
        .lines()
        .filter(|line| line.split(' ').next().is_some_and(|word| word.len() == 16))
        .fold(String::new(), |map, line| map + line.trim_end() + "\n");
    ensure!(map.lines().count() >= 14, "{said}");
    let (kernel, _) =
        definitions.images().find(|(_, image)| image.name == "kernel").context("no names of the kernel's")?;
    for line in String::from_utf8_lossy(definitions.blob(kernel)).lines() {
        let mut words = line.split(' ');
        if let [Some(address), _, Some(name), None] = [(); 4].map(|()| words.next()) {
            writeln!(map, "{address} T {name}")?;
        }
    }
    Ok(map)
}

#[test]
#[ignore = "needs QEMU, Debian's kernel, its headers and busybox"]
fn a_kernel_that_hides_its_symbols_goes_by_those_of_its_tree() -> Result<()> {
    let session = Session::new()?;
    compile::modules(&session, &[("nothing", MODULE)])?;
    let map = system_map(&session)?;
    let image = session.path("linux/arch/x86/boot/bzImage");
    fs::create_dir_all(image.parent().context("a folder")?)?;
    fs::copy(Kernel::find(&KernelChoice::Debian)?.image, image)?;
    session.file("linux/System.map", map.as_bytes())?;
    session.file("read", READ.as_bytes())?;
    fs::remove_file(session.path("barscope.trace"))?;

    let hiding = "sysctl.kernel.kptr_restrict=2";
    let said = run(
        &session,
        &["--program", "read", "--kernel-tree", "linux", "--append", hiding, "--console", "console"],
    )?;

    let hidden = said.lines().find_map(|line| line.trim().strip_prefix("hidden ")?.parse().ok());
    ensure!(hidden.is_some_and(|hidden: u64| hidden > 10_000), "{said}");
    let trace = session.trace()?;
    let views = trace.views();
    let read = views.all().iter().find(|view| view.process().is_some_and(|process| process.name == "dd"));
    let read = read.context("no access of dd's")?;
    let functions: Vec<_> = read.calls().filter_map(|call| call.function).collect();
    for function in ["pci_read_config", "kernfs_fop_read_iter", "ksys_read"] {
        ensure!(functions.contains(&function), "{functions:?}");
    }
    ensure!(read.system_call() == Some(0), "{:?}", read.system_call());
    Ok(())
}
