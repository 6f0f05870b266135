//! A counter per key, for keys that are few, closed and mostly the same: status codes, reasons.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Distinct keys one block keeps apart; later ones are counted under [`Key::OVERFLOW`].
///
/// A backend may answer with any of 900 status codes; a rule's series must not follow it there.
const MAX_KEYS: usize = 32;

/// What a [`KeyedCounters`] counts by.
pub(crate) trait Key: Copy + Ord {
    /// The key that stands for everything beyond the bound.
    const OVERFLOW: Self;
}

/// A label value from the program text, such as the place of a panic; never from a request.
impl Key for &'static str {
    const OVERFLOW: Self = "other";
}

/// An append-only list of counters. Adding walks the list (one or two steps in practice) and
/// takes no lock; it allocates only when a key is seen for the first time.
#[derive(Debug)]
pub(crate) struct KeyedCounters<K> {
    first: Link<K>,
}

type Link<K> = OnceLock<Box<Slot<K>>>;

/// Aligned to a cache line, because neighbours on the heap may belong to another core's lane.
#[derive(Debug)]
#[repr(align(64))]
struct Slot<K> {
    key: K,
    count: AtomicU64,
    next: Link<K>,
}

impl<K> Default for KeyedCounters<K> {
    fn default() -> Self {
        Self {
            first: OnceLock::new(),
        }
    }
}

impl<K: Key> KeyedCounters<K> {
    /// Adds `n` to the counter of `key`.
    #[inline]
    pub(crate) fn add(&self, key: K, n: u64) {
        let mut wanted = key;
        let mut link = &self.first;
        let mut kept = 0;
        loop {
            if kept == MAX_KEYS {
                // Only the overflow slot may follow.
                wanted = K::OVERFLOW;
            }
            let slot = link.get_or_init(|| {
                Box::new(Slot {
                    key: wanted,
                    count: AtomicU64::new(0),
                    next: OnceLock::new(),
                })
            });
            if slot.key == wanted {
                slot.count.fetch_add(n, Ordering::Relaxed);
                return;
            }
            link = &slot.next;
            kept += 1;
        }
    }

    /// Adds every counter to `totals`.
    pub(crate) fn sum_into(&self, totals: &mut BTreeMap<K, u64>) {
        let mut link = &self.first;
        while let Some(slot) = link.get() {
            let total = totals.entry(slot.key).or_default();
            *total = total.wrapping_add(slot.count.load(Ordering::Relaxed));
            link = &slot.next;
        }
    }

    /// The counters as a sorted map.
    pub(crate) fn totals(&self) -> BTreeMap<K, u64> {
        let mut totals = BTreeMap::new();
        self.sum_into(&mut totals);
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyedCounters, MAX_KEYS};

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    struct Number(u16);

    impl Key for Number {
        const OVERFLOW: Self = Self(0);
    }

    #[test]
    fn counts_by_key() {
        let counters = KeyedCounters::default();
        for key in [200, 503, 200, 200] {
            counters.add(Number(key), 1);
        }
        let totals: Vec<_> = counters.totals().into_iter().collect();
        assert_eq!(totals, [(Number(200), 3), (Number(503), 1)]);
    }

    #[test]
    fn keys_are_bounded_and_nothing_is_lost() {
        let counters = KeyedCounters::default();
        for key in 1..1000 {
            counters.add(Number(key), 1);
            counters.add(Number(1), 1);
        }
        let totals = counters.totals();
        assert_eq!(
            totals.len(),
            MAX_KEYS + 1,
            "series follow the backend's imagination"
        );
        assert_eq!(
            totals.values().sum::<u64>(),
            2 * 999,
            "overflowing counts were lost"
        );
        assert_eq!(
            totals[&Number(1)],
            1000,
            "an early key was counted as overflow"
        );
    }
}
