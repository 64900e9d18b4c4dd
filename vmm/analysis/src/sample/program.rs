//! A program with symbols and lines, compiled here.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use barscope_trace::Definitions;
use barscope_trace::definition::{Definition, Image};

use crate::symbols::Symbols;

/// Accessors are inlined into what the trace should name, like the test kernel's. The lines count.
const PROGRAM: &str = r#"
#![no_std]
#![no_main]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
#[inline(always)]
fn read(at: *mut u32) -> u32 { unsafe { at.read_volatile() } }
#[inline(always)]
fn write(at: *mut u32, value: u32) { unsafe { at.write_volatile(value) } }
pub mod lab {
    #[inline(never)]
    pub fn probe(at: *mut u32) -> u32 {
        crate::read(at)
    }
    #[inline(never)]
    pub fn start(at: *mut u32) {
        crate::write(at, 1);
    }
    #[inline(never)]
    pub fn isr(at: *mut u32) {
        let cause = crate::read(at);
        crate::write(at, cause);
    }
}
pub mod user {
    #[inline(never)]
    pub fn touch(at: *mut u32) -> u32 {
        crate::write(at, 7);
        crate::read(at)
    }
}
#[unsafe(no_mangle)]
pub extern "C" fn _start(at: *mut u32) -> u32 {
    lab::start(at);
    lab::isr(at);
    lab::probe(at) + user::touch(at)
}
"#;

/// The program as a static ELF file, compiled once.
pub(crate) fn program() -> &'static [u8] {
    static ELF: OnceLock<Vec<u8>> = OnceLock::new();
    ELF.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let (source, target) = (directory.path().join("lab.rs"), directory.path().join("lab"));
        fs::write(&source, PROGRAM).unwrap();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let status = Command::new(rustc)
            .args(["--edition", "2024", "-O", "-C", "panic=abort", "-C", "relocation-model=static"])
            .args(["-C", "debuginfo=line-tables-only", "-C", "link-arg=-nostartfiles"])
            .args(["-C", "link-arg=-nostdlib", "-C", "link-arg=-static", "-C", "link-arg=-no-pie", "-o"])
            .args([&target, &source])
            .status()
            .unwrap();
        assert!(status.success());
        fs::read(target).unwrap()
    })
}

/// The address of the first instruction of `function` that belongs to `line`.
pub(crate) fn address(function: &str, line: u32) -> u64 {
    static KNOWN: Mutex<BTreeMap<(String, u32), u64>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    *known.entry((function.to_owned(), line)).or_insert_with(|| find(function, line))
}

fn find(function: &str, line: u32) -> u64 {
    let mut definitions = Definitions::default();
    definitions.push(Definition::Image(Image::new("p", None)), program().to_vec());
    let mut symbols = Symbols::default();
    let mut matches = |at: &u64| {
        let found = symbols.address(&definitions, *at, 0);
        found.is_some_and(|found| found.function == function && found.line == Some(line))
    };
    (0x20_0000..0x21_0000)
        .find(&mut matches)
        .unwrap_or_else(|| panic!("no code of {function} at line {line}"))
}
