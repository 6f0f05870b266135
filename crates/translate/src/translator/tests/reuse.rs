//! What did not change is the same object as before.

use std::sync::Arc;

use weft_ir::{Name, Port, Rule};
use weft_store::Store;

use super::super::Translator;
use crate::{
    ClassPolicy, Output, Scope,
    fixture::{CLASS, objects, reference, scope, store},
    translate,
};

const WORLD: &str = "
Gateway infra/gw {gatewayClassName: weft, listeners: [{name: a, port: 80, protocol: HTTP}, {name: b, port: 81, protocol: HTTP}]}
Gateway infra/other {gatewayClassName: weft, listeners: [{name: a, port: 80, protocol: HTTP}]}
Service infra/web {clusterIP: 10.0.0.1, ports: [{port: 80}, {port: 81, name: b}]}
Service infra/far {clusterIP: 10.0.0.2, ports: [{port: 80}]}
HTTPRoute infra/both {parentRefs: [{name: gw}], rules: [{matches: [{path: {value: /both}}], backendRefs: [{name: web, port: 80}]}]}
HTTPRoute infra/one {parentRefs: [{name: gw, sectionName: a}], rules: [{matches: [{path: {value: /one}}], backendRefs: [{name: web, port: 80}]},
  {matches: [{path: {value: /two}}], backendRefs: [{name: web, port: 80}]}]}
HTTPRoute infra/mesh {parentRefs: [{group: '', kind: Service, name: web, port: 80}], rules: [{backendRefs: [{name: far, port: 80}]}]}";

struct Watched {
    store: Store,
    translator: Translator,
    before: Output,
}

impl Watched {
    fn new() -> Self {
        let store = store(&format!("{CLASS}{WORLD}"));
        let mut translator = Translator::default();
        let before = translator.translate(&store, &scope());
        Self {
            store,
            translator,
            before,
        }
    }

    /// The output after an edit; `before` stays.
    fn after(&mut self, line: &str) -> Output {
        for object in objects(line) {
            self.store.apply(object);
        }
        self.translator.translate(&self.store, &scope())
    }
}

fn port(output: &Output, gateway: &str, port: u16) -> Arc<Port> {
    let gateway = &output.tables.gateways[&Name::new("infra", gateway)];
    let found = gateway.ports.iter().find(|it| it.port == port);
    Arc::clone(found.expect("the port is in the tables"))
}

fn rule(output: &Output, route: &str, index: u16) -> Arc<Rule> {
    let rules = port(output, "gw", 80).listeners[0].routes.rules().to_vec();
    let found = rules
        .into_iter()
        .find(|it| *it.route.name.name == *route && it.index == index);
    found.expect("the rule is in the tables")
}

#[test]
fn nothing_changed_nothing_new() {
    let mut watched = Watched::new();
    let after = watched.after("");
    assert!(
        Arc::ptr_eq(&watched.before.tables, &after.tables),
        "the tables are the same object"
    );
    for (object, status) in watched.before.statuses.iter() {
        assert!(
            Arc::ptr_eq(status, &after.statuses[object]),
            "status of {object}"
        );
    }
}

#[test]
fn one_route_changes_its_listeners_and_rules_alone() {
    let mut watched = Watched::new();
    let after = watched.after(
        "HTTPRoute infra/one {parentRefs: [{name: gw, sectionName: a}], rules: [{matches: [{path: {value: /one}}], backendRefs: [{name: web, port: 80}]},
  {matches: [{path: {value: /changed}}], backendRefs: [{name: web, port: 80}]}]}",
    );
    let before = &watched.before;
    let same = |gateway: &str, number: u16| {
        Arc::ptr_eq(
            &port(before, gateway, number),
            &port(&after, gateway, number),
        )
    };
    assert!(!same("gw", 80), "the port of the changed route is new");
    assert!(same("gw", 81), "a port the route is not attached to");
    assert!(same("other", 80), "a port of another Gateway");
    let shared = |route: &str, index: u16| {
        Arc::ptr_eq(&rule(before, route, index), &rule(&after, route, index))
    };
    assert!(shared("one", 0), "an equal rule of the changed route");
    assert!(!shared("one", 1), "the changed rule");
    assert!(shared("both", 0), "a rule of another route");
    for (name, service) in &before.tables.services {
        assert!(
            Arc::ptr_eq(service, &after.tables.services[name]),
            "Service {name}"
        );
    }
    for object in [
        "HTTPRoute infra/both",
        "HTTPRoute infra/mesh",
        "Gateway infra/gw",
    ] {
        let object = reference(object);
        assert!(
            Arc::ptr_eq(&before.statuses[&object], &after.statuses[&object]),
            "status of {object}"
        );
    }
}

#[test]
fn a_rule_is_shared_by_every_listener_of_its_route() {
    let output = Watched::new().before;
    let first = |number: u16| port(&output, "gw", number).listeners[0].routes.rules()[0].clone();
    assert!(Arc::ptr_eq(&first(80), &first(81)), "compiled once");
}

/// A label is not part of any rule: nothing may be programmed anew (roll-outs, case A17).
#[test]
fn a_label_changes_no_table() {
    let mut watched = Watched::new();
    let mut lines = WORLD.lines();
    let line = lines
        .find(|line| line.starts_with("HTTPRoute infra/both"))
        .expect("a line");
    let labelled = line.replacen('{', "{metadata: {labels: {a: b}}, ", 1);
    let after = watched.after(&labelled);
    assert!(Arc::ptr_eq(&watched.before.tables, &after.tables));
}

#[test]
fn a_service_concerns_the_routes_that_use_it() {
    let mut watched = Watched::new();
    let after = watched
        .after("Service infra/far {clusterIP: 10.0.0.2, ports: [{port: 80, appProtocol: https}]}");
    let before = &watched.before;
    assert!(
        Arc::ptr_eq(&port(before, "gw", 80), &port(&after, "gw", 80)),
        "no route of the Gateway uses the Service"
    );
    let web = |output: &Output| output.tables.services[&Name::new("infra", "web")].clone();
    let (old, new) = (web(before), web(&after));
    assert!(
        !Arc::ptr_eq(&old.ports[0], &new.ports[0]),
        "the frontend whose route sends there"
    );
    assert!(
        Arc::ptr_eq(&old.ports[1], &new.ports[1]),
        "the frontend beside it"
    );
}

#[test]
fn facts_about_gateways_keep_the_tables() {
    let mut watched = Watched::new();
    let mut scope = scope();
    scope.gateways.clear();
    let after = watched.translator.translate(&watched.store, &scope);
    assert!(
        Arc::ptr_eq(&watched.before.tables, &after.tables),
        "addresses are not in the tables"
    );
    let gateway = reference("Gateway infra/gw");
    assert_ne!(
        watched.before.statuses[&gateway], after.statuses[&gateway],
        "the status knows the addresses"
    );
}

#[test]
fn another_scope_forgets_nothing_that_shows() {
    let mut watched = Watched::new();
    for classes in [ClassPolicy::Ours, ClassPolicy::Every, ClassPolicy::Ours] {
        let scope = Scope {
            classes,
            mesh_controller: "example.com/mesh".to_owned(),
            ..scope()
        };
        let fresh = translate(&watched.store, &scope);
        assert_eq!(
            watched.translator.translate(&watched.store, &scope),
            fresh,
            "{classes:?}"
        );
    }
}
