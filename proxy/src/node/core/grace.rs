//! Plaintext for pods that ran before they were captured.
//!
//! Those who dial such a pod learn that it is a member some time after it is one: what they dial until then
//! is not encrypted. So it takes plaintext for a while, even if it is to refuse it. A pod that starts is
//! dialled by nobody yet, and one that was captured by an earlier supervisor is known; these get no grace.

use std::time::Duration;

use super::{
    Action, Sandbox,
    sandbox::{Entry, Held},
};

/// Time for which plaintext is taken once the rules of such a pod are in force.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How it stands with a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grace {
    /// Plaintext is taken, and the time begins when the rules are in force.
    Due,
    /// Plaintext is taken until then.
    Until(Duration),
    /// There is none, or none any more.
    Over,
}

impl Grace {
    /// Whether plaintext is taken that would be refused otherwise.
    pub(super) fn is_given(self) -> bool {
        self != Self::Over
    }

    /// The rules are in force.
    pub(super) fn begin(&mut self, now: Duration) {
        if *self == Self::Due {
            *self = Self::Until(now + GRACE);
        }
    }

    /// Time passes.
    pub(super) fn pass(&mut self, now: Duration) {
        if matches!(*self, Self::Until(until) if now >= until) {
            *self = Self::Over;
        }
    }

    /// When it is over, if that is known.
    pub(super) fn ends_at(self) -> Option<Duration> {
        match self {
            Self::Until(until) => Some(until),
            Self::Due | Self::Over => None,
        }
    }
}

impl<N, L> Entry<N, L> {
    /// What its worker has to be told of it, and has not been yet.
    pub(super) fn leniency(&mut self, sandbox: Sandbox) -> Option<Action<N, L>> {
        let (Held::Offered { life, .. } | Held::Serves { life, .. }) = self.held else {
            return None;
        };
        let is_lenient = self.grace.is_given();
        if self.is_told_lenient == is_lenient {
            return None;
        }
        let hold = self.hold(sandbox)?;
        self.is_told_lenient = is_lenient;
        let shard = self.member.shard.clone();
        Some(Action::Lenient(shard, life, hold, is_lenient))
    }
}
