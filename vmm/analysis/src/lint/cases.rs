//! What came of lints, for programs that look after many runs: a case for each lint, annotations of findings.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::about::{About, Class};
use super::allow::Allow;
use super::finding::{Allowed, Finding};
use super::report::Report;
use crate::assert::Location;
use crate::results::{Annotation, Case, Place, Severity, Status};
use crate::words;

impl Finding {
    /// The line of the driver's code, if it is known.
    pub fn place(&self) -> Option<Place> {
        let file = self.path.as_ref().or(self.file.as_ref())?;
        Some(Place { file: PathBuf::from(file), line: self.line })
    }
}

impl Report {
    /// The same with files below this folder told relative to it, as repositories have them.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        for path in self.findings.iter_mut().filter_map(|finding| finding.path.as_mut()) {
            // Compilers may be told to name what they compile from `.` on.
            let known = Path::new(path.as_str());
            if let Ok(below) = known.strip_prefix(folder).or_else(|_| known.strip_prefix(".")) {
                *path = below.to_string_lossy().into_owned();
            }
        }
        self
    }

    /// Lints as cases: they fail by findings of the class that is denied or of a surer one, and are skipped if they have others
    /// or couldn't judge.
    pub fn cases(&self, deny: Option<Class>) -> Vec<Case> {
        // Sites are nothing to pass or fail.
        let judges = super::all().into_iter().filter(|about| about.class != Class::Provable);
        judges.map(|about| self.case(about, deny)).collect()
    }

    fn case(&self, about: &About, deny: Option<Class>) -> Case {
        let of_lint = || self.open().filter(|finding| finding.lint.name == about.name);
        let blind = self.blind.iter().find(|blind| blind.lint.name == about.name);
        let more = self.more.iter().find(|(lint, _)| lint.name == about.name).map(|(_, count)| *count);
        let more = more.map(|count| format!("{} not shown", words::counted(count, "record", "records")));
        let status = match (blind, of_lint().next(), &more) {
            (Some(blind), ..) => Status::Skipped(blind.why()),
            (None, None, None) => Status::Passed,
            (None, first, _) => {
                let message = first.map(|finding| finding.sentence.clone()).or(more.clone());
                let (message, full) = (
                    message.unwrap_or_default(),
                    of_lint().map(|finding| finding.text(usize::MAX, false)).chain(more).collect::<Vec<_>>(),
                );
                if deny.is_some_and(|deny| about.class <= deny) {
                    Status::Failed(message, full.join("\n"))
                } else {
                    Status::Skipped(format!("not denied: {message}"))
                }
            }
        };
        let place = of_lint().find_map(Finding::place);
        Case { name: about.name.to_owned(), time: Duration::ZERO, status, place }
    }

    /// Writes an annotation of GitHub for each finding that nobody allows.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn write_github(&self, out: &mut impl Write) -> io::Result<()> {
        for finding in self.open() {
            let About { name, class, .. } = finding.lint;
            let severity = if class.is_proved() { Severity::Error } else { Severity::Warning };
            let title = format!("barscope {} {name}", class.name());
            let place = finding.place();
            Annotation { severity, place: place.as_ref(), title, text: &finding.sentence }.write(out)?;
        }
        Ok(())
    }
}

/// A line of an expectation file.
fn line(location: &Location) -> Place {
    Place { file: PathBuf::from(&*location.file), line: u32::try_from(location.line).ok() }
}

impl Allowed {
    /// The line that says it.
    pub fn line(&self) -> Place {
        line(&self.location)
    }
}

impl Allow {
    /// The line that says it.
    pub fn line(&self) -> Place {
        line(&self.location)
    }

    /// That no trace needs it, as a case that failed.
    pub fn unused_case(&self) -> Case {
        let status = Status::Failed(self.unused(), self.unused());
        Case { name: format!("allow {self}"), time: Duration::ZERO, status, place: Some(self.line()) }
    }

    /// The same as an annotation of GitHub.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn write_unused_to_github(&self, out: &mut impl Write) -> io::Result<()> {
        let title = "barscope unused allow".to_owned();
        let (severity, place) = (Severity::Warning, self.line());
        Annotation { severity, place: Some(&place), title, text: &self.unused() }.write(out)
    }
}
