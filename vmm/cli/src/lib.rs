#![doc = include_str!("../README.md")]

mod args;
mod bench;
mod check;
mod choice;
mod command;
mod completions;
mod devices;
mod ending;
mod expectations;
mod explain;
mod files;
mod filters;
mod import;
mod kernel;
mod live;
mod maps;
mod memory;
mod nested;
mod onlooker;
mod output;
mod poke;
mod progress;
mod replay;
mod reported;
mod results;
mod run;
mod show;
mod signals;
mod stats;

pub use barscope_device::{Entry, OptionSpec, Options};

pub use command::Command;
pub use memory::OrEnd;
