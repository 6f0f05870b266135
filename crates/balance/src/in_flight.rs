//! The guard through which a request counts as in flight and reports how it went.

use std::sync::atomic::Ordering;

use crate::endpoint::{Ejection, EndpointState, Failure, Outcome, UNKNOWN_LATENCY_NS};
use crate::health::Phase;

/// One request (or L4 connection) at one endpoint.
///
/// Hold it until the last byte: dropping it ends the request's share in
/// [`crate::Snapshot::in_flight`], whatever the way out. Report with [`InFlight::record`] when the
/// outcome is known, usually with the head of the answer; a request that is dropped before that
/// (the client left) says nothing about the endpoint.
///
/// `S` is how the caller keeps the state: `Arc<EndpointState>`, `&EndpointState`, or its own
/// endpoint type.
#[derive(Debug)]
#[must_use = "dropping the guard ends the request"]
pub struct InFlight<S: AsRef<EndpointState>> {
    endpoint: S,
    role: Role,
}

/// What the endpoint's health was when the request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Regular,
    /// The one request after an ejection that decides about the endpoint's return.
    Trial,
    /// Sent in spite of an ejection because nothing else was left.
    Forced,
}

impl<S: AsRef<EndpointState>> InFlight<S> {
    /// Counts a request in. Call it when the endpoint has been picked, before connecting.
    pub fn begin(endpoint: S, now_ns: u64) -> Self {
        let state = endpoint.as_ref();
        state.in_flight.fetch_add(1, Ordering::Relaxed);
        let health = state.health.load();
        let role = match health.phase {
            Phase::Healthy => Role::Regular,
            Phase::Ejected
                if health.admits(now_ns)
                    && state.health.replace(health, health.in_phase(Phase::Trial)) =>
            {
                Role::Trial
            }
            Phase::Ejected | Phase::Trial => Role::Forced,
        };
        Self { endpoint, role }
    }

    /// The endpoint this request is at.
    pub fn endpoint(&self) -> &S {
        &self.endpoint
    }

    /// Reports how the attempt ended, `latency_ns` after it began.
    ///
    /// `peers` is the whole set the endpoint was picked from: at most half of it, rounded down,
    /// is ever out of rotation by passive ejection, so a set of one keeps its endpoint. Two
    /// threads that eject at the same instant may exceed that by one endpoint.
    ///
    /// Returns the ejection if this report caused one. Constant time except for that case and
    /// for completed rows of failures, which count the ejected peers. Only the first report of a
    /// request that was on trial decides the trial.
    pub fn record<P: AsRef<EndpointState>>(
        &mut self,
        peers: &[P],
        outcome: Outcome,
        latency_ns: u64,
        now_ns: u64,
    ) -> Option<Ejection> {
        match outcome {
            Outcome::Success => {
                self.succeed(latency_ns, now_ns);
                None
            }
            Outcome::Failure(failure) => self.fail(peers, failure, latency_ns, now_ns),
        }
    }

    fn fail<P: AsRef<EndpointState>>(
        &mut self,
        peers: &[P],
        failure: Failure,
        latency_ns: u64,
        now_ns: u64,
    ) -> Option<Ejection> {
        let role = std::mem::replace(&mut self.role, Role::Regular);
        let state = self.endpoint.as_ref();
        let health = state.health.load();
        match (role, health.phase) {
            (Role::Trial, Phase::Trial) => state.eject(health, failure, now_ns),
            (Role::Regular, Phase::Healthy) => {
                state
                    .latency
                    .observe_failure(latency_ns, UNKNOWN_LATENCY_NS, now_ns);
                if state.count(failure) && may_eject_one_more(peers) {
                    state.eject(health, failure, now_ns)
                } else {
                    None
                }
            }
            // A straggler from before the ejection, or a request sent here because nothing else
            // was left: neither is news.
            _ => None,
        }
    }

    fn succeed(&mut self, latency_ns: u64, now_ns: u64) {
        let state = self.endpoint.as_ref();
        let role = std::mem::replace(&mut self.role, Role::Regular);
        let health = state.health.load();
        match (role, health.phase) {
            (_, Phase::Healthy) => {}
            // A request sent before the ejection proves nothing about the time after it.
            (Role::Regular, _) => return,
            // A lost race means that somebody else has just decided; that decision stands.
            (Role::Trial | Role::Forced, _) => {
                state
                    .health
                    .replace(health, health.in_phase(Phase::Healthy));
            }
        }
        state.latency.observe(latency_ns, now_ns);
        state.clear_failures();
    }
}

impl<S: AsRef<EndpointState>> Drop for InFlight<S> {
    fn drop(&mut self) {
        let state = self.endpoint.as_ref();
        state.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.role == Role::Trial {
            // Undecided: the next request takes over the trial.
            let health = state.health.load();
            if health.phase == Phase::Trial {
                state
                    .health
                    .replace(health, health.in_phase(Phase::Ejected));
            }
        }
    }
}

/// Whether one more of `peers` may leave rotation: at most half of a set is ever ejected, because
/// the rest has to carry the load and because a failure that hits more than half of a set is
/// hardly the endpoints' own.
fn may_eject_one_more<P: AsRef<EndpointState>>(peers: &[P]) -> bool {
    let ejected = peers
        .iter()
        .filter(|peer| peer.as_ref().is_ejected())
        .count();
    ejected < peers.len() / 2
}

#[cfg(test)]
mod tests;
