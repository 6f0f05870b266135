//! What the table shows: of whom the node says that they are captured.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use weft_intercept::capture;

use super::{Core, Sandbox, sandbox::Entry};
use crate::node::roster::Member;

impl<N: Clone, L: Clone> Core<N, L> {
    /// Every member of the node, and whether it is captured.
    pub(in crate::node) fn captured(&self) -> Vec<(Arc<Member>, bool)> {
        let Some(roster) = &self.roster else {
            return Vec::new();
        };
        let is_captured = |member: &Member| {
            let of = |entry: &&Entry<N, L>| entry.member.uid == member.uid;
            self.sandboxes.values().filter(of).any(Entry::is_captured)
        };
        let members = roster.members();
        members
            .map(|member| (Arc::clone(member), is_captured(member)))
            .collect()
    }

    /// The addresses of captured pods that have started, as their runtime told them, by UID.
    pub(in crate::node) fn addresses(&self) -> BTreeMap<String, Vec<IpAddr>> {
        let started = self.sandboxes.values().filter(|it| it.container.is_some());
        let captured = started.filter(|it| it.is_captured() && !it.ips.is_empty());
        captured
            .map(|it| (it.uid().to_owned(), it.ips.clone()))
            .collect()
    }

    /// What of a pod's connections is to be captured.
    pub(in crate::node) fn captured_of(&self, sandbox: Sandbox) -> capture::Settings {
        let entry = self.sandboxes.get(&sandbox);
        entry
            .map(|it| it.member.capture.clone())
            .unwrap_or_default()
    }
}
