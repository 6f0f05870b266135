//! A hash table of numbers whose keys live elsewhere.
//!
//! The index names hosts, paths and path elements by number and reads their text where the rules
//! hold it, so that a table of 10,000 routes copies no string.

/// Open addressing with linear probing, at most half full.
#[derive(Default)]
pub(super) struct Table {
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// High bits of the hash: tells most keys apart without looking at them.
    tag: u32,
    number: u32,
}

const EMPTY: Slot = Slot {
    tag: 0,
    number: u32::MAX,
};

impl Table {
    /// A table that has room for `entries` numbers.
    pub(super) fn for_entries(entries: usize) -> Self {
        if entries == 0 {
            return Self::default();
        }
        Self {
            slots: vec![EMPTY; (entries * 2).next_power_of_two()].into(),
        }
    }

    /// Adds a number below `u32::MAX` whose key the table does not hold yet. The caller adds no more
    /// numbers than the table was made for, hence there always is an empty slot.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        let mask = self.slots.len().wrapping_sub(1);
        for at in probe(hash, mask) {
            let Some(slot) = self.slots.get_mut(at) else {
                return;
            };
            if slot.number == EMPTY.number {
                *slot = Slot {
                    tag: tag(hash),
                    number,
                };
                return;
            }
        }
    }

    /// The number whose key hashes to `hash` and which `has_key` recognises.
    #[inline]
    pub(super) fn get(&self, hash: u64, has_key: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        for at in probe(hash, mask) {
            let slot = self.slots.get(at)?;
            if slot.number == EMPTY.number {
                return None;
            }
            if slot.tag == tag(hash) && has_key(slot.number) {
                return Some(slot.number);
            }
        }
        None
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn probe(hash: u64, mask: usize) -> impl Iterator<Item = usize> {
    (0..=mask).map(move |step| (hash as usize).wrapping_add(step) & mask)
}

/// A hash of `bytes` that depends on `seed`; several parts are hashed by seeding with the hash of
/// the parts before.
///
/// Not keyed: what is in a table comes from routes, never from requests, so that a client can find
/// long probe sequences only where routes made them.
#[inline]
pub(super) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut state = fold(
        seed ^ 0x9E37_79B9_7F4A_7C15,
        bytes.len() as u64 ^ 0xA076_1D64_78BD_642F,
    );
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), 0xE703_7ED1_A0B4_28DB);
    }
    let last = tail
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    fold(state ^ last, 0x8EBC_6AF0_9C88_C6E3)
}

/// Both halves of the 128-bit product, mixed.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::{Table, hash};

    #[test]
    fn keys_that_collide_are_told_apart() {
        let keys: Vec<String> = (0..100).map(|number| format!("key-{number}")).collect();
        for hash_of in [|_: &str| 7, |key: &str| hash(0, key.as_bytes())] {
            let mut table = Table::for_entries(keys.len());
            for (number, key) in (0..).zip(&keys) {
                table.insert(hash_of(key), number);
            }
            let get = |key: &str| table.get(hash_of(key), |number| keys[number as usize] == key);
            for (number, key) in (0..).zip(&keys) {
                assert_eq!(get(key), Some(number), "{key}");
            }
            assert_eq!(get("key-100"), None);
        }
    }

    #[test]
    fn an_empty_table_holds_nothing() {
        assert_eq!(Table::for_entries(0).get(7, |_| true), None);
        assert_eq!(Table::for_entries(1).get(7, |_| true), None);
    }

    #[test]
    fn hashes_depend_on_every_byte_the_length_and_the_seed() {
        let texts = [
            "",
            "a",
            "b",
            "a\0",
            "\0",
            "\0\0",
            "abcdefgh",
            "abcdefg",
            "abcdefghi",
            "ibcdefgha",
        ];
        let mut hashes: Vec<u64> = texts.iter().map(|text| hash(0, text.as_bytes())).collect();
        hashes.extend(texts.iter().map(|text| hash(1, text.as_bytes())));
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }
}
