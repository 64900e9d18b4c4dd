#![doc = include_str!("../README.md")]

mod csv;
mod gaps;
mod mmiotrace;
mod perfetto;
mod wave;

pub use self::csv::CsvPrinter;
pub use self::mmiotrace::MmiotracePrinter;
pub use self::perfetto::PerfettoPrinter;
pub use self::wave::{FstPrinter, VcdPrinter};
