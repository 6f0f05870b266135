//! Who of this node belongs to the mesh, as the control plane says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use weft_intercept::capture;
use weft_ir::{NodeWorkloads, Workload};
use weft_spiffe::{SpiffeId, TrustDomain};

/// Everything the supervisor has to know of the pods of its node. Replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Namespaces of Kubernetes whose pods must not start without the mesh.
    pub namespaces: BTreeSet<String>,
    /// Pods of this node by UID. One of such a namespace that is missing is not known *yet*.
    pub pods: BTreeMap<String, Standing>,
}

/// What the mesh has to do with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is captured and served. When the control plane wants it to leave, it first tells those who
    /// dial the pod, and then says so here.
    Member(Arc<Member>),
    /// Nothing: it has said so itself, or has the network of the node.
    Outside,
}

/// A pod that is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its namespace in Kubernetes.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// Its UID.
    pub uid: String,
    /// In whose name its connections are made, and who has to be addressed to reach it.
    pub identity: SpiffeId,
    /// Its addresses as far as the control plane knows; empty for one that is only starting.
    pub ips: Vec<IpAddr>,
    /// The ports at which the kubelet of the node connects to it.
    pub probes: BTreeSet<u16>,
    /// Which worker serves it.
    pub shard: Shard,
    /// Whether plaintext from outside is refused.
    pub is_strict: bool,
    /// What of its connections is captured.
    pub capture: capture::Settings,
    /// How long its connections may take to end when it leaves, if it says so itself.
    pub drain: Option<Duration>,
}

/// Name of a worker: pods of one share a process, and its fate. A namespace, unless it is chosen
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(Arc<str>);

impl Shard {
    /// The worker of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Roster {
    /// The pods of a node as the tables have them, in a mesh of this trust domain; each namespace has a
    /// worker. `namespaces` are those whose pods must not start without the mesh.
    ///
    /// An account whose name makes no identity, which Kubernetes does not have, makes its pod one that
    /// nobody knows: it does not start.
    #[must_use]
    pub fn of(
        namespaces: BTreeSet<String>,
        workloads: &NodeWorkloads,
        domain: &TrustDomain,
    ) -> Self {
        let mut pods = BTreeMap::new();
        for (name, pod) in workloads {
            let uid = pod.uid.to_string();
            if !pod.is_member {
                pods.insert(uid, Standing::Outside);
                continue;
            }
            let (namespace, account) = (&name.namespace, &pod.service_account);
            let identity = format!("spiffe://{domain}/ns/{namespace}/sa/{account}");
            let Ok(identity) = identity.parse() else {
                continue;
            };
            let member = Member {
                namespace: namespace.to_string(),
                pod: name.name.to_string(),
                uid: uid.clone(),
                identity,
                ips: pod.addresses.clone(),
                probes: pod.probe_ports.iter().copied().collect(),
                shard: Shard::new(namespace),
                is_strict: !pod.is_permissive,
                capture: captured(pod),
                drain: pod.drain_seconds.map(|it| Duration::from_secs(it.into())),
            };
            pods.insert(uid, Standing::Member(Arc::new(member)));
        }
        Self { namespaces, pods }
    }

    /// The pod with this UID, if it is a member.
    #[must_use]
    pub fn member(&self, uid: &str) -> Option<&Arc<Member>> {
        match self.pods.get(uid) {
            Some(Standing::Member(member)) => Some(member),
            Some(Standing::Outside) | None => None,
        }
    }

    /// Every member.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.pods.values().filter_map(|standing| match standing {
            Standing::Member(member) => Some(member),
            Standing::Outside => None,
        })
    }
}

/// What of a pod's connections is captured: everything but what it has exempted.
fn captured(pod: &Workload) -> capture::Settings {
    let networks = pod.exclude_outbound_cidrs.iter();
    capture::Settings {
        exempt_inbound: pod.exclude_inbound_ports.iter().copied().collect(),
        exempt_outbound: pod.exclude_outbound_ports.iter().copied().collect(),
        exempt_networks: networks
            .map(|it| (it.network(), it.prefix_bits()))
            .collect(),
        ..capture::Settings::default()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::Arc,
        time::Duration,
    };

    use weft_intercept::capture;
    use weft_ir::{Name, Workload};
    use weft_spiffe::TrustDomain;

    use super::{Roster, Shard, Standing};

    #[test]
    fn pods_are_known_by_their_uid_and_act_as_their_account() {
        let workload = |pod: &str, account: &str, is_member| {
            let text = format!(
                r#"{{"name":{{"namespace":"shop","name":"{pod}"}},"uid":"uid-{pod}","node":"n",
                "serviceAccount":"{account}","addresses":["10.0.0.2"],"isMember":{is_member},
                "probePorts":[8080],"excludeInboundPorts":[9090],"excludeOutboundPorts":[5432],
                "excludeOutboundCidrs":["10.0.0.0/8"],"drainSeconds":7}}"#
            );
            let workload: Workload = serde_json::from_str(&text).expect("a workload");
            (Name::new("shop", pod), Arc::new(workload))
        };
        let workloads = BTreeMap::from([
            workload("web", "front", true),
            workload("tool", "front", false),
            workload("odd", "no name", true),
        ]);
        let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
        let roster = Roster::of(BTreeSet::new(), &workloads, &domain);
        let member = roster.member("uid-web").expect("it is one");
        let identity = "spiffe://cluster.local/ns/shop/sa/front";
        assert_eq!(member.identity.as_str(), identity);
        assert_eq!(member.shard, Shard::new("shop"));
        assert!(member.is_strict, "nobody said otherwise");
        let exempt = capture::Settings {
            exempt_inbound: [9090].into(),
            exempt_outbound: [5432].into(),
            exempt_networks: [("10.0.0.0".parse().expect("an address"), 8)].into(),
            ..capture::Settings::default()
        };
        assert_eq!(member.capture, exempt, "what it exempts is not captured");
        assert_eq!(member.drain, Some(Duration::from_secs(7)));
        assert_eq!(member.probes, BTreeSet::from([8080]));
        assert_eq!(roster.pods.get("uid-tool"), Some(&Standing::Outside));
        assert_eq!(roster.pods.get("uid-odd"), None, "nobody can be it");
    }
}
