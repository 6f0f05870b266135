//! A pod that starts in the mesh, as its peers see it: a member from the moment at which anybody knows where
//! it is, and never somebody who is spoken to in the clear.

use std::sync::Arc;

use weft_intercept::handoff::{Operation, Reply};
use weft_proxy::node::Fed;
use weft_tests::netns::can_make_namespaces;

use super::{
    authority::MeshAuthority,
    pair::Pair,
    running::{Running, roster},
    workers::{ask, echo},
};

#[test]
fn a_pod_that_starts_is_reached_as_a_member_or_not_at_all() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new();
    let (web, cart) = (&pair.web, &pair.cart);
    pair.node.runs(100, web);
    let mesh = MeshAuthority::new("cluster.local");
    // As the control plane tells it of a pod that starts: its address is known, its capture is not written.
    let (supply, mut fed) = mesh.supply(&[web, cart]);
    let mut running = Running::supplied(&pair.node, roster(&[(web, "shop", true)]), supply);
    running.captures(1);
    let fed = std::iter::from_fn(|| fed.blocking_recv());
    let mut settled = fed.filter(|fed| matches!(fed, Fed::Settled(..)));
    settled.next().expect("the worker has its configuration");

    let mut called = echo(cart.listen(80));
    let early = web.dial(cart.at(80)).and_then(ask);
    early.expect_err("nobody answers for it yet");
    assert!(
        called.try_recv().is_err(),
        "its application would have taken what anybody can read"
    );

    let members = [(web, "shop", true), (cart, "shop", true)];
    let members = Arc::new(roster(&members));
    running.roster.send_replace(Some(members));
    assert_eq!(pair.node.ask(Operation::Add, cart), Reply::Ok {});
    let stream = web.dial(cart.at(80)).expect("it is carried");
    ask(stream).expect("it has started");
    let from = called.blocking_recv().expect("the application was called");
    assert_eq!(from.ip(), web.ip, "it sees who called");
    assert!(called.try_recv().is_err(), "and nobody had called before");
}
