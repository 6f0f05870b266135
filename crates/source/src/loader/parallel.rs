//! Work on many things with all processors, in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Most threads; beyond them the disk decides.
const THREADS_MAX: usize = 8;
/// Items a thread takes at a time, at most; small enough that no thread works alone at the end.
const SHARE_MAX: usize = 64;
/// Shares on their way; workers wait when the collector is behind.
const SHARES_IN_FLIGHT: usize = 64;

/// `work` on every item, results in the order of the items. `each` is called with every result as
/// it comes, on the calling thread. A single item is worked on without threads.
pub(super) fn map<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut each: impl FnMut(&R),
) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(THREADS_MAX).min(items.len());
    let share = (items.len() / (threads.max(1) * 8)).clamp(1, SHARE_MAX);
    let shares: Vec<&[T]> = items.chunks(share).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        Some((index, *shares.get(index)?))
    };
    let perform = |items: &[T]| items.iter().map(&work).collect::<Vec<R>>();
    let mut results: Vec<Vec<R>> = shares.iter().map(|_| Vec::new()).collect();
    if threads > 1 {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(SHARES_IN_FLIGHT);
            for _ in 0..threads {
                let (sender, take, perform) = (sender.clone(), &take, &perform);
                // Without a thread the loop below does the work.
                let _ = thread::Builder::new().spawn_scoped(scope, move || {
                    while let Some((index, items)) = take() {
                        if sender.send((index, perform(items))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for (index, done) in receiver {
                done.iter().for_each(&mut each);
                results[index] = done;
            }
        });
    }
    while let Some((index, items)) = take() {
        let done = perform(items);
        done.iter().for_each(&mut each);
        results[index] = done;
    }
    results.into_iter().flatten().collect()
}
