use super::*;

fn items(keys: &[u64]) -> Vec<Item> {
    (1..).zip(keys).map(|(seq, hash)| Item { lane: 0, hash: *hash, seq, register: 0 }).collect()
}

/// Aligns by a window, the sides read in turns.
fn aligned(left: &[u64], right: &[u64], window: usize) -> Aligner {
    let mut aligner = Aligner::new(window);
    let (left, right) = (items(left), items(right));
    for at in 0..left.len().max(right.len()) {
        for (side, items) in [&left, &right].into_iter().enumerate() {
            if let Some(item) = items.get(at) {
                aligner.push(side, *item);
            }
        }
    }
    aligner.finish();
    aligner
}

/// The length of a longest common subsequence, by the table that every textbook has.
fn common(left: &[u64], right: &[u64]) -> usize {
    let mut table = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (row, one) in left.iter().enumerate() {
        for (column, other) in right.iter().enumerate() {
            table[row + 1][column + 1] = if one == other {
                table[row][column] + 1
            } else {
                table[row][column + 1].max(table[row + 1][column])
            };
        }
    }
    table[left.len()][right.len()]
}

/// What is left of a side without what only it has, by its hunks.
fn without_hunks(keys: &[u64], aligner: &Aligner, side: usize) -> Vec<u64> {
    let only: Vec<_> = aligner.hunks.iter().flat_map(|hunk| &hunk.items[side]).map(|item| item.seq).collect();
    (1..).zip(keys).filter(|(seq, _)| !only.contains(seq)).map(|(_, key)| *key).collect()
}

#[test]
fn what_both_have_is_as_much_as_a_slow_table_finds() {
    let mut random = fastrand::Rng::with_seed(15);
    for _ in 0..3000 {
        let kinds = random.u64(1..6);
        let mut keys = || (0..random.usize(0..40)).map(|_| random.u64(0..kinds)).collect::<Vec<_>>();
        let (left, right) = (keys(), keys());
        let aligner = aligned(&left, &right, WINDOW);
        let both = without_hunks(&left, &aligner, 0);
        assert_eq!(both, without_hunks(&right, &aligner, 1), "{left:?} {right:?}");
        assert_eq!(both.len(), common(&left, &right), "{left:?} {right:?}");
        assert_eq!(aligner.count == 0, left == right);
        assert!(!aligner.was_cut);
    }
}

#[test]
fn the_fast_way_finds_no_more_and_nothing_that_is_not_there() {
    let mut random = fastrand::Rng::with_seed(17);
    for _ in 0..2000 {
        let mut keys = || (0..random.usize(0..50)).map(|_| random.u64(0..12)).collect::<Vec<_>>();
        let (left, right) = (keys(), keys());
        let found = fast(&items(&left), &items(&right));
        let mut kept = [left.clone(), right.clone()];
        for (before, after) in found.into_iter().rev() {
            kept[0].drain(before);
            kept[1].drain(after);
        }
        assert_eq!(kept[0], kept[1], "{left:?} {right:?}");
        assert!(kept[0].len() <= common(&left, &right));
    }
}

#[test]
fn a_small_window_finds_less_in_common_but_nothing_that_is_not_there() {
    let mut random = fastrand::Rng::with_seed(16);
    let mut cut = 0;
    for _ in 0..3000 {
        let mut keys = || (0..random.usize(0..60)).map(|_| random.u64(0..4)).collect::<Vec<_>>();
        let (left, right) = (keys(), keys());
        let aligner = aligned(&left, &right, 8);
        let both = without_hunks(&left, &aligner, 0);
        assert_eq!(both, without_hunks(&right, &aligner, 1), "{left:?} {right:?}");
        assert!(both.len() <= common(&left, &right));
        let counts = aligner.registers.first().copied().unwrap_or_default();
        let lengths = [left.len() as u64, right.len() as u64];
        assert_eq!(counts.all, lengths);
        assert_eq!(counts.only, lengths.map(|length| length - both.len() as u64));
        assert_eq!(aligner.count == 0, left == right);
        cut += u32::from(aligner.was_cut);
    }
    assert!(cut > 1000, "{cut}");
}

#[test]
fn a_difference_has_what_both_have_around_it() {
    let aligner = aligned(&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[1, 2, 3, 4, 6, 7, 8, 9], WINDOW);
    let [hunk] = &aligner.hunks[..] else { panic!("{:?}", aligner.hunks) };
    let seqs = |pairs: &[Pair]| pairs.iter().map(|pair| pair.seqs).collect::<Vec<_>>();
    assert_eq!(seqs(&hunk.before), [[2, 2], [3, 3], [4, 4]]);
    assert_eq!(hunk.items[0].iter().map(|item| item.seq).collect::<Vec<_>>(), [5]);
    assert_eq!(hunk.counts, [1, 0]);
    assert_eq!(seqs(&hunk.after), [[6, 5], [7, 6], [8, 7]]);
    assert_eq!(aligner.first.as_ref().unwrap().after, hunk.after);
}

#[test]
fn sequences_are_aligned_each_by_itself() {
    let mut aligner = Aligner::new(WINDOW);
    let item = |lane, hash, seq| Item { lane, hash, seq, register: 0 };
    for (side, items) in
        [[item(0, 1, 1), item(1, 2, 2)], [item(1, 2, 1), item(0, 1, 2)]].into_iter().enumerate()
    {
        items.into_iter().for_each(|item| aligner.push(side, item));
    }
    aligner.finish();
    assert_eq!(aligner.count, 0);
}
