//! A guest without a vCPU for tests: memory in which virtual addresses are physical, and types of a kernel's.

use std::collections::{BTreeMap, HashMap};

use barscope_x86::{PhysicalMemory, Registers};

use crate::Symbols;

/// Memory that has the pages which something was put into.
#[derive(Clone, Default)]
pub struct Memory(BTreeMap<u64, Vec<u8>>);

impl Memory {
    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        for (at, byte) in (address..).zip(bytes) {
            self.0.entry(at & !0xfff).or_insert_with(|| vec![0; 4096])[(at & 0xfff) as usize] = *byte;
        }
    }

    pub fn words(&mut self, address: u64, words: &[u64]) {
        for (at, word) in (address..).step_by(8).zip(words) {
            self.put(at, &word.to_le_bytes());
        }
    }
}

impl PhysicalMemory for Memory {
    fn read_physical(&self, address: u64, data: &mut [u8]) -> bool {
        (address..).zip(data).all(|(at, byte)| {
            let page = self.0.get(&(at & !0xfff));
            page.map(|page| *byte = page[(at & 0xfff) as usize]).is_some()
        })
    }
}

/// Registers of a vCPU in ring 0 with paging off, so that virtual addresses are physical.
pub fn registers() -> Registers {
    Registers::default()
}

impl Symbols for HashMap<&str, u64> {
    fn address(&self, name: &str) -> Option<u64> {
        self.get(name).copied()
    }
}

/// BTF in the making.
pub struct Types {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Types {
    pub fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0], count: 0 }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        at
    }

    /// A type with this kind, count and flag, and what follows its header; its number.
    pub fn add(
        &mut self,
        name: &str,
        (kind, count, flag): (u32, u32, bool),
        size_or_type: u32,
        rest: &[u32],
    ) -> u32 {
        let name = self.name(name);
        let words = [name, u32::from(flag) << 31 | kind << 24 | count, size_or_type];
        self.types.extend(words.iter().chain(rest).flat_map(|word| word.to_le_bytes()));
        self.count += 1;
        self.count
    }

    pub fn integer(&mut self, size: u32) -> u32 {
        self.add("int", (1, 0, false), size, &[size * 8])
    }

    pub fn array(&mut self, of: u32, elements: u32) -> u32 {
        self.add("", (3, 0, false), 0, &[of, of, elements])
    }

    /// A structure with members: name, type, offset in bytes.
    pub fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let rest: Vec<u32> =
            members.iter().flat_map(|(name, of, offset)| [self.name(name), *of, offset * 8]).collect();
        self.add(name, (4, members.len() as u32, false), size, &rest)
    }

    /// A structure with bit fields: name, type, first bit, bits.
    pub fn bit_fields(&mut self, name: &str, size: u32, members: &[(&str, u32, u32, u32)]) -> u32 {
        let rest: Vec<u32> = members
            .iter()
            .flat_map(|(name, of, bit, bits)| [self.name(name), *of, bits << 24 | bit])
            .collect();
        self.add(name, (4, members.len() as u32, true), size, &rest)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let header = [24, 0, self.types.len() as u32, self.types.len() as u32, self.strings.len() as u32];
        let mut all = vec![0x9f, 0xeb, 1, 0];
        all.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        all.extend(&self.types);
        all.extend(&self.strings);
        all
    }
}
