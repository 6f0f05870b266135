//! The thread behind a watch: takes file events, waits for quiet, reads and hands out batches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use super::changes::{self, Changes, Look};
use super::roots::Roots;
use crate::clock;
use crate::finding::Finding;
use crate::input::{Progress, SourceError};
use crate::loader::{Batch, Loader, Staged};

/// File events on their way. When there is no room, everything is looked at instead.
const EVENTS_IN_FLIGHT: usize = 4_096;
/// So long a file may look half-written, or an object vanished, before it is believed.
const GRACE: Duration = Duration::from_millis(60);
/// Looking at everything takes at most one part in so many of the time.
const POLL_SHARE: u32 = 100;

/// What wakes the thread.
enum Signal {
    Event(notify::Result<notify::Event>),
    Stop,
}

/// Ends the thread when it is dropped.
#[derive(Debug)]
pub(super) struct Stop(SyncSender<Signal>);

impl Drop for Stop {
    fn drop(&mut self) {
        // A full channel keeps the thread awake, and then it sees that nobody takes batches.
        let _ = self.0.try_send(Signal::Stop);
    }
}

pub(super) struct Runner {
    loader: Loader,
    roots: Roots,
    signals: Receiver<Signal>,
    stop: Stop,
    /// Set when an event found no room.
    lost: Arc<AtomicBool>,
    changes: Changes,
    /// Files that looked half-written, and until when they get time.
    doubts: BTreeMap<PathBuf, Instant>,
    poll_interval: Duration,
    findings: Arc<[Finding]>,
}

impl Runner {
    /// Begins to watch; events wait until the thread runs.
    pub(super) fn new(loader: Loader, poll_interval: Duration) -> Self {
        let (sender, signals) = sync_channel(EVENTS_IN_FLIGHT);
        let lost = Arc::new(AtomicBool::new(false));
        let (events, full) = (sender.clone(), Arc::clone(&lost));
        let roots = Roots::watch(loader.roots(), move |event| {
            if event.as_ref().is_ok_and(|event| !changes::matters(event)) {
                return;
            }
            if let Err(TrySendError::Full(_)) = events.try_send(Signal::Event(event))
                && !full.swap(true, Ordering::Relaxed)
            {
                tracing::debug!("file events come too fast to be told apart: reading all files");
            }
        });
        Self {
            loader,
            roots,
            signals,
            stop: Stop(sender),
            lost,
            changes: Changes::default(),
            doubts: BTreeMap::new(),
            poll_interval,
            findings: Arc::default(),
        }
    }

    /// Reads everything and starts the thread.
    pub(super) fn start(
        mut self,
        batches: Sender<Batch>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<(Batch, Stop), SourceError> {
        self.loader.set_notices(self.roots.notices());
        let first = self.loader.load(on_progress)?;
        self.findings = Arc::clone(&first.findings);
        let stop = Stop(self.stop.0.clone());
        let thread = thread::Builder::new().name("weft-watch".to_owned());
        thread
            .spawn(move || self.run(&batches))
            .map_err(|source| SourceError::Thread {
                name: "weft-watch",
                source,
            })?;
        Ok((first, stop))
    }

    fn run(mut self, batches: &Sender<Batch>) {
        let mut next_poll = clock::now() + self.poll_interval;
        while !batches.is_closed() {
            let doubt = self.doubts.values().min().copied();
            let wake = [self.changes.due(), doubt].into_iter().flatten().min();
            if !self.wait_until(wake.map_or(next_poll, |wake| wake.min(next_poll))) {
                return;
            }
            let now = clock::now();
            let staged = if next_poll <= now {
                let staged = self.poll();
                let after = clock::now();
                let pause = self.poll_interval.max((after - now) * POLL_SHARE);
                next_poll = after + pause;
                staged
            } else {
                let over = |(_, until): &(&PathBuf, &Instant)| **until <= now;
                let again: Vec<PathBuf> = self
                    .doubts
                    .iter()
                    .filter(over)
                    .map(|(path, _)| path.clone())
                    .collect();
                if again.is_empty() && self.changes.due().is_none_or(|due| due > now) {
                    continue;
                }
                self.changes.again(again);
                self.look(now)
            };
            let staged = self.without_doubts(staged, now);
            if !self.publish(staged, batches) {
                return;
            }
        }
    }

    /// Takes events until a time; false when the watch is to end.
    fn wait_until(&mut self, until: Instant) -> bool {
        let wait = until.saturating_duration_since(clock::now());
        let mut next = match self.signals.recv_timeout(wait) {
            Ok(signal) => Some(signal),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        let now = clock::now();
        while let Some(signal) = next {
            match signal {
                Signal::Stop => return false,
                Signal::Event(Ok(event)) => {
                    if let Some(event) = self.roots.translate(event) {
                        self.changes.event(&event, now);
                    }
                }
                Signal::Event(Err(error)) => {
                    tracing::debug!(%error, "file events were lost: reading all files");
                    self.changes.lost(now);
                }
            }
            next = self.signals.try_recv().ok();
        }
        if self.lost.swap(false, Ordering::Relaxed) {
            self.changes.lost(now);
        }
        true
    }

    fn poll(&mut self) -> Staged {
        self.changes.take();
        if self.roots.renew() {
            self.loader.set_notices(self.roots.notices());
        }
        self.loader.stage_all(&mut |_| {})
    }

    fn look(&mut self, now: Instant) -> Staged {
        match self.changes.take() {
            Look::Everything => self.loader.stage_all(&mut |_| {}),
            Look::Paths { paths, new } => {
                // What was put into a new directory before it was watched made no event.
                let once_more = new.into_iter().map(|path| (path, now + GRACE));
                self.doubts.extend(once_more);
                self.loader.stage_some(&paths)
            }
        }
    }

    /// Puts off what looks half-written, but each file only once.
    fn without_doubts(&mut self, mut staged: Staged, now: Instant) -> Staged {
        let loader = &self.loader;
        let doubts = &mut self.doubts;
        staged.files.retain(|path, change| {
            let path: &Path = path;
            let believed = doubts.get(path).is_some_and(|until| *until <= now);
            if believed || !loader.is_doubtful(path, change) {
                doubts.remove(path);
                return true;
            }
            doubts.entry(path.to_owned()).or_insert(now + GRACE);
            false
        });
        // What is left of the past is settled: it was looked at and found as it was before.
        doubts.retain(|_, until| *until > now);
        staged
    }

    /// Hands out a batch if there is anything in it; false when nobody takes it.
    fn publish(&mut self, staged: Staged, batches: &Sender<Batch>) -> bool {
        let batch = self.loader.commit(staged);
        if batch.events.is_empty() && batch.findings == self.findings {
            return true;
        }
        self.findings = Arc::clone(&batch.findings);
        batches.blocking_send(batch).is_ok()
    }
}
