//! The plan, rule by rule, without a kernel.

use super::{Action, CONNECTION_MARK, Chain, Family, MARK, Match, Plan, Settings};
use crate::ports;

fn chain<'p>(plan: &'p Plan, name: &str) -> &'p Chain {
    let found = plan.chains.iter().find(|chain| chain.name == name);
    found.expect("the plan has this chain")
}

fn plan(captures_dns: bool) -> Plan {
    Plan::of(&Settings {
        captures_dns,
        ..Settings::default()
    })
}

/// Every row is a purpose and what is done, in the order of the rules.
fn check(plan: &Plan, name: &str, expected: &[(&str, Action)]) {
    let rules = chain(plan, name).rules.iter();
    let found: Vec<_> = rules.map(|rule| (rule.purpose, rule.action)).collect();
    assert_eq!(found, expected, "chain {name}");
}

#[test]
fn the_four_chains_do_what_the_design_says() {
    let plan = plan(false);
    assert_eq!(plan.chains.len(), 4);
    let marked = Action::MarkConnection(CONNECTION_MARK);
    check(
        &plan,
        "marks",
        &[("connections of the proxy to the pod", marked)],
    );
    check(
        &plan,
        "replies",
        &[("answers to the proxy", Action::CopyConnectionMark)],
    );
    let (inbound, outbound) = (
        Action::Redirect(ports::INBOUND),
        Action::Redirect(ports::OUTBOUND),
    );
    let rows = [
        ("probes", Action::Accept),
        ("probes, IPv6", Action::Accept),
        ("plaintext from outside", inbound),
        ("plaintext from outside, IPv6", inbound),
    ];
    check(&plan, "inbound", &rows);
    let rows = [
        ("back to the proxy", Action::Accept),
        ("the pod to itself", Action::Accept),
        ("the pod to itself, IPv6", Action::Accept),
        ("what the pod dials", outbound),
        ("what the pod dials, IPv6", outbound),
    ];
    check(&plan, "outbound", &rows);
}

#[test]
fn dns_comes_first_when_it_is_captured() {
    let purposes: Vec<_> = chain(&plan(true), "outbound")
        .rules
        .iter()
        .map(|it| it.purpose)
        .collect();
    let dns = ["DNS", "DNS over TCP", "DNS, IPv6", "DNS over TCP, IPv6"];
    assert_eq!(purposes[..4], dns);
    assert_eq!(purposes[4], "back to the proxy");
}

#[test]
fn every_redirect_spares_the_proxy_loopback_and_living_connections() {
    let (plain, exempt) = (plan(true), exempt());
    let chains = plain.chains.iter().chain(&exempt.chains);
    for rule in chains.flat_map(|chain| &chain.rules) {
        if !matches!(rule.action, Action::Redirect(_)) {
            continue;
        }
        let has = |wanted: &[Match]| rule.matches.iter().any(|it| wanted.contains(it));
        let purpose = rule.purpose;
        assert!(
            has(&[Match::NotMark(MARK)]),
            "{purpose}: the proxy is captured"
        );
        let loopback = Family::ALL.map(Match::NotToLoopback);
        assert!(has(&loopback), "{purpose}: loopback is captured");
        let beginnings = [Match::BeginsTcp, Match::Udp];
        assert!(
            has(&beginnings),
            "{purpose}: living connections are captured"
        );
    }
}

#[test]
fn the_fingerprint_follows_the_rules_and_nothing_else() {
    assert_eq!(plan(false).found(), plan(false).found());
    assert_ne!(plan(false).found().comment, plan(true).found().comment);
    let mut moved = Settings::default();
    moved.probes[0] = "169.254.7.128".parse().expect("an address");
    let moved = Plan::of(&moved).found();
    assert_eq!(
        moved.rules,
        plan(false).found().rules,
        "the purposes are the same"
    );
    assert_ne!(
        moved.comment,
        plan(false).found().comment,
        "the address is not"
    );
}

/// A pod with exemptions of every kind.
fn exempt() -> Plan {
    let network = |text: &str| text.parse().expect("an address");
    Plan::of(&Settings {
        exempt_inbound: [9090].into(),
        exempt_outbound: [3306, 5432].into(),
        exempt_networks: [(network("10.0.0.0"), 8), (network("fd00::"), 64)].into(),
        ..Settings::default()
    })
}

#[test]
fn exemptions_come_before_what_is_captured_and_after_the_probe_for_it() {
    let plan = exempt();
    let (inbound, outbound) = (
        Action::Redirect(ports::INBOUND),
        Action::Redirect(ports::OUTBOUND),
    );
    let rows = [
        ("probes", Action::Accept),
        ("probes, IPv6", Action::Accept),
        ("exempt port", Action::Accept),
        ("plaintext from outside", inbound),
        ("plaintext from outside, IPv6", inbound),
    ];
    check(&plan, "inbound", &rows);
    let rows = [
        ("back to the proxy", Action::Accept),
        ("the pod to itself", Action::Accept),
        ("the pod to itself, IPv6", Action::Accept),
        ("the proxy's own probe", outbound),
        ("the proxy's own probe, IPv6", outbound),
        ("exempt port", Action::Accept),
        ("exempt port", Action::Accept),
        ("exempt network", Action::Accept),
        ("exempt network", Action::Accept),
        ("what the pod dials", outbound),
        ("what the pod dials, IPv6", outbound),
    ];
    check(&plan, "outbound", &rows);
}
