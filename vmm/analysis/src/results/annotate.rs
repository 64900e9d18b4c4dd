//! Annotations of GitHub: lines that its runner shows at a file and line ("Workflow commands for GitHub Actions"). Of results
//! those have one that didn't pass.

use std::io::{self, Write};

use super::{Place, Results, Status};

/// A line that GitHub shows.
pub struct Annotation<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is shown.
    pub place: Option<&'a Place>,
    /// Its headline.
    pub title: String,
    /// What it says, in any number of lines.
    pub text: &'a str,
}

/// How GitHub marks an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Red.
    Error,
    /// Yellow.
    Warning,
}

impl Annotation<'_> {
    /// Writes it.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut properties = Vec::new();
        if let Some(place) = self.place {
            properties.push(("file", place.file.to_string_lossy().into_owned()));
            properties.extend(place.line.map(|line| ("line", line.to_string())));
        }
        properties.push(("title", self.title.clone()));
        let properties = properties.iter().map(|(name, value)| format!("{name}={}", property(value)));
        let properties: Vec<_> = properties.collect();
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(out, "::{severity} {}::{}", properties.join(","), data(self.text))
    }
}

impl Results {
    /// Writes annotations.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn write_github(&self, out: &mut impl Write) -> io::Result<()> {
        for suite in &self.groups {
            for case in &suite.cases {
                let (message, full) = match &case.status {
                    Status::Passed | Status::Skipped(_) => continue,
                    Status::Failed(message, full) | Status::Inconclusive(message, full) => (message, full),
                };
                let text = if full.starts_with(message.as_str()) {
                    full.clone()
                } else {
                    format!("{message}\n{full}")
                };
                let title = format!("{}: {}", suite.name, case.name);
                let severity = Severity::Error;
                Annotation { severity, place: case.place.as_ref(), title, text: &text }.write(out)?;
            }
        }
        Ok(())
    }
}

/// What a line may hold: its ends are escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What a property may hold: also what ends one is escaped.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
