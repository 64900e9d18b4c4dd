//! Vector instructions on device memory, where the kernel around has a KVM that emulates them: each is seen as the
//! instruction that it is, in the parts that KVM hands over.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use barscope_analysis::Trace;
use barscope_bench::command::{Session, libraries, output};

/// The backports' kernel.
const AROUND: &str = "7";
/// Bytes that the scenario `memcpy` copies each way.
const COPIED: u64 = 256;

/// The scenario `memcpy` on a KVM that emulates vectors.
fn memcpy(more: &[&str]) -> Result<Trace> {
    let session = Session::new()?;
    let arguments =
        ["run", "--guest", "linux", "--nested", "--nested-kernel", AROUND, "--scenario", "memcpy"];
    let mut command = session.barscope(&arguments)?;
    libraries(command.args(more))?;
    let ended = output(&mut command)?;
    ensure!(ended.code == Some(0), "{:?}\n{}\n{}", ended.code, ended.stdout, ended.stderr);
    ensure!(ended.stdout.contains("memcpy of 256 bytes went well"), "{}", ended.stdout);
    session.trace()
}

/// Accesses of one instruction: its text, and offset and size of each part.
type Parts = (String, Vec<(u8, u8)>);

/// The program's accesses to BAR 2 in one direction, by the instruction that made them.
fn instructions(trace: &Trace, write: bool) -> BTreeMap<u32, Parts> {
    let mut found = BTreeMap::<u32, Parts>::new();
    for view in trace.views().all() {
        let Some(access) = view.access() else { continue };
        let in_memory = access.place().is_some_and(|place| place.to_string().contains("BAR2"));
        if in_memory && access.cpl == 3 && access.write == write {
            let text = access.code().map(|code| code.text.clone()).unwrap_or_default();
            let parts = found.entry(access.instance).or_insert_with(|| (text, Vec::new()));
            parts.1.push((access.fragment, access.size));
        }
    }
    found
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and a kernel of its backports"]
fn a_copy_by_vectors_is_seen_as_its_instructions_both_ways() -> Result<()> {
    let trace = memcpy(&[])?;
    for write in [true, false] {
        let all = instructions(&trace, write);
        let bytes: u64 = all.values().flat_map(|(_, parts)| parts).map(|(_, size)| u64::from(*size)).sum();
        ensure!(bytes == COPIED, "{bytes} bytes, write: {write}");
        let wide: Vec<_> = all.values().filter(|(text, _)| text.contains("ymm")).collect();
        ensure!(!wide.is_empty(), "no instruction on 32 bytes: {all:?}");
        for (text, parts) in wide {
            ensure!(parts == &[(0, 8), (8, 8), (16, 8), (24, 8)], "{text}: {parts:?}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and a kernel of its backports"]
fn a_guest_without_avx_copies_otherwise() -> Result<()> {
    let trace = memcpy(&["--cpu-without", "avx"])?;
    for write in [true, false] {
        let all = instructions(&trace, write);
        ensure!(!all.is_empty() && all.values().all(|(text, _)| !text.contains("ymm")), "{all:?}");
    }
    Ok(())
}
