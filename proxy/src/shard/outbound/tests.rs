//! Whose an address is, before and after changes.

mod carried;
mod mesh;

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::net::TcpSocket;
use weft_forward::{Awaited, Sockets};
use weft_ir::{
    Endpoint, EndpointSet, EndpointState, Endpoints, Frontend, FrontendProtocol, Name, NodePeers,
    Peers, Service, ServicePort, Tables, UpstreamProtocol,
};

use super::{known::PeerIndex, *};

struct Host;

impl Sockets for Host {
    fn socket(&self, to: SocketAddr) -> Awaited<'_> {
        Box::pin(async move {
            if to.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            }
        })
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn origin() -> Origin {
    let ips = vec![ip("10.1.0.2"), ip("fd00::2")];
    Origin {
        namespace: Arc::from("client"),
        caller: Arc::new(Caller::elsewhere(Arc::new(Host), ips.clone())),
        ips,
    }
}

/// A Service with these addresses and ports.
fn service(name: &str, addresses: &[&str], ports: &[u16]) -> (Name, Arc<Service>) {
    let frontend = |port: &u16| {
        Arc::new(Frontend {
            port: *port,
            protocol: FrontendProtocol::Opaque,
            upstream: UpstreamProtocol::Http1,
            tls: None,
            fault: None,
            producer: None,
            consumers: BTreeMap::new(),
        })
    };
    let name = Name::new("shop", name);
    let service = Service {
        name: name.clone(),
        cluster_ips: addresses.iter().map(|it| ip(it)).collect(),
        ports: ports.iter().map(frontend).collect(),
    };
    (name, Arc::new(service))
}

fn tables(services: impl IntoIterator<Item = (Name, Arc<Service>)>) -> Arc<Tables> {
    Arc::new(Tables {
        services: services.into_iter().collect(),
        ..Tables::default()
    })
}

fn peers(nodes: &[(&str, &[(&str, &str)])]) -> Arc<Peers> {
    let members = |members: &[(&str, &str)]| {
        let members = members.iter();
        Arc::new(
            members
                .map(|(at, id)| (ip(at), Arc::from(*id)))
                .collect::<NodePeers>(),
        )
    };
    let nodes = nodes.iter();
    Arc::new(
        nodes
            .map(|(node, it)| (Arc::from(*node), members(it)))
            .collect(),
    )
}

fn port(name: &str, port: u16) -> ServicePort {
    ServicePort {
        service: Name::new("shop", name),
        port,
    }
}

#[test]
fn an_address_is_a_services_a_members_or_somebody_elses() {
    let mut known = Known::default();
    known.services.update(&tables([
        service("web", &["10.96.0.1", "fd96::1"], &[80, 8080]),
        service("headless", &[], &[80]),
    ]));
    known.peers.update(peers(&[
        ("a", &[("10.1.0.2", "itself"), ("10.1.0.3", "cart")]),
        ("b", &[("fd00::4", "web")]),
    ]));
    let member = |id: &str| Whose::Member(Arc::from(id));
    let rows = [
        ("a Service", "10.96.0.1:80", Whose::Service(port("web", 80))),
        (
            "its other port",
            "10.96.0.1:8080",
            Whose::Service(port("web", 8080)),
        ),
        (
            "its other family",
            "[fd96::1]:80",
            Whose::Service(port("web", 80)),
        ),
        (
            "mapped",
            "[::ffff:10.96.0.1]:80",
            Whose::Service(port("web", 80)),
        ),
        ("no port of it", "10.96.0.1:81", Whose::Other),
        ("a pod of the mesh", "10.1.0.3:5432", member("cart")),
        ("a pod of another node", "[fd00::4]:80", member("web")),
        ("itself", "10.1.0.2:80", Whose::Other),
        ("another pod", "10.1.0.9:80", Whose::Other),
        ("the world", "192.0.2.1:443", Whose::Other),
    ];
    for (row, wanted, expected) in rows {
        let wanted = wanted.parse().expect("address and port");
        assert_eq!(known.whose(&origin(), wanted), expected, "{row}: {wanted}");
    }
}

#[test]
fn members_come_go_and_move_with_their_nodes() {
    let mut index = PeerIndex::default();
    let at = |index: &PeerIndex, address: &str| index.of(ip(address)).map(ToString::to_string);
    index.update(peers(&[("a", &[("10.1.0.3", "cart")]), ("b", &[])]));
    assert_eq!(at(&index, "10.1.0.3").as_deref(), Some("cart"));
    // Given to another pod, on a node that comes later and one that comes earlier in order.
    index.update(peers(&[("a", &[]), ("b", &[("10.1.0.3", "pay")])]));
    assert_eq!(at(&index, "10.1.0.3").as_deref(), Some("pay"));
    index.update(peers(&[("a", &[("10.1.0.3", "web")]), ("b", &[])]));
    assert_eq!(at(&index, "10.1.0.3").as_deref(), Some("web"));
    index.update(peers(&[("b", &[])]));
    assert_eq!(at(&index, "10.1.0.3"), None, "its node is gone");
}

fn endpoints(members: &[Option<&str>]) -> Arc<Endpoints> {
    let endpoint = |(at, member): (u16, &Option<&str>)| Endpoint {
        address: SocketAddr::new(ip("10.1.0.3"), at),
        state: EndpointState::Ready,
        pod: None,
        zone: None,
        member: member.map(Arc::from),
    };
    let set = EndpointSet::new((1..).zip(members).map(endpoint).collect());
    Arc::new(BTreeMap::from([(port("web", 80), Arc::new(set))]))
}

#[test]
fn every_member_answers_for_itself_and_a_change_of_others_changes_nothing() {
    let (web, cart) = (
        "spiffe://cluster.local/ns/shop/sa/web",
        "spiffe://cluster.local/ns/shop/sa/cart",
    );
    let mut answers = Answers::default();
    let first = answers.of(&endpoints(&[Some(web), None, Some("no identity")]));
    let names: Vec<_> = first.answering.keys().map(AsRef::as_ref).collect();
    assert_eq!(names, [web], "who can be somebody");
    let Some(answering) = first.answering.get(web) else {
        panic!("it is there");
    };
    assert!(answering.door.is_none(), "on the address of the endpoint");
    let churned = answers.of(&endpoints(&[None, Some(web), Some(web)]));
    assert!(Arc::ptr_eq(&first, &churned), "the same members as before");
    let other = answers.of(&endpoints(&[Some(cart)]));
    let names: Vec<_> = other.answering.keys().map(AsRef::as_ref).collect();
    assert_eq!(names, [cart], "another one in its place");
}
