//! What a change leaves alone stays the same object, at both ends.

use std::sync::Arc;

use weft_ir::{Listener, Name};

use super::{
    assembler,
    world::{Builder, World, config_map_name, gateway_name, node_name, routes},
};
use crate::{Assembler, Configuration, Disassembler, Key, Kind, Pool, Scope, diff};

/// A Gateway with two listeners of two routes each, and endpoints.
fn world(samples: [u8; 4]) -> World {
    let mut world = routes(&samples);
    world.gateways = vec![vec![(0, 80, None), (1, 8080, None)]];
    for route in &mut world.routes[2..] {
        route.listeners = vec![(0, 1, None)];
    }
    world.endpoints = vec![(0, 80, 2), (1, 80, 2)];
    world
}

fn listener(configuration: &Configuration, port: usize) -> &Arc<Listener> {
    &configuration.tables.gateways[&gateway_name(0)].ports[port].listeners[0]
}

#[test]
fn one_edited_route_is_one_resource_and_one_new_set() {
    let mut builder = Builder::default();
    let mut disassembler = Disassembler::new(Scope::Everything);
    let before = builder.build(&world([0, 1, 2, 3]));
    let old = disassembler.update(&before).clone();
    let mut receiver = assembler(&before);
    let held = receiver.configuration().clone();

    let after = builder.build(&world([0, 1, 2, 5]));
    let new = disassembler.update(&after).clone();
    let difference = diff(&old, &new);
    let sent: Vec<String> = difference
        .upserts
        .iter()
        .map(|it| it.key().to_string())
        .collect();
    assert_eq!(sent, ["HTTPRoute ns0/r3"], "only the edited route is sent");
    assert_eq!(difference.removed, []);

    let applied = receiver.apply(&difference);
    let now = &applied.configuration;
    assert_eq!(*now, after);
    assert!(
        Arc::ptr_eq(listener(&held, 0), listener(now, 0)),
        "a listener whose routes did not change is shared"
    );
    assert!(
        Arc::ptr_eq(&held.endpoints, &now.endpoints),
        "endpoints are not touched"
    );
    let (set_before, set_now) = (&listener(&held, 1).routes, &listener(now, 1).routes);
    assert!(
        !Arc::ptr_eq(set_before, set_now),
        "the set of the route is a new one"
    );
    assert!(
        Arc::ptr_eq(&set_before.rules()[0], &set_now.rules()[0]),
        "the rule of its neighbour is shared"
    );
}

#[test]
fn endpoints_that_come_and_go_resend_no_route() {
    let mut builder = Builder::default();
    let mut disassembler = Disassembler::new(Scope::Gateway(gateway_name(0)));
    let mut world = world([0, 1, 2, 3]);
    let old = disassembler.update(&builder.build(&world)).clone();
    let mut receiver = assembler(&builder.build(&world));
    world.endpoints = vec![(0, 80, 3), (1, 80, 2), (9, 80, 1)];
    let new = disassembler.update(&builder.build(&world)).clone();
    let difference = diff(&old, &new);
    let sent: Vec<String> = difference
        .upserts
        .iter()
        .map(|it| it.key().to_string())
        .collect();
    assert_eq!(
        sent,
        ["Endpoints shop/s0"],
        "the Service that changed and is referred to"
    );
    let tables = receiver.configuration().tables.clone();
    let applied = receiver.apply(&difference);
    let ports: Vec<String> = applied.endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(
        ports,
        ["shop/s0:80"],
        "the receiver says which port changed"
    );
    assert!(
        Arc::ptr_eq(&tables, &applied.configuration.tables),
        "tables are not touched"
    );
}

#[test]
fn authorities_that_change_are_one_resource() {
    let mut builder = Builder::default();
    let mut disassembler = Disassembler::new(Scope::Gateway(gateway_name(0)));
    // A backend verified by `ca2`, one by `ca1`, and a mirror by `ca2`.
    let mut world = routes(&[2, 4, 11]);
    world.ca_bundles = vec![(0, 0), (1, 0), (2, 0)];
    let before = builder.build(&world);
    let old = disassembler.update(&before).clone();
    let (mut receiver, _) = Assembler::load(&old);
    let held = receiver.configuration().clone();
    let names: Vec<&Name> = held.ca_bundles.keys().collect();
    let (one, two) = (config_map_name(1), config_map_name(2));
    assert_eq!(names, [&one, &two], "those that a route refers to");

    world.ca_bundles = vec![(0, 1), (1, 1), (2, 0)];
    let after = builder.build(&world);
    let new = disassembler.update(&after).clone();
    let difference = diff(&old, &new);
    let sent = difference.upserts.iter().map(|it| it.key().to_string());
    let sent: Vec<String> = sent.collect();
    assert_eq!(sent, ["CaBundle shop/ca1"], "changed and referred to");
    let now = receiver.apply(&difference).configuration;
    assert_eq!(now.ca_bundles[&one], after.ca_bundles[&one]);
    assert!(
        Arc::ptr_eq(&now.ca_bundles[&two], &held.ca_bundles[&two]),
        "its neighbour is shared"
    );
    assert!(
        Arc::ptr_eq(&now.tables, &held.tables),
        "tables are not touched"
    );

    // The mirror is the last to use `ca2`.
    world.routes.remove(0);
    let fewer = disassembler.update(&builder.build(&world)).clone();
    assert!(fewer.get(&Key::new(Kind::CaBundle, two.clone())).is_some());
    world.routes.pop();
    let none = disassembler.update(&builder.build(&world)).clone();
    let removed = diff(&fewer, &none).removed;
    let is_gone = removed.contains(&Key::new(Kind::CaBundle, two));
    assert!(is_gone, "authorities that nobody uses leave: {removed:?}");
}

#[test]
fn nothing_new_is_the_same_snapshot() {
    let mut disassembler = Disassembler::new(Scope::Everything);
    let first = disassembler
        .update(&Builder::default().build(&world([0, 1, 2, 3])))
        .clone();
    let again = disassembler
        .update(&Builder::default().build(&world([0, 1, 2, 3])))
        .clone();
    assert!(
        Arc::ptr_eq(&first, &again),
        "equal bodies have equal versions, shared or not"
    );
}

#[test]
fn a_parent_that_comes_back_finds_its_routes() {
    let full = Builder::default().build(&world([0, 1, 2, 3]));
    let snapshot = super::snapshot(&full);
    let gateway = Key::new(Kind::Gateway, gateway_name(0));
    let mut receiver = assembler(&full);
    let gone = crate::Difference {
        removed: vec![
            gateway.clone(),
            Key::new(Kind::Service, Name::new("a", "never-sent")),
        ],
        ..crate::Difference::default()
    };
    let applied = receiver.apply(&gone);
    assert!(applied.configuration.tables.gateways.is_empty());
    let back = crate::Difference {
        upserts: vec![snapshot.get(&gateway).expect("the Gateway is sent").clone()],
        ..crate::Difference::default()
    };
    assert_eq!(receiver.apply(&back).configuration, full);
}

/// What leads from what a node held to what it is to hold, as `upserts; removed`.
fn told(disassembler: &mut Disassembler, now: &Configuration) -> String {
    let before = disassembler.snapshot().clone();
    let difference = diff(&before, disassembler.update(now));
    let mut upserts: Vec<_> = difference
        .upserts
        .iter()
        .map(|it| it.key().to_string())
        .collect();
    let mut removed: Vec<_> = difference.removed.iter().map(ToString::to_string).collect();
    upserts.sort();
    removed.sort();
    format!("{}; {}", upserts.join(", "), removed.join(", "))
}

#[test]
fn a_node_is_told_what_its_own_pods_need() {
    let mut builder = Builder::default();
    let mut node = Disassembler::new(Scope::Node(node_name(0)));
    // Of the routes of Service `s0`, r0 is its own and r1 is of consumers in `client`.
    let mut world = world([0, 1, 2, 3]);
    world.services = vec![vec![(80, true, true)]];
    world.routes[0].frontends = vec![(0, 80, false)];
    world.routes[1].frontends = vec![(0, 80, true)];
    world.certificates = vec![(0, 0), (1, 0)];
    let mut step = |name: &str, pods: &[(u8, bool, u8, bool)], expected: &str| {
        world.workloads = pods.to_vec();
        let seen = told(&mut node, &builder.build(&world));
        assert_eq!(seen, expected, "{name}");
    };
    step("pods of another node", &[(0, true, 1, true)], "; ");
    step(
        "a pod outside of the mesh",
        &[(0, false, 0, false)],
        "Workload shop/pod0; ",
    );
    step(
        "the first member, not of consumers",
        &[(0, false, 0, true)],
        "Endpoints shop/s0, HTTPRoute ns0/r0, Service shop/s0, Workload shop/pod0; ",
    );
    step(
        "one more of the namespace",
        &[(0, false, 0, true), (1, false, 0, true)],
        "Workload shop/pod1; ",
    );
    step(
        "a consumer",
        &[(0, false, 0, true), (0, true, 0, true), (1, false, 0, true)],
        "Endpoints shop/s1, HTTPRoute ns0/r1, Service shop/s0, Workload client/pod0; ",
    );
    step(
        "the consumer moves away, and one more pod goes",
        &[(0, false, 0, true), (0, true, 1, true)],
        "Service shop/s0; Endpoints shop/s1, HTTPRoute ns0/r1, Workload client/pod0, Workload shop/pod1",
    );
    step(
        "the last member leaves the mesh",
        &[(0, false, 0, false), (0, true, 1, true)],
        "Workload shop/pod0; Endpoints shop/s0, HTTPRoute ns0/r0, Service shop/s0",
    );
    step(
        "the last pod goes",
        &[(0, true, 1, true)],
        "; Workload shop/pod0",
    );
}

#[test]
fn nodes_of_a_pool_hold_what_they_have_in_common_once() {
    let mut world = world([0, 1, 2, 3]);
    world.services = vec![vec![(80, true, false)]];
    world.workloads = vec![(0, false, 0, true), (1, false, 1, true)];
    let all = Builder::default().build(&world);
    let pool = Pool::default();
    let node = |at| {
        let mut disassembler = Disassembler::sharing(Scope::Node(node_name(at)), &pool);
        Arc::clone(disassembler.update(&all))
    };
    let (one, other) = (node(0), node(1));
    let fresh = Disassembler::new(Scope::Node(node_name(0)))
        .update(&all)
        .clone();
    assert_eq!(one, fresh, "the same as without a pool");
    let shared = one.iter().filter(|mine| {
        let theirs = other.get(mine.key());
        theirs.is_some_and(|theirs| Arc::ptr_eq(mine, theirs))
    });
    let (shared, own) = (shared.count(), one.len());
    assert_eq!(shared + 1, own, "all but the pod of the node");
}

#[test]
fn members_are_told_whom_to_meet_at_addresses_of_pods_and_nodes_who_is_of_the_mesh() {
    let mut builder = Builder::default();
    let mut node = Disassembler::new(Scope::Node(node_name(0)));
    let mut assembler = Assembler::default();
    let mut shard = Disassembler::new(Scope::Shard("shop".into()));
    let mut gateway = Disassembler::new(Scope::Gateway(gateway_name(0)));
    let mut world = World::default();
    let mut step = |change: &dyn Fn(&mut World), expected: [&str; 2]| {
        change(&mut world);
        let all = builder.build(&world);
        let before = node.snapshot().clone();
        let of_node = told(&mut node, &all);
        assembler.apply(&diff(&before, node.snapshot()));
        let seen = [of_node, told(&mut shard, assembler.configuration())];
        assert_eq!(seen, expected, "{world:?}");
        assert_eq!(told(&mut gateway, &all), "; ", "not for Gateways");
    };
    let member = (0, false, 0, true);
    step(
        &|it| it.namespaces = vec![0],
        ["Namespaces mesh/enrolled; ", "; "],
    );
    step(&|it| it.peers = vec![(1, 0), (2, 0)], ["; ", "; "]);
    step(
        &|it| it.workloads = vec![member],
        [
            "Peers nodes/node1, Peers nodes/node2, Workload shop/pod0; ",
            "Peers nodes/node1, Peers nodes/node2, Workload shop/pod0; ",
        ],
    );
    step(
        &|it| it.peers = vec![(1, 0), (1, 1), (2, 0)],
        ["Peers nodes/node1; ", "Peers nodes/node1; "],
    );
    step(
        &|it| it.peers = vec![(1, 0), (1, 1)],
        ["; Peers nodes/node2", "; Peers nodes/node2"],
    );
    step(
        &|it| it.workloads = Vec::new(),
        [
            "; Peers nodes/node1, Workload shop/pod0",
            "; Peers nodes/node1, Workload shop/pod0",
        ],
    );
    step(
        &|it| it.namespaces = Vec::new(),
        ["; Namespaces mesh/enrolled", "; "],
    );
}
