//! Connections to one endpoint kept by one worker thread.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use hyper::client::conn::{http1, http2};

use super::{gate::Gate, line::Line};
use crate::{body::RequestBody, caller::Caller, limits};

/// Streams on one HTTP/2 connection above which another connection is opened. Servers commonly
/// allow 100 (RFC 9113 section 6.5.2 recommends no less).
const STREAMS: u32 = 100;

/// An HTTP/1.1 connection, for one request at a time.
#[derive(Debug)]
pub(crate) struct Exclusive {
    pub(crate) sender: http1::SendRequest<RequestBody>,
    pub(crate) line: Arc<Line>,
}

/// An HTTP/1.1 connection that waits for a request.
#[derive(Debug)]
struct Idle {
    connection: Exclusive,
    /// Sweep during which it was put here.
    epoch: u32,
}

/// An HTTP/2 connection and how many requests are on it.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) sender: http2::SendRequest<RequestBody>,
    pub(crate) streams: Arc<AtomicU32>,
    pub(crate) line: Arc<Line>,
}

/// An HTTP/2 connection of the pool.
#[derive(Debug)]
struct Open {
    shared: Shared,
    /// Sweep before which it was last given to a request.
    epoch: u32,
}

impl Open {
    fn is_closed(&self) -> bool {
        self.shared.sender.is_closed()
    }

    fn streams(&self) -> u32 {
        self.shared.streams.load(Relaxed)
    }
}

/// An HTTP/2 connection that is being opened for a caller.
#[derive(Debug)]
struct Opening {
    caller: Option<Arc<Caller>>,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Inner {
    h1: Vec<Idle>,
    h2: Vec<Open>,
    opening: Vec<Opening>,
    epoch: u32,
}

/// The pool. The mutex is only ever taken by tasks of the worker it belongs to, so it is never
/// contended and no await happens under it.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    inner: Mutex<Inner>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most recently used idle HTTP/1.1 connection of that caller.
    pub(crate) fn take_h1(&self, caller: Option<&Arc<Caller>>) -> Option<Exclusive> {
        let mut inner = self.lock();
        let mut at = inner.h1.len();
        while at > 0 {
            at -= 1;
            let Exclusive { sender, line } = &inner.h1[at].connection;
            if sender.is_closed() {
                inner.h1.swap_remove(at);
            } else if sender.is_ready() && line.is_of(caller) {
                return Some(inner.h1.swap_remove(at).connection);
            }
        }
        None
    }

    /// Keeps a connection whose last answer has ended.
    pub(crate) fn put_h1(&self, connection: Exclusive) {
        let mut inner = self.lock();
        let is_wanted = !connection.sender.is_closed() && !connection.line.is_left();
        if is_wanted && inner.h1.len() < limits::UPSTREAM_IDLE_MAX {
            let epoch = inner.epoch;
            inner.h1.push(Idle { connection, epoch });
        }
    }

    /// An open HTTP/2 connection of that caller with room for a stream.
    pub(crate) fn take_h2(&self, caller: Option<&Arc<Caller>>) -> Option<Shared> {
        let mut inner = self.lock();
        inner.h2.retain(|open| !open.is_closed());
        let epoch = inner.epoch;
        let open = inner
            .h2
            .iter_mut()
            .find(|open| open.streams() < STREAMS && open.shared.line.is_of(caller))?;
        open.epoch = epoch;
        Some(open.shared.clone())
    }

    /// What one has to pass who opens an HTTP/2 connection for that caller. Others do not wait for it: it
    /// may be the caller who is slow, and not the endpoint.
    pub(super) fn gate(&self, caller: Option<&Arc<Caller>>) -> Arc<Gate> {
        let mut inner = self.lock();
        inner.forget_opened();
        let is_same = |opening: &&Opening| is_same(opening.caller.as_ref(), caller);
        if let Some(opening) = inner.opening.iter().find(is_same) {
            return Arc::clone(&opening.gate);
        }
        let gate = Arc::<Gate>::default();
        inner.opening.push(Opening {
            caller: caller.cloned(),
            gate: Arc::clone(&gate),
        });
        gate
    }

    /// Adds a new HTTP/2 connection.
    pub(crate) fn put_h2(
        &self,
        sender: http2::SendRequest<RequestBody>,
        line: Arc<Line>,
    ) -> Shared {
        let shared = Shared {
            sender,
            streams: Arc::default(),
            line,
        };
        let mut inner = self.lock();
        let epoch = inner.epoch;
        inner.h2.push(Open {
            shared: shared.clone(),
            epoch,
        });
        shared
    }

    /// Closes what was idle for a whole period between two sweeps, and what no request is to use any
    /// more; requests that are on it end first.
    pub(crate) fn sweep(&self) {
        let mut inner = self.lock();
        let epoch = inner.epoch;
        inner.h1.retain(
            |Idle {
                 connection,
                 epoch: of,
             }| {
                *of == epoch && !connection.sender.is_closed() && !connection.line.is_outdated()
            },
        );
        inner.h2.retain(|open| {
            let is_used = open.epoch == epoch || open.streams() > 0;
            is_used && !open.is_closed() && !open.shared.line.is_outdated()
        });
        inner.forget_opened();
        inner.epoch = epoch.wrapping_add(1);
    }

    /// Closes the connections of a caller; requests that are on them end first.
    pub(crate) fn forget(&self, caller: &Arc<Caller>) {
        let mut inner = self.lock();
        let is_other = |line: &Line| !line.is_of(Some(caller));
        inner.h1.retain(|idle| is_other(&idle.connection.line));
        inner.h2.retain(|open| is_other(&open.shared.line));
    }
}

impl Inner {
    /// Lets go of gates that nobody stands before or has passed.
    fn forget_opened(&mut self) {
        self.opening
            .retain(|opening| Arc::strong_count(&opening.gate) > 1);
    }
}

/// Whether it is one caller, or nobody in particular in both cases.
pub(super) fn is_same(one: Option<&Arc<Caller>>, other: Option<&Arc<Caller>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
