//! Names of what is compared, by numbers: sequences, keys and registers, the same for both sides.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use rustc_hash::FxHashMap;

/// So many sequences are told apart; what is beyond is one.
const LANES: usize = 1 << 12;
/// So many registers are counted apart; what is beyond is one.
const REGISTERS: usize = 1 << 14;
/// So many texts of keys are kept.
const TEXTS: usize = 1 << 18;

/// A sequence of records whose order is compared: those of a scenario, or of one actor in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    /// The scenario; `None` outside of all.
    pub(crate) section: Option<Arc<str>>,
    /// Who; empty if the order of all of them is compared.
    pub(crate) actor: Arc<str>,
}

/// A key by itself: who did what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) actor: Arc<str>,
    pub(crate) text: Arc<str>,
}

/// The names.
#[derive(Default)]
pub(crate) struct Names {
    lanes: Interner<Lane>,
    registers: Interner<Arc<str>>,
    texts: FxHashMap<u64, Text>,
    hasher: BuildHasherDefault<DefaultHasher>,
}

struct Interner<T> {
    list: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { list: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interner<T> {
    fn number(&mut self, name: T, most: usize, beyond: impl FnOnce() -> T) -> u32 {
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let name = if self.list.len() < most { name } else { beyond() };
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(name.clone());
        self.numbers.insert(name, number);
        number
    }
}

impl Names {
    /// The number of a sequence.
    pub(crate) fn lane(&mut self, section: Option<&Arc<str>>, actor: &Arc<str>) -> u32 {
        let lane = Lane { section: section.cloned(), actor: Arc::clone(actor) };
        let beyond = || Lane { section: None, actor: "many others".into() };
        self.lanes.number(lane, LANES, beyond)
    }

    /// The sequence with this number.
    pub(crate) fn lane_of(&self, number: u32) -> &Lane {
        &self.lanes.list[number as usize]
    }

    /// The number of a register.
    pub(crate) fn register(&mut self, name: &str) -> u32 {
        self.registers.number(name.into(), REGISTERS, || "many others".into())
    }

    /// The register with this number.
    pub(crate) fn register_of(&self, number: u32) -> &str {
        &self.registers.list[number as usize]
    }

    /// The hash of a key, whose text is kept while there is room.
    pub(crate) fn key(&mut self, actor: &Arc<str>, text: &str) -> u64 {
        let hash = self.hasher.hash_one((&**actor, text));
        if self.texts.len() < TEXTS {
            self.texts.entry(hash).or_insert_with(|| Text { actor: Arc::clone(actor), text: text.into() });
        }
        hash
    }

    /// The key with this hash, if it was kept.
    pub(crate) fn text(&self, hash: u64) -> Option<&Text> {
        self.texts.get(&hash)
    }
}
