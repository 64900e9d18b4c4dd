//! Results as annotations of GitHub: a line for each case that didn't pass, which its runner shows at the file and line
//! ("Workflow commands for GitHub Actions").

use std::io::{self, Write};

use super::{Results, Status};

impl Results {
    /// Writes them.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn write_github(&self, out: &mut impl Write) -> io::Result<()> {
        for suite in &self.groups {
            for case in &suite.cases {
                let (message, full) = match &case.status {
                    Status::Passed => continue,
                    Status::Failed(message, full) | Status::Inconclusive(message, full) => (message, full),
                };
                let mut properties = Vec::new();
                if let Some(place) = &case.place {
                    properties.push(("file", place.file.to_string_lossy().into_owned()));
                    properties.extend(place.line.map(|line| ("line", line.to_string())));
                }
                properties.push(("title", format!("{}: {}", suite.name, case.name)));
                let properties = properties.iter().map(|(name, value)| format!("{name}={}", property(value)));
                let properties: Vec<_> = properties.collect();
                let text = if full.starts_with(message.as_str()) {
                    full.clone()
                } else {
                    format!("{message}\n{full}")
                };
                writeln!(out, "::error {}::{}", properties.join(","), data(&text))?;
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
