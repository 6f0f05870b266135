//! The next step of every sandbox, from what is true to what is wanted.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    Action, Assignment, Core, EVERY, Job, LET_GO, Life, Notice, RETRY, Sandbox, Scan,
    sandbox::{Entry, Goal, Held, Rules},
};
use crate::node::roster::Shard;

/// What follows for a sandbox.
enum Step<N> {
    Wait,
    Run(Job<N>),
    Assign,
    Revoke,
    Close,
}

impl<N: Clone, L: Clone> Core<N, L> {
    /// Takes every step that can be taken now.
    pub(super) fn advance(&mut self) {
        let sandboxes: Vec<Sandbox> = self.sandboxes.keys().copied().collect();
        for sandbox in sandboxes {
            self.step(sandbox);
        }
        self.answer();
        if !self.is_retired {
            self.release_shards();
            self.look();
        }
    }

    /// Takes the next step. There is one at most: each waits for its answer.
    fn step(&mut self, sandbox: Sandbox) {
        let now = self.now;
        if self.is_retired && !self.is_leaving(sandbox) {
            return;
        }
        self.want_worker(sandbox);
        let is_first = self.is_first_in_its_namespace(sandbox);
        let Some(entry) = self.sandboxes.get_mut(&sandbox) else {
            return;
        };
        let known = self.shards.get(&entry.member.shard);
        let life = known.and_then(Life::present);
        let is_certified = now >= entry.certified_by
            || known.is_some_and(|it| it.identities.contains(&entry.member.identity));
        let is_over = match entry.held {
            Held::Leaves { until, .. } => now >= until,
            Held::Not | Held::Offered { .. } | Held::Serves { .. } => false,
        };
        if is_over || entry.held.life() != life {
            entry.held = Held::Not;
        }
        entry.grace.pass(now);
        self.actions.extend(entry.leniency(sandbox));
        let step = match entry.goal {
            Goal::In => inwards(
                entry,
                &Means {
                    has_worker: life.is_some() && now >= entry.offer_at,
                    is_certified,
                    is_first,
                },
                now,
            ),
            Goal::Out => outwards(entry, now),
            Goal::Gone => away(entry),
        };
        match step {
            Step::Wait => {}
            // A worker that comes back need not wait for the kernel.
            Step::Assign => self.assign(sandbox, life),
            _ if entry.is_busy => {}
            // Something of an earlier sandbox may be under way in the same namespace.
            Step::Run(_) if now < entry.retry_at || !is_first => {}
            Step::Run(job) => {
                entry.is_busy = true;
                self.actions.push(Action::Run(sandbox, job));
            }
            Step::Revoke => self.revoke(sandbox),
            Step::Close => self.close(sandbox),
        }
    }

    fn is_leaving(&self, sandbox: Sandbox) -> bool {
        let entry = self.sandboxes.get(&sandbox);
        entry.is_some_and(|it| it.goal == Goal::Out)
    }

    /// Whether no earlier sandbox has the same namespace: it would have the ports, too.
    fn is_first_in_its_namespace(&self, sandbox: Sandbox) -> bool {
        let Some(entry) = self.sandboxes.get(&sandbox) else {
            return false;
        };
        let mut earlier = self.sandboxes.range(..sandbox);
        earlier.all(|(_, other)| other.id != entry.id)
    }

    /// The worker starts while the listeners are made.
    fn want_worker(&mut self, sandbox: Sandbox) {
        let Some(entry) = self.sandboxes.get(&sandbox) else {
            return;
        };
        let shard = &entry.member.shard;
        if entry.goal == Goal::In && !self.shards.contains_key(shard) {
            self.shards.insert(shard.clone(), Life::default());
            self.actions.push(Action::Start(shard.clone()));
        }
    }

    fn assign(&mut self, sandbox: Sandbox, life: Option<u64>) {
        let generation = self.number();
        let entry = self.sandboxes.get_mut(&sandbox);
        let Some((entry, life)) = entry.zip(life) else {
            return;
        };
        entry.held = Held::Offered { life, generation };
        entry.is_told_lenient = entry.grace.is_given();
        if let (Some(listeners), Some(hold)) = (&entry.listeners, entry.hold(sandbox)) {
            let assignment = Assignment {
                member: Arc::clone(&entry.member),
                ips: entry.ips.clone(),
                netns: entry.netns.clone(),
                listeners: listeners.clone(),
                is_lenient: entry.is_told_lenient,
            };
            let shard = entry.member.shard.clone();
            let assign = Action::Assign(shard, life, hold, assignment);
            self.actions.push(assign);
        }
    }

    fn revoke(&mut self, sandbox: Sandbox) {
        let (now, usual, hurries) = (self.now, self.drain, self.hurries);
        let Some(entry) = self.sandboxes.get_mut(&sandbox) else {
            return;
        };
        let (Some(life), Some(hold)) = (entry.held.life(), entry.hold(sandbox)) else {
            return;
        };
        let drain = match entry.goal {
            Goal::Gone => Duration::ZERO,
            Goal::In | Goal::Out => entry.member.drain.unwrap_or(usual),
        };
        let drain = hurries.map_or(drain, |it| it.min(drain));
        entry.held = Held::Leaves {
            life,
            generation: hold.generation,
            until: now + drain + LET_GO,
        };
        let shard = entry.member.shard.clone();
        self.actions.push(Action::Revoke(shard, life, hold, drain));
    }

    fn close(&mut self, sandbox: Sandbox) {
        if let Some(entry) = self.sandboxes.remove(&sandbox)
            && entry.goal == Goal::Out
        {
            self.actions.push(Action::Tell(Notice::LetGo(entry.member)));
        }
        // Whoever waits for the namespace is later in the table, and so gets its turn now.
    }

    fn release_shards(&mut self) {
        let used = self.sandboxes.values().map(|it| &it.member.shard);
        let used: BTreeSet<Shard> = used.cloned().collect();
        let unused = self.shards.extract_if(.., |shard, _| !used.contains(shard));
        let ends = unused.map(|(shard, _)| Action::End(shard));
        self.actions.extend(ends);
    }

    fn look(&mut self) {
        if let (Scan::At(at), Some(roster)) = (self.scan, &self.roster)
            && self.now >= at
        {
            self.scan = Scan::UnderWay { again: false };
            self.actions.push(Action::Scan(Arc::clone(roster)));
        }
    }

    /// A look has ended; the next one.
    pub(super) fn looked(&mut self) {
        let again = self.scan == Scan::UnderWay { again: true };
        let known: BTreeSet<&str> = self.sandboxes.values().map(Entry::uid).collect();
        let members = self.roster.iter().flat_map(|it| it.members());
        // One that was let through when nobody knew it as a member is about to have a process.
        let is_missed = members
            .into_iter()
            .any(|it| !known.contains(it.uid.as_str()));
        let next = match (again, is_missed) {
            (true, _) => self.now,
            (false, true) => self.now + RETRY,
            (false, false) => self.now + EVERY,
        };
        self.scan = Scan::At(next);
    }
}

/// What there is for a sandbox that is to be captured.
struct Means {
    has_worker: bool,
    /// Whether the worker can prove whose the sandbox is, or has had its time.
    is_certified: bool,
    /// Whether the ports are free.
    is_first: bool,
}

/// Listeners first, so that what is captured finds somebody.
fn inwards<N: Clone, L>(entry: &Entry<N, L>, means: &Means, now: Duration) -> Step<N> {
    let netns = || entry.netns.clone();
    if entry.listeners.is_none() {
        return if means.is_first {
            Step::Run(Job::Listen(netns()))
        } else {
            Step::Wait
        };
    }
    match (entry.held, entry.rules) {
        (Held::Not | Held::Leaves { .. }, _) if means.has_worker => Step::Assign,
        (Held::Serves { .. }, Rules::Unknown | Rules::Stopped | Rules::Removed)
            if means.is_certified =>
        {
            Step::Run(Job::Capture(netns()))
        }
        // While there is no worker what is captured waits in the listeners.
        (_, Rules::InForce) if now >= entry.verify_at => Step::Run(Job::Capture(netns())),
        _ => Step::Wait,
    }
}

/// Rules first, so that nothing more is captured. What dials the tunnel by old news is still served for a
/// while. The rules go last, with what is captured by then.
fn outwards<N: Clone, L>(entry: &Entry<N, L>, now: Duration) -> Step<N> {
    let netns = || entry.netns.clone();
    match (entry.rules, entry.held) {
        (Rules::Unknown | Rules::InForce, _) => Step::Run(Job::Stop(netns())),
        (_, Held::Serves { .. }) if now < entry.lingers_until => Step::Wait,
        (_, Held::Offered { .. } | Held::Serves { .. }) => Step::Revoke,
        (_, Held::Leaves { .. }) => Step::Wait,
        (Rules::Stopped, Held::Not) => Step::Run(Job::Remove(netns())),
        (Rules::Removed, Held::Not) => Step::Close,
    }
}

/// The namespace goes by itself once nobody has a socket in it.
fn away<N, L>(entry: &Entry<N, L>) -> Step<N> {
    match entry.held {
        Held::Offered { .. } | Held::Serves { .. } => Step::Revoke,
        Held::Leaves { .. } => Step::Wait,
        Held::Not => Step::Close,
    }
}
