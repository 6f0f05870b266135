//! Whether a stream is that of the proxy of a node: a pure decision.
//!
//! The certificate says that the peer is a proxy of some node, and no more: all have one service
//! account. Which node it is, its token says, by a claim that the API server makes for the pod the token
//! is bound to. So a node that falls into other hands can read what its own pods need, and nothing of
//! other nodes.

use weft_ir::Name;
use weft_source::kube::TokenOwner;
use weft_spiffe::{SpiffeId, TrustDomain, Workload};
use weft_wire::proto::config::Hello;

use crate::{hub::whose, identity::node_of};

/// Who the proxies of nodes are: the trust domain, and namespace and name of their service account.
pub(super) type Nodes<'a> = (&'a TrustDomain, (&'a str, &'a str));

/// Whether the peer is a proxy of a node, whichever.
pub(super) fn is_proxy((domain, account): Nodes<'_>, peer: &SpiffeId) -> bool {
    let (namespace, service_account) = account;
    let workload = Workload {
        namespace,
        service_account,
    };
    SpiffeId::for_workload(domain, workload).is_ok_and(|expected| expected == *peer)
}

/// The node whose proxy it is, by its token; or why it is none.
pub(super) fn of_token(
    (_, account): Nodes<'_>,
    owner: &TokenOwner,
    hello: &Hello,
) -> Result<Name, &'static str> {
    if (owner.namespace.as_str(), owner.service_account.as_str()) != account {
        return Err("the token is not that of a proxy of a node");
    }
    let pod = owner.pod.as_ref().ok_or("the token is bound to no pod")?;
    let node = node_of(pod).ok_or("the token names no node")?;
    if !hello.namespace.is_empty() || hello.name != node {
        return Err("the token is that of another node");
    }
    if hello.instance != pod.uid {
        return Err("the token is that of another pod");
    }
    Ok(whose::node(node))
}

#[cfg(test)]
mod tests {
    use weft_source::kube::TokenPod;

    use super::*;

    const ACCOUNT: (&str, &str) = ("weft-system", "weft-node");

    /// Case, account of the token, pod and node it is bound to; namespace, name and instance that the
    /// caller says; why it is refused, or nothing.
    const CASES: &str = "
its own node             | weft-system/weft-node | u-1 n1 |      | n1 | u-1 |
another node             | weft-system/weft-node | u-1 n1 |      | n2 | u-1 | the token is that of another node
every node               | weft-system/weft-node | u-1 n1 |      |    | u-1 | the token is that of another node
a Gateway of that name   | weft-system/weft-node | u-1 n1 | shop | n1 | u-1 | the token is that of another node
in place of another pod  | weft-system/weft-node | u-1 n1 |      | n1 | u-2 | the token is that of another pod
a token of no node       | weft-system/weft-node | u-1    |      | n1 | u-1 | the token names no node
a token of no node, none said | weft-system/weft-node | u-1 |     |    | u-1 | the token names no node
a legacy token           | weft-system/weft-node |        |      | n1 | u-1 | the token is bound to no pod
a namesake               | shop/weft-node        | u-1 n1 |      | n1 | u-1 | the token is not that of a proxy of a node
an application there     | weft-system/web       | u-1 n1 |      | n1 | u-1 | the token is not that of a proxy of a node
";

    #[test]
    fn a_node_is_the_one_of_its_token() {
        let domain = TrustDomain::parse("cluster.local").unwrap();
        for line in CASES.lines().filter(|line| !line.is_empty()) {
            let row: Vec<&str> = line.split('|').map(str::trim).collect();
            let [case, account, pod, namespace, name, instance, expected] = row[..] else {
                panic!("a row of seven columns: {line}");
            };
            let (of, service_account) = account.split_once('/').unwrap();
            let mut bound = pod.split_whitespace();
            let owner = TokenOwner {
                namespace: of.to_owned(),
                service_account: service_account.to_owned(),
                pod: bound.next().map(|uid| TokenPod {
                    name: "weft-node-x".to_owned(),
                    uid: uid.to_owned(),
                    node: bound.next().map(str::to_owned),
                }),
                credential_id: None,
            };
            let hello = Hello {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                instance: instance.to_owned(),
                ..Hello::default()
            };
            let decided = of_token((&domain, ACCOUNT), &owner, &hello);
            let expected = match expected {
                "" => Ok(whose::node(name)),
                why => Err(why),
            };
            assert_eq!(decided, expected, "{case}");
        }
    }

    #[test]
    fn a_peer_is_a_proxy_of_nodes_by_its_whole_identity() {
        let domain = TrustDomain::parse("cluster.local").unwrap();
        let rows = [
            ("spiffe://cluster.local/ns/weft-system/sa/weft-node", true),
            (
                "spiffe://cluster.local/ns/weft-system/sa/weft-controller",
                false,
            ),
            ("spiffe://cluster.local/ns/shop/sa/weft-node", false),
            ("spiffe://other.local/ns/weft-system/sa/weft-node", false),
        ];
        for (peer, expected) in rows {
            let id = SpiffeId::parse(peer).unwrap();
            assert_eq!(is_proxy((&domain, ACCOUNT), &id), expected, "{peer}");
        }
    }
}
