//! The ways an API server can go wrong, one switch each.

use std::time::Duration;

/// A way to go wrong. It lasts until healed, unless it counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Watches end after so many events.
    WatchClosesAfter(usize),
    /// Watches answer and then say nothing, not even that they end.
    WatchSilent,
    /// The next watches that go on from a version are answered 410, so many of them.
    GoneOnResume(usize),
    /// The next watches say 410 in the middle of the stream, so many of them.
    GoneMidStream(usize),
    /// The next watches send an error of another kind, so many of them.
    ErrorEvent(usize),
    /// The next lists are those of a replica that lags: what it knew when the fault began.
    StaleList(usize),
    /// Watches send a bookmark and end.
    BookmarksOnly,
    /// Watches send the newest of waiting events first.
    OutOfOrder,
    /// Watches send every event twice.
    Duplicates,
    /// The second page of a list is never to be had.
    ExpiringContinue,
    /// The next requests are answered 429 with so many seconds to wait.
    TooManyRequests {
        /// Requests.
        requests: usize,
        /// Seconds in `Retry-After`.
        retry_after: u64,
    },
    /// The next requests are answered with this status, so many of them.
    Unavailable {
        /// Requests.
        requests: usize,
        /// 500 to 599.
        status: u16,
    },
    /// Bodies come one byte at a time, so far apart.
    Trickle(Duration),
    /// The next patches of statuses are answered 409, so many of them.
    ConflictOnStatus(usize),
    /// Whatever is listed is gone before it is watched: objects with this name.
    DeletedAfterList(String),
    /// Objects with this name outlive their deletion, as those with a finalizer or pods do.
    StaysAfterDelete(String),
    /// Bodies end in the middle of a line.
    Cut,
    /// Requests are never answered.
    Silent,
    /// Every answer comes so much later.
    Latency(Duration),
    /// Requests to this plural are answered 403.
    Forbidden(&'static str),
}
