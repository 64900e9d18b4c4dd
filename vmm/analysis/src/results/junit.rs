//! Results as JUnit's XML: the form that Jenkins, GitLab and others read, with `file` and `line` of a case as pytest and
//! GitLab have them.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Case, Results, Status};

impl Results {
    /// Writes a JUnit report. What is inconclusive is an error.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn write_junit(&self, out: impl Write) -> io::Result<()> {
        let mut report = Report::new("barscope");
        let mut all = Duration::ZERO;
        for suite in &self.groups {
            let mut written = TestSuite::new(suite.name.clone());
            written.set_time(suite.time);
            all += suite.time;
            for case in &suite.cases {
                written.add_test_case(test_case(case, &suite.name));
            }
            report.add_test_suite(written);
        }
        report.set_time(all);
        report.serialize(out).map_err(io::Error::other)
    }
}

fn test_case(case: &Case, class: &str) -> TestCase {
    let failed = |kind, word: &str, message: &str, full: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(message).set_type(word).set_description(full);
        status
    };
    let status = match &case.status {
        Status::Passed => TestCaseStatus::success(),
        Status::Failed(message, full) => failed(NonSuccessKind::Failure, "fail", message, full),
        Status::Skipped(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.as_str());
            status
        }
        Status::Inconclusive(message, full) => failed(NonSuccessKind::Error, "inconclusive", message, full),
    };
    let mut written = TestCase::new(case.name.clone(), status);
    written.set_classname(class).set_time(case.time);
    if let Some(place) = &case.place {
        // XML is UTF-8, and file names needn't be.
        written.extra.insert("file".into(), place.file.to_string_lossy().into());
        if let Some(line) = place.line {
            written.extra.insert("line".into(), line.to_string().into());
        }
    }
    written
}
