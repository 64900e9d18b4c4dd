//! Does a turn in a machine that is kept say what a run of its own says, and does what is kept end when it should?

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_analysis::view::{Place, View};
use barscope_bench::command::{Ended, Session, output};
use barscope_bench::compile;

/// Reads ID once and STATUS as often as STATUS_READS says, and oopses in its probe if it is told to.
const MODULE: &str = r#"
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
static bool oops;
module_param(oops, bool, 0444);
static int turned_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	void __iomem *registers;
	int i, error = pcim_enable_device(dev);

	if (error)
		return error;
	registers = pcim_iomap(dev, 0, 0);
	if (!registers)
		return -ENOMEM;
	writel(7, registers + 8);
	readl(registers);
	for (i = 0; i < STATUS_READS; i++)
		readl(registers + 0x10);
	if (oops)
		WRITE_ONCE(*(int *)NULL, 1);
	return 0;
}
/* What a run doesn't see, since it ends before. */
static void turned_remove(struct pci_dev *dev) { readl(pcim_iomap_table(dev)[0] + 4); }
static const struct pci_device_id ids[] = { { PCI_DEVICE(0x1234, 0x1ab0) }, { } };
MODULE_DEVICE_TABLE(pci, ids);
static struct pci_driver turned_driver = {
	.name = "turned", .id_table = ids, .probe = turned_probe, .remove = turned_remove,
};
module_pci_driver(turned_driver);
MODULE_LICENSE("GPL");
"#;

/// Reads SCRATCH, which a device has after reset for 0 and here from the driver; leaves a file that there mustn't be.
const PROGRAM: &str = r#"
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
int main(void)
{
	int file = open("/sys/bus/pci/devices/0000:00:04.0/resource0", O_RDWR);
	volatile uint32_t *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (at == MAP_FAILED || open("left", O_CREAT | O_EXCL | O_RDWR, 0600) < 0)
		return 1;
	return at[2] == 7 ? 0 : 2;
}
"#;

const EXPECT: &str = "\
test \"the driver asks twice\"
  read BAR0.STATUS exactly 2 times
test \"the program sees what the driver wrote\"
  read BAR0.SCRATCH by user exactly 1 time
test \"no VERSION\"
  never read BAR0.VERSION
";

/// The machine that is kept for a test ends with it.
struct Kept {
    session: Session,
}

impl Kept {
    fn new() -> Result<Self> {
        let session = Session::new()?;
        fs::create_dir(session.path("kept"))?;
        compile::program(&session.file("look.c", PROGRAM.as_bytes())?, &session.path("look"))?;
        session.file("turn.expect", EXPECT.as_bytes())?;
        Ok(Self { session })
    }

    /// Compiles the module so that it reads STATUS so often.
    fn compile(&self, reads: u32) -> Result<()> {
        let source = format!("#define STATUS_READS {reads}\n{MODULE}");
        compile::modules(&self.session, &[("turned", &source)])
    }

    fn command(&self, arguments: &[&str]) -> Result<Ended> {
        let mut command = self.session.barscope(arguments)?;
        output(command.env("XDG_RUNTIME_DIR", self.session.path("kept")))
    }

    fn run(&self, arguments: &[&str]) -> Result<Ended> {
        let all = ["run", "--guest", "linux", "--nested", "--device", "lab", "--program", "./look"];
        self.command(&[&all, arguments].concat())
    }

    fn trace(&self) -> Result<Trace> {
        self.session.trace()
    }

    /// Where the keeper of a machine can be spoken to, as long as there is one.
    fn socket(&self) -> PathBuf {
        self.session.path("kept/barscope/machine")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.command(&["nested", "--stop"]).ok();
    }
}

/// What a run says: its exit code, verdicts and programs, and how often each register was read and written at each ring.
type Said = (Option<i32>, Vec<String>, BTreeMap<String, usize>);

fn said(ended: &Ended, trace: &Trace) -> Said {
    let is_verdict = |line: &&str| ["PASS", "FAIL", "INCONCLUSIVE"].iter().any(|word| line.contains(word));
    let verdicts = ended.stdout.lines().filter(is_verdict).map(|line| line.trim().to_owned()).collect();
    let mut counts = BTreeMap::new();
    let views = trace.views().all();
    for access in views.iter().filter_map(View::access) {
        // What Linux itself finds out of a device isn't what a driver does.
        let place = access.place().filter(|place| !place.is_configuration());
        let Some(register) = place.and_then(Place::register_name) else { continue };
        let what = if access.write { "write" } else { "read" };
        *counts.entry(format!("{what} {register} at ring {}", access.cpl)).or_default() += 1;
    }
    (ended.code, verdicts, counts)
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_a_turn_says_what_a_run_of_its_own_says_also_after_another_module_and_after_an_oops() -> Result<()>
{
    let kept = Kept::new()?;
    let arguments = ["--module", "turned.ko", "--expect", "turn.expect"];
    let keeping = [&arguments[..], &["--keep"]].concat();
    let turn = |ended: Result<Ended>| -> Result<(Said, Ended)> {
        let ended = ended?;
        let trace = kept.trace().with_context(|| ended.stderr.clone())?;
        Ok((said(&ended, &trace), ended))
    };

    kept.compile(2)?;
    let (first, _) = turn(kept.run(&keeping))?;
    kept.compile(1)?;
    let (second, ended) = turn(kept.run(&keeping))?;
    ensure!(!ended.stderr.contains("nested:"), "it booted again: {}", ended.stderr);
    assert_eq!(first.0, Some(0), "{first:?}");
    assert_eq!(second.0, Some(1), "{second:?}");
    let counted = |status| {
        let all =
            [("read ID at ring 0", 1), ("read SCRATCH at ring 3", 1), ("read STATUS at ring 0", status)];
        let all = all.into_iter().chain([("write SCRATCH at ring 0", 1)]);
        all.map(|(what, count)| (what.to_owned(), count)).collect::<BTreeMap<_, usize>>()
    };
    assert_eq!((&first.2, &second.2), (&counted(2), &counted(1)));

    // A guest that met an error isn't played in again.
    let oops = kept.run(&["--keep", "--quiet", "--module", "turned.ko oops=1"])?;
    assert_eq!(oops.code, Some(1), "{}", oops.stderr);
    ensure!(
        oops.stderr.starts_with("error: BUG: kernel NULL pointer dereference in turned_probe+"),
        "{}",
        oops.stderr
    );
    let (third, ended) = turn(kept.run(&keeping))?;
    assert_eq!(third, second);
    assert_eq!(ended.stderr.matches("nested:").count(), 1, "{}", ended.stderr);
    ensure!(
        ended.stderr.contains("nested: the guest of the turn before is gone; another one boots"),
        "{}",
        ended.stderr
    );

    // Another machine takes the place of this one, and ends by itself.
    let other = [&keeping[..], &["--memory", "400", "--keep-for", "1"]].concat();
    let (fourth, ended) = turn(kept.run(&other))?;
    assert_eq!(fourth, second);
    ensure!(ended.stderr.contains("nested: --memory isn't what it was"), "{}", ended.stderr);
    let began = Instant::now();
    while kept.socket().exists() {
        ensure!(began.elapsed() < Duration::from_secs(20), "it is kept still");
        thread::sleep(Duration::from_millis(50));
    }
    let stopped = kept.command(&["nested", "--stop"])?;
    assert_eq!((stopped.code, stopped.stderr.as_str()), (Some(0), "no machine is kept\n"));

    // Neither module nor guest of the turns before is what is compared with.
    let (fresh, _) = turn(kept.run(&arguments))?;
    assert_eq!(second, fresh);
    kept.compile(2)?;
    let (fresh, _) = turn(kept.run(&arguments))?;
    assert_eq!(first, fresh);
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and minutes"]
fn a_turn_is_measured_beside_a_run() -> Result<()> {
    let session = Session::new()?;
    let ended = session.run(&["bench", "--quick", "turns", "--format", "json"])?;
    ensure!(ended.code == Some(0), "{}", ended.stderr);
    let rows: Vec<serde_json::Value> =
        ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["linux-run", "kept-turn"]);
    assert_eq!(rows[1]["aim"], "<= 4000000000");
    // A guest that boots takes most of a run.
    ensure!(rows[1]["ratio"].as_f64().is_some_and(|ratio| ratio < 0.6), "{}", ended.stdout);
    Ok(())
}

#[test]
fn what_can_t_be_kept_is_refused_before_anything_is_done() -> Result<()> {
    let session = Session::new()?;
    for (arguments, why) in [
        (&["--guest", "linux", "--keep"][..], "--keep goes with --nested only"),
        (&["--nested", "--keep"], "--keep goes with --guest linux only"),
    ] {
        let ended = session.run(&[&["run"], arguments].concat())?;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        ensure!(ended.stderr.starts_with(&format!("error: {why}")), "{}", ended.stderr);
    }
    // A folder that others may look into is no place.
    let mut command = session.barscope(&["nested", "--stop"])?;
    fs::create_dir_all(session.path("run/barscope"))?;
    let ended = output(command.env("XDG_RUNTIME_DIR", session.path("run")))?;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    ensure!(ended.stderr.contains("is not a folder for you alone"), "{}", ended.stderr);
    Ok(())
}
