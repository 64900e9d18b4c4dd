//! Goldens of the command line: held against a trace, and `barscope bless`, which writes one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use barscope_analysis::diff::Terms;
use barscope_analysis::golden::{self, Blessed, Golden};
use barscope_analysis::results::Group;

use crate::args::Bless;
use crate::diff::code;
use crate::ending::{Code, Failure};
use crate::files::{self, TEXT_MAX, read_text};
use crate::output::{self, Format, complain};

/// Goldens that were read.
#[derive(Default)]
pub struct Goldens(Vec<(PathBuf, Golden)>);

impl Goldens {
    /// Reads files.
    ///
    /// # Errors
    /// The first that can't be read, or the first mistake in one.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let read = |path: &PathBuf| {
            if !path.exists() {
                return Err(Failure::NoGolden { path: path.clone() });
            }
            let text = read_text(path, TEXT_MAX)?;
            let name = path.display().to_string();
            let golden = Golden::parse(&text)
                .map_err(|diagnostic| Failure::Diagnostic(diagnostic.show(&name, &text)))?;
            Ok((path.clone(), golden))
        };
        Ok(Self(paths.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Holds them against a trace and prints what comes of it; a code for each.
    ///
    /// # Errors
    /// The trace can't be read, or standard output not be written.
    pub fn check(&self, trace: &Path, format: Format) -> Result<(Vec<Code>, Vec<Group>), Failure> {
        let (mut codes, mut groups) = (Vec::new(), Vec::new());
        let mut out = output::buffered();
        for (path, golden) in &self.0 {
            let checked = golden.check(path, trace)?;
            match format {
                Format::Text => checked.print_text(&mut out, true)?,
                Format::Json => checked.print_json(&mut out)?,
            }
            codes.push(code(checked.verdict()));
            groups.push(checked.group());
        }
        out.flush()?;
        Ok((codes, groups))
    }
}

/// Runs `bless`.
///
/// # Errors
/// A trace can't be read or isn't all of a run, or the golden can't be written.
pub fn bless(args: &Bless) -> Result<Code, Failure> {
    write(&args.traces, &args.output, &args.terms.terms())
}

/// Writes a golden anew, of the trace of a run, if that passed.
///
/// # Errors
/// As [`bless`].
pub fn bless_if_passed(passed: bool, trace: &Path, golden: &Path) -> Result<Code, Failure> {
    if passed {
        return write(&[trace.to_owned()], golden, &Terms::default());
    }
    complain(format_args!("{} stays as it is: the run didn't pass", golden.display()));
    Ok(Code::Failed)
}

/// Writes a golden of traces; by the terms of the one that is there unless others are given.
///
/// # Errors
/// As [`bless`].
pub fn write(traces: &[PathBuf], path: &Path, terms: &Terms) -> Result<Code, Failure> {
    let before = if path.exists() { Some(read_text(path, TEXT_MAX)?) } else { None };
    let known = match before.as_deref().filter(|text| !text.trim().is_empty()).map(Golden::terms_of) {
        Some(None) => return Err(Failure::NotAGolden { path: path.to_owned() }),
        known => known.flatten(),
    };
    let terms = known.filter(|_| *terms == Terms::default()).unwrap_or_else(|| terms.clone());
    let text = match golden::bless(traces, &terms)? {
        Blessed::Golden(text) => text,
        Blessed::Flaps(difference) => {
            let mut out = output::buffered();
            difference.print_text(&mut out, output::width(), true)?;
            out.flush()?;
            complain("nothing is written: no golden holds for traces that differ; --ignore what may");
            return Ok(code(difference.verdict()));
        }
    };
    let failed = |source: io::Error| Failure::Report { path: path.to_owned(), source };
    if before.as_deref() == Some(&*text) {
        complain(format_args!("{} is as it was", path.display()));
        return Ok(Code::Passed);
    }
    files::create(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
    let lines = text.lines().count();
    complain(format_args!(
        "{} has {lines} lines now: review it, and keep it with the driver",
        path.display()
    ));
    Ok(Code::Passed)
}
