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
pub(super) struct Reported(Option<BTreeMap<String, (Capture, String)>>);

impl Reported {
    /// What is different from what was said, and what will have been said then.
    pub(super) fn next(&self, shown: &Shown) -> Option<(ClientMessage, Self)> {
        let mut now = states(shown);
        let none = BTreeMap::new();
        let before = self.0.as_ref().unwrap_or(&none);
        // What is still to be removed has not ended: whoever waits for that could take the remover away.
        for (uid, drains) in &shown.leaving {
            let why = if *drains { DRAINS } else { "" };
            let pending = (Capture::Pending, why.to_owned());
            now.entry(uid.clone()).or_insert(pending);
        }
        let ended = before.iter().filter(|(uid, _)| !now.contains_key(*uid));
        let ended = ended.map(|(uid, _)| (uid.clone(), (Capture::Ended, String::new())));
        let changed = now
            .iter()
            .filter(|(uid, state)| before.get(*uid) != Some(state));
        let changed = changed.map(|(uid, state)| (uid.clone(), state.clone()));
        let pods = ended
            .chain(changed)
            .map(|(uid, (captured, reason))| PodState {
                uid,
                captured: captured.into(),
                reason,
            });
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

fn states(shown: &Shown) -> BTreeMap<String, (Capture, String)> {
    let state = |(member, is_captured): &(std::sync::Arc<crate::node::Member>, bool)| {
        let problem = shown.problems.get(&member.uid);
        let state = match problem {
            Some(_) if !is_captured => Capture::Failed,
            _ if *is_captured => Capture::Done,
            _ => Capture::Pending,
        };
        let mut reason = problem
            .cloned()
            .filter(|_| !is_captured)
            .unwrap_or_default();
        reason.truncate(reason.floor_char_boundary(limits::ERROR_BYTES));
        (member.uid.clone(), (state, reason))
    };
    shown.captured.iter().map(state).collect()
}
