//! Sets of interrupt causes, or of vectors, by number.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::vector::VectorIndex;

const WORDS: usize = VectorIndex::COUNT / 64;

/// A set of interrupt causes, or of vectors: numbers from 0 to 2047.
///
/// It needs no memory besides its own, and a call's time depends on the highest number that it ever held, so that a
/// device with few causes pays for few.
#[derive(Clone)]
pub struct InterruptSet {
    words: [u64; WORDS],
    /// Words that may hold something; those behind them are 0.
    used: usize,
}

impl InterruptSet {
    /// The empty set.
    pub const EMPTY: Self = Self { words: [0; WORDS], used: 0 };

    /// Every number below `count`; all of them if there are fewer.
    pub(crate) fn below(count: usize) -> Self {
        let mut set = Self::EMPTY;
        for (index, word) in set.words.iter_mut().enumerate() {
            let left = count.saturating_sub(64 * index);
            *word = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
        }
        set.used = count.div_ceil(64).min(WORDS);
        set
    }

    /// Adds a number.
    pub fn insert(&mut self, index: VectorIndex) {
        let index = usize::from(index.get());
        self.words[index / 64] |= 1 << (index % 64);
        self.used = self.used.max(index / 64 + 1);
    }

    /// Adds the numbers below 64 whose bits are set.
    pub fn insert_mask(&mut self, mask: u64) {
        self.words[0] |= mask;
        self.used = self.used.max(1);
    }

    /// Takes a number away.
    pub fn remove(&mut self, index: VectorIndex) {
        let index = usize::from(index.get());
        self.words[index / 64] &= !(1 << (index % 64));
    }

    /// Takes away all numbers that are in `other`.
    pub(crate) fn remove_all(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words[..other.used]) {
            *word &= !other;
        }
    }

    /// Takes away all numbers.
    pub fn clear(&mut self) {
        self.words[..self.used].fill(0);
        self.used = 0;
    }

    /// Whether a number is in it.
    pub fn contains(&self, index: VectorIndex) -> bool {
        self.word(usize::from(index.get()) / 64) >> (index.get() % 64) & 1 != 0
    }

    /// Whether no number is in it.
    pub fn is_empty(&self) -> bool {
        self.words[..self.used].iter().all(|word| *word == 0)
    }

    /// Its numbers, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = VectorIndex> + '_ {
        let words = self.words[..self.used].iter().enumerate();
        words.flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                VectorIndex::new((64 * at) as u16 + bit as u16)
            })
        })
    }

    /// The numbers from 64 * `index` on, as the bits of a word.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or_default()
    }

    /// The numbers that are in this set or in `other`.
    pub(crate) fn union(&self, other: &Self) -> Self {
        self.combined(other, |own, other| own | other)
    }

    /// The numbers that are in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.combined(other, |own, other| own & other)
    }

    /// The numbers that are in this set and not in `other`.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.combined(other, |own, other| own & !other)
    }

    fn combined(&self, other: &Self, operation: fn(u64, u64) -> u64) -> Self {
        let used = self.used.max(other.used);
        let mut set = Self { used, ..Self::EMPTY };
        for (index, word) in set.words[..used].iter_mut().enumerate() {
            *word = operation(self.words[index], other.words[index]);
        }
        set
    }
}

impl Default for InterruptSet {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for InterruptSet {
    fn eq(&self, other: &Self) -> bool {
        let used = self.used.max(other.used);
        self.words[..used] == other.words[..used]
    }
}

impl Eq for InterruptSet {}

impl FromIterator<VectorIndex> for InterruptSet {
    fn from_iter<I: IntoIterator<Item = VectorIndex>>(numbers: I) -> Self {
        let mut set = Self::EMPTY;
        numbers.into_iter().for_each(|index| set.insert(index));
        set
    }
}

impl fmt::Debug for InterruptSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(VectorIndex::get)).finish()
    }
}

/// As a list of words, the lowest numbers first, without zeros at its end.
impl Serialize for InterruptSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let end = self.words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        self.words[..end].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InterruptSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<u64>::deserialize(deserializer)?;
        let mut set = Self { used: words.len(), ..Self::EMPTY };
        let place = set.words.get_mut(..words.len());
        place
            .ok_or_else(|| D::Error::custom("a set of interrupts has 32 words at most"))?
            .copy_from_slice(&words);
        Ok(set)
    }
}

#[cfg(test)]
mod tests;
