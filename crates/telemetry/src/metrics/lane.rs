//! Sharded storage: one block of atomics per lane, so that cores do not share cache lines.
//!
//! A *lane* is a small number a thread gets once. Threads of a worker pool are spread over at most
//! eight lanes; a reader adds all lanes up. Blocks are allocated by the first recording thread of
//! their lane, which keeps an idle rule at a few machine words.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More lanes than this cost memory and scrape time without removing measurable contention.
const MAX_LANES: usize = 8;

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// `usize::MAX` until the thread records for the first time.
    static THREAD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// How many lanes this machine deserves: one per core the process may use, at most eight.
pub(crate) fn lane_count() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_LANES)
}

fn thread_number() -> usize {
    THREAD.with(|cell| {
        let known = cell.get();
        if known != usize::MAX {
            return known;
        }
        let fresh = NEXT_THREAD.fetch_add(1, Ordering::Relaxed);
        cell.set(fresh);
        fresh
    })
}

/// `rows` × lanes blocks of `T`; a row separates what readers want to tell apart.
///
/// `T` should be aligned to a cache line; see [`RequestLane`](super::request).
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    blocks: Box<[OnceLock<Box<T>>]>,
    per_row: usize,
}

impl<T: Default> Lanes<T> {
    /// Empty storage for `rows` rows of `lanes` lanes each; both must be at least one.
    pub(crate) fn new(rows: usize, lanes: usize) -> Self {
        let blocks = (0..rows * lanes).map(|_| OnceLock::new()).collect();
        Self {
            blocks,
            per_row: lanes,
        }
    }

    /// The calling thread's block of `row`. Allocates only the first time a lane uses the row.
    #[inline]
    pub(crate) fn own(&self, row: usize) -> &T {
        let index = row * self.per_row + thread_number() % self.per_row;
        self.blocks[index].get_or_init(Box::default)
    }

    /// The blocks of `row` that have been used.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = &T> {
        let start = row * self.per_row;
        self.blocks[start..start + self.per_row]
            .iter()
            .filter_map(|block| block.get().map(|b| &**b))
    }
}
