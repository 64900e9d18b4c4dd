//! How often values of what size occurred, in few buckets whatever they are.

use serde::{Serialize, Serializer};

/// Bits of a value that its bucket keeps, below the highest one.
const PRECISION: u32 = 4;
/// Buckets for each power of two.
const STEPS: u64 = 1 << PRECISION;

/// A histogram of times in nanoseconds. Buckets are a sixteenth of their value wide, so that a percentile is
/// right to within 6.25 %; count, total and the largest value are exact.
///
/// Written as JSON it is `{"count":..,"total_ns":..,"p50_ns":..,"p90_ns":..,"p99_ns":..,"max_ns":..}`, without
/// the last four where nothing was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    total: u64,
    max: u64,
}

/// The bucket that a value belongs to. Values below [`STEPS`] have one each.
pub(super) fn bucket_of(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - PRECISION;
    // The highest bit of what is left of the value counts the powers of two.
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

/// The highest value that belongs to a bucket.
fn highest_in(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let next = bucket % STEPS + STEPS + 1;
    // The last bucket ends with the largest number that there is.
    u64::try_from((u128::from(next) << shift) - 1).unwrap_or(u64::MAX)
}

impl Histogram {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.add_in(bucket_of(value), value);
    }

    /// The same, by who knows its bucket.
    #[inline]
    pub(super) fn add_in(&mut self, bucket: usize, value: u64) {
        match self.buckets.get_mut(bucket) {
            Some(count) => *count += 1,
            None => self.add_first(bucket),
        }
        self.count += 1;
        self.total = self.total.saturating_add(value);
        self.max = self.max.max(value);
    }

    #[cold]
    fn add_first(&mut self, bucket: usize) {
        self.buckets.resize(bucket + 1, 0);
        self.buckets[bucket] = 1;
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        if other.buckets.len() > self.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (ours, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *ours += theirs;
        }
        self.count += other.count;
        self.total = self.total.saturating_add(other.total);
        self.max = self.max.max(other.max);
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The largest; 0 if there was none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that so many percent of all don't exceed, rounded up to its bucket's end; `None` if there
    /// was none.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (u128::from(self.count) * u128::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += u128::from(*count);
            seen >= rank
        };
        Some(highest_in(self.buckets.iter().position(reached)?).min(self.max))
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Summary {
            count: u64,
            total_ns: u64,
            #[serde(flatten)]
            percentiles: Option<Percentiles>,
        }
        #[derive(Serialize)]
        struct Percentiles {
            p50_ns: u64,
            p90_ns: u64,
            p99_ns: u64,
            max_ns: u64,
        }
        let percentiles = || {
            Some(Percentiles {
                p50_ns: self.percentile(50)?,
                p90_ns: self.percentile(90)?,
                p99_ns: self.percentile(99)?,
                max_ns: self.max,
            })
        };
        Summary { count: self.count, total_ns: self.total, percentiles: percentiles() }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_no_other() {
        let around = |power: u32| [(1_u64 << power) - 1, 1 << power, (1 << power) + 1];
        for value in (0..64).flat_map(around).chain([u64::MAX, 1000, 999_999]) {
            let bucket = bucket_of(value);
            assert!(value <= highest_in(bucket), "{value}");
            assert!(bucket == 0 || value > highest_in(bucket - 1), "{value}");
            assert!(highest_in(bucket) - value <= value / 16, "{value}");
        }
        assert_eq!(bucket_of(u64::MAX), 975);
    }

    #[test]
    fn percentiles_are_within_a_sixteenth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        (1..=1000).for_each(|value| histogram.add(value));
        assert_eq!((histogram.count(), histogram.total(), histogram.max()), (1000, 500_500, 1000));
        assert_eq!(histogram.percentile(50), Some(511));
        assert_eq!(histogram.percentile(90), Some(927));
        assert_eq!(histogram.percentile(100), Some(1000));
        assert_eq!(histogram.percentile(0), Some(1));
    }

    #[test]
    fn two_merged_are_like_one() {
        let (mut all, mut low, mut high) = <(Histogram, Histogram, Histogram)>::default();
        for value in [3, 70, 90_000, u64::MAX] {
            all.add(value);
            if value < 100 { low.add(value) } else { high.add(value) }
        }
        low.merge(&high);
        assert_eq!(low, all);
    }
}
