#![doc = include_str!("../README.md")]

mod args;
mod bench;
mod check;
mod choice;
mod command;
mod completions;
mod config;
mod devices;
mod diff;
mod ending;
mod expectations;
mod explain;
mod export;
mod files;
mod filters;
mod golden;
mod import;
mod kernel;
mod lint;
mod live;
mod maps;
mod memory;
mod nested;
mod onlooker;
mod output;
mod pack;
mod pager;
mod poke;
mod progress;
mod replaced;
mod replay;
mod report;
mod reported;
mod results;
mod run;
mod sarif;
mod shell;
mod show;
mod signals;
mod stats;
mod terminal;
mod turns;

pub use barscope_device::{Entry, OptionSpec, Options};

pub use command::Command;
pub use memory::OrEnd;
