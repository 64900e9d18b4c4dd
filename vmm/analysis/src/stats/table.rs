//! Rows by their keys.

use std::collections::BTreeMap;

use barscope_trace::event::{AccessEvent, Outcome};
use serde::{Serialize, Serializer};

use super::Histogram;

/// Rows by their keys. Written as JSON it is an array of objects that hold the parts of key and value alike.
#[derive(Clone, Debug)]
pub struct Table<K, V>(BTreeMap<K, V>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V> Table<K, V> {
    /// All rows, by key.
    pub fn rows(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }

    /// The row with this key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The row with this key, made if there is none.
    pub(super) fn row(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.0.entry(key).or_default()
    }

    pub(super) fn merge(&mut self, other: Self, mut merge: impl FnMut(&mut V, &V))
    where
        V: Default,
    {
        for (key, value) in other.0 {
            merge(self.row(key), &value);
        }
    }
}

impl<K: Serialize + Ord, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<K, V> {
            #[serde(flatten)]
            key: K,
            #[serde(flatten)]
            value: V,
        }
        super::array(self.rows().map(|(key, value)| Row { key, value }), serializer)
    }
}

/// Accesses that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accesses {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// How many of both the device did not answer.
    pub refused: u64,
    /// Time that dispatcher and device took for each, in host time.
    pub service: Histogram,
}

impl Accesses {
    /// Reads and writes.
    pub fn count(&self) -> u64 {
        self.reads + self.writes
    }

    /// Counts one, whose service time belongs in `bucket`.
    pub(super) fn add(&mut self, access: &AccessEvent, bucket: usize) {
        self.reads += u64::from(!access.write);
        self.writes += u64::from(access.write);
        self.refused += u64::from(access.outcome != Outcome::Ok);
        self.service.add_in(bucket, access.service_ns.into());
    }

    /// Adds those of another group.
    pub fn merge(&mut self, other: &Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.refused += other.refused;
        self.service.merge(&other.service);
    }
}
