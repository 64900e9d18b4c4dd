//! Polls: how often a register is read until it says something else depends on time, what it says then doesn't.

use std::collections::BTreeMap;

use super::Item;

/// Values in a row that are remembered: one that has more isn't polled.
const MOST: usize = 64;

/// A read that may be one of a poll.
#[derive(Clone, Copy)]
pub(super) struct Read {
    /// Whose code it is, and what it reads: the same for each turn of a loop.
    pub(super) site: u64,
    pub(super) item: Item,
}

/// Reads in a row by one site.
struct Run {
    site: u64,
    /// Each with how many like it followed.
    read: Vec<(Item, u64)>,
    /// There were more before: they are data.
    is_data: bool,
}

/// Folds polls: of reads in a row that found one value again and again, and then another one or none, the last stays.
/// Where values change more than once, or something comes of a read, nothing is folded.
#[derive(Default)]
pub(super) struct Polls {
    runs: BTreeMap<u32, Run>,
}

impl Polls {
    /// Takes a read; what came before it in its sequence is appended to `out` once it is certain.
    pub(super) fn read(&mut self, read: Read, out: &mut impl Extend<Item>) {
        let Read { site, item } = read;
        if let Some(run) = self.runs.get_mut(&item.lane)
            && run.site == site
        {
            if let Some((last, times)) = run.read.last_mut().filter(|(last, _)| last.hash == item.hash) {
                (*last, *times) = (item, *times + 1);
                return;
            }
            if run.read.len() >= MOST {
                run.is_data = true;
                run.end(out);
            }
            run.read.push((item, 1));
            return;
        }
        self.other(item.lane, out);
        self.runs.insert(item.lane, Run { site, read: vec![(item, 1)], is_data: false });
    }

    /// Something else comes in a sequence.
    pub(super) fn other(&mut self, lane: u32, out: &mut impl Extend<Item>) {
        if let Some(mut run) = self.runs.remove(&lane) {
            run.end(out);
        }
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, out: &mut impl Extend<Item>) {
        for (_, mut run) in std::mem::take(&mut self.runs) {
            run.end(out);
        }
    }
}

impl Run {
    fn end(&mut self, out: &mut impl Extend<Item>) {
        let read = std::mem::take(&mut self.read);
        if read.len() <= 2 && !self.is_data {
            out.extend(read.last().map(|(item, _)| *item));
            return;
        }
        // The records between are numbered as the last of them.
        out.extend(read.into_iter().flat_map(|(item, times)| (0..times).map(move |_| item)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of reads, each with its site and value.
    fn folded(reads: &[(u64, u64)]) -> Vec<u64> {
        let (mut polls, mut out) = (Polls::default(), Vec::new());
        for (seq, (site, hash)) in (1..).zip(reads) {
            polls.read(Read { site: *site, item: Item { lane: 0, hash: *hash, seq, register: 0 } }, &mut out);
        }
        polls.finish(&mut out);
        out.iter().map(|item| item.hash).collect()
    }

    #[test]
    fn a_poll_is_what_it_ends_with_however_long_it_took() {
        for reads in [&[(1, 9)][..], &[(1, 5), (1, 9)], &[(1, 5), (1, 5), (1, 5), (1, 9)], &[(1, 9), (1, 9)]]
        {
            assert_eq!(folded(reads), [9]);
        }
        // Another site is another poll.
        assert_eq!(folded(&[(1, 5), (1, 9), (2, 9), (2, 9)]), [9, 9]);
    }

    #[test]
    fn data_that_is_read_in_a_row_is_no_poll() {
        assert_eq!(folded(&[(1, 5), (1, 6), (1, 6), (1, 7)]), [5, 6, 6, 7]);
        let many: Vec<_> = (0..130).map(|value| (1, value)).collect();
        assert_eq!(folded(&many), (0..130).collect::<Vec<_>>());
    }
}
