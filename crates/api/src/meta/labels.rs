//! Labels, annotations and selectors: small maps from text to text.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::schema::Omit;

/// A map from text to text that takes as little memory as its texts allow: a list sorted by key,
/// without spare capacity. Made for a handful of entries that are read far more often than
/// changed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels {
    entries: Box<[(Box<str>, Box<str>)]>,
}

impl Labels {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let place = self.place(key).ok()?;
        self.entries.get(place).map(|(_, value)| value.as_ref())
    }

    /// Sets the value of a key; returns the old one. Moves all entries.
    pub fn insert(
        &mut self,
        key: impl Into<Box<str>>,
        value: impl Into<Box<str>>,
    ) -> Option<Box<str>> {
        let (key, value) = (key.into(), value.into());
        let place = self.place(&key);
        let mut entries = std::mem::take(&mut self.entries).into_vec();
        let old = match place {
            Ok(place) => Some(std::mem::replace(&mut entries[place].1, value)),
            Err(place) => {
                entries.insert(place, (key, value));
                None
            }
        };
        self.entries = entries.into_boxed_slice();
        old
    }

    /// Removes a key; returns its value. Moves all entries.
    pub fn remove(&mut self, key: &str) -> Option<Box<str>> {
        let place = self.place(key).ok()?;
        let mut entries = std::mem::take(&mut self.entries).into_vec();
        let (_, value) = entries.remove(place);
        self.entries = entries.into_boxed_slice();
        Some(value)
    }

    /// Whether there is a key.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.place(key).is_ok()
    }

    /// All entries, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where a key is, or where it would have to be inserted.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|(other, _)| other.as_ref().cmp(key))
    }
}

impl Omit for Labels {
    fn omit(&self) -> bool {
        self.is_empty()
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for Labels {
    /// Of repeated keys the last counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let pairs = entries
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        let sorted: BTreeMap<Box<str>, Box<str>> = pairs.collect();
        Self {
            entries: sorted.into_iter().collect(),
        }
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>, const N: usize> From<[(K, V); N]> for Labels {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<Box<str>, Box<str>>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
