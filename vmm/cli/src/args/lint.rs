//! What `barscope lint` takes.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::output::Format;

/// Options of `lint`.
#[derive(clap::Args)]
#[command(after_help = "\
A certain finding is proved by the trace itself, a likely one is worth a look. Provable lints list sites, where a fault
has to be injected to see whether the driver minds: --deny never fails for one. Where records are missing, or a trace
doesn't tell what a lint needs, the lint says nothing. docs/lints.md has all texts.
Exit code: 0 nothing of what --deny names was found, 1 something was, 2 wrong use.")]
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

    /// Name all lints
    #[arg(long, conflicts_with_all = ["traces", "explain"])]
    pub list: bool,

    /// Print the text of a lint
    #[arg(long, value_name = "LINT", conflicts_with = "traces")]
    pub explain: Option<String>,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Findings that are a failure.
#[derive(Clone, Copy, ValueEnum)]
pub enum Deny {
    /// Those that the trace proves
    Certain,
    /// Those that are worth a look as well
    Likely,
}
