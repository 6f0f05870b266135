//! Where the kubelet of the node connects to members.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use super::{Core, sandbox::Goal};

impl<N, L> Core<N, L> {
    /// Where the kubelet probes members, once it is known who they are and unless another supervisor sees to
    /// them. The runtime knows the addresses of a pod that starts before the control plane does, and the
    /// hooks of its containers do not wait for that.
    pub(in crate::node) fn probes(&self) -> Option<BTreeSet<SocketAddr>> {
        let roster = self.roster.as_ref().filter(|_| !self.is_retired);
        let members = roster?.members();
        let known = members.flat_map(|it| at(&it.ips, &it.probes));
        let here = self.sandboxes.values().filter(|it| it.goal == Goal::In);
        let here = here.flat_map(|it| at(&it.ips, &it.member.probes));
        Some(known.chain(here).collect())
    }
}

fn at(ips: &[IpAddr], ports: &BTreeSet<u16>) -> impl Iterator<Item = SocketAddr> {
    let at = move |ip: &IpAddr| {
        let ip = *ip;
        ports.iter().map(move |port| SocketAddr::new(ip, *port))
    };
    ips.iter().flat_map(at)
}
