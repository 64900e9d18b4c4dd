//! kvm-unit-tests, a repository of somebody else's that is never copied here: where `KVM_UNIT_TESTS` names a build of it, every
//! image of it runs here and in QEMU, both on the kvm-amd of one virtual machine, and a table says where they differ.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use barscope_bench::command::{Ended, Session, libraries};

/// Seconds that one image may take in one machine.
const TIME_LIMIT: u32 = 30;
/// What the guest and its runner share of the machine around them, in MiB.
const MEMORY: &str = "128";
/// QEMU's firmware, by its folders.
const FIRMWARE: [&str; 2] = ["usr/share/seabios", "usr/share/qemu"];
const FIRMWARE_FILES: [&str; 4] = ["bios-256k.bin", "multiboot_dma.bin", "multiboot.bin", "kvmvapic.bin"];
/// Images that need nothing but processor, APIC, serial port and fw_cfg: what they do is the same everywhere.
const PLAIN: [&str; 4] = ["idt_test", "setjmp", "sieve", "smptest"];

/// How `barscope run` tells of a reset, and of a triple fault.
const RESETS: [&str; 2] = ["the guest reset the machine", "triple fault"];

/// How an image ended in one machine, and what it reported.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    end: End,
    /// Its lines that begin with a verdict, `#` for words with numbers: some are random, or times. Sums have theirs.
    report: Vec<String>,
}

/// How a machine ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// By isa-debug-exit: QEMU's status.
    Status(u64),
    /// By a reset, or by a triple fault, which is one on a PC: QEMU's status is 0 then.
    Reset,
    /// Not in time.
    Time,
    /// In another way, in words.
    Other(String),
    /// The machine around it ended, in words.
    Lost(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.pad(&status.to_string()),
            Self::Reset => f.pad("reset"),
            Self::Time => f.pad("time"),
            Self::Other(_) => f.pad("other"),
            Self::Lost(_) => f.pad("lost"),
        }
    }
}

/// A line that says how a test of an image ended.
fn is_verdict(line: &str) -> bool {
    ["PASS", "FAIL", "SKIP", "XPASS", "XFAIL", "ABORT", "SUMMARY"]
        .iter()
        .any(|word| line.strip_prefix(word).is_some_and(|rest| rest.starts_with(':')))
}

impl Outcome {
    /// That of `barscope run`, by what it said on standard error.
    fn here(said: &str) -> Self {
        let (console, complaint) = said.rsplit_once("error: ").unwrap_or((said, ""));
        let status = complaint.strip_prefix("the guest ended with status ");
        let status = status.and_then(|text| text.split(' ').next()?.parse().ok());
        let end = match status {
            Some(status) => End::Status(status),
            None if complaint.starts_with("the guest did not end in time") => End::Time,
            None if RESETS.iter().any(|text| complaint.starts_with(text)) => End::Reset,
            None => End::Other(complaint.trim().replace('\n', " ")),
        };
        Self { end, report: verdicts(console) }
    }

    /// That of QEMU below `timeout`, which ends with 124 where it is too late.
    fn in_qemu(said: &str, code: u64) -> Self {
        let end = match code {
            0 => End::Reset,
            124 => End::Time,
            odd if odd % 2 == 1 => End::Status(odd),
            other => End::Other(format!("status {other}")),
        };
        Self { end, report: verdicts(said) }
    }

    /// That of an image during which the machine around it ended.
    fn lost(said: &str, complaint: &str) -> Self {
        let why = complaint.lines().last().unwrap_or_default();
        Self { end: End::Lost(why.to_owned()), report: verdicts(said) }
    }

    fn failed(&self) -> usize {
        self.report.iter().filter(|line| line.starts_with("FAIL")).count()
    }
}

fn verdicts(console: &str) -> Vec<String> {
    let plain = |line: &str| {
        let has_number = |word: &&str| word.bytes().any(|byte| byte.is_ascii_digit());
        let words = line.split(' ').map(|word| if has_number(&word) { "#" } else { word });
        if line.starts_with("SUMMARY") { line.to_owned() } else { words.collect::<Vec<_>>().join(" ") }
    };
    console.lines().map(str::trim_end).filter(|line| is_verdict(line)).map(plain).collect()
}

/// The images of a build.
fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let folder = folder.join("x86");
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let files = entries.flatten().map(|entry| entry.path());
    let mut images: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "flat")).collect();
    images.sort();
    ensure!(!images.is_empty(), "{}: no images (*.flat); build it first", folder.display());
    Ok(images)
}

/// What the shell in the virtual machine does.
fn script(images: &[PathBuf], qemu: &Path, firmware: &Path) -> String {
    let (qemu, firmware) = (qemu.display(), firmware.display());
    let images: Vec<_> = images.iter().map(|image| image.display().to_string()).collect();
    let images = images.join(" ");
    format!(
        "for image in {images}; do\n\
         echo \"=== here $image\"\n\
         /init run --kernel $image --memory {MEMORY} --timeout {TIME_LIMIT} --device pci-testdev \
         --trace /tmp/trace --trace-limit 128M 2>&1 >/dev/null\n\
         code=$?; echo; echo \"=== code $code\"\n\
         echo \"=== qemu $image\"\n\
         timeout {TIME_LIMIT} {qemu} -L {firmware} -M q35 -accel kvm -cpu host -m {MEMORY} -nodefaults \
         -no-reboot -display none -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4 \
         -device pc-testdev -device pci-testdev -kernel $image 2>/dev/null </dev/null\n\
         code=$?; echo; echo \"=== code $code\"\n\
         done\n"
    )
}

/// One image in one machine.
#[derive(Debug, PartialEq, Eq)]
struct Part<'a> {
    who: &'a str,
    image: &'a str,
    said: String,
    /// `None` if the machine around it ended first.
    code: Option<u64>,
}

fn parts(output: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for line in output.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match (&words[..], parts.last_mut()) {
            (&["===", who @ ("here" | "qemu"), image], _) => {
                parts.push(Part { who, image, said: String::new(), code: None });
            }
            (["===", "code", code], Some(part)) => part.code = code.parse().ok(),
            (_, Some(part)) => {
                part.said.push_str(line);
                part.said.push('\n');
            }
            (_, None) => {}
        }
    }
    parts
}

/// What differs, in a line.
fn difference(here: &Outcome, qemu: &Outcome) -> Option<String> {
    if here == qemu {
        return None;
    }
    let other = |end: &End| match end {
        End::Other(text) | End::Lost(text) => text.clone(),
        end => end.to_string(),
    };
    if here.end != qemu.end {
        return Some(format!("ends: {}; {}", other(&here.end), other(&qemu.end)));
    }
    let lacks = |of: &Outcome, other: &Outcome| {
        of.report.iter().find(|line| !other.report.contains(line)).cloned().unwrap_or_default()
    };
    Some(format!("here {:?}, QEMU {:?}", lacks(here, qemu), lacks(qemu, here)))
}

#[test]
#[ignore = "needs QEMU, Debian's kernel, kvm-unit-tests and minutes"]
fn images_of_kvm_unit_tests_end_as_in_qemu() -> Result<()> {
    let folder = env::var_os("KVM_UNIT_TESTS").context("KVM_UNIT_TESTS names no build of kvm-unit-tests")?;
    let images = images(&std::path::absolute(folder)?)?;
    let session = Session::new()?;
    let qemu = barscope_vmm::debian::qemu().context("no qemu-system-x86_64")?;
    let qemu = which(qemu.get_program())?;
    let root = qemu.ancestors().nth(3).context("QEMU lies in usr/bin")?;
    std::fs::create_dir(session.path("firmware"))?;
    let mut files = images.clone();
    for name in FIRMWARE_FILES {
        let found = FIRMWARE.iter().map(|folder| root.join(folder).join(name)).find(|file| file.is_file());
        let file = session.path(&format!("firmware/{name}"));
        std::fs::copy(found.with_context(|| format!("no {name}"))?, &file)?;
        files.push(file);
    }
    files.extend([qemu.clone(), which("timeout".as_ref())?]);

    let mut outcomes: BTreeMap<String, [Option<Outcome>; 2]> = BTreeMap::new();
    let mut left = &images[..];
    while !left.is_empty() {
        let script = session.file("script", script(left, &qemu, &session.path("firmware")).as_bytes())?;
        let ended = run(&session, &files, &script)?;
        let parts = parts(&ended.stdout);
        ensure!(!parts.is_empty(), "nothing ran:\n{}", ended.stderr);
        for Part { who, image, said, code } in &parts {
            let outcome = match (code, *who) {
                (None, _) => Outcome::lost(said, &ended.stderr),
                (Some(_), "here") => Outcome::here(said),
                (Some(code), _) => Outcome::in_qemu(said, *code),
            };
            outcomes.entry(name(Path::new(image))).or_default()[usize::from(*who == "qemu")] = Some(outcome);
        }
        // One that ended the machine around it isn't tried again, nor what came after it there.
        let last = parts.last().map(|part| Path::new(part.image));
        let done =
            left.iter().position(|image| Some(&**image) == last).context("an image that wasn't asked for")?;
        left = &left[done + 1..];
    }
    println!("{:22} {:>6} {:>6}  {:9}  verdicts (failed)", "image", "here", "QEMU", "");
    let mut equal = Vec::new();
    for (image, pair) in &outcomes {
        let unknown = Outcome { end: End::Lost("not tried".to_owned()), report: Vec::new() };
        let [here, qemu] = pair.each_ref().map(|outcome| outcome.as_ref().unwrap_or(&unknown));
        let difference = difference(here, qemu);
        let word = if difference.is_none() { "equal" } else { "different" };
        let counts = format!("{} ({})", here.report.len(), here.failed());
        println!(
            "{image:22} {:>6} {:>6}  {word:9}  {counts:8} {}",
            here.end,
            qemu.end,
            difference.unwrap_or_default()
        );
        if word == "equal" {
            equal.push(image.as_str());
        }
    }
    println!("{} images, {} equal", outcomes.len(), equal.len());
    assert_eq!(outcomes.len(), images.len());
    for image in PLAIN.iter().filter(|image| outcomes.contains_key(**image)) {
        ensure!(equal.contains(image), "{image} is different");
    }
    Ok(())
}

/// Runs a script in one virtual machine, with these files.
fn run(session: &Session, files: &[PathBuf], script: &Path) -> Result<Ended> {
    let mut command = session.barscope(&["nested"])?;
    libraries(&mut command)?;
    for file in files.iter().map(PathBuf::as_path).chain([script]) {
        command.arg("--file").arg(file);
    }
    let folder = which("timeout".as_ref())?;
    let folder = folder.parent().context("timeout lies in a folder")?;
    let commands = format!("export PATH={}; . {}", folder.display(), script.display());
    // Not once more where it hangs: an image may be why.
    Ok(command.args(["--", "/bin/sh", "-c", &commands]).output()?.into())
}

/// What an image is called.
fn name(image: &Path) -> String {
    image.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where a program is.
fn which(program: &std::ffi::OsStr) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut files = env::split_paths(&path).map(|folder| folder.join(program));
    files.find(|file| file.is_file()).with_context(|| format!("no {}", program.display()))
}

#[test]
fn verdicts_and_statuses_are_told_from_what_else_is_printed() {
    let here = Outcome::here(
        "enabling apic\nPASS: a 0x1f 3 ms\nPASSED\nFAIL: b\r\nSUMMARY: 2 tests, 1 unexpected failures\n\
         error: the guest ended with status 3 by isa-debug-exit, as QEMU counts; add x\n",
    );
    let report = ["PASS: a # # ms", "FAIL: b", "SUMMARY: 2 tests, 1 unexpected failures"];
    assert_eq!((&here.end, here.failed()), (&End::Status(3), 1));
    assert_eq!(here.report, report);
    assert_eq!(Outcome::here("error: the guest did not end in time; x\n  vCPU 0").end, End::Time);
    assert_eq!(Outcome::here("error: triple fault: x\n  y").end, End::Reset);
    assert_eq!(Outcome::here("error: it halted\n  y").end, End::Other("it halted   y".to_owned()));
    let qemu = Outcome::in_qemu("PASS: a 0x2e 4 ms\n", 3);
    assert_eq!(difference(&here, &qemu), Some("here \"FAIL: b\", QEMU \"\"".to_owned()));
    assert_eq!(
        [124, 2, 0].map(|code| Outcome::in_qemu("", code).end.to_string()),
        ["time", "other", "reset"]
    );
    assert_eq!(difference(&here, &Outcome::in_qemu(&report.join("\n"), 3)), None);
}

#[test]
fn parts_of_the_output_belong_to_who_made_them() {
    let output = "x\n=== here /a/b.flat\none\n\n=== code 1\n=== qemu /a/b.flat\ntwo\n=== code 33\n\
                  === here /a/c.flat\nPASS: d\ncut";
    let part = |who, image, said: &str, code| Part { who, image, said: said.to_owned(), code };
    let expected = [
        part("here", "/a/b.flat", "one\n\n", Some(1)),
        part("qemu", "/a/b.flat", "two\n", Some(33)),
        part("here", "/a/c.flat", "PASS: d\ncut\n", None),
    ];
    assert_eq!(parts(output), expected);
    let lost = Outcome::lost(&expected[2].said, "nested: up\nerror: it hangs");
    assert_eq!(
        lost,
        Outcome { end: End::Lost("error: it hangs".to_owned()), report: vec!["PASS: d".to_owned()] }
    );
}
