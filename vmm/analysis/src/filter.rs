//! Filters over the events of a trace: one small language for every command, and for expectations.
//!
//! A filter is a list of conditions that all have to hold, with `or`, `not` and brackets where that isn't
//! enough; `and` between conditions may be left out:
//!
//! ```text
//! filter     = all { "or" all }
//! all        = unary { [ "and" ] unary }
//! unary      = [ "not" ] ( condition | "(" filter ")" )
//! condition  = KIND                               read, write, msi 2, mark "begin", console "text", ..
//!            | PLACE [ [ "&" MASK ] OP NUMBER ]   BAR0, BAR0.STATUS, BAR0+0x8, lab.BAR0.ID == 1
//!            | PLACE "." FIELD [ OP NUMBER ]      BAR0.STATUS.DONE == 1
//!            | "{" FIELD OP VALUE { "," .. } "}"  {DONE=1}, {OPCODE=FACTORIAL}
//!            | PROPERTY [ [ "&" MASK ] OP VALUE ] cpl == 3, path == mmap, function ~ "lab_*", rmw
//!            | "by" ( "kernel" | "user" )         cpl == 0, cpl == 3
//!            | "by" "process" COMMAND             process == ..
//!            | "pid" NUMBER                       pid == ..
//!            | "via" PATH                         path == ..
//!            | "in" ( "handler" | FUNCTION )      handler, function == ..
//!            | "in" ( "hard" | "threaded" ) "handler"   context == ..
//!            | "in" "softirq"                     context == softirq
//!            | "in" "stack" FUNCTION              stack == ..
//!            | "in" "syscall" NAME                syscall == ..
//!            | "on" DEVICE                        on lab, on 00:04.0
//! OP         = "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
//! ```
//!
//! *Handler* means both that a driver may have: the hard one, that interrupts, and the threaded one. What interrupts
//! somebody is neither part of that one's call stack nor of its system call, and wasn't made by its process.
//! A function that made an access is the innermost that is no accessor, like `ioread32`; `in` one is also in those that
//! this one was inlined into.
//!
//! A place is where an access begins: an access of 8 bytes at `BAR0+0x0` is at `BAR0+0x0` only. [`KINDS`]
//! and [`FIELDS`] list what there is. An event that lacks a property fulfils no condition on it. A filter that
//! no event can fulfil (`read write`, `cpl == 7`, `mark on lab`) is a mistake, as is an alternative that none can.

mod build;
mod check;
mod compiled;
mod contradiction;
mod expr;
mod field;
mod holders;
mod interest;
mod kind;
pub(crate) mod lexer;
mod mentions;
mod names;
mod node;
mod operand;
pub(crate) mod parser;
mod resolver;
mod truth;

use std::fmt;

use barscope_device::Bdf;
pub use barscope_device::diagnostic::{Diagnostic, Span};
use barscope_trace::Definitions;

pub use build::{
    access, any_access, busy, change, console, dma, interrupt_lost, interrupt_masked, intx, map, mark, msi,
    not_emulated, oops, page_fault, read, unmap, write,
};
pub use compiled::Compiled;
pub(crate) use expr::{Spot, Target};
pub use field::{FIELDS, Field, Type};
pub(crate) use interest::{Interest, Interests, Seen};
pub(crate) use kind::Kinds;
pub use kind::{KINDS, members, name_of};
pub use mentions::{Mentions, Need, Wanted};
pub use names::Names;
pub(crate) use node::Hidden;
pub use operand::Value;
pub(crate) use resolver::is_called;
pub(crate) use truth::Truth;

use self::expr::Expr;
use self::parser::Parser;

/// What an event has to be like.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// All of these have to hold.
    parts: Vec<Expr>,
    /// A place that isn't one: filters made in Rust say so when they are held against a trace.
    diagnostic: Option<Diagnostic>,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// What is wrong, where, and what would be right; conditions that no record can fulfil together.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let lexemes = lexer::lex(text, 0, text.len())?;
        let mut parser = Parser::new(&lexemes, text.len());
        let filter = Self::read(&mut parser)?;
        if parser.is_done() { Ok(filter) } else { Err(parser.expected("another condition, or the end")) }
    }

    /// Reads one that something may follow.
    pub(crate) fn read(parser: &mut Parser<'_>) -> Result<Self, Diagnostic> {
        let parts = match parser.any()? {
            Expr::All(parts) => parts,
            other => vec![other],
        };
        contradiction::check(&parts, &|_| None)?;
        Ok(Self { parts, diagnostic: None })
    }

    /// The kinds of events that may be like it.
    pub(crate) fn kinds(&self) -> Kinds {
        self.parts.iter().fold(Kinds::ALL, |kinds, part| kinds.and(part.kinds()))
    }

    /// Holds it against a trace: what it names has to exist there.
    ///
    /// # Errors
    /// A device, register, field or value that the trace doesn't have, with the nearest it has.
    pub fn compile(&self, definitions: &Definitions) -> Result<Compiled, Diagnostic> {
        self.compile_for(definitions, None)
    }

    /// The same for events about the functions in `scope`, if it is told, or about no function.
    pub(crate) fn compile_for(
        &self,
        definitions: &Definitions,
        scope: Option<&[Bdf]>,
    ) -> Result<Compiled, Diagnostic> {
        match &self.diagnostic {
            Some(diagnostic) => Err(diagnostic.clone()),
            None => Compiled::new(&self.parts, definitions, scope),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts.as_slice() {
            [only] => write!(f, "{only}"),
            parts => write!(f, "{}", Expr::All(parts.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests;
