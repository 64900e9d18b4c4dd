//! `cargo xtask screenshots`: pictures of reports, for the README, or for whoever changes the page and wants to look at it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cargo::{built, cargo, root, succeed, target};

/// Where those for the README lie, in the repository.
const PICTURES: &str = "docs/pictures";

/// All of them together, in bytes: whoever clones the repository gets them.
const BYTES_MAX: u64 = 600_000;

/// Traces, by name, and the options of the runs that they are of.
const TRACES: [(&str, &[&str]); 3] = [
    ("barscope", &[]),
    ("interrupt", &["--scenario", "interrupt"]),
    ("linux", &["--guest", "linux", "--nested"]),
];

/// Pictures for the README: of which trace's report, and what `barscope-browser` is told.
const FOR_README: [(&str, &[&str]); 5] = [
    ("barscope", &["--width", "1000", "report=answer+picture"]),
    ("barscope", &["--width", "1000", "--dark", "report-dark=answer+picture"]),
    ("barscope", &["--width", "1000", "report-access=access"]),
    ("interrupt", &["--width", "1000", "--at", "scenario-interrupt", "report-timeline=timeline"]),
    ("linux", &["--width", "1000", "report-linux=answer+picture"]),
];

/// Widths to look at: a wide screen, a narrow window, a phone.
const WIDTHS: [&str; 3] = ["1600", "900", "390"];

/// Sections of the page to look at.
const SECTIONS: [&str; 9] =
    ["header", "answer", "picture", "compared", "timeline", "access", "records", "registers", "tests"];

/// Runs both guests, writes their reports, and takes pictures of these.
///
/// # Errors
/// A run fails, there is no Chromium, or the pictures for the README are too large.
pub fn run(look: bool) -> Result<(), String> {
    let folder = target()?.join("screenshots");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    succeed(&mut cargo(["build", "--package", "barscope", "--package", "barscope-browser"]))?;
    for (name, options) in TRACES {
        write_report(&folder, name, options)?;
    }
    if look {
        return take_all(&folder);
    }
    let pictures = root().join(PICTURES);
    let failed = |error: std::io::Error| format!("{PICTURES}: {error}");
    fs::create_dir_all(&pictures).map_err(failed)?;
    for (name, wanted) in FOR_README {
        photograph(&folder, name, &pictures, wanted)?;
    }
    let files = fs::read_dir(&pictures).map_err(failed)?.flatten();
    let bytes: u64 = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    eprintln!("xtask: {PICTURES} is new: {bytes} bytes");
    if bytes > BYTES_MAX { Err(format!("{PICTURES}: more than {BYTES_MAX} bytes")) } else { Ok(()) }
}

/// Runs a guest, and writes the report of its trace.
fn write_report(folder: &Path, name: &str, options: &[&str]) -> Result<(), String> {
    let (trace, page) = (folder.join(format!("{name}.trace")), folder.join(format!("{name}.html")));
    let barscope = built("barscope")?;
    succeed(Command::new(&barscope).args(["run", "--quiet"]).args(options).arg("--trace").arg(&trace))?;
    succeed(Command::new(&barscope).arg("report").arg(&trace).arg("--output").arg(&page))
}

/// Each section of both reports, at each width, light and dark.
fn take_all(folder: &Path) -> Result<(), String> {
    for (name, _) in TRACES {
        for width in WIDTHS {
            for scheme in ["light", "dark"] {
                let sections = SECTIONS.map(|section| format!("{name}-{width}-{scheme}-{section}={section}"));
                let dark = if scheme == "dark" { &["--dark"][..] } else { &[] };
                let sections = sections.iter().map(String::as_str);
                let wanted: Vec<_> =
                    ["--width", width].into_iter().chain(dark.iter().copied()).chain(sections).collect();
                photograph(folder, name, folder, &wanted)?;
            }
        }
    }
    eprintln!("xtask: pictures are in {}", folder.display());
    Ok(())
}

fn photograph(reports: &Path, name: &str, into: &Path, wanted: &[&str]) -> Result<(), String> {
    let mut browser = Command::new(built("barscope-browser")?);
    succeed(browser.arg(reports.join(format!("{name}.html"))).arg(into).args(wanted))
}
