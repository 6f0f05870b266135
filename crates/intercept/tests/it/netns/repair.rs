//! What is found wrong, and made right again without touching the rest.

use std::{net::SocketAddr, path::Path, time::Duration};

use weft_intercept::{
    Netns, NetnsError,
    capture::{self, Family, Fault, Plan},
    ports,
    sockets::{self, Captured, Purpose},
};

use super::pair::{Pair, Stack, accept, can_make_namespaces, of, tool};

/// As many as take some seconds while each of them is answered.
const PROBES: usize = 50_000;

/// Breaks a captured pod and expects that exactly this is found, repaired, and then right.
fn check(program: &str, command: &str, expected: &[Fault]) {
    let pair = Pair::new(Stack::Dual);
    let listeners = pair.enrol();
    assert_eq!(pair.inspect().faults, [], "captured");
    assert_eq!(
        pair.apply().faults,
        [],
        "a second time there is nothing to do"
    );
    tool(&pair.pod, program, command);
    assert_eq!(pair.inspect().faults, expected, "{program} {command}");
    assert_eq!(pair.apply().faults, expected, "{program} {command}");
    assert_eq!(
        pair.inspect().faults,
        [],
        "repaired after {program} {command}"
    );
    for family in Family::ALL {
        let to = SocketAddr::new(pair.pod(family), 80);
        let _client = pair.connect(&pair.peer, to).expect("the proxy is reached");
        accept(of(&listeners, Purpose::Inbound, family)).expect("captured again");
    }
}

#[test]
fn packet_rules_that_were_touched_are_repaired() {
    if !can_make_namespaces() {
        return;
    }
    let all = [Fault::NotApart, Fault::NoTable];
    check("nft", "flush ruleset", &all);
    for command in [
        "delete table inet weft_dials",
        "flush table inet weft_dials",
    ] {
        check("nft", command, &[Fault::NotApart]);
    }
    check("nft", "flush table inet weft", &[Fault::RulesTouched]);
    check(
        "nft",
        "flush chain inet weft inbound",
        &[Fault::RulesTouched],
    );
    check(
        "nft",
        "insert rule inet weft outbound accept",
        &[Fault::RulesTouched],
    );
}

#[test]
fn routing_that_was_touched_is_repaired() {
    if !can_make_namespaces() {
        return;
    }
    check(
        "ip",
        "rule del pref 32764",
        &[Fault::NoRoutingRule(Family::V4)],
    );
    check(
        "ip",
        "-6 rule del pref 32764",
        &[Fault::NoRoutingRule(Family::V6)],
    );
    check("ip", "route flush table 100", &[Fault::NoRoute(Family::V4)]);
    check(
        "ip",
        "-6 route flush table 100",
        &[Fault::NoRoute(Family::V6)],
    );
    // The route of IPv4 survives, that of IPv6 does not.
    let lost = [Fault::LoopbackDown, Fault::NoRoute(Family::V6)];
    check("ip", "link set lo down", &lost);
}

#[test]
fn a_pod_whose_loopback_is_down_is_captured() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let faults = pair.apply().faults;
    assert_eq!(faults.first(), Some(&Fault::LoopbackDown), "{faults:?}");
    assert_eq!(pair.inspect().faults, []);
}

#[test]
fn a_probe_through_its_own_rules_tells_whether_a_pod_is_captured() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let patience = Duration::from_millis(300);
    let ask = |family| sockets::is_captured(&pair.pod, family, patience).expect("it can be asked");
    let check = |expected: [Captured; 2], when: &str| {
        assert_eq!(Family::ALL.map(ask), expected, "{when}");
    };
    let listeners = pair.enrol();
    check([Captured::Yes; 2], "captured");
    drop(listeners);
    // What other tests start has every socket of this process, too, from its fork to its exec.
    let is_left = (0..PROBES).any(|_| Family::ALL.map(ask) == [Captured::No; 2]);
    assert!(is_left, "nobody listens");
    let _listeners = pair.enrol();
    tool(&pair.pod, "nft", "flush chain inet weft outbound");
    check([Captured::No; 2], "the rules are gone");
    pair.apply();
    tool(&pair.pod, "ip", "-6 route del default");
    check(
        [Captured::Yes, Captured::NoRoute],
        "without a route of IPv6",
    );
}

#[test]
fn a_pod_without_ipv6_is_captured_for_ipv4() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::V4);
    let listeners = pair.enrol();
    let report = pair.inspect();
    assert_eq!((report.faults.as_slice(), report.has_v6), (&[][..], false));
    let to = SocketAddr::new(pair.peer(Family::V4), 80);
    let _client = pair.connect(&pair.pod, to).expect("the proxy is reached");
    accept(of(&listeners, Purpose::Outbound, Family::V4)).expect("captured");
    capture::stop(&pair.pod, &pair.settings).expect("it is stopped");
    capture::remove(&pair.pod).expect("it is removed");
    assert_eq!(pair.inspect().faults.last(), Some(&Fault::NoTable));
}

#[test]
fn a_port_that_an_application_has_is_named() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let _application = pair.listener(&pair.pod, Family::V4, ports::INBOUND);
    let taken = sockets::listen(&pair.pod).expect_err("the port is taken");
    assert!(taken.to_string().contains("0.0.0.0:15006"), "{taken}");
}

#[test]
fn the_kernel_shows_what_each_rule_is_for() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    pair.apply();
    let listing = tool(&pair.pod, "nft", "list table inet weft");
    for chain in Plan::of(&pair.settings).chains {
        for rule in chain.rules {
            let comment = format!("comment \"{}\"", rule.purpose);
            assert!(listing.contains(&comment), "{comment} in {listing}");
        }
    }
    assert!(listing.contains("comment \"weft rules "), "{listing}");
}

#[test]
fn a_namespace_that_is_gone_is_named() {
    let gone = Netns::open(Path::new("/run/netns/weft-was-here")).expect_err("it is not there");
    assert!(gone.to_string().contains("weft-was-here"), "{gone}");
    let other = Netns::open(Path::new("/dev/null")).expect_err("it is something else");
    assert!(matches!(other, NetnsError::Other(_)), "{other}");
}
