//! Assertions over a trace: what has to be in it, how often, and what must not.
//!
//! ```no_run
//! # fn check(trace: &barscope_analysis::Trace) {
//! use barscope_analysis::assert::{Expect, Window, read, write};
//! use barscope_trace::definition::Path;
//!
//! let expect = Expect::on(trace).within(Window::scenario("same-register"));
//! expect
//!     .sequence([
//!         write("BAR0.SCRATCH").via(Path::Ioremap).cpl(0).value(0xc0ff_ee01),
//!         read("BAR0.SCRATCH").via(Path::Mmap).cpl(3).value(0xc0ff_ee01),
//!     ])
//!     .assert_passed();
//! expect.never(write("BAR0.SCRATCH").cpl(3).via(Path::Ioremap)).assert_passed();
//! # }
//! ```
//!
//! An answer is PASS, FAIL or INCONCLUSIVE. Nothing passes vacuously: a window that never opened, or a
//! register that no device has, is a FAIL. Nothing passes on what wasn't seen: where events are lost or
//! the trace ended early, what they could have changed is INCONCLUSIVE.

mod chain;
mod clause;
mod context;
mod covered;
mod decision;
mod engine;
mod entries;
mod evidence;
mod expect;
mod failure;
mod needs;
#[cfg(test)]
mod reference;
mod run;
mod state;
mod suite;
mod timestamp;
mod turn;
mod unseen;
mod watchlist;
mod window;

pub use clause::{Clause, Goal, Limits, Step, Time, Within};
pub use context::{Finding, Findings};
pub use engine::Engine;
pub use expect::{Expect, check};
pub use failure::{Failure, Line, NotPassed, Open, Verdict};
pub use suite::{Devices, Location, Placed, Suite, Test};
pub use window::Window;

pub use crate::filter::{
    access, any_access, busy, change, dma, interrupt_lost, interrupt_masked, intx, map, mark, msi,
    not_emulated, page_fault, read, unmap, write,
};

#[cfg(test)]
mod tests;
