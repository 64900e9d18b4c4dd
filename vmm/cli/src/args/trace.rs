//! Options of what shows a trace, or writes it for others: `show`, `explain`, `maps`, `stats`, `pack`, `export`, `report`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::output::Format;

const EXPORT_HELP: &str = "\
Times are those of the device clock; mmiotrace's are in microseconds, all others exact.
Records that are missing are told on standard error, and in all formats where they are missing.";

const REPORT_HELP: &str = "\
The page is one file that opens from a disk, and asks no network for anything. Browsers since 2023 show it.
It shows a million records; of a longer trace the first million, and it says so. Cut it by --filter or --scenario.
Links lead into it: #record-228, #record-228-234 (side by side), #timeline-1452-1502, #scenario-NAME.
Exit code: 0 written, also if an expectation fails; `barscope check` tells that by its exit code.";

const FILTER_HELP: &str = "\
A filter is a list of conditions that all have to hold; \"or\", \"not\" and brackets combine them:
  read BAR0.STATUS by user via mmap      access memtype WC or write {DONE=1} in handler
  bar0.STATUS and cpl==3 and value & 1 == 1                    msi 0 not delivered
`barscope language` tells all of it.";

/// Options of `stats`.
#[derive(clap::Args)]
pub struct Stats {
    /// The traces; several add up
    #[arg(value_name = "TRACE", required = true)]
    pub traces: Vec<PathBuf>,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: StatsFormat,

    /// The most rows of each list, in text and Markdown
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,

    /// Only what was touched that no device has: registers, ranges and ports, by whom and when first
    #[arg(long)]
    pub unmodelled: bool,
}

/// How statistics are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// A short page, for GitHub's $GITHUB_STEP_SUMMARY.
    Markdown,
}

/// Options of `show`.
#[derive(clap::Args)]
#[command(after_help = FILTER_HELP)]
pub struct Show {
    /// The trace
    pub trace: PathBuf,

    /// Only records like this, as in: read BAR0.STATUS by user via mmap
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,

    /// Only the last records, as many as this
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"])]
    pub last: Option<u64>,

    /// Only records from this sequence number on
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,

    /// Only records up to this sequence number
    #[arg(long, value_name = "SEQ")]
    pub to: Option<u64>,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `export`.
#[derive(clap::Args)]
#[command(after_help = EXPORT_HELP)]
pub struct Export {
    /// The trace
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// Only records like this, as for `show`
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,

    /// For whom
    #[arg(long, value_name = "FORMAT")]
    pub to: ExportFormat,

    /// Write it there, not to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace FILE even if it is no such export
    #[arg(long)]
    pub force: bool,
}

/// Formats that traces are written in for other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line, as `show --format json` prints them.
    Jsonl,
    /// A row a record.
    Csv,
    /// The text of Linux's mmiotrace.
    Mmiotrace,
    /// Protocol buffers for ui.perfetto.dev and trace_processor.
    Perfetto,
    /// Value Change Dump: registers, fields and lines as waveforms.
    Vcd,
    /// The same for GTKWave and Surfer, compressed.
    Fst,
}

/// Options of `report`.
#[derive(clap::Args)]
#[command(after_help = REPORT_HELP)]
pub struct Report {
    /// The trace
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// Only records like this, as for `show`; mappings are shown all the same
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,

    /// Only records of this scenario
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,

    /// Hold these expectations against the trace, and show what they came to; may be repeated
    #[arg(long, value_name = "FILE")]
    pub expect: Vec<PathBuf>,

    /// Write it there, not to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace FILE even if it is no report
    #[arg(long)]
    pub force: bool,
}

/// Options of `pack`.
#[derive(clap::Args)]
pub struct Pack {
    /// The trace: as it was recorded, packed, or compressed by gzip
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// Write it there; by default beside TRACE, with .pack at the end of the name, or without it for --unpack
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Unpack a packed trace
    #[arg(long)]
    pub unpack: bool,

    /// Replace FILE even if it is no trace
    #[arg(long)]
    pub force: bool,
}

/// Options of `explain`.
#[derive(clap::Args)]
pub struct Explain {
    /// The trace
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// The record's sequence number
    #[arg(value_name = "SEQ", required_unless_present = "compare")]
    pub seq: Option<u64>,

    /// Set two accesses side by side
    #[arg(long, num_args = 2, value_names = ["SEQ", "SEQ"], conflicts_with = "seq")]
    pub compare: Vec<u64>,

    /// How to print it
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `maps`.
#[derive(clap::Args)]
pub struct Maps {
    /// The trace
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// How to print them
    #[arg(long, default_value = "text")]
    pub format: Format,
}
