//! Which endpoints are members, as whom, and how a table follows Namespaces and Pods.

use weft_ir::{Name, ServicePort};
use weft_spiffe::TrustDomain;
use weft_store::Store;

use super::Enrolment;
use crate::{
    EndpointTable, endpoints,
    fixture::{objects, reference, rows, store},
};

fn domain() -> TrustDomain {
    TrustDomain::parse("test").expect("a trust domain")
}

fn port() -> ServicePort {
    ServicePort {
        service: Name::new("shop", "web"),
        port: 80,
    }
}

/// Service `shop/web` with one endpoint, Pod `a`.
const SERVICE: &str = "
Service shop/web {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}
EndpointSlice shop/s {metadata: {labels: {kubernetes.io/service-name: web}}, addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.1.0.1], targetRef: {kind: Pod, name: a}}]}
";

fn namespace(label: &str) -> String {
    match label {
        "" => "Namespace shop {}\n".to_owned(),
        "none" => String::new(),
        value => format!("Namespace shop {{metadata: {{labels: {{weft.dev/mesh: {value}}}}}}}\n"),
    }
}

/// Pod `shop/a` with a label, the annotation of its capture, and a spec.
fn pod(label: &str, captured: &str, spec: &str) -> String {
    let entry = |key: &str, value: &str| match value {
        "" => "{}".to_owned(),
        value => format!("{{{key}: {value}}}"),
    };
    let labels = entry("weft.dev/mesh", label);
    let annotations = entry("weft.dev/captured", captured);
    let metadata = format!("{{labels: {labels}, annotations: {annotations}}}");
    format!("Pod shop/a {{metadata: {metadata}, spec: {{{spec}}}}}\n")
}

/// Who answers for the one endpoint, without the common beginning.
fn member(world: &str, enrolment: &Enrolment) -> String {
    let set = endpoints(&store(world), &port(), enrolment);
    let [endpoint] = set.all() else {
        panic!("one endpoint, not {:?}", set.all())
    };
    let member = endpoint.member.as_deref();
    let text = member.map(|it| it.strip_prefix("spiffe://test/ns/shop/sa/").unwrap_or(it));
    text.unwrap_or("-").to_owned()
}

/// Label of the Namespace, label, annotation and spec of the Pod; the account that answers by the
/// label alone, and where capture counts.
const MEMBERS: &str = "
nothing is said                         |          |          | 'true' |                         | -       | -
the Namespace is enrolled               | enabled  |          | 'true' |                         | default | default
with an account                         | enabled  |          | 'true' | serviceAccountName: web | web     | web
an account of no name                   | enabled  |          | 'true' | serviceAccountName: ''  | default | default
an account Kubernetes would not have    | enabled  |          | 'true' | serviceAccountName: a/b | a/b     | a/b
not captured yet                        | enabled  |          |        |                         | default | -
capture is under way                    | enabled  |          | pending |                        | default | -
capture failed                          | enabled  |          | error  |                         | default | -
captured and no longer enrolled         | disabled |          | 'true' |                         | -       | -
the Pod is enrolled alone               |          | enabled  | 'true' |                         | default | default
the Pod overrides its Namespace         | enabled  | disabled | 'true' |                         | -       | -
and the other way round                 | disabled | enabled  | 'true' |                         | default | default
a slip takes no Pod out of the mesh     | enabled  | disbaled | 'true' |                         | default | default
a slip enrols no Namespace              | Enabled  |          | 'true' |                         | -       | -
the network of the node is no Pod's     | enabled  | enabled  | 'true' | hostNetwork: true       | -       | -
";

#[test]
fn labels_make_members() {
    for row in rows(MEMBERS) {
        let [
            name,
            of_namespace,
            of_pod,
            captured,
            spec,
            labelled,
            by_capture,
        ] = row;
        let (namespace, pod) = (namespace(of_namespace), pod(of_pod, captured, spec));
        let world = format!("{namespace}{pod}{SERVICE}");
        let rules = [
            (Enrolment::Nobody, "-"),
            (Enrolment::Labelled(domain()), labelled),
            (Enrolment::captured(domain()), by_capture),
        ];
        for (rule, expected) in rules {
            assert_eq!(member(&world, &rule), expected, "{name}: {rule:?}");
        }
    }
}

#[test]
fn an_endpoint_without_a_pod_belongs_to_the_namespace_of_its_service() {
    let anonymous = SERVICE.replace(", targetRef: {kind: Pod, name: a}", "");
    let elsewhere = SERVICE.replace("kind: Pod", "kind: VirtualMachine");
    for service in [SERVICE, &anonymous, &elsewhere] {
        let world = namespace("enabled") + service;
        let labelled = member(&world, &Enrolment::Labelled(domain()));
        assert_eq!(labelled, "default", "{service}");
        let captured = member(&world, &Enrolment::captured(domain()));
        assert_eq!(captured, "-", "nobody has captured it: {service}");
    }
}

/// How many ports one more change concerns, and the member as a table knows it then.
fn after(table: &mut EndpointTable, store: &mut Store, change: &str) -> (usize, Option<String>) {
    for object in objects(change) {
        store.apply(object);
    }
    let changed = table.update(store).len();
    let endpoints = table.table()[&port()].all();
    let member = endpoints.first().and_then(|it| it.member.as_deref());
    (changed, member.map(str::to_owned))
}

#[test]
fn a_table_follows_namespaces_and_pods() {
    let mut store = Store::default();
    let mut table = EndpointTable::new(Enrolment::captured(domain()));
    let web = Some("spiffe://test/ns/shop/sa/web".to_owned());
    let captured = pod("", "'true'", "serviceAccountName: web");
    let released = pod("", "", "serviceAccountName: web");
    let steps = [
        ("the world", format!("{}{SERVICE}", namespace("")), 1, None),
        ("a Pod", released.clone(), 0, None),
        ("captured", captured.clone(), 0, None),
        ("enrolled", namespace("enabled"), 1, web.clone()),
        ("another Pod", "Pod shop/b {}\n".to_owned(), 0, web.clone()),
        ("released", released, 1, None),
        ("captured again", captured, 1, web.clone()),
        ("out of the mesh", namespace("disabled"), 1, None),
        ("back", namespace("enabled"), 1, web),
    ];
    for (name, change, changed, member) in steps {
        let seen = after(&mut table, &mut store, &change);
        assert_eq!(seen, (changed, member), "{name}");
    }
    store.delete(&reference("Pod shop/a"));
    let seen = after(&mut table, &mut store, "");
    assert_eq!(seen, (1, None), "the Pod has gone");
}
