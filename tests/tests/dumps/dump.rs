//! Text that `lspci -x`, `-xxx` or `-xxxx` printed, with `-v` or without: functions, and the bytes of their
//! configuration spaces.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// A function's configuration space as far as it was dumped.
#[derive(Debug, Default, PartialEq)]
pub struct Dump {
    /// What stands before it: address and name.
    pub title: String,
    pub bytes: Vec<u8>,
    /// Sizes of BARs by number, where the text says them.
    pub bars: BTreeMap<u8, u64>,
    /// Size of the expansion ROM, where the text says it.
    pub rom: Option<u64>,
}

/// Every function in `text`. Other lines than titles, sizes and bytes are passed over.
pub fn functions(text: &str) -> Result<Vec<Dump>> {
    let mut found: Vec<Dump> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if let Some((offset, mut bytes)) = hexadecimal(line) {
            if offset == 0 && found.last().is_none_or(|dump| !dump.bytes.is_empty()) {
                found.push(Dump::default());
            }
            let dump = found.last_mut().with_context(|| format!("line {}: bytes of nothing", number + 1))?;
            ensure!(
                offset == dump.bytes.len() && offset + bytes.len() <= 4096,
                "line {}: bytes at {offset:#x}, after {:#x} of {:?}",
                number + 1,
                dump.bytes.len(),
                dump.title
            );
            dump.bytes.append(&mut bytes);
        } else if is_title(line) {
            found.push(Dump { title: line.to_owned(), ..Dump::default() });
        } else if let Some(dump) = found.last_mut().filter(|dump| dump.bytes.is_empty()) {
            let line = line.trim_start();
            let region = line.strip_prefix("Region ").and_then(|rest| rest.split_once(": "));
            let region = region.and_then(|(index, rest)| Some((index.parse::<u8>().ok()?, size(rest)?)));
            // Those of virtual functions come later, under the numbers that BARs had.
            if let Some((index, size)) = region {
                dump.bars.entry(index).or_insert(size);
            } else if line.starts_with("Expansion ROM at ") {
                dump.rom = size(line);
            }
        }
    }
    found.retain(|dump| !dump.bytes.is_empty());
    Ok(found)
}

/// `10: 0c 00 ..`: an offset and up to 16 bytes.
fn hexadecimal(line: &str) -> Option<(usize, Vec<u8>)> {
    let (offset, bytes) = line.split_once(": ")?;
    let is_offset = (2..=3).contains(&offset.len()) && offset.bytes().all(|digit| digit.is_ascii_hexdigit());
    let byte = |pair: &str| u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2);
    let bytes: Vec<u8> = bytes.split(' ').map(byte).collect::<Option<_>>()?;
    (is_offset && bytes.len() <= 16).then(|| Some((usize::from_str_radix(offset, 16).ok()?, bytes)))?
}

/// `00:1f.2 SATA controller: ..`, with a domain before it or without.
fn is_title(line: &str) -> bool {
    let address = line.split(' ').next().unwrap_or_default();
    let Some((place, function)) = address.rsplit_once('.') else { return false };
    let parts: Vec<&str> = place.split(':').collect();
    let hex = |part: &&str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_hexdigit());
    (2..=3).contains(&parts.len()) && parts.iter().all(hex) && matches!(function.as_bytes(), [b'0'..=b'7'])
}

/// `.. [size=64K]`.
fn size(line: &str) -> Option<u64> {
    let text = line.split_once("[size=")?.1.split(']').next()?;
    let digits = text.trim_end_matches(|unit: char| !unit.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    Some(digits.parse::<u64>().ok()? << shift)
}

#[test]
fn functions_are_found_with_their_bytes_and_sizes_whatever_stands_around() {
    let text = "\
a line of somebody's
00:02.0 VGA compatible controller: somebody (rev 02)
\tControl: I/O+ Mem+
\tRegion 0: Memory at e0000000 (32-bit, prefetchable) [size=128M]
\tRegion 1: I/O ports at 9800 [size=8]
\tExpansion ROM at fff00000 [disabled] [size=64K]
\tCapabilities: [160] Single Root I/O Virtualization (SR-IOV)
\t\tRegion 0: Memory at 0 (64-bit) [size=16K]
00: 86 80 01 00
04: 07

0001:03:00.1 Network: somebody
00: ff 01
00: 01 02
";
    let functions = functions(text).expect("it is a dump");

    assert_eq!(functions.len(), 3);
    assert_eq!(functions[0].title, "00:02.0 VGA compatible controller: somebody (rev 02)");
    assert_eq!(functions[0].bytes, [0x86, 0x80, 0x01, 0x00, 0x07]);
    assert_eq!(functions[0].bars, BTreeMap::from([(0, 128 << 20), (1, 8)]));
    assert_eq!(functions[0].rom, Some(64 << 10));
    assert_eq!(
        (&*functions[1].title, &*functions[1].bytes),
        ("0001:03:00.1 Network: somebody", &[0xff, 1][..])
    );
    assert_eq!((&*functions[2].title, &*functions[2].bytes), ("", &[1, 2][..]));
}

#[test]
fn a_dump_with_a_gap_is_no_dump() {
    let error = functions("00:02.0 X\n00: 01\n10: 02\n").unwrap_err().to_string();

    assert_eq!(error, "line 3: bytes at 0x10, after 0x1 of \"00:02.0 X\"");
}
