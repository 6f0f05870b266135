//! Which connections the kernel tracks in a pod, put right before the pod is captured.
//!
//! A connection that was there before is tracked from its next packet on, and until then the proxy's may
//! take its port. If that packet is an answer, the connection is tracked the wrong way round, which does not
//! keep its port either. And of an earlier capture there may be entries of connections that have ended
//! unseen since: with them a connection of today would be redirected, or answered, to nobody.

mod entries;
mod judged;

use std::io;

use self::{
    entries::{Entry, Tracker},
    judged::{judge, of_ours},
};
use super::CaptureError;
use crate::connections::{Connections, Flow};

/// A connection may be tracked the wrong way round again before it is put right.
const ROUNDS: usize = 16;

/// What there was before connections were tracked for this capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing was tracked, so nothing is left of anybody.
    Nothing,
    /// Something, or nobody could say.
    Something,
}

impl Before {
    /// What is tracked now.
    pub(super) fn now() -> Self {
        match Tracker::open().and_then(|mut tracker| tracker.count()) {
            Ok(0) => Self::Nothing,
            // Why it cannot be said is said by who needs to look.
            Ok(_) | Err(_) => Self::Something,
        }
    }
}

/// Tracks every connection that lives, the right way round, and forgets what earlier captures have left.
/// Connections have to be tracked by now; so those that are new are so from their first packet on.
pub(super) fn sort(before: Before) -> Result<(), CaptureError> {
    let mut added = Vec::new();
    let mut connections = list()?;
    for _ in 0..ROUNDS {
        // With nobody connected there is nothing to confuse, and the kernel need not have the means.
        if connections.sockets.is_empty() {
            return take_back(&added, &connections);
        }
        let mut tracker = tracker()?;
        let entries = match before {
            Before::Nothing => of(&mut tracker, &connections)?,
            Before::Something => entries(&mut tracker)?,
        };
        let judged = judge(&entries, &connections);
        for entry in &judged.wrong {
            tracker.forget(entry).map_err(doing("forgetting one"))?;
        }
        let untracked = judged.untracked.len();
        let added_before = added.len();
        for flow in judged.untracked {
            if tracker.add(flow).map_err(doing("tracking one"))? {
                added.push(flow);
            }
        }
        if !added.is_empty() {
            connections = list()?;
        }
        // One that was tracked meanwhile may be so the wrong way round.
        if added.len() - added_before == untracked {
            return take_back(&added, &connections);
        }
    }
    let source = io::Error::other("they change all the time");
    Err(doing("tracking them")(source))
}

/// Forgets those of them that have ended before they were tracked, of which no packet will tell.
fn take_back(added: &[Flow], connections: &Connections) -> Result<(), CaptureError> {
    let is_over = |flow: &&Flow| !connections.open.contains(&flow.back());
    let mut over = added.iter().filter(is_over).peekable();
    if over.peek().is_none() {
        return Ok(());
    }
    let mut tracker = tracker()?;
    over.try_for_each(|flow| tracker.take_back(*flow).map_err(doing("forgetting one")))
}

/// Forgets the proxy's connections, which nobody follows any more.
pub(super) fn forget() -> Result<(), CaptureError> {
    let mut tracker = tracker()?;
    for entry in entries(&mut tracker)? {
        if of_ours(&entry).is_some() {
            tracker.forget(&entry).map_err(doing("forgetting one"))?;
        }
    }
    Ok(())
}

fn list() -> Result<Connections, CaptureError> {
    Connections::list().map_err(doing("listing sockets"))
}

fn tracker() -> Result<Tracker, CaptureError> {
    Tracker::open().map_err(doing("opening netlink"))
}

fn entries(tracker: &mut Tracker) -> Result<Vec<Entry>, CaptureError> {
    tracker.entries().map_err(doing("listing what is tracked"))
}

/// What is tracked of connections that live.
fn of(tracker: &mut Tracker, connections: &Connections) -> Result<Vec<Entry>, CaptureError> {
    let mut entries = Vec::new();
    for answers in &connections.open {
        let found = match tracker.of(answers.back()) {
            Ok(None) => tracker.of(*answers),
            found => found,
        };
        entries.extend(found.map_err(doing("looking for one"))?);
    }
    Ok(entries)
}

fn doing(what: &'static str) -> impl Fn(io::Error) -> CaptureError {
    move |source| CaptureError::Tracking { what, source }
}
