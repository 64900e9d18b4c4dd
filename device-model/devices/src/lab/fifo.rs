//! The queue behind FIFO_DATA.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::map::{
    FIFO_DEPTH, FIFO_EMPTY, FIFO_FULL, FIFO_OVERFLOW, FIFO_THRESHOLD_BITS, FIFO_THRESHOLD_RESET,
    FIFO_UNDERFLOW,
};

/// A queue of words that remembers what went wrong.
#[derive(Serialize, Deserialize)]
pub(super) struct Fifo {
    words: VecDeque<u32>,
    /// FIFO_OVERFLOW and FIFO_UNDERFLOW.
    faults: u32,
    threshold: u32,
}

impl Default for Fifo {
    fn default() -> Self {
        Self { words: VecDeque::new(), faults: 0, threshold: FIFO_THRESHOLD_RESET }
    }
}

impl Fifo {
    /// Appends a word, if there is room; whether the level rose to the threshold.
    pub(super) fn push(&mut self, word: u32) -> bool {
        if self.words.len() >= FIFO_DEPTH {
            self.faults |= FIFO_OVERFLOW;
            return false;
        }
        self.words.push_back(word);
        self.level() == self.threshold
    }

    /// Takes the oldest word; 0 if there is none.
    pub(super) fn pop(&mut self) -> u32 {
        self.words.pop_front().unwrap_or_else(|| {
            self.faults |= FIFO_UNDERFLOW;
            0
        })
    }

    pub(super) fn status(&self) -> u32 {
        let empty = if self.words.is_empty() { FIFO_EMPTY } else { 0 };
        let full = if self.words.len() >= FIFO_DEPTH { FIFO_FULL } else { 0 };
        self.level() | empty | full | self.faults
    }

    pub(super) fn clear_faults(&mut self, ones: u32) {
        self.faults &= !ones;
    }

    pub(super) fn threshold(&self) -> u32 {
        self.threshold
    }

    pub(super) fn set_threshold(&mut self, level: u32) {
        self.threshold = level & FIFO_THRESHOLD_BITS;
    }

    fn level(&self) -> u32 {
        self.words.len() as u32
    }
}
