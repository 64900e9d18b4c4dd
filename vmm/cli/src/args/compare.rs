//! Options of what holds a trace against something: `check`, `diff`, `bless`.

use std::path::PathBuf;

use barscope_analysis::diff::{Ignore, Terms};

use crate::output::Format;
use crate::results::ResultOptions;

/// Options of `diff`.
#[derive(clap::Args)]
#[command(after_help = "\
Compared are registers, operations, values, functions of code, processes and scenarios; not addresses, numbers of
records and processes, times, source lines. docs/traces.md tells what that means. To set two accesses of one trace side
by side: explain --compare.
Exit code: 0 equal, 1 different, 2 wrong use, 4 nobody can tell, since records may be missing.")]
pub struct Diff {
    /// The one trace
    #[arg(value_name = "A")]
    pub left: PathBuf,

    /// The other one
    #[arg(value_name = "B")]
    pub right: PathBuf,

    #[command(flatten)]
    pub terms: TermOptions,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `bless`.
#[derive(clap::Args)]
#[command(after_help = "\
A golden that is there is replaced, by its own --ignore and --only unless others are given.
Exit code: 0 written, 1 the traces differ, 2 wrong use, 4 a trace isn't all of a run.")]
pub struct Bless {
    /// The traces; of several, all have to agree
    #[arg(value_name = "TRACE", required = true)]
    pub traces: Vec<PathBuf>,

    /// The golden
    #[arg(long, short, value_name = "FILE.golden")]
    pub output: PathBuf,

    #[command(flatten)]
    pub terms: TermOptions,
}

/// What is compared.
#[derive(clap::Args)]
pub struct TermOptions {
    /// Don't compare this: value:REGISTER, time, code, process, ring, path, effects or scenario; may be repeated
    #[arg(long, value_name = "WHAT")]
    pub ignore: Vec<Ignore>,

    /// Compare only records like this, as in: "BAR0 or msi"
    #[arg(long, value_name = "FILTER")]
    pub only: Option<String>,
}

impl TermOptions {
    /// The same for the comparison.
    pub fn terms(&self) -> Terms {
        Terms { ignore: self.ignore.clone(), only: self.only.clone() }
    }
}

/// Options of `check`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit code: 0 all expectations hold, 1 one fails, 4 none fails but the trace can't tell about one.
`barscope language` tells what an expectation file may say.")]
pub struct Check {
    /// The trace
    pub trace: PathBuf,

    /// Expectation files; none if --junit or --annotate is to tell of the run alone
    #[arg(value_name = "EXPECT", required_unless_present_any = ["junit", "annotate", "golden"])]
    pub expect: Vec<PathBuf>,

    /// Hold this golden against it, that `barscope bless` wrote; may be repeated
    #[arg(long, value_name = "FILE")]
    pub golden: Vec<PathBuf>,

    #[command(flatten)]
    pub results: ResultOptions,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}
