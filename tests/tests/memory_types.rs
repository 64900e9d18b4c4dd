//! Mappings of device memory that are not uncached: the trace's page walks show it.

use anyhow::Result;
use tests::play;
use trace::assert::{access, map, page_fault, read, write};
use trace::definition::{MemoryType, Path};
use trace::event::Counted;

#[test]
#[ignore = "needs /dev/kvm"]
fn write_combining_is_seen_on_both_paths() -> Result<()> {
    let run = play("write-combining")?;
    let scenario = run.expect("write-combining");
    let combined = |pattern: trace::filter::Filter| pattern.memory_type(MemoryType::WriteCombining);
    scenario
        .sequence([
            map(Path::Ioremap).mapped_by("lab::map_memory"),
            combined(write("BAR2.MEMORY").cpl(0).via(Path::Ioremap).value(0xc0ff_ee10)),
            combined(read("BAR2.MEMORY").cpl(0).via(Path::Ioremap).value(0xc0ff_ee10)),
            map(Path::Mmap).mapped_by("user 1"),
            page_fault(Counted::FaultResolved),
            combined(write("BAR2.MEMORY").cpl(3).via(Path::Mmap).value(0xc0ff_ee11)),
            combined(read("BAR2.MEMORY").cpl(3).via(Path::Mmap).value(0xc0ff_ee11)),
        ])
        .assert_passed();
    scenario.never(access("BAR2").uncached()).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_cached_mapping_is_seen() -> Result<()> {
    let run = play("cached-mapping")?;
    let scenario = run.expect("cached-mapping");
    let cached = || access("BAR2.MEMORY").cpl(0).via(Path::Ioremap).memory_type(MemoryType::WriteBack);
    scenario.count(cached(), 2..=2).assert_passed();
    scenario.never(access("BAR2").uncached()).assert_passed();
    Ok(())
}
