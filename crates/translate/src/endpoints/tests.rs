//! Endpoints of Service ports, from the comments of the EndpointSlice API and KEP-1669.

use std::sync::Arc;

use weft_api::AnyObject;
use weft_ir::{EndpointState, Name, ServicePort};

use super::{EndpointTable, endpoints};
use crate::{
    enrolment::Enrolment,
    fixture::{lines, objects, reference, rows, store, store_of},
};

const SERVICE: &str = "Service shop/web {clusterIP: 10.0.0.1, ports: [{name: http, port: 80, targetPort: 8080}, {name: named, port: 81, targetPort: api}, {name: dns, port: 53, protocol: UDP}]}
Service shop/single {clusterIP: None, ports: [{port: 80}]}\n";

fn slice(name: &str, service: &str, family: &str, ports: &str, list: &str) -> String {
    format!(
        "EndpointSlice shop/{name} {{metadata: {{labels: {{kubernetes.io/service-name: {service}}}}}, \
         addressType: {family}, ports: [{ports}], endpoints: [{list}]}}\n"
    )
}

fn port(service: &str, port: u16) -> ServicePort {
    ServicePort {
        service: Name::new("shop", service),
        port,
    }
}

/// The endpoints of a port as `address state`.
fn found(world: &str, key: &ServicePort) -> Vec<String> {
    let set = endpoints(&store(world), key, &Enrolment::Nobody);
    let line = |endpoint: &weft_ir::Endpoint| match endpoint.state {
        EndpointState::Ready => endpoint.address.to_string(),
        EndpointState::Terminating => format!("{} terminating", endpoint.address),
    };
    set.all().iter().map(line).collect()
}

/// Ports and endpoints of an IPv4 slice of Service `web`, and what port 80 has then.
const SLICES: &str = "
an address                          | HTTP                      | {addresses: [10.1.0.1]} | 10.1.0.1:8080
conditions absent mean ready        | HTTP                      | {addresses: [10.1.0.1], conditions: {}} | 10.1.0.1:8080
not ready                           | HTTP                      | {addresses: [10.1.0.1], conditions: {ready: false}} |
serving but not ready               | HTTP                      | {addresses: [10.1.0.1], conditions: {ready: false, serving: true, terminating: false}} |
serving and terminating             | HTTP                      | {addresses: [10.1.0.1], conditions: {ready: false, serving: true, terminating: true}} | 10.1.0.1:8080 terminating
terminating and not serving         | HTTP                      | {addresses: [10.1.0.1], conditions: {ready: false, serving: false, terminating: true}} |
of several addresses the first      | HTTP                      | {addresses: [10.1.0.1, 10.1.0.2]} | 10.1.0.1:8080
sorted, repeats dropped             | HTTP                      | {addresses: [10.1.0.2]}, {addresses: [10.1.0.1]}, {addresses: [10.1.0.2]} | 10.1.0.1:8080 + 10.1.0.2:8080
a port of another name              | {name: other, port: 8080} | {addresses: [10.1.0.1]} |
a port without name                 | {port: 8080}              | {addresses: [10.1.0.1]} |
a port without number               | {name: http}              | {addresses: [10.1.0.1]} |
a port that is none                 | {name: http, port: 0}     | {addresses: [10.1.0.1]} |
not TCP                             | {name: http, port: 8080, protocol: UDP} | {addresses: [10.1.0.1]} |
an address of another family        | HTTP                      | {addresses: ['fd00::1']} |
no address                          | HTTP                      | {addresses: [nonsense]}, {addresses: []} |
";

const HTTP: &str = "{name: http, port: 8080}";

#[test]
fn slices_become_endpoints() {
    for [name, ports, list, expected] in rows(SLICES) {
        let world =
            SERVICE.to_owned() + &slice("s", "web", "IPv4", &ports.replace("HTTP", HTTP), list);
        assert_eq!(found(&world, &port("web", 80)), lines(expected), "{name}");
    }
}

/// Service, address family, ports and endpoints of a second slice, beside one with 10.1.0.2.
const SECOND: &str = "
another Service                 | single | IPv4 | HTTP | {addresses: [10.1.0.1]} | 10.1.0.2:8080
the other family                | web    | IPv6 | HTTP | {addresses: ['fd00::1']} | 10.1.0.2:8080 + [fd00::1]:8080
domain names are not dialled    | web    | FQDN | HTTP | {addresses: [a.com]} | 10.1.0.2:8080
of one address, ready wins      | web    | IPv4 | HTTP | {addresses: [10.1.0.2], conditions: {ready: false, serving: true, terminating: true}} | 10.1.0.2:8080
a named port may differ by slice | web   | IPv4 | {name: http, port: 9090} | {addresses: [10.1.0.3]} | 10.1.0.2:8080 + 10.1.0.3:9090
";

#[test]
fn slices_add_up() {
    let first = slice("s", "web", "IPv4", HTTP, "{addresses: [10.1.0.2]}");
    for [name, service, family, ports, list, expected] in rows(SECOND) {
        let second = slice("t", service, family, &ports.replace("HTTP", HTTP), list);
        let world = format!("{SERVICE}{first}{second}");
        assert_eq!(found(&world, &port("web", 80)), lines(expected), "{name}");
    }
}

#[test]
fn ports_are_found_by_their_name() {
    let slices = slice(
        "s",
        "web",
        "IPv4",
        "{name: http, port: 8080}, {name: named, port: 7000}, {name: dns, port: 53}",
        "{addresses: [10.1.0.1]}",
    );
    let world = format!(
        "{SERVICE}{slices}{}",
        slice(
            "u",
            "single",
            "IPv4",
            "{port: 3000}",
            "{addresses: [10.1.0.9]}"
        )
    );
    let rows: [(&str, ServicePort, &[&str]); 6] = [
        ("numeric target port", port("web", 80), &["10.1.0.1:8080"]),
        ("named target port", port("web", 81), &["10.1.0.1:7000"]),
        ("UDP port", port("web", 53), &[]),
        ("no such port", port("web", 8080), &[]),
        ("no such Service", port("nope", 80), &[]),
        (
            "headless, one unnamed port",
            port("single", 80),
            &["10.1.0.9:3000"],
        ),
    ];
    for (name, key, expected) in rows {
        assert_eq!(found(&world, &key), expected, "{name}");
    }
}

#[test]
fn pods_and_zones_are_kept() {
    let list = "{addresses: [10.1.0.1], zone: eu-1, targetRef: {kind: Pod, name: web-7}}, {addresses: [10.1.0.2], targetRef: {kind: Node, name: node}}";
    let world = format!(
        "{SERVICE}{}",
        slice("s", "web", "IPv4", "{name: http, port: 8080}", list)
    );
    let set = endpoints(&store(&world), &port("web", 80), &Enrolment::Nobody);
    let seen: Vec<_> = set
        .all()
        .iter()
        .map(|it| (it.pod.as_deref(), it.zone.as_deref()))
        .collect();
    assert_eq!(seen, [(Some("web-7"), Some("eu-1")), (None, None)]);
}

/// An update touches the Service whose slices changed, and says which ports are different.
#[test]
fn updates_are_by_service() {
    let http = "{name: http, port: 8080}";
    let one = slice("s", "web", "IPv4", http, "{addresses: [10.1.0.1]}");
    let other = slice(
        "u",
        "single",
        "IPv4",
        "{port: 3000}",
        "{addresses: [10.1.0.9]}",
    );
    let mut store = store(&format!("{SERVICE}{one}{other}"));
    let mut table = EndpointTable::default();
    assert_eq!(
        table.update(&store),
        [port("single", 80), port("web", 80), port("web", 81)],
        "all new"
    );
    assert_eq!(table.update(&store), [], "nothing changed");
    let single = Arc::clone(&table.table()[&port("single", 80)]);

    let apply = |store: &mut weft_store::Store, line: &str| {
        for object in objects(line) {
            store.apply(object);
        }
    };
    apply(
        &mut store,
        &slice("s", "web", "IPv4", http, "{addresses: [10.1.0.2]}"),
    );
    assert_eq!(
        table.update(&store),
        [port("web", 80)],
        "only the port that lost its address"
    );
    assert!(
        Arc::ptr_eq(&single, &table.table()[&port("single", 80)]),
        "others keep their set"
    );

    store.delete(&reference("EndpointSlice shop/s"));
    assert_eq!(table.update(&store), [port("web", 80)]);
    assert!(
        table.table()[&port("web", 80)].all().is_empty(),
        "the port stays, without endpoints"
    );

    store.delete(&reference("Service shop/single"));
    assert_eq!(table.update(&store), [port("single", 80)]);
    assert!(
        !table.table().contains_key(&port("single", 80)),
        "the port went with its Service"
    );
    let fresh = fresh(&store.iter().collect::<Vec<_>>());
    assert_eq!(table.table(), &fresh, "an updated table equals a new one");
}

fn fresh(objects: &[AnyObject]) -> Arc<weft_ir::Endpoints> {
    let mut table = EndpointTable::default();
    table.update(&store_of(objects.iter().cloned()));
    Arc::clone(table.table())
}
