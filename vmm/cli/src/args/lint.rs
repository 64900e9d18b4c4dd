//! What `barscope lint` takes.

use std::path::PathBuf;

use barscope_analysis::lint::Class;
use clap::ValueEnum;

use crate::output::Format;

/// Options of `lint`.
#[derive(clap::Args)]
#[command(after_help = "\
A certain finding is proved by the trace itself, a likely one is worth a look. Provable lints list sites, where a fault
has to be injected to see whether the driver minds: --deny never fails for one. Where records are missing, or a trace
doesn't tell what a lint needs, the lint says nothing. docs/lints.md has all texts.
What is meant is allowed by a line of an expectation file (docs/expectations.md):
  allow torn-64 on BAR0.COUNTER because \"the device keeps the upper half\"
Exit code: 0 nothing of what --deny names was found, 1 something was, or a line allows what isn't there, 2 wrong use.")]
pub struct Lint {
    /// The traces, one after the other
    #[arg(value_name = "TRACE", required_unless_present_any = ["list", "explain"])]
    pub traces: Vec<PathBuf>,

    /// Fail if there are findings of this class, or of a surer one
    #[arg(long, value_name = "CLASS")]
    pub deny: Option<Deny>,

    /// Print sites as well: places where a fault campaign would inject one; JSON always has them
    #[arg(long)]
    pub sites: bool,

    /// Leave out what `allow` lines of this expectation file say is meant; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "explain"])]
    pub expect: Vec<PathBuf>,

    /// Name all lints
    #[arg(long, conflicts_with_all = ["traces", "explain"])]
    pub list: bool,

    /// Print the text of a lint
    #[arg(long, value_name = "LINT", conflicts_with = "traces")]
    pub explain: Option<String>,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: LintFormat,
}

/// How findings are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
    /// SARIF 2.1.0, for code scanning and editors
    Sarif,
    /// A line for each finding, which GitHub shows at its file and line
    Github,
    /// A JUnit report: a case for each lint
    Junit,
}

impl From<Format> for LintFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => LintFormat::Text,
            Format::Json => LintFormat::Json,
        }
    }
}

/// Findings that are a failure.
#[derive(Clone, Copy, ValueEnum)]
pub enum Deny {
    /// Those that the trace proves
    Certain,
    /// Those that are worth a look as well
    Likely,
}

impl From<Deny> for Class {
    fn from(deny: Deny) -> Self {
        match deny {
            Deny::Certain => Class::Certain,
            Deny::Likely => Class::Likely,
        }
    }
}
