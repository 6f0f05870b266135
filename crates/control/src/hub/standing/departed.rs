//! Pods that are leaving the mesh, and whether some proxy still reaches them through the tunnel.
//!
//! Only the replica that leads hears of all proxies. So it answers for all replicas, each of which has told
//! it in what configuration of its own nobody reaches a pod.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use weft_api::ObjectRef;
use weft_ir::Name;

use super::{Other, Standing};

impl Standing {
    /// The UIDs of pods that no proxy reaches any more, wherever it is connected. Who does not lead goes by
    /// the word of the replica that does, as far as its own proxies agree.
    pub(in crate::hub) fn departed(&self, now: Duration) -> BTreeSet<Arc<str>> {
        let is_departed = |pod: &&ObjectRef| match self.settled_at {
            Some(at) => now >= at && self.laggards(pod, now).next().is_none(),
            None => {
                let is_said = self.departed_by_word.contains(pod.key.name());
                is_said && self.own.laggards(pod).next().is_none()
            }
        };
        let departed = self.own.departing().filter(is_departed);
        departed.map(|pod| pod.key.name().into()).collect()
    }

    /// What the replica that leads says of that.
    pub(in crate::hub) fn hear_departed(&mut self, pods: Vec<String>) {
        self.departed_by_word = pods.into_iter().collect();
    }

    /// Proxies with a configuration from before an object, wherever they are connected.
    fn laggards<'a>(
        &'a self,
        object: &'a ObjectRef,
        now: Duration,
    ) -> impl Iterator<Item = (&'a Name, &'a str)> {
        let counts = move |other: &&Other| other.until.is_none_or(|until| now < until);
        let others = self.others.values().filter(counts).flat_map(move |other| {
            // As in `taken`.
            other
                .ledger
                .laggards(object)
                .filter(move |(name, instance)| {
                    other.until.is_none() || !self.is_connected(name, instance)
                })
        });
        self.own.laggards(object).chain(others)
    }
}
