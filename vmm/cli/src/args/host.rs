//! Options of what is about this machine: `bench`, `kernel`, `nested`, and what its shell and `man` want to know.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use crate::output::Format;

/// Options of `bench`.
#[derive(clap::Args)]
#[command(after_help = "\
Every block of accesses runs in turns with one of the bare loop; a ratio is the median of the ratios of blocks beside
each other, a spread the distance of their tenth percentile from their ninetieth, as a part of that.
Exit code: 0 measured, whether aims are met or missed, 3 the host can't: a row says NOT RUN, and why.")]
pub struct Bench {
    /// Measure only this group of rows
    #[arg(value_name = "GROUP", conflicts_with = "only",
          value_parser = PossibleValuesParser::new(barscope_cost::Plan::GROUPS.map(|(name, _)| name)))]
    pub group: Option<String>,

    /// Measure only this, and what it is compared with; may be repeated
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(barscope_cost::Plan::names()))]
    pub only: Vec<String>,

    /// Measure QEMU's edu, too, with and without its trace: the same guest, the same loop
    #[arg(long)]
    pub vs_qemu: bool,

    /// As short as a test may take
    #[arg(long)]
    pub quick: bool,

    /// Run the bare loop to its first access, and say so by a byte
    #[arg(long, hide = true)]
    pub bare_start: bool,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `completions`.
#[derive(clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Options of `man`.
#[derive(clap::Args)]
pub struct Man {
    /// Write a page for each command to this folder, like share/man/man1
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Options of `nested`.
#[derive(clap::Args)]
pub struct Nested {
    /// The kernel there, by its version: `barscope kernel` names those that are here
    #[arg(long, value_name = "VERSION")]
    pub kernel: Option<String>,
    /// Take this file along, to the same path; a program with its shared libraries; may be repeated
    #[arg(long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// End the machine that `run --keep` keeps
    #[arg(long, conflicts_with_all = ["kernel", "files", "program"])]
    pub stop: bool,
    /// The program; it finds its shared libraries there, and no other files but those of --file
    #[arg(value_name = "PROGRAM", required_unless_present = "stop")]
    pub program: Option<PathBuf>,
    /// Its arguments
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// Options of `kernel`.
#[derive(clap::Args)]
pub struct Kernel {
    /// As for `run --guest linux`: a file, or a version
    #[arg(long, value_name = "FILE|VERSION")]
    pub kernel: Option<PathBuf>,

    /// As for `run --guest linux`: the tree that a kernel was built in
    #[arg(long, value_name = "DIR", conflicts_with = "kernel")]
    pub kernel_tree: Option<PathBuf>,
}
