//! Results for programs that look after many runs: a JUnit report, annotations.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;

use barscope_analysis::results::Results;
use clap::ValueEnum;

use crate::ending::Failure;
use crate::files;
use crate::output::{self, Format};

/// Where GitHub checks a repository out to.
pub const WORKSPACE: &str = "GITHUB_WORKSPACE";

/// Folders whose files are told as a repository has them: GitHub's checkout, and this one.
pub fn repositories() -> impl Iterator<Item = PathBuf> {
    let workspace = env::var_os(WORKSPACE).map(PathBuf::from);
    workspace.into_iter().chain(env::current_dir().ok())
}

/// Which results are wanted.
#[derive(clap::Args, Clone)]
pub struct ResultOptions {
    /// Write a JUnit report there: scenarios or programs, how the guest ended, and expectations
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Print a line for each of them that failed, which GitHub shows at its file and line
    #[arg(long, value_name = "WHERE")]
    pub annotate: Option<Annotate>,
}

/// Who shows annotations.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Annotate {
    /// GitHub Actions.
    Github,
}

impl ResultOptions {
    /// Whether any are.
    pub fn are_wanted(&self) -> bool {
        self.junit.is_some() || self.annotate.is_some()
    }

    /// Writes them. Annotations stand beside JSON on standard error.
    ///
    /// # Errors
    /// A file or standard output can't be written.
    pub fn write(&self, results: Results, format: Format) -> Result<(), Failure> {
        let results = repositories().fold(results, |results, folder| results.relative_to(&folder));
        if let Some(path) = &self.junit {
            let failed = |source| Failure::Report { path: path.clone(), source };
            let file = files::create(path).map_err(failed)?;
            results.write_junit(io::BufWriter::new(file)).map_err(failed)?;
        }
        match (self.annotate, format) {
            (Some(Annotate::Github), Format::Text) => {
                let mut out = output::buffered();
                results.write_github(&mut out)?;
                out.flush()?;
            }
            (Some(Annotate::Github), Format::Json) => results.write_github(&mut io::stderr().lock())?,
            (None, _) => {}
        }
        Ok(())
    }
}
