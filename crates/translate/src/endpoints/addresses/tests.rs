//! Endpoints that name no Pod (EndpointSlice API, `Endpoint.targetRef`: "optional").

use weft_ir::{Name, ServicePort};
use weft_spiffe::TrustDomain;
use weft_store::Store;

use crate::{
    EndpointTable, Enrolment, endpoints,
    fixture::{objects, rows, store},
};

/// Namespaces, two of which are of the mesh, and Service `shop/web` with one endpoint.
const WORLD: &str = "
Namespace shop {metadata: {labels: {weft.dev/mesh: enabled}}}
Namespace other {metadata: {labels: {weft.dev/mesh: enabled}}}
Namespace plain {}
Service shop/web {clusterIP: 10.0.0.1, ports: [{port: 80}]}
EndpointSlice shop/s {metadata: {labels: {kubernetes.io/service-name: web}}, addressType: IPv4, ports: [{port: 8080}], endpoints: [{addresses: [10.1.0.1], targetRef: {REFERENCE}}]}
";

fn captured() -> Enrolment {
    Enrolment::captured(TrustDomain::parse("test").expect("a trust domain"))
}

fn port() -> ServicePort {
    ServicePort {
        service: Name::new("shop", "web"),
        port: 80,
    }
}

fn world(reference: &str) -> String {
    match reference {
        "" => WORLD.replace(", targetRef: {REFERENCE}", ""),
        reference => WORLD.replace("REFERENCE", reference),
    }
}

fn pod(name: &str, captured: &str, spec: &str, status: &str) -> String {
    format!(
        "Pod {name} {{metadata: {{annotations: {{weft.dev/captured: '{captured}'}}}}, spec: {{{spec}}}, \
         status: {{{status}}}}}\n"
    )
}

/// Who answers for an endpoint, as `NAMESPACE/ACCOUNT`.
fn short(member: Option<&str>) -> String {
    let short = member.and_then(|it| it.strip_prefix("spiffe://test/ns/"));
    short.unwrap_or("-").replace("/sa/", "/")
}

fn member(world: &str, enrolment: &Enrolment) -> String {
    let set = endpoints(&store(world), &port(), enrolment);
    let [endpoint] = set.all() else {
        panic!("one endpoint, not {:?}", set.all())
    };
    short(endpoint.member.as_deref())
}

/// A Pod, the annotation of its capture, its spec and status; the reference of the endpoint 10.1.0.1; who
/// answers there.
const ADDRESSED: &str = "
without a reference, who has the address | shop/a  | true  | serviceAccountName: web | podIP: 10.1.0.1 |   | shop/web
any of its addresses                     | shop/a  | true  | serviceAccountName: web | podIP: 'fd00::1', podIPs: [{ip: 'fd00::1'}, {ip: 10.1.0.1}] |   | shop/web
wherever the Pod is                      | other/a | true  | serviceAccountName: web | podIP: 10.1.0.1 |   | other/web
a reference to something else            | shop/a  | true  | serviceAccountName: web | podIP: 10.1.0.1 | kind: VirtualMachine, name: a | shop/web
a reference without a kind               | shop/a  | true  | serviceAccountName: web | podIP: 10.1.0.1 | name: a | shop/web
a Pod of another Namespace by name       | other/a | true  | serviceAccountName: web | podIP: 10.1.0.1 | kind: Pod, namespace: other, name: a | other/web
and not one of the same name here        | shop/a  | true  | serviceAccountName: web | podIP: 10.1.0.9 | kind: Pod, namespace: other, name: a | -
a name counts more than an address       | shop/a  | true  | serviceAccountName: web | podIP: 10.1.0.9 | kind: Pod, namespace: shop, name: a | shop/web
and a name that is not known             | shop/a  | true  | serviceAccountName: web | podIP: 10.1.0.1 | kind: Pod, name: b | -
another address                          | shop/a  | true  | serviceAccountName: web | podIP: 10.1.0.9 |   | -
a Pod without an address                 | shop/a  | true  | serviceAccountName: web | phase: Pending  |   | -
not captured                             | shop/a  | error | serviceAccountName: web | podIP: 10.1.0.1 |   | -
not of the mesh                          | plain/a | true  | serviceAccountName: web | podIP: 10.1.0.1 |   | -
the address of a node is no Pod's        | shop/a  | true  | hostNetwork: true       | podIP: 10.1.0.1 |   | -
who has ended has no address             | shop/a  | true  | serviceAccountName: web | podIP: 10.1.0.1, phase: Succeeded |   | -
";

#[test]
fn endpoints_without_a_pod_are_who_has_their_address() {
    for row in rows(ADDRESSED) {
        let [name, of, captured_is, spec, status, reference, expected] = row;
        let world = world(reference) + &pod(of, captured_is, spec, status);
        assert_eq!(member(&world, &captured()), expected, "{name}");
    }
}

/// Pods with the address 10.1.0.1, by name, capture and phase, and which of them answers.
const SHARED: &str = "
the member of two            | shop/a true Running, shop/b error Running   | a
the one that has not ended   | shop/a true Running, shop/b true Failed     | a
the last by name             | shop/a true Running, other/z true Running   | a
of those on another network  | shop/a true Running, shop/b true Node       | a
";

/// As in the list of peers, by which Pods are dialled by their addresses.
#[test]
fn of_several_with_one_address_a_member_answers() {
    for [name, pods, expected] in rows(SHARED) {
        let pods = pods.split(", ").map(|it| {
            let words: Vec<_> = it.split(' ').collect();
            let [of, captured, phase] = words[..] else {
                panic!("three words: {it}")
            };
            let (_, account) = of.split_once('/').expect("a namespace");
            let (spec, phase) = match phase {
                "Node" => ("hostNetwork: true".to_owned(), "Running"),
                phase => (format!("serviceAccountName: {account}"), phase),
            };
            let status = format!("podIP: 10.1.0.1, phase: {phase}");
            pod(of, captured, &spec, &status)
        });
        let world = world("") + &pods.collect::<String>();
        let expected = format!("shop/{expected}");
        assert_eq!(member(&world, &captured()), expected, "{name}");
    }
}

#[test]
fn where_pods_share_addresses_these_say_nothing() {
    let web = pod(
        "shop/a",
        "true",
        "serviceAccountName: web",
        "podIP: 10.1.0.1",
    );
    let domain = TrustDomain::parse("test").expect("a trust domain");
    let world = world("") + &web;
    assert_eq!(member(&world, &Enrolment::Labelled(domain)), "shop/default");
    assert_eq!(member(&world, &Enrolment::Nobody), "-");
}

#[test]
fn a_table_follows_who_has_an_address() {
    let mut store = Store::default();
    let mut table = EndpointTable::new(captured());
    let at = |address: &str| {
        let status = format!("podIP: {address}");
        pod("other/a", "true", "serviceAccountName: web", &status)
    };
    let namespace = |label: &str| {
        format!("Namespace other {{metadata: {{labels: {{weft.dev/mesh: {label}}}}}}}\n")
    };
    let steps = [
        ("the world", world(""), 1, "-"),
        ("a Pod elsewhere", at("10.1.0.9"), 0, "-"),
        ("a Pod there", at("10.1.0.1"), 1, "other/web"),
        ("another Pod", "Pod shop/b {}\n".to_owned(), 0, "other/web"),
        ("its Namespace leaves", namespace("disabled"), 1, "-"),
        ("and comes back", namespace("enabled"), 1, "other/web"),
        ("the Pod moves", at("10.1.0.9"), 1, "-"),
    ];
    for (name, change, changed, expected) in steps {
        for object in objects(&change) {
            store.apply(object);
        }
        assert_eq!(table.update(&store).len(), changed, "{name}");
        let [endpoint] = table.table()[&port()].all() else {
            panic!("one endpoint: {name}")
        };
        assert_eq!(short(endpoint.member.as_deref()), expected, "{name}");
    }
}
