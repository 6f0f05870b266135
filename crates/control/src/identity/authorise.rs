//! Who may have which certificate: a pure decision over what a token proves and what is known of pods.
//!
//! A pod may have the identity of its own service account. The proxy of a node may besides have those
//! of the pods of the mesh that run on its node, each asked for by the UID of such a pod: whoever takes
//! over a node gets the identities that are there anyway, and no others.

use std::sync::Arc;

use weft_ir::Workload;
use weft_source::kube::{TokenOwner, TokenPod};
use weft_spiffe::{SpiffeId, TrustDomain, Workload as Account};

/// Characters that are shown of what a caller wrote.
const SHOWN_CHARS: usize = 256;

/// What the decision goes by, beside the request.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Ours.
    pub(super) domain: &'a TrustDomain,
    /// Namespace and name of the service account of the proxies of nodes; `None` where there is no
    /// mesh.
    pub(super) nodes: Option<(&'a str, &'a str)>,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Whose the token is.
    pub(super) owner: &'a TokenOwner,
    /// The SPIFFE ID, as written.
    pub(super) identity: &'a str,
    /// UID of the pod it is for; empty: for the caller itself.
    pub(super) pod_uid: &'a str,
}

/// What is granted.
#[derive(Debug, PartialEq)]
pub(super) struct Granted {
    pub(super) id: SpiffeId,
    /// The pod it is for, if that is not the caller.
    pub(super) pod: Option<Arc<Workload>>,
}

/// Why it is not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotGranted {
    /// A token that any process may hold, anywhere.
    #[error("the token of service account {account} is bound to no pod")]
    TokenOfNoPod { account: String },
    /// Made before Kubernetes 1.33, or by hand.
    #[error("the token of service account {account} names no node; Kubernetes 1.33 or newer does")]
    TokenOfNoNode { account: String },
    #[error("service account {account} is no proxy of a node and asks for pod {uid:?}")]
    NotANode { account: String, uid: String },
    #[error("service account {account} asks for {wanted:?}")]
    OtherIdentity { account: String, wanted: String },
    #[error("node {node} asks for {wanted:?}, but its pod {pod} has service account {account}")]
    OtherAccount {
        node: String,
        pod: String,
        account: String,
        wanted: String,
    },
    #[error("node {node} asks for pod {uid:?}, of which it is not known that it runs there")]
    NotThere { node: String, uid: String },
    #[error("node {node} asks for pod {pod}, which is not of the mesh")]
    NotEnrolled { node: String, pod: String },
    #[error("service account {account} has no identity: {why}")]
    Unnameable { account: String, why: String },
}

impl NotGranted {
    /// For the audit log, the same for ever.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::TokenOfNoPod { .. } => "token_of_no_pod",
            Self::TokenOfNoNode { .. } => "token_of_no_node",
            Self::NotANode { .. } => "not_a_node",
            Self::OtherIdentity { .. } => "other_identity",
            Self::OtherAccount { .. } => "other_account",
            Self::NotThere { .. } => "pod_not_on_node",
            Self::NotEnrolled { .. } => "pod_not_enrolled",
            Self::Unnameable { .. } => "unnameable",
        }
    }
}

/// Decides. `find` gives the pod of a UID on a node: one that is there, has not ended, and has a
/// network of its own.
pub(super) fn authorise(
    rules: Rules<'_>,
    asked: Asked<'_>,
    find: impl FnOnce(&str, &str) -> Option<Arc<Workload>>,
) -> Result<Granted, NotGranted> {
    let Asked { owner, pod_uid, .. } = asked;
    let account = format!("{}/{}", owner.namespace, owner.service_account);
    let Some(caller) = &owner.pod else {
        return Err(NotGranted::TokenOfNoPod { account });
    };
    if pod_uid.is_empty() {
        let own = Account {
            namespace: &owner.namespace,
            service_account: &owner.service_account,
        };
        let id = named(rules.domain, own, &account)?;
        return match id.as_str() == asked.identity {
            true => Ok(Granted { id, pod: None }),
            false => Err(NotGranted::OtherIdentity {
                account,
                wanted: shown(asked.identity),
            }),
        };
    }
    if rules.nodes != Some((owner.namespace.as_str(), owner.service_account.as_str())) {
        let uid = shown(pod_uid);
        return Err(NotGranted::NotANode { account, uid });
    }
    match node_of(caller) {
        Some(node) => for_pod(rules, (node, asked), find),
        None => Err(NotGranted::TokenOfNoNode { account }),
    }
}

/// The node that a token proves.
pub(crate) fn node_of(caller: &TokenPod) -> Option<&str> {
    caller.node.as_deref().filter(|node| !node.is_empty())
}

fn for_pod(
    rules: Rules<'_>,
    (node, asked): (&str, Asked<'_>),
    find: impl FnOnce(&str, &str) -> Option<Arc<Workload>>,
) -> Result<Granted, NotGranted> {
    let Some(pod) = find(node, asked.pod_uid) else {
        return Err(NotGranted::NotThere {
            node: node.to_owned(),
            uid: shown(asked.pod_uid),
        });
    };
    let account = format!("{}/{}", pod.name.namespace, pod.service_account);
    let of_pod = Account {
        namespace: &pod.name.namespace,
        service_account: &pod.service_account,
    };
    let id = named(rules.domain, of_pod, &account)?;
    if id.as_str() != asked.identity {
        return Err(NotGranted::OtherAccount {
            node: node.to_owned(),
            pod: pod.name.to_string(),
            account,
            wanted: shown(asked.identity),
        });
    }
    if !pod.is_member {
        return Err(NotGranted::NotEnrolled {
            node: node.to_owned(),
            pod: pod.name.to_string(),
        });
    }
    let pod = Some(pod);
    Ok(Granted { id, pod })
}

fn named(domain: &TrustDomain, of: Account<'_>, account: &str) -> Result<SpiffeId, NotGranted> {
    SpiffeId::for_workload(domain, of).map_err(|error| NotGranted::Unnameable {
        account: account.to_owned(),
        why: error.to_string(),
    })
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use weft_ir::Name;

    use super::*;

    const NODES: (&str, &str) = ("weft-system", "weft-node");

    fn owner(account: (&str, &str), pod: Option<Option<&str>>) -> TokenOwner {
        TokenOwner {
            namespace: account.0.to_owned(),
            service_account: account.1.to_owned(),
            pod: pod.map(|node| TokenPod {
                name: "weft-node-x".to_owned(),
                uid: "u-node".to_owned(),
                node: node.map(str::to_owned),
            }),
            credential_id: None,
        }
    }

    fn pod(name: &str, node: &str, account: &str, is_member: bool) -> Arc<Workload> {
        Arc::new(Workload {
            name: Name::new("shop", name),
            uid: format!("u-{name}").into(),
            node: node.into(),
            service_account: account.into(),
            addresses: Vec::new(),
            is_member,
            is_leaving: false,
            is_permissive: false,
            probe_ports: Vec::new(),
            exclude_inbound_ports: Vec::new(),
            exclude_outbound_ports: Vec::new(),
            exclude_outbound_cidrs: Vec::new(),
            opaque_ports: Vec::new(),
            drain_seconds: None,
        })
    }

    /// What there is: finished pods and those on the network of their node are no workloads.
    fn find(node: &str, uid: &str) -> Option<Arc<Workload>> {
        let pods = [
            pod("web", "n1", "web", true),
            pod("pay", "n2", "pay", true),
            pod("old", "n1", "old", false),
            pod("odd", "n1", "a/b", true),
        ];
        let is_it = |pod: &Arc<Workload>| *pod.node == *node && *pod.uid == *uid;
        pods.into_iter().find(is_it)
    }

    fn of(account: &str) -> String {
        format!("spiffe://cluster.local/ns/shop/sa/{account}")
    }

    fn decided(rules: Rules<'_>, asked: Asked<'_>) -> Result<SpiffeId, &'static str> {
        let granted = authorise(rules, asked, find);
        granted.map(|it| it.id).map_err(|error| error.reason())
    }

    /// Case, whose token, namespace/account asked for, UID of the pod; why not, or nothing.
    const CASES: &str = "
a pod of its own               | node n1  | shop/web               | u-web    |
itself                         | node n1  | weft-system/weft-node  |          |
a pod of another node          | node n1  | shop/pay               | u-pay    | pod_not_on_node
a pod that is gone             | node n1  | shop/web               | u-before | pod_not_on_node
a pod, without saying which    | node n1  | shop/web               |          | other_identity
another account, by its pod    | node n1  | shop/pay               | u-web    | other_account
the controller, by its pod     | node n1  | weft-system/weft-controller | u-web | other_account
another spelling               | node n1  | Shop/web               | u-web    | other_account
more than an identity          | node n1  | shop/web/x             | u-web    | other_account
a pod outside of the mesh      | node n1  | shop/old               | u-old    | pod_not_enrolled
an account without an identity | node n1  | shop/a/b               | u-odd    | unnameable
by a token of no node          | node     | shop/web               | u-web    | token_of_no_node
by a token of node ''          | node ''  | shop/web               | u-web    | token_of_no_node
by a legacy token              | legacy   | shop/web               | u-web    | token_of_no_pod
itself, by a legacy token      | legacy   | weft-system/weft-node  |          | token_of_no_pod
a namesake of another namespace | namesake | shop/web              | u-web    | not_a_node
an application, for its pod    | app      | shop/web               | u-web    | not_a_node
an application, for itself     | app      | shop/web               |          |
an application, for another    | app      | shop/pay               |          | other_identity
";

    #[test]
    fn a_node_gets_the_identities_of_its_own_pods_alone() {
        let domain = TrustDomain::parse("cluster.local").unwrap();
        let rules = Rules {
            domain: &domain,
            nodes: Some(NODES),
        };
        for line in CASES.lines().filter(|line| !line.is_empty()) {
            let row: Vec<&str> = line.split('|').map(str::trim).collect();
            let [name, token, account, pod_uid, expected] = row[..] else {
                panic!("a row of five columns: {line}");
            };
            let owner = match token {
                "node n1" => owner(NODES, Some(Some("n1"))),
                "node" => owner(NODES, Some(None)),
                "node ''" => owner(NODES, Some(Some(""))),
                "legacy" => owner(NODES, None),
                "namesake" => owner(("shop", "weft-node"), Some(Some("n1"))),
                _ => owner(("shop", "web"), Some(Some("n1"))),
            };
            let (namespace, account) = account.split_once('/').unwrap();
            let identity = format!("spiffe://cluster.local/ns/{namespace}/sa/{account}");
            let asked = Asked {
                owner: &owner,
                identity: &identity,
                pod_uid,
            };
            let decision = decided(rules, asked);
            assert_eq!(
                decision.as_ref().err().copied().unwrap_or(""),
                expected,
                "{name}"
            );
            if let Ok(id) = decision {
                assert_eq!(id.as_str(), identity, "{name}");
            }
        }
        let here = owner(NODES, Some(Some("n1")));
        let identity = "spiffe://other.local/ns/shop/sa/web";
        let asked = Asked {
            owner: &here,
            identity,
            pod_uid: "u-web",
        };
        assert_eq!(
            decided(rules, asked),
            Err("other_account"),
            "another trust domain"
        );
    }

    #[test]
    fn a_hundred_identities_of_others_are_none() {
        let domain = TrustDomain::parse("cluster.local").unwrap();
        let rules = Rules {
            domain: &domain,
            nodes: Some(NODES),
        };
        let owner = owner(NODES, Some(Some("n3")));
        let granted = (0..100).filter(|at| {
            let (identity, uid) = (of(&format!("sa-{at}")), format!("u-{at}"));
            let asked = Asked {
                owner: &owner,
                identity: &identity,
                pod_uid: &uid,
            };
            decided(rules, asked).is_ok()
        });
        assert_eq!(granted.count(), 0);
    }

    #[test]
    fn without_a_mesh_no_node_speaks_for_pods() {
        let domain = TrustDomain::parse("cluster.local").unwrap();
        let rules = Rules {
            domain: &domain,
            nodes: None,
        };
        let owner = owner(NODES, Some(Some("n1")));
        let identity = of("web");
        let asked = Asked {
            owner: &owner,
            identity: &identity,
            pod_uid: "u-web",
        };
        assert_eq!(decided(rules, asked), Err("not_a_node"));
    }
}
