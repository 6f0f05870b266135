//! A sorted list with some of its runs replaced.

use std::cmp::Ordering;

/// Copies a sorted list and puts other items in place of some. Runs have to come in the order of the
/// list; what lies between them is copied without a look at it.
pub(super) struct Splice<'a, T> {
    rest: &'a [T],
    list: Vec<T>,
}

impl<'a, T: Clone> Splice<'a, T> {
    /// A copy of `old`, with room for `more` items.
    pub(super) fn new(old: &'a [T], more: usize) -> Self {
        Self {
            rest: old,
            list: Vec::with_capacity(old.len() + more),
        }
    }

    /// Puts `new` in place of the items that `compare` says are equal to what it compares to.
    pub(super) fn put(&mut self, new: Vec<T>, compare: impl Fn(&T) -> Ordering) {
        let start = self.rest.partition_point(|item| compare(item).is_lt());
        let (before, rest) = self.rest.split_at(start);
        let count = rest.partition_point(|item| compare(item).is_eq());
        self.list.extend_from_slice(before);
        self.list.extend(new);
        self.rest = rest.split_at(count).1;
    }

    /// The list.
    pub(super) fn finish(mut self) -> Vec<T> {
        self.list.extend_from_slice(self.rest);
        self.list.shrink_to_fit();
        self.list
    }
}
