//! Code: an instruction, its text and where it comes from, and who called it.

mod calls;
mod codes;
mod shared;

use barscope_trace::definition::Instruction;
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

pub use self::calls::{Call, Callers, Context, Made};
pub(crate) use self::calls::{all_calls, own_calls};
pub(crate) use self::codes::Codes;
pub(crate) use self::shared::Shared;
use crate::symbols::Symbol;

/// An instruction that accessed a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Virtual address of its first byte.
    pub rip: u64,
    /// The address space that it was fetched from: a CR3, 0 for the kernel's part.
    pub cr3: u64,
    /// Its bytes, as far as they are known.
    pub bytes: Vec<u8>,
    /// Width of the code in bits: 16, 32 or 64.
    pub bits: u8,
    /// The instruction in Intel's notation.
    pub text: String,
    /// Decoding backwards found more than one candidate that fits.
    pub ambiguous: bool,
    /// Function and line, if an image names them.
    pub symbol: Option<Symbol>,
}

impl Code {
    pub(crate) fn new(instruction: &Instruction, symbol: Option<Symbol>) -> Self {
        Self {
            rip: instruction.rip,
            cr3: instruction.cr3,
            bytes: instruction.bytes.clone(),
            bits: instruction.code_size,
            text: disassemble(&instruction.bytes, instruction.rip, instruction.code_size.into()),
            ambiguous: instruction.ambiguous,
            symbol,
        }
    }
}

/// The first instruction among `bytes` in Intel's notation, like `mov [rdi+8],esi`; `bitness` is 16, 32
/// or 64. `(bad)` if there is none.
pub fn disassemble(bytes: &[u8], rip: u64, bitness: u32) -> String {
    let Ok(mut decoder) = Decoder::try_with_ip(bitness, bytes, rip, DecoderOptions::NONE) else {
        return "(bad)".to_owned();
    };
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    formatter.options_mut().set_branch_leading_zeros(false);
    let mut text = String::new();
    formatter.format(&decoder.decode(), &mut text);
    text
}
