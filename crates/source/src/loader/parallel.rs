//! Work on many things with all processors, in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Most threads; beyond them the disk decides.
const THREADS_MAX: usize = 8;
/// Results on their way; workers wait when the collector is behind.
const RESULTS_IN_FLIGHT: usize = 256;

/// `work` on every item, results in the order of the items. `each` is called with every result as
/// it comes, on the calling thread. Few items are worked on without threads.
pub(super) fn map<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut each: impl FnMut(&R),
) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(THREADS_MAX).min(items.len());
    let next = AtomicUsize::new(0);
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    if threads > 1 {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(RESULTS_IN_FLIGHT);
            for _ in 0..threads {
                let (sender, next, work) = (sender.clone(), &next, &work);
                // Without a thread the loop below does the work.
                let _ = thread::Builder::new().spawn_scoped(scope, move || {
                    while let Some((index, item)) = take(items, next) {
                        if sender.send((index, work(item))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for (index, result) in receiver {
                each(&result);
                results[index] = Some(result);
            }
        });
    }
    while let Some((index, item)) = take(items, &next) {
        let result = work(item);
        each(&result);
        results[index] = Some(result);
    }
    results.into_iter().flatten().collect()
}

fn take<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, items.get(index)?))
}
