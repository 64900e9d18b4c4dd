//! Configuration spaces of real functions, as `lspci` dumped them: can the header types express each?
//!
//! A function counts if a header made from its dump's bytes alone makes a function that, after ordinary configuration
//! writes (and with the errors and events restored that only hardware sets), reads back as the dump, byte for byte.
//! Every capability of its lists must be in the header's: as its own type where there is one, else as one that is
//! not modelled, at its offset. Bytes outside all capabilities are private ones; bytes of a capability never are.

mod bytes;
mod capabilities;
mod dump;
mod extended;
mod header;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use barscope_device::{Capability, ConfigHeader, ExtendedCapability};

use dump::Dump;

/// Header Type's layouts.
const LAYOUTS: [&str; 3] = ["type 0", "bridges", "CardBus bridges"];

/// The header that expresses a dump, which was checked.
fn express(dump: &Dump) -> Result<ConfigHeader> {
    ensure!(dump.bytes.len() >= 64, "{} bytes, which is no header", dump.bytes.len());
    let header = header::header(dump).map_err(|why| anyhow::anyhow!("{why}"))?;
    state::read_back(header.clone(), dump)?;
    Ok(header)
}

fn only(name: &str) -> Result<Dump> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/lspci").join(name);
    let mut found = dump::functions(&fs::read_to_string(file)?)?;
    ensure!(found.len() == 1, "{} functions", found.len());
    found.pop().context("there is one")
}

#[test]
fn a_display_controller_is_expressed_with_each_of_its_capabilities() -> Result<()> {
    let header = express(&only("rebar.txt")?)?;

    assert_eq!((header.vendor, header.device, header.class), (0x1002, 0x7300, 0x03_00_00));
    let bars: Vec<_> = header.bars.iter().map(|bar| (bar.index.get(), bar.wide, bar.prefetchable)).collect();
    assert_eq!(bars, [(0, true, true), (2, true, true), (4, false, false), (5, false, false)]);
    let capabilities: Vec<_> = header.capabilities.iter().map(|placed| placed.offset).collect();
    assert_eq!(capabilities, [0x48, 0x50, 0x58, 0xa0].map(Some));
    assert!(header.msi().is_some_and(|msi| msi.vectors == 1 && msi.wide));
    // The last one begins behind what was dumped.
    let [other, errors, resizable, second, _] = &header.extended_capabilities[..] else {
        panic!("{:?}", header.extended_capabilities);
    };
    assert!(matches!(&other.capability, ExtendedCapability::Other(spec) if spec.id == 0x0b));
    assert!(matches!(&errors.capability, ExtendedCapability::ErrorReporting(spec) if spec.version == 2));
    let ExtendedCapability::ResizableBar(resizable) = &resizable.capability else { panic!("{resizable:?}") };
    assert_eq!((resizable.bars[0].sizes, resizable.bars[0].size), (0x1f00, 8));
    assert!(matches!(&second.capability, ExtendedCapability::Other(spec) if spec.id == 0x19));
    Ok(())
}

#[test]
fn a_dump_that_ends_in_a_capability_is_expressed_as_far_as_it_goes() -> Result<()> {
    let dump = only("plda.txt")?;
    let header = express(&dump)?;

    assert_eq!(dump.bytes.len(), 0x70);
    assert!(header.express().is_some_and(|express| express.version == 2 && express.link.is_some()));
    Ok(())
}

/// A function with a power management capability at 0x40, in 64 bytes and 12 more.
fn small() -> Dump {
    let mut bytes = vec![0; 0x4c];
    bytes[..4].copy_from_slice(&[0x34, 0x12, 0xcd, 0xab]);
    bytes[0x06] = 0x10;
    bytes[0x34] = 0x40;
    bytes[0x40..0x44].copy_from_slice(&[0x01, 0x00, 0x03, 0x00]);
    Dump { bytes, ..Dump::default() }
}

fn refused(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut dump = small();
    change(&mut dump.bytes);
    express(&dump).expect_err("it can't be expressed").to_string()
}

#[test]
fn what_no_type_has_is_not_expressed() {
    assert!(express(&small()).is_ok());
    assert_eq!(refused(|bytes| bytes[0x41] = 0x40), "the list of capabilities leads back to 0x40");
    assert_eq!(refused(|bytes| bytes[0x34] = 0x20), "a capability at 0x20");
    assert_eq!(
        refused(|bytes| bytes[0x06] = 0x00),
        "a capabilities pointer 0x40 against the status register"
    );
    assert_eq!(
        refused(|bytes| bytes[0x44] = 0x04),
        "power management's control, at 0x44: bits 0x00000004 are set that our type hasn't"
    );
    assert_eq!(refused(|bytes| bytes[0x3d] = 5), "an interrupt pin 0x5");
    // D1, which the capability says it hasn't.
    let d1 = refused(|bytes| bytes[0x44] = 0x01);
    assert!(d1.ends_with("at 0x44 it has 0x00 after all writes, and the dump 0x01"), "{d1}");
    // An interrupt that is pending, of a function without a pin.
    let pending = refused(|bytes| bytes[0x06] = 0x18);
    assert!(pending.ends_with("at 0x6: 0x10, and the dump has 0x18"), "{pending}");
    assert_eq!(refused(|bytes| bytes.truncate(0x30)), "48 bytes, which is no header");
}

#[test]
#[ignore = "needs pciutils' dumps"]
fn at_least_95_percent_of_the_type_0_functions_can_be_expressed() -> Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("it is below the target folder")?;
    let folder = folder.join("pciutils/tests");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("{}: cargo xtask setup", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let (mut layouts, mut reasons) = ([0; LAYOUTS.len()], Vec::new());
    let (mut expressed, mut capabilities) = (0, BTreeMap::<&str, usize>::new());
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
        for dump in dump::functions(&text).with_context(|| name.clone())? {
            let layout = usize::from(dump.bytes.get(0x0e).copied().unwrap_or_default() & 0x7f);
            *layouts.get_mut(layout).with_context(|| format!("{name}: layout {layout}"))? += 1;
            if layout != 0 {
                continue;
            }
            match express(&dump) {
                Ok(header) => {
                    expressed += 1;
                    count(&header, &mut capabilities);
                }
                Err(why) => reasons.push(format!("{name}: {}: {why:#}", dump.title)),
            }
        }
    }
    let total = layouts[0];
    println!("{expressed} of {total} type-0 functions can be expressed; beside them:");
    for (layout, count) in LAYOUTS.iter().zip(layouts).skip(1) {
        println!("  {count} {layout}");
    }
    println!("in those that can:");
    for (what, count) in capabilities {
        println!("  {count} {what}");
    }
    println!("not expressed: {}", reasons.len());
    for reason in &reasons {
        println!("  {reason}");
    }
    ensure!(total >= 100, "{total} functions are too few: what was set up?");
    ensure!(100 * expressed >= 95 * total, "{expressed} of {total}:\n{}", reasons.join("\n"));
    Ok(())
}

/// Counts what the header's lists have, by kind.
fn count(header: &ConfigHeader, counts: &mut BTreeMap<&str, usize>) {
    let standard = header.capabilities.iter().map(|placed| match placed.capability {
        Capability::Other(_) => "capabilities that are not modelled, as bytes",
        _ => "capabilities with a type",
    });
    let extended = header.extended_capabilities.iter().map(|placed| match placed.capability {
        ExtendedCapability::Other(_) => "extended capabilities that are not modelled, as bytes",
        _ => "extended capabilities with a type",
    });
    for what in standard.chain(extended) {
        *counts.entry(what).or_default() += 1;
    }
    let private = header.private.iter().map(|private| private.content.len()).sum::<usize>();
    *counts.entry("private bytes").or_default() += private;
}
