//! Probes of the node, whose kubelet dials pods without being in the mesh.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd},
};

use weft_intercept::{
    Netns,
    capture::{Family, Fault, PROBE_V4, PROBE_V6, node},
    sockets::Purpose,
};

use super::pair::{
    Pair, Stack, accept, can_make_namespaces, is_empty, of, round_trip, run, tool, within,
};

const PROBED: u16 = 8080;
const OTHER: u16 = 8081;

fn probes(pair: &Pair) -> BTreeSet<SocketAddr> {
    let of = |family| SocketAddr::new(pair.pod(family), PROBED);
    Family::ALL.map(of).into()
}

/// Somebody behind the node, whose packets it forwards.
fn outside(pair: &Pair) -> Netns {
    let outside = Netns::scratch().expect("root makes namespaces");
    let path = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        outside.as_fd().as_raw_fd()
    );
    let link = format!("link add out0 type veth peer name eth0 netns {path}");
    run(
        &pair.peer,
        &[
            &link,
            "link set out0 up",
            "addr add 10.78.0.1/24 dev out0",
            "addr add fd78::1/64 dev out0 nodad",
        ],
    );
    run(
        &outside,
        &[
            "link set eth0 up",
            "addr add 10.78.0.2/24 dev eth0",
            "addr add fd78::2/64 dev eth0 nodad",
            "route add default via 10.78.0.1",
            "route add default via fd78::1",
        ],
    );
    within(&pair.peer, || {
        for path in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            let path = format!("/proc/sys/net/{path}");
            std::fs::write(path, "1").expect("root lets a namespace forward");
        }
    });
    outside
}

#[test]
fn declared_probes_of_the_node_reach_the_application_and_nothing_else_does() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let listeners = pair.enrol();
    let outside = outside(&pair);
    let wrong = node::apply(&pair.peer, &probes(&pair)).expect("the node can be told");
    assert_eq!(wrong, Some(Fault::NoTable));
    for (family, source) in [
        (Family::V4, IpAddr::from(PROBE_V4)),
        (Family::V6, PROBE_V6.into()),
    ] {
        let application = pair.listener(&pair.pod, family, PROBED);
        let inbound = of(&listeners, Purpose::Inbound, family);
        let to = |port| SocketAddr::new(pair.pod(family), port);
        let mut probe = pair
            .connect(&pair.peer, to(PROBED))
            .expect("the application is reached");
        let (mut accepted, seen) = accept(&application).expect("by the probe");
        assert_eq!(seen.ip(), source, "{family:?}: whom the application sees");
        round_trip(&mut probe, &mut accepted).expect("they are connected");
        assert!(is_empty(inbound), "{family:?}: the probe was captured");

        let _node = pair
            .connect(&pair.peer, to(OTHER))
            .expect("the proxy is reached");
        let (_, seen) = accept(inbound).expect("a port that is not declared is captured");
        assert_eq!(seen.ip(), pair.peer(family), "{family:?}: the node");

        let _outside = pair
            .connect(&outside, to(PROBED))
            .expect("the proxy is reached");
        let (_, seen) = accept(inbound).expect("who is forwarded is captured");
        assert_ne!(seen.ip(), source, "{family:?}: somebody outside");
    }
}

#[test]
fn probes_are_kept_repaired_and_removed() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let apply = |probes: &BTreeSet<SocketAddr>| {
        node::apply(&pair.peer, probes).expect("the node can be told")
    };
    let mut wanted = probes(&pair);
    assert_eq!(apply(&wanted), Some(Fault::NoTable), "at first");
    assert_eq!(apply(&wanted), None, "a second time there is nothing to do");
    // More than fit into one message.
    wanted.extend((10_000..12_500).map(|port| SocketAddr::new(pair.pod(Family::V6), port)));
    assert_eq!(apply(&wanted), Some(Fault::OtherRules), "with other probes");
    assert_eq!(apply(&wanted), None);
    for break_it in [
        "flush set inet weft_node probes_v6",
        "flush chain inet weft_node sources",
    ] {
        tool(&pair.peer, "nft", break_it);
        assert_eq!(apply(&wanted), Some(Fault::RulesTouched), "{break_it}");
        assert_eq!(apply(&wanted), None, "repaired after {break_it}");
    }
    for _ in 0..2 {
        node::remove(&pair.peer).expect("they are removed");
        assert_eq!(tool(&pair.peer, "nft", "list ruleset"), "");
    }
}
