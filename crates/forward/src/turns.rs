//! Turns: however much a pod has to do, the others of its worker wait for a few of its tasks only.
//!
//! A worker is one thread, which runs the tasks that are ready in the order in which they became so. A pod
//! with a thousand of them would be a thousand places ahead of the one task of its neighbour, at each step
//! of a request. So the tasks of a pod take turns: in each round so many of them are run, and those that are
//! left wait with their pod, outside of the queue. The next round begins when everybody in the queue has
//! been run and what has arrived meanwhile is in it. A pod that has been alone for a while has no rounds at all.
//! A task that waits for the network waits for no turn: it holds none.

mod book;

use std::{
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use hyper::rt::Executor;
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{MissedTickBehavior, interval},
};

use self::book::{Book, Turn};
use crate::{caller::Caller, connection::unsent::Budget};

/// The rounds of one thread. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Of the round that is under way.
    number: AtomicU64,
    /// Pods of which somebody waits. Changed only; no await is inside, and all of it is one thread.
    waiting: Mutex<Vec<Shelf>>,
    wanted: Notify,
    /// Of the time that is under way.
    time: AtomicU64,
    /// Pods that have had a turn in that time, and those that have had one in it or in the one before.
    busy: [AtomicUsize; 2],
}

/// Where the turns of a pod are written down. Looked at only; no await is inside.
type Shelf = Arc<Mutex<Book<Waker>>>;

/// Who has had no turn for so long, and for twice as long at most, is not busy any more.
const TIME: Duration = Duration::from_secs(1);

/// The part of one pod in every round, and in what waits for clients. Cheap to clone.
#[derive(Clone)]
pub struct Share {
    rounds: Rounds,
    book: Shelf,
    /// When it last had a turn.
    last: Arc<AtomicU64>,
    budget: Budget,
}

/// Starts tasks of a pod, or of somebody who is alone on the thread.
#[derive(Clone, Debug)]
pub(crate) struct Spawner(Option<Share>);

/// A future that is polled when its pod has a turn for it.
#[derive(Debug)]
#[must_use = "nothing is done before it is polled"]
pub struct Turned<F> {
    share: Share,
    /// Under which it waits.
    number: Option<u64>,
    future: Pin<Box<F>>,
}

impl Rounds {
    /// A part in every round, for one pod.
    #[must_use]
    pub fn share(&self) -> Share {
        Share {
            rounds: self.clone(),
            book: Shelf::default(),
            last: Arc::default(),
            budget: Budget::default(),
        }
    }

    /// Begins another round, because the thread has nothing left to do: for `on_thread_park` of its
    /// runtime. Without it a pod that has had its turns waits for [`Rounds::deal`], which is longer.
    pub fn rest(&self) {
        self.0.number.fetch_add(1, Relaxed);
    }

    /// Deals out turns for as long as it is run, by the thread whose rounds these are. Without it nobody who
    /// waits goes on.
    pub async fn deal(&self) -> Infallible {
        let mut dealt = Vec::new();
        let mut time = interval(TIME);
        time.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.0.wanted.notified() => {}
                _ = time.tick() => {
                    self.0.passes();
                    continue;
                }
            }
            loop {
                // Goes to the end of the queue, after what has arrived was put there.
                tokio::select! {
                    biased;
                    _ = time.tick() => self.0.passes(),
                    () = yield_now() => {}
                }
                let shelves = std::mem::take(&mut *lock(&self.0.waiting));
                if shelves.is_empty() {
                    break;
                }
                let round = self.0.number.fetch_add(1, Relaxed) + 1;
                for shelf in shelves {
                    let has_more = lock(&shelf).deal(round, &mut dealt);
                    if has_more {
                        lock(&self.0.waiting).push(shelf);
                    }
                }
                dealt.drain(..).for_each(Waker::wake);
            }
        }
    }
}

impl Share {
    /// `future`, each poll of which takes a turn.
    pub fn run<F: Future>(&self, future: F) -> Turned<F> {
        Turned {
            share: self.clone(),
            number: None,
            future: Box::pin(future),
        }
    }

    /// Takes one turn, for work that is no future of its own.
    pub async fn turn(&self) {
        let mut number = None;
        poll_fn(|cx| self.poll_turn(&mut number, cx)).await;
    }

    /// For all that waits for its clients.
    pub(crate) fn budget(&self) -> Budget {
        self.budget.clone()
    }

    /// `number` is under which it waits.
    fn poll_turn(&self, number: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        let mut book = lock(&self.book);
        if let Some(waits) = *number {
            let Some(waker) = book.waiting(waits) else {
                *number = None;
                return Poll::Ready(());
            };
            waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        let round = self.rounds.0.number.load(Relaxed);
        let is_alone = self.rounds.0.is_alone(&self.last);
        match book.take((round, is_alone), || cx.waker().clone()) {
            Turn::Now => Poll::Ready(()),
            Turn::Later {
                number: waits,
                is_first,
            } => {
                drop(book);
                *number = Some(waits);
                if is_first {
                    lock(&self.rounds.0.waiting).push(Arc::clone(&self.book));
                    self.rounds.0.wanted.notify_one();
                }
                Poll::Pending
            }
        }
    }
}

impl Inner {
    /// Another time begins.
    fn passes(&self) {
        let [now, lately] = &self.busy;
        lately.store(now.swap(0, Relaxed), Relaxed);
        self.time.fetch_add(1, Relaxed);
    }

    /// Whether nobody else has been busy lately. `last` is when who asks was.
    fn is_alone(&self, last: &AtomicU64) -> bool {
        let [now, lately] = &self.busy;
        // Zero is never, and not the time before the first.
        let time = self.time.load(Relaxed) + 2;
        let was = last.swap(time, Relaxed);
        if was != time {
            now.fetch_add(1, Relaxed);
            // Those of the time before are counted.
            lately.fetch_add(usize::from(was + 1 != time), Relaxed);
        }
        lately.load(Relaxed) < 2
    }
}

impl Spawner {
    /// For what is done for `caller`.
    pub(crate) fn of(caller: Option<&Caller>) -> Self {
        Self(caller.and_then(Caller::share).cloned())
    }

    /// Starts a task that ends by itself.
    pub(crate) fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(match &self.0 {
            Some(share) => tokio::spawn(share.run(task)),
            None => tokio::spawn(task),
        });
    }
}

impl<F> Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").finish_non_exhaustive()
    }
}

impl<F: Future> Future for Turned<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        ready!(this.share.poll_turn(&mut this.number, cx));
        this.future.as_mut().poll(cx)
    }
}

/// Nothing that holds one of the locks can panic halfway through a change.
fn lock<T>(locked: &Mutex<T>) -> MutexGuard<'_, T> {
    locked.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
