//! What the control plane was told about the pods of the node on one stream, and what it is told next.

use std::collections::BTreeMap;

use weft_wire::{
    limits,
    proto::config::{Capture, ClientMessage, PodReport, PodState, client_message::Message},
};

use crate::node::terms::Shown;

/// Why a pod that has left the mesh is not as if it had never been there.
const DRAINS: &str = "it has left the mesh; connections that began there go on until they end";

/// How far each pod was said to be. The first report of a stream says all, even that there is nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Reported(Option<BTreeMap<String, PodState>>);

impl Reported {
    /// What is different from what was said, and what will have been said then.
    pub(super) fn next(&self, shown: &Shown) -> Option<(ClientMessage, Self)> {
        let mut now = states(shown);
        let none = BTreeMap::new();
        let before = self.0.as_ref().unwrap_or(&none);
        // What is still to be removed has not ended: whoever waits for that could take the remover away.
        for (uid, drains) in &shown.leaving {
            let why = if *drains { DRAINS } else { "" };
            let pending = state(uid, Capture::Pending, why.to_owned());
            now.entry(uid.clone()).or_insert(pending);
        }
        let ended = before.keys().filter(|uid| !now.contains_key(*uid));
        let ended = ended.map(|uid| state(uid, Capture::Ended, String::new()));
        let changed = now
            .iter()
            .filter(|(uid, state)| before.get(*uid) != Some(state));
        let pods = ended.chain(changed.map(|(_, state)| state.clone()));
        let pods: Vec<_> = pods.collect();
        if pods.is_empty() && self.0.is_some() {
            return None;
        }
        let report = ClientMessage {
            message: Some(Message::Pods(PodReport { pods })),
        };
        Some((report, Self(Some(now))))
    }
}

fn states(shown: &Shown) -> BTreeMap<String, PodState> {
    let of_pod = |(member, is_captured): &(std::sync::Arc<crate::node::Member>, bool)| {
        let problem = shown.problems.get(&member.uid);
        let captured = match problem {
            Some(_) if !is_captured => Capture::Failed,
            _ if *is_captured => Capture::Done,
            _ => Capture::Pending,
        };
        let mut reason = problem
            .cloned()
            .filter(|_| !is_captured)
            .unwrap_or_default();
        reason.truncate(reason.floor_char_boundary(limits::ERROR_BYTES));
        let (repaired_unix_s, damage) =
            shown.repaired.get(&member.uid).cloned().unwrap_or_default();
        let addresses = shown.addresses.get(&member.uid).into_iter().flatten();
        let state = PodState {
            repaired_unix_s,
            damage,
            is_crashing: shown.crashing.contains(&member.shard),
            addresses: addresses.map(ToString::to_string).collect(),
            ..state(&member.uid, captured, reason)
        };
        (member.uid.clone(), state)
    };
    shown.captured.iter().map(of_pod).collect()
}

fn state(uid: &str, captured: Capture, reason: String) -> PodState {
    PodState {
        uid: uid.to_owned(),
        captured: captured.into(),
        reason,
        ..PodState::default()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use weft_intercept::capture;

    use super::*;
    use crate::node::{Member, Shard};

    /// The one pod of a report, if there is one.
    fn said(reported: &mut Reported, shown: &Shown) -> Option<PodState> {
        let (said, known) = reported.next(shown)?;
        *reported = known;
        let Some(Message::Pods(report)) = said.message else {
            panic!("a report of pods: {said:?}");
        };
        let [pod] = &report.pods[..] else {
            panic!("one pod: {report:?}");
        };
        Some(pod.clone())
    }

    #[test]
    fn repairs_and_workers_that_end_again_and_again_are_said_of_a_captured_pod() {
        let member = Member {
            namespace: "shop".to_owned(),
            pod: "web-0".to_owned(),
            uid: "a".to_owned(),
            identity: "spiffe://cluster.local/ns/shop/sa/web"
                .parse()
                .expect("an identity"),
            ips: Vec::new(),
            probes: BTreeSet::new(),
            shard: Shard::new("shop"),
            is_strict: true,
            capture: capture::Settings::default(),
            drain: None,
        };
        let (mut reported, mut shown) = (Reported::default(), Shown::default());
        shown.captured = vec![(Arc::new(member), true)];
        let first = said(&mut reported, &shown).expect("a pod");
        assert_eq!((first.repaired_unix_s, first.is_crashing), (0, false));

        let repaired = (1_800_000_000, "no_table".to_owned());
        shown.repaired.insert("a".to_owned(), repaired);
        let pod = said(&mut reported, &shown).expect("it is news");
        assert_eq!(pod.captured(), Capture::Done, "it is captured again");
        assert_eq!(
            (pod.repaired_unix_s, pod.damage.as_str()),
            (1_800_000_000, "no_table")
        );
        assert_eq!(said(&mut reported, &shown), None, "nothing is new");

        let ip = [10, 1, 0, 1].into();
        shown.addresses.insert("a".to_owned(), vec![ip]);
        let pod = said(&mut reported, &shown).expect("it is news");
        assert_eq!(pod.addresses, ["10.1.0.1"], "as its runtime told them");

        shown.crashing.insert(Shard::new("pay"));
        assert_eq!(said(&mut reported, &shown), None, "another worker");
        shown.crashing.insert(Shard::new("shop"));
        let pod = said(&mut reported, &shown).expect("it is news");
        assert!(pod.is_crashing, "the worker of the pod");
    }
}
