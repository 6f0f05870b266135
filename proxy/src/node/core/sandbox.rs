//! One row of the table: what is wanted of a sandbox, and what is true of it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use weft_intercept::NetnsId;

use super::{Hold, MISSES, MISSING, Sandbox, Sighting, grace::Grace};
use crate::node::roster::Member;

/// What is wanted of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// It is captured.
    In,
    /// It is as if it had never been captured, and its connections have ended in peace.
    Out,
    /// It is no more, as its runtime says.
    Gone,
}

/// What is known of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// There may be some, of an earlier supervisor.
    Unknown,
    /// They capture.
    InForce,
    /// They capture nothing more.
    Stopped,
    /// There are none.
    Removed,
}

/// What the worker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing.
    Not,
    /// The listeners are on their way.
    Offered { life: u64, generation: u64 },
    /// It serves them.
    Serves { life: u64, generation: u64 },
    /// It is to let go of them until then.
    Leaves {
        life: u64,
        generation: u64,
        until: Duration,
    },
}

impl Held {
    pub(super) fn life(self) -> Option<u64> {
        match self {
            Self::Not => None,
            Self::Offered { life, .. } | Self::Serves { life, .. } | Self::Leaves { life, .. } => {
                Some(life)
            }
        }
    }

    pub(super) fn generation(self) -> Option<u64> {
        match self {
            Self::Not => None,
            Self::Offered { generation, .. }
            | Self::Serves { generation, .. }
            | Self::Leaves { generation, .. } => Some(generation),
        }
    }
}

/// A sandbox.
#[derive(Debug)]
pub(super) struct Entry<N, L> {
    pub(super) member: Arc<Member>,
    /// As the runtime gave them, which knows them first; else as the control plane says.
    pub(super) ips: Vec<IpAddr>,
    /// The runtime's name, unless the pod was found running.
    pub(super) container: Option<String>,
    pub(super) id: NetnsId,
    pub(super) netns: N,
    pub(super) goal: Goal,
    pub(super) listeners: Option<L>,
    pub(super) held: Held,
    pub(super) rules: Rules,
    /// Whether it takes plaintext that it is to refuse, and what its worker was told of that.
    pub(super) grace: Grace,
    pub(super) is_told_lenient: bool,
    /// Whether something is done in the namespace just now.
    pub(super) is_busy: bool,
    /// What failed last, until it succeeds; and when it is tried again.
    pub(super) problem: Option<String>,
    pub(super) retry_at: Duration,
    /// When the worker is asked again, after it has refused.
    pub(super) offer_at: Duration,
    /// When it is captured even if its worker has no certificate for it.
    pub(super) certified_by: Duration,
    /// When it starts even if its peers have not been told where it is.
    pub(super) told_by: Duration,
    /// Until when it goes on being served after its rules were stopped.
    pub(super) lingers_until: Duration,
    pub(super) verify_at: Duration,
    /// How often it has been verified.
    pub(super) verified: u64,
    /// Looks in a row that have not found it, and when the first of them was.
    pub(super) misses: u32,
    pub(super) missed_since: Duration,
}

impl<N, L> Entry<N, L> {
    /// One that runs, and is to be captured.
    pub(super) fn new(member: &Arc<Member>, id: NetnsId, netns: N) -> Self {
        Self {
            member: Arc::clone(member),
            ips: member.ips.clone(),
            container: None,
            id,
            netns,
            goal: Goal::In,
            listeners: None,
            held: Held::Not,
            rules: Rules::Unknown,
            grace: Grace::Due,
            is_told_lenient: false,
            is_busy: false,
            problem: None,
            retry_at: Duration::ZERO,
            offer_at: Duration::ZERO,
            certified_by: Duration::ZERO,
            told_by: Duration::ZERO,
            lingers_until: Duration::ZERO,
            verify_at: Duration::ZERO,
            verified: 0,
            misses: 0,
            missed_since: Duration::ZERO,
        }
    }

    /// One that its runtime has just made.
    pub(super) fn starting(member: &Arc<Member>, sighting: Sighting<N>) -> Self {
        let mut entry = Self::new(member, sighting.id, sighting.netns);
        entry.container = Some(sighting.container);
        entry.grace = Grace::Over;
        if !sighting.ips.is_empty() {
            entry.ips = sighting.ips;
        }
        entry
    }

    pub(super) fn uid(&self) -> &str {
        &self.member.uid
    }

    pub(super) fn is_captured(&self) -> bool {
        self.goal == Goal::In && self.rules == Rules::InForce && self.problem.is_none()
    }

    /// Whether a pod that starts may start.
    pub(super) fn is_served(&self) -> bool {
        self.is_captured() && matches!(self.held, Held::Serves { .. })
    }

    /// Whether its peers know where it is, or have had time to hear of it. Nobody can dial it before it has
    /// started, and who dials it by then must not take it for somebody who is not of the mesh.
    pub(super) fn is_told(&self, now: Duration) -> bool {
        now >= self.told_by
            || self.ips.is_empty()
            || self.ips.iter().any(|ip| self.member.ips.contains(ip))
    }

    /// What the roster says of its pod.
    pub(super) fn enlist(&mut self, member: Option<&Arc<Member>>) {
        match (self.goal, member) {
            (Goal::Gone, _) => {}
            (Goal::In, None) => self.turn(Goal::Out),
            (Goal::Out, None) => {}
            (_, Some(member)) => {
                if self.goal == Goal::Out {
                    self.turn(Goal::In);
                    // Its peers have been told that it is none.
                    self.grace = Grace::Due;
                }
                // What the worker was told changes with its next worker, or with the pod: all that it
                // acts by is fixed when a pod is made or comes with its configuration, but for the
                // addresses, which a pod gets at start.
                let shard = self.member.shard.clone();
                let mut member = Arc::clone(member);
                if member.shard != shard {
                    Arc::make_mut(&mut member).shard = shard;
                }
                if member.capture != self.member.capture {
                    self.verify_at = Duration::ZERO;
                }
                self.member = member;
            }
        }
    }

    /// Wants something else from now on.
    pub(super) fn turn(&mut self, goal: Goal) {
        self.goal = goal;
        self.retry_at = Duration::ZERO;
        self.offer_at = Duration::ZERO;
        self.problem = None;
    }

    /// A step did not succeed; it is tried again.
    pub(super) fn failed(&mut self, why: String, again_at: Duration) {
        self.problem = Some(why);
        self.retry_at = again_at;
        self.verify_at = again_at;
    }

    /// A look at the node has found it, or has not; whether it is gone.
    pub(super) fn looked_at(&mut self, is_found: bool, now: Duration) -> bool {
        if is_found {
            self.misses = 0;
            return false;
        }
        if self.misses == 0 {
            self.missed_since = now;
        }
        self.misses = self.misses.saturating_add(1);
        self.misses >= MISSES && now >= self.missed_since + MISSING
    }

    /// Whether this is the hold of its worker, in the worker's present life.
    pub(super) fn is_held_by(&self, life: u64, hold: Hold) -> bool {
        self.held.life() == Some(life) && self.held.generation() == Some(hold.generation)
    }

    pub(super) fn hold(&self, sandbox: Sandbox) -> Option<Hold> {
        let generation = self.held.generation()?;
        Some(Hold {
            sandbox,
            generation,
        })
    }

    /// When something is due.
    pub(super) fn wakes_at(&self) -> impl Iterator<Item = Duration> + use<N, L> {
        let leaves = match self.held {
            Held::Leaves { until, .. } => Some(until),
            Held::Not | Held::Offered { .. } | Held::Serves { .. } => None,
        };
        let is_free = !self.is_busy;
        let retry = (is_free && self.problem.is_some()).then_some(self.retry_at);
        let is_verified = is_free && self.goal == Goal::In && self.rules == Rules::InForce;
        let verify = is_verified.then_some(self.verify_at);
        let is_offered = self.goal == Goal::In && self.listeners.is_some();
        let offer = (is_offered && self.held == Held::Not && self.offer_at > Duration::ZERO)
            .then_some(self.offer_at);
        let is_served = matches!(self.held, Held::Serves { .. });
        let certified = (self.goal == Goal::In && is_served && self.rules != Rules::InForce)
            .then_some(self.certified_by);
        let lingers =
            (self.goal == Goal::Out && self.rules == Rules::Stopped).then_some(self.lingers_until);
        let told = is_verified.then_some(self.told_by);
        let grace = self.grace.ends_at();
        let drains = self.drains_since();
        let all = [leaves, retry, verify, offer, certified, lingers, grace];
        all.into_iter().chain([drains, told]).flatten()
    }
}
