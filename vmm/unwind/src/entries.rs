//! How a kernel is entered: by the functions that save what it interrupts.

use std::ops::Range;

use barscope_trace::definition::Entered;
use serde::{Deserialize, Serialize};

use crate::Symbols;

/// What kind of entry saves registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    SystemCall,
    Interrupt,
    Exception,
}

/// How names of such functions begin (`arch/x86/entry`); the first that fits counts.
const NAMES: [(&str, Kind); 8] = [
    ("entry_SYS", Kind::SystemCall),
    ("entry_INT80", Kind::SystemCall),
    ("asm_int80_emulation", Kind::SystemCall),
    ("asm_common_interrupt", Kind::Interrupt),
    ("asm_spurious_interrupt", Kind::Interrupt),
    ("asm_sysvec_", Kind::Interrupt),
    ("asm_exc_nmi", Kind::Interrupt),
    ("asm_exc_", Kind::Exception),
];

/// A kernel's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries(Vec<(Range<u64>, Kind)>);

impl Entries {
    /// Those that a kernel has symbols for.
    pub fn new(symbols: &impl Symbols) -> Self {
        let kind =
            |name: &str| NAMES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, kind)| *kind);
        let mut all = Vec::new();
        symbols.each_function(&mut |range, name| all.extend(kind(name).map(|kind| (range, kind))));
        Self(all)
    }

    /// How the kernel was entered where the function that holds `ip` saved registers, among them this number of a system
    /// call; `user` if those are a program's.
    pub fn entered(&self, ip: u64, number: u64, user: bool) -> Entered {
        let named = self.0.iter().find(|(range, _)| range.contains(&ip)).map(|(_, kind)| *kind);
        // What saves registers without being known by name: the kernel gives numbers to system calls only.
        let guess = || if user && number as i64 >= 0 { Kind::SystemCall } else { Kind::Exception };
        match named.unwrap_or_else(guess) {
            Kind::SystemCall => Entered::SystemCall { number },
            Kind::Interrupt => Entered::Interrupt,
            Kind::Exception => Entered::Exception,
        }
    }
}
