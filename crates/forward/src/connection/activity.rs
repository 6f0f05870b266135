//! What a client connection is doing, as far as its limits need to know.
//!
//! The connection's socket and its requests only count; no clock is read for them. A tick of a few
//! hundred milliseconds looks at the counts and judges, so that idle and stall limits cost nothing
//! per request (hyper's own header timer allocates and arms a timer for each one).

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use super::unsent::{Budget, Unsent};
use crate::limits;

/// Time between two looks at a connection.
pub(crate) const TICK: Duration = Duration::from_millis(300);

/// Counters of one connection. They are written and read by tasks of one worker thread; the atomics
/// are for `Sync`, not for ordering.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    reads: AtomicU32,
    writes: AtomicU32,
    write_blocked: AtomicBool,
    head_open: AtomicBool,
    requests_started: AtomicU32,
    requests_ended: AtomicU32,
    bodies_open: AtomicU32,
    tunnel: AtomicBool,
    /// What waits for the client.
    pub(crate) unsent: Unsent,
}

/// What the tick decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to do.
    Go,
    /// Idle: buffers can be released until the next byte.
    Park,
    /// Finish what is in flight, then close.
    Close,
    /// The request head did not arrive in time: 408.
    HeadTimeout,
    /// A body or a write made no progress: cut.
    Stalled,
}

/// The tick's own memory.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    reads: u32,
    writes: u32,
    requests: u32,
    without_read: Duration,
    without_write: Duration,
    without_request: Duration,
    head_open_for: Duration,
}

impl Activity {
    /// Of a client whose pod has a budget for what waits for its clients.
    pub(crate) fn within(budget: Option<Budget>) -> Self {
        Self {
            unsent: Unsent::within(budget),
            ..Self::default()
        }
    }

    pub(crate) fn read(&self, bytes: usize) {
        if bytes > 0 {
            self.reads
                .store(self.reads.load(Relaxed).wrapping_add(1), Relaxed);
        }
    }

    /// What a write came to.
    pub(crate) fn wrote(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.write_blocked(),
            Poll::Ready(written) => {
                self.write_blocked.store(false, Relaxed);
                self.writes
                    .store(self.writes.load(Relaxed).wrapping_add(1), Relaxed);
                if let Ok(bytes) = written {
                    self.unsent.sent(*bytes);
                }
            }
        }
    }

    /// The client takes nothing.
    pub(crate) fn write_blocked(&self) {
        self.write_blocked.store(true, Relaxed);
    }

    /// A request head has begun to arrive (`true`) or is complete (`false`).
    pub(crate) fn head_open(&self, open: bool) {
        self.head_open.store(open, Relaxed);
    }

    pub(crate) fn request_started(&self) {
        self.requests_started.fetch_add(1, Relaxed);
    }

    pub(crate) fn request_ended(&self) {
        self.requests_ended.fetch_add(1, Relaxed);
    }

    /// A request body is being received (`true`) or has ended (`false`).
    pub(crate) fn body_open(&self, open: bool) {
        if open {
            self.bodies_open.fetch_add(1, Relaxed);
        } else {
            self.bodies_open.fetch_sub(1, Relaxed);
        }
    }

    /// The connection has stopped being HTTP: a 101 is on its way.
    pub(crate) fn tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
    }

    /// Requests that were answered or given up so far; wraps around.
    pub(crate) fn requests_ended(&self) -> u32 {
        self.requests_ended.load(Relaxed)
    }

    /// Requests that are being answered.
    pub(crate) fn in_flight(&self) -> u32 {
        self.requests_started
            .load(Relaxed)
            .wrapping_sub(self.requests_ended.load(Relaxed))
    }
}

impl Watch {
    /// Judges what happened since the last call, `elapsed` ago.
    pub(crate) fn judge(&mut self, activity: &Activity, elapsed: Duration) -> Verdict {
        let read = progressed(&mut self.reads, activity.reads.load(Relaxed));
        let wrote = progressed(&mut self.writes, activity.writes.load(Relaxed));
        let request = progressed(&mut self.requests, activity.requests_started.load(Relaxed));
        accumulate(&mut self.without_read, read, elapsed);
        accumulate(&mut self.without_write, wrote, elapsed);
        let busy = activity.in_flight() > 0;
        accumulate(&mut self.without_request, request || busy, elapsed);
        let head_open = activity.head_open.load(Relaxed);
        // A head behind a request that is being answered may wait: hyper does not read it yet.
        accumulate(
            &mut self.head_open_for,
            !head_open || request || busy,
            elapsed,
        );

        if activity.write_blocked.load(Relaxed) && self.without_write >= limits::BODY_IDLE {
            return Verdict::Stalled;
        }
        if activity.bodies_open.load(Relaxed) > 0 && self.without_read >= limits::BODY_IDLE {
            return Verdict::Stalled;
        }
        if self.head_open_for >= limits::REQUEST_HEAD {
            return Verdict::HeadTimeout;
        }
        if self.without_request >= limits::CLIENT_IDLE {
            return Verdict::Close;
        }
        let idle = !busy && !head_open && !activity.write_blocked.load(Relaxed);
        if idle && !read && !wrote {
            Verdict::Park
        } else {
            Verdict::Go
        }
    }

    /// How long the connection has been without a request.
    pub(crate) fn idle_for(&self) -> Duration {
        self.without_request
    }

    /// A parked connection has something to read again.
    pub(crate) fn resume(&mut self) {
        self.without_request = Duration::ZERO;
    }
}

fn progressed(seen: &mut u32, now: u32) -> bool {
    let changed = *seen != now;
    *seen = now;
    changed
}

fn accumulate(idle: &mut Duration, reset: bool, elapsed: Duration) {
    *idle = if reset {
        Duration::ZERO
    } else {
        *idle + elapsed
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks until the verdict differs from `Go` and `Park`; the time it took.
    fn until(watch: &mut Watch, activity: &Activity) -> (Verdict, Duration) {
        let mut waited = Duration::ZERO;
        loop {
            waited += TICK;
            match watch.judge(activity, TICK) {
                Verdict::Go | Verdict::Park if waited < Duration::from_secs(1000) => {}
                verdict => return (verdict, waited),
            }
        }
    }

    fn near(took: Duration, limit: Duration) -> bool {
        took >= limit && took <= limit + 2 * TICK
    }

    #[test]
    fn a_slow_head_times_out_however_often_it_trickles() {
        let (activity, mut watch) = (Activity::default(), Watch::default());
        activity.head_open(true);
        let mut waited = Duration::ZERO;
        loop {
            activity.read(1);
            waited += TICK;
            if watch.judge(&activity, TICK) == Verdict::HeadTimeout {
                break;
            }
            assert!(
                waited < limits::REQUEST_HEAD * 2,
                "a trickling head must not live for ever"
            );
        }
        assert!(
            near(waited, limits::REQUEST_HEAD),
            "head limit hit after {waited:?}"
        );
    }

    #[test]
    fn a_head_behind_a_request_under_way_may_wait() {
        let (activity, mut watch) = (Activity::default(), Watch::default());
        activity.request_started();
        activity.head_open(true);
        for _ in 0..2000 {
            assert_eq!(
                watch.judge(&activity, TICK),
                Verdict::Go,
                "the first is served"
            );
        }
        activity.request_ended();
        let (verdict, took) = until(&mut watch, &activity);
        assert_eq!(verdict, Verdict::HeadTimeout, "now it is its turn");
        assert!(
            near(took, limits::REQUEST_HEAD),
            "head limit hit after {took:?}"
        );
    }

    #[test]
    fn a_silent_body_is_cut_and_a_slow_answer_is_not() {
        let (activity, mut watch) = (Activity::default(), Watch::default());
        activity.request_started();
        for _ in 0..2000 {
            assert_eq!(
                watch.judge(&activity, TICK),
                Verdict::Go,
                "waiting for a backend is no stall"
            );
        }
        activity.body_open(true);
        activity.read(1);
        let (verdict, took) = until(&mut watch, &activity);
        assert_eq!(verdict, Verdict::Stalled, "a body without bytes");
        assert!(
            near(took, limits::BODY_IDLE),
            "body limit hit after {took:?}"
        );
    }

    #[test]
    fn a_blocked_write_is_cut() {
        let (activity, mut watch) = (Activity::default(), Watch::default());
        activity.request_started();
        activity.write_blocked();
        let (verdict, took) = until(&mut watch, &activity);
        assert_eq!(verdict, Verdict::Stalled, "a client that does not read");
        assert!(
            near(took, limits::BODY_IDLE),
            "write limit hit after {took:?}"
        );
    }

    #[test]
    fn an_idle_connection_parks_at_once_and_closes_late() {
        let (activity, mut watch) = (Activity::default(), Watch::default());
        activity.request_started();
        activity.request_ended();
        activity.read(1);
        assert_eq!(
            watch.judge(&activity, TICK),
            Verdict::Go,
            "it was just busy"
        );
        assert_eq!(
            watch.judge(&activity, TICK),
            Verdict::Park,
            "one quiet tick"
        );
        let (verdict, took) = until(&mut watch, &activity);
        assert_eq!(verdict, Verdict::Close, "idle limit");
        assert!(
            near(took + TICK, limits::CLIENT_IDLE),
            "idle limit hit after {took:?}"
        );
    }
}
