//! Pods on their way out of the mesh: whoever reaches them is told first, their own node afterwards.
//!
//! A node that lets a pod go does not answer for it any more. So nobody may be left who asks there: the
//! pod is taken out of what is reached through the tunnel, and stays a member for its node until every
//! proxy has taken that, at whatever replica, or has had time enough. Meanwhile it takes plaintext,
//! whatever the policy of its namespace: that is how it is asked by those who know already, and how it
//! will be asked by all.
//!
//! Every replica finds out by itself which pods are leaving, and tells the nodes that are connected to
//! it; which of the pods nobody reaches any more, the one that leads finds out for all.
//!
//! A pure value; configurations and times are arguments.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use weft_ir::{Name, NodeWorkloads, Workload, Workloads};

/// So long a pod waits for proxies that do not answer, or of which nothing is known here; and so long it is
/// remembered afterwards, for replicas that hear later that it may go.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pods of nodes as these are told of them.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// What was translated last.
    translated: Arc<Workloads>,
    /// The same, with members that are still to be let go.
    told: Arc<Workloads>,
    pods: BTreeMap<Name, Left>,
}

/// A pod that was a member and is to be none.
#[derive(Debug)]
struct Left {
    uid: Arc<str>,
    node: Arc<str>,
    /// The first configuration in which nobody reaches it, and when that was.
    since: Option<(u64, Duration)>,
    /// Its node was told; until then it is remembered.
    told_until: Option<Duration>,
}

impl Left {
    fn is_told(&self) -> bool {
        self.told_until.is_some()
    }
}

impl Leaving {
    /// What nodes are told.
    pub(super) fn told(&self) -> &Arc<Workloads> {
        &self.told
    }

    /// Takes over what was translated. Costs what changed, and a look at every node.
    pub(super) fn take(&mut self, translated: &Arc<Workloads>) {
        if Arc::ptr_eq(&self.translated, translated) {
            return;
        }
        for (node, pods) in translated.iter() {
            let before = self.translated.get(node);
            if before.is_some_and(|before| Arc::ptr_eq(before, pods)) {
                continue;
            }
            let told = self.told.get(node);
            for (name, pod) in pods.iter().filter(|(_, pod)| !pod.is_member) {
                let told = told.and_then(|told| told.get(name));
                if told.is_some_and(|told| told.is_member && told.uid == pod.uid) {
                    let left = || Left {
                        uid: Arc::clone(&pod.uid),
                        node: Arc::clone(node),
                        since: None,
                        told_until: None,
                    };
                    self.pods.entry(name.clone()).or_insert_with(left);
                }
            }
        }
        self.pods.retain(|name, left| {
            let pod = translated.get(&left.node).and_then(|pods| pods.get(name));
            pod.is_some_and(|pod| !pod.is_member && pod.uid == left.uid)
        });
        self.translated = Arc::clone(translated);
        self.tell();
    }

    /// This configuration is the newest: nobody who has it reaches a pod that is leaving.
    pub(super) fn begin(&mut self, configuration: u64, now: Duration) {
        for left in self.pods.values_mut() {
            left.since.get_or_insert((configuration, now));
        }
    }

    /// Lets pods go that nobody reaches any more; whether there are any. `departed` are the UIDs of those
    /// of which that is known.
    pub(super) fn release(&mut self, departed: &BTreeSet<Arc<str>>, now: Duration) -> bool {
        self.pods
            .retain(|_, left| left.told_until.is_none_or(|until| now < until));
        let mut is_released = false;
        for left in self.pods.values_mut().filter(|left| !left.is_told()) {
            let is_over = left.since.is_some_and(|(_, at)| now >= at + PATIENCE);
            if is_over || left.since.is_some() && departed.contains(&left.uid) {
                left.told_until = Some(now + PATIENCE);
                is_released = true;
            }
        }
        if is_released {
            self.tell();
        }
        is_released
    }

    /// The UIDs of pods that are leaving, or have left just now, each with the first configuration in which
    /// nobody reaches it.
    pub(super) fn departing(&self) -> BTreeMap<Arc<str>, u64> {
        let of = |left: &Left| Some((Arc::clone(&left.uid), left.since?.0));
        self.pods.values().filter_map(of).collect()
    }

    /// When patience with proxies ends next, or a pod need not be remembered any more.
    pub(super) fn due_at(&self) -> Option<Duration> {
        let until = |left: &Left| left.told_until.or(Some(left.since?.1 + PATIENCE));
        self.pods.values().filter_map(until).min()
    }

    /// Lists that come out equal stay.
    fn tell(&mut self) {
        let mut told = Arc::clone(&self.translated);
        let waiting = self.pods.values().filter(|left| !left.is_told());
        let nodes: BTreeSet<_> = waiting.map(|left| Arc::clone(&left.node)).collect();
        for node in &nodes {
            let Some(pods) = self.translated.get(node) else {
                continue;
            };
            let next = self.with_members(node, pods);
            let known = self.told.get(node).filter(|known| ***known == next);
            let next = known.cloned().unwrap_or_else(|| Arc::new(next));
            Arc::make_mut(&mut told).insert(Arc::clone(node), next);
        }
        if told != self.told || nodes.is_empty() {
            self.told = told;
        }
    }

    fn with_members(&self, node: &Arc<str>, pods: &NodeWorkloads) -> NodeWorkloads {
        let mut pods = pods.clone();
        let is_here = |left: &Left| left.node == *node && !left.is_told();
        let here = self.pods.iter().filter(|(_, left)| is_here(left));
        for (name, _) in here {
            if let Some(pod) = pods.get_mut(name) {
                *pod = Arc::new(Workload {
                    is_member: true,
                    is_leaving: false,
                    is_permissive: true,
                    ..Workload::clone(pod)
                });
            }
        }
        pods
    }
}
