//! The end of the table: what is still done when another supervisor follows, and when the process ends.

use std::{sync::Arc, time::Duration};

use super::{
    Action, Core, DRAINS, Sandbox,
    grace::Grace,
    sandbox::{Entry, Goal, Held},
};
use crate::node::roster::Roster;

impl<N: Clone, L: Clone> Core<N, L> {
    /// The listeners of every pod, for the supervisor that follows.
    pub(in crate::node) fn listeners(&self) -> Vec<L> {
        let listeners = self.sandboxes.values().map(|it| it.listeners.clone());
        listeners.flatten().collect()
    }

    /// Those of one sandbox, if it has any yet.
    pub(in crate::node) fn listeners_of(&self, sandbox: Sandbox) -> Option<L> {
        self.sandboxes.get(&sandbox)?.listeners.clone()
    }

    /// Leaves the pods as they are, for the supervisor that follows; what is to be done. Those that are
    /// leaving the mesh it does not know of: these are still let go of here.
    pub(in crate::node) fn retire(&mut self) -> Vec<Action<N, L>> {
        self.is_retired = true;
        self.dismiss();
        for (sandbox, entry) in &mut self.sandboxes {
            // Nobody would end it.
            entry.grace = Grace::Over;
            self.actions.extend(entry.leniency(*sandbox));
        }
        std::mem::take(&mut self.actions)
    }

    /// The process ends: what drains in pods that are leaving the mesh is cut after `limit`.
    pub(in crate::node) fn hurry(&mut self, limit: Duration) {
        self.hurries = Some(limit);
        for entry in self.sandboxes.values_mut() {
            if let (Goal::Out, Held::Leaves { until, .. }) = (entry.goal, &mut entry.held) {
                *until = (*until).min(self.now + limit);
            }
        }
    }

    /// The pods that are leaving the mesh, and from which what captured them is still to be removed; and
    /// whether that takes long, because connections that were captured go on.
    pub(in crate::node) fn leaving(&self) -> impl Iterator<Item = (&str, bool)> {
        let entries = self.sandboxes.values().filter(|it| it.goal == Goal::Out);
        entries.map(|it| (it.uid(), it.drains_since().is_some_and(|at| at <= self.now)))
    }

    /// What the roster says of these pods: one that comes back is the other supervisor's.
    pub(super) fn enlist_leaving(&mut self, roster: Arc<Roster>) {
        let leaving = self.sandboxes.values_mut();
        for entry in leaving.filter(|it| it.goal == Goal::Out) {
            entry.enlist(roster.member(&entry.member.uid));
        }
        self.roster = Some(roster);
    }
}

impl<N, L> Entry<N, L> {
    /// When people are to hear that connections go on, which were captured in a pod that leaves the mesh.
    pub(super) fn drains_since(&self) -> Option<Duration> {
        let is_leaving = self.goal == Goal::Out && matches!(self.held, Held::Leaves { .. });
        is_leaving.then_some(self.lingers_until + DRAINS)
    }
}
