//! What the kernel, the workers and the processes of the node say.

use std::collections::BTreeSet;

use weft_intercept::NetnsId;

use super::{
    Action, CERTIFIED, Core, EVERY, LINGER, Life, Notice, OfWorker, Outcome, RETRY, Sandbox, Seen,
    TOLD, Verdict,
    grace::Grace,
    sandbox::{Entry, Goal, Held, Rules},
};
use crate::node::roster::Shard;

impl<N: Clone, L: Clone> Core<N, L> {
    /// A job has ended. What it made for a sandbox that is not there any more is closed with it.
    pub(super) fn done(&mut self, sandbox: Sandbox, result: Result<Outcome<L>, String>) {
        let now = self.now;
        let Some(entry) = self.sandboxes.get_mut(&sandbox) else {
            return;
        };
        entry.is_busy = false;
        let notice = match result {
            Ok(Outcome::InForce(verdict)) => in_force(entry, verdict, now),
            Err(why) => {
                let is_new = entry.problem.as_ref() != Some(&why);
                entry.failed(why.clone(), now + RETRY);
                is_new.then(|| Notice::Failed(entry.member.clone(), why))
            }
            Ok(done) => {
                entry.problem = None;
                match done {
                    Outcome::Listening(listeners, was_captured) => {
                        entry.listeners = Some(listeners);
                        if was_captured {
                            entry.grace = Grace::Over;
                        }
                    }
                    Outcome::Stopped => {
                        entry.rules = Rules::Stopped;
                        entry.lingers_until = now + LINGER;
                    }
                    Outcome::Removed => entry.rules = Rules::Removed,
                    Outcome::InForce(_) => {}
                }
                None
            }
        };
        self.actions.extend(notice.map(Action::Tell));
    }

    /// Something of a worker. Only its present life counts: what is said in or of an earlier one may
    /// come late, and must not undo what the present one has.
    pub(super) fn worker(&mut self, shard: &Shard, life: u64, what: OfWorker) {
        let Some(known) = self.shards.get_mut(shard) else {
            return;
        };
        match what {
            OfWorker::Ready if life > known.latest => {
                *known = Life {
                    latest: life,
                    ..Life::default()
                };
                let of_shard = |it: &&mut Entry<N, L>| it.member.shard == *shard;
                for entry in self.sandboxes.values_mut().filter(of_shard) {
                    entry.offer_at = self.now;
                }
            }
            OfWorker::Gone if life == known.latest => known.is_over = true,
            OfWorker::Identified(identity) if known.present() == Some(life) => {
                known.identities.insert(identity);
            }
            OfWorker::Ready | OfWorker::Gone | OfWorker::Identified(_) => {}
            OfWorker::Taken(hold) | OfWorker::Released(hold) | OfWorker::Refused(hold, _) => {
                let is_present = known.present() == Some(life);
                let entry = self.sandboxes.get_mut(&hold.sandbox);
                let Some(entry) = entry.filter(|it| is_present && it.is_held_by(life, hold)) else {
                    return;
                };
                let notice = answered(entry, what, self.now);
                self.actions.extend(notice.map(Action::Tell));
            }
        }
    }

    /// What runs on this node, for all members at once.
    pub(super) fn scanned(&mut self, seen: Vec<Seen<N>>) {
        let ids: BTreeSet<NetnsId> = seen.iter().map(|it| it.id).collect();
        for entry in self.sandboxes.values_mut() {
            let is_gone = entry.looked_at(ids.contains(&entry.id), self.now);
            if is_gone && entry.goal != Goal::Gone {
                entry.turn(Goal::Gone);
            }
        }
        for seen in seen {
            self.found(seen, &ids);
        }
        self.looked();
    }

    /// A member that runs. What a runtime has said of a pod is newer than what its processes show.
    fn found(&mut self, seen: Seen<N>, ids: &BTreeSet<NetnsId>) {
        let Some(member) = self.roster.as_ref().and_then(|it| it.member(&seen.uid)) else {
            return;
        };
        let member = member.clone();
        let is_known = |it: &Entry<N, L>| {
            let is_kept = it.container.is_some() || ids.contains(&it.id);
            it.id == seen.id || (it.uid() == seen.uid && it.goal != Goal::Gone && is_kept)
        };
        if self.sandboxes.values().any(is_known) {
            return;
        }
        let older = |it: &&mut Entry<N, L>| it.uid() == seen.uid && it.goal != Goal::Gone;
        for entry in self.sandboxes.values_mut().filter(older) {
            entry.turn(Goal::Gone);
        }
        let sandbox = Sandbox(self.number());
        let entry = Entry::new(&member, seen.id, seen.netns);
        self.sandboxes.insert(sandbox, entry);
    }
}

fn in_force<N, L>(
    entry: &mut Entry<N, L>,
    verdict: Verdict,
    now: std::time::Duration,
) -> Option<Notice> {
    let member = entry.member.clone();
    let was_captured = entry.rules == Rules::InForce && entry.problem.is_none();
    entry.rules = Rules::InForce;
    entry.grace.begin(now);
    entry.verified += 1;
    if let Some(how) = verdict.evaded {
        let is_new = entry.problem.as_ref() != Some(&how);
        entry.failed(how.clone(), now + RETRY);
        return is_new.then_some(Notice::Failed(member, how));
    }
    entry.problem = None;
    entry.verify_at = now + EVERY;
    if !was_captured {
        entry.told_by = now + TOLD;
        Some(Notice::Captured(member))
    } else if verdict.repaired.is_empty() {
        None
    } else {
        Some(Notice::Repaired(member, verdict.repaired))
    }
}

fn answered<N, L>(
    entry: &mut Entry<N, L>,
    what: OfWorker,
    now: std::time::Duration,
) -> Option<Notice> {
    match (what, entry.held) {
        (OfWorker::Taken(_), Held::Offered { life, generation }) => {
            entry.held = Held::Serves { life, generation };
            entry.certified_by = now + CERTIFIED;
            // What it was refused for before is over; what else is wrong shows at once.
            entry.problem = None;
            entry.verify_at = now;
            None
        }
        (OfWorker::Released(_), _) => {
            entry.held = Held::Not;
            None
        }
        (OfWorker::Refused(_, why), _) => {
            entry.held = Held::Not;
            entry.offer_at = now + RETRY;
            let is_new = entry.problem.as_ref() != Some(&why);
            entry.problem = Some(why.clone());
            entry.retry_at = entry.offer_at;
            is_new.then(|| Notice::Failed(entry.member.clone(), why))
        }
        (OfWorker::Taken(_) | OfWorker::Ready | OfWorker::Gone | OfWorker::Identified(_), _) => {
            None
        }
    }
}
