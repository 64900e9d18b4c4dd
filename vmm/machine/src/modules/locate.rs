//! Where the kernel has put a module's sections: found from one to the next by the addresses that they hold.

use std::collections::HashMap;

use super::file::{Kind, ModuleFile};
use super::{AREA, Read};
use crate::kernel_module;

/// A module's file whose sections are where the kernel has put them.
pub struct Placed(pub Vec<u8>);

/// Places the sections of `file`, whose `struct module` is at `address`. `None` if memory doesn't look like
/// it.
pub fn locate(file: &ModuleFile, address: u64, read: Read<'_>) -> Option<Placed> {
    let places = places(file, address, read);
    let mut elf = file.elf.clone();
    kernel_module::place_sections(&mut elf, &places)?;
    // It alone says nothing of code.
    (places.len() > 1).then_some(Placed(elf))
}

/// Index and address of each section that was found.
fn places(file: &ModuleFile, address: u64, read: Read<'_>) -> Vec<(u64, u64)> {
    let mut places: HashMap<usize, u64> = HashMap::from([(file.this_module, address)]);
    let mut waiting = vec![file.this_module];
    // How often each address was found for a section: code is patched when it is loaded, and memory of what
    // only `init` needs is another's later, so that some are wrong.
    let mut votes: HashMap<usize, HashMap<u64, usize>> = HashMap::new();
    while !waiting.is_empty() {
        for index in std::mem::take(&mut waiting) {
            let (Some(section), Some(base)) = (file.sections.get(index), places.get(&index)) else {
                continue;
            };
            for reference in &section.references {
                let Some(target) = file.sections.get(reference.section) else { continue };
                let at = base.wrapping_add(reference.offset);
                let Some(word) = held(read, at, reference.kind) else { continue };
                let found = word.wrapping_sub(reference.addend);
                if target.is_loaded && AREA.contains(&found) && found.is_multiple_of(target.alignment) {
                    *votes.entry(reference.section).or_default().entry(found).or_default() += 1;
                }
            }
        }
        for (section, found) in &votes {
            let most = found.iter().max_by_key(|(address, times)| (**times, **address));
            if let Some((address, _)) = most
                && !places.contains_key(section)
            {
                places.insert(*section, *address);
                waiting.push(*section);
            }
        }
    }
    for (index, address) in core_code(file, &places) {
        places.entry(index).or_insert(address);
    }
    let mut places: Vec<_> = places.into_iter().map(|(index, address)| (index as u64, address)).collect();
    places.sort_unstable();
    places
}

/// The sections with code that stays, each with its address: Linux puts them one after the other, in the order
/// of the file, from the start of a page on. So one that was found tells of those that nothing refers to.
fn core_code(file: &ModuleFile, places: &HashMap<usize, u64>) -> Vec<(usize, u64)> {
    const PAGE: u64 = 4096;
    let mut end = 0_u64;
    let mut offsets = Vec::new();
    for (index, section) in file.sections.iter().enumerate().filter(|(_, section)| section.is_core_code) {
        let start = end.checked_next_multiple_of(section.alignment).unwrap_or(end);
        offsets.push((index, start));
        end = start.saturating_add(section.size);
    }
    let start = |(index, offset): &(usize, u64)| places.get(index)?.checked_sub(*offset);
    let start = offsets.iter().filter_map(start).find(|start| start.is_multiple_of(PAGE));
    let Some(start) = start else { return Vec::new() };
    offsets.into_iter().map(|(index, offset)| (index, start.saturating_add(offset))).collect()
}

/// The address that the word at `at` holds.
fn held(read: Read<'_>, at: u64, kind: Kind) -> Option<u64> {
    let mut bytes = [0; 8];
    let size = if kind == Kind::Whole { 8 } else { 4 };
    if !read(at, &mut bytes[..size]) {
        return None;
    }
    let word = u64::from_le_bytes(bytes);
    Some(match kind {
        Kind::Whole | Kind::Low => word,
        Kind::LowSigned => i64::from(word as u32 as i32) as u64,
        Kind::Relative => (i64::from(word as u32 as i32) as u64).wrapping_add(at),
    })
}
