//! Pods that nodes ask for and that are not known here: for a moment that may be our own lag, because a
//! node hears of its pods before we do; after that it is a refusal.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// So long the watch of pods may be behind.
const LAG: Duration = Duration::from_secs(10);
/// So long a pod that never came is remembered, so that asking again begins no new wait.
const KEPT: Duration = Duration::from_secs(600);
/// Unknown pods of one node that are told apart: whoever asks for more is guessing.
const OF_NODE_MAX: usize = 64;
/// Nodes that are told apart.
const NODES_MAX: usize = 10_000;

/// When which pod was asked for first, by node.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<HashMap<String, BTreeMap<String, Duration>>>);

impl Strangers {
    /// Whether an unknown pod may still become known.
    pub(super) fn may_come(&self, node: &str, uid: &str, now: Duration) -> bool {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.len() >= NODES_MAX && !nodes.contains_key(node) {
            nodes.retain(|_, pods| pods.values().any(|since| now < *since + KEPT));
            if nodes.len() >= NODES_MAX {
                return false;
            }
        }
        let pods = nodes.entry(node.to_owned()).or_default();
        if pods.len() >= OF_NODE_MAX {
            pods.retain(|_, since| now < *since + KEPT);
        }
        if pods.len() >= OF_NODE_MAX && !pods.contains_key(uid) {
            return false;
        }
        let since = pods.entry(uid.to_owned()).or_insert(now);
        now < *since + LAG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_pod_has_ten_seconds_to_become_known() {
        let strangers = Strangers::default();
        let rows = [
            ("at once", "n1", "a", 100, true),
            ("later", "n1", "a", 109, true),
            ("too late", "n1", "a", 110, false),
            ("and stays so", "n1", "a", 600, false),
            ("another pod", "n1", "b", 110, true),
            ("of another node", "n2", "a", 110, true),
        ];
        for (name, node, uid, seconds, expected) in rows {
            assert_eq!(
                strangers.may_come(node, uid, at(seconds)),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_node_that_guesses_takes_nothing_from_another() {
        let strangers = Strangers::default();
        let guesses = (0..1_000).filter(|it| strangers.may_come("n1", &it.to_string(), at(1)));
        assert_eq!(guesses.count(), OF_NODE_MAX);
        assert!(strangers.may_come("n2", "a", at(1)));
        assert!(
            strangers.may_come("n1", "later", at(602)),
            "guesses are forgotten"
        );
    }
}
