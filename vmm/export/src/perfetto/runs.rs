//! Slices of which only what lies in them is known: each goes from the first record in it to the last.

use rustc_hash::FxHashMap;

/// What a record means for the slice of its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// It lies in it, or there is none.
    Same,
    /// It doesn't: that one ended at this time, if there was one; and whether another one begins.
    Other {
        /// Nanoseconds.
        ended: Option<u64>,
        /// With this record.
        begins: bool,
    },
}

/// The slices that are open, by their track.
pub(super) struct Runs<K>(FxHashMap<u64, (K, u64)>);

impl<K> Default for Runs<K> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<K: PartialEq> Runs<K> {
    /// Takes note of a record on a track, and of what it lies in.
    pub(super) fn take(&mut self, track: u64, within: Option<K>, ns: u64) -> Run {
        match (self.0.get_mut(&track), within) {
            (None, None) => Run::Same,
            (Some((open, last)), Some(within)) if *open == within => {
                *last = ns.max(*last);
                Run::Same
            }
            (open, within) => {
                let ended = open.map(|(_, last)| *last);
                let begins = within.is_some();
                match within {
                    Some(within) => _ = self.0.insert(track, (within, ns)),
                    None => _ = self.0.remove(&track),
                }
                Run::Other { ended, begins }
            }
        }
    }

    /// Ends all: tracks with the times of their last records.
    pub(super) fn end(&mut self) -> Vec<(u64, u64)> {
        let mut ended: Vec<_> =
            std::mem::take(&mut self.0).into_iter().map(|(track, (_, last))| (track, last)).collect();
        ended.sort_unstable();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_from_its_first_record_to_its_last() {
        let mut runs = Runs::default();
        let other = |ended, begins| Run::Other { ended, begins };
        assert_eq!(runs.take(1, None, 5), Run::Same);
        assert_eq!(runs.take(1, Some('a'), 10), other(None, true));
        assert_eq!(runs.take(2, Some('a'), 11), other(None, true));
        assert_eq!(runs.take(1, Some('a'), 20), Run::Same);
        assert_eq!(runs.take(1, Some('b'), 30), other(Some(20), true));
        assert_eq!(runs.take(1, None, 40), other(Some(30), false));
        assert_eq!(runs.end(), [(2, 11)]);
    }
}
