//! The fault matrix through the whole control plane: while the API server is at fault, objects of
//! every kind that routing reads are changed, added and deleted. What a proxy has in the end, and
//! what the statuses say, is what a control plane says that met the same objects in good health.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use weft_api::{ByteString, Kind};
use weft_certs::{Clock, self_signed};
use weft_tests::fakeapi::Fault;
use weft_tests::wait::Expected;
use weft_wire::Key;

use super::client::{Proxy, subscriber};
use super::streams::{identity, opened};
use super::{NAMESPACE, World};

/// How long it may take at most.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a fault lasts that nothing gets through.
const BRIEFLY: Duration = Duration::from_millis(300);
/// Time between two looks at statuses.
const LOOK: Duration = Duration::from_millis(5);
/// Kinds of which the statuses are compared. Those of Gateways tell who has acknowledged.
const STATED: [Kind; 3] = [Kind::HttpRoute, Kind::GrpcRoute, Kind::BackendTlsPolicy];

/// How a fault comes about and ends.
enum Course {
    /// It lasts, and everything converges in spite of it.
    Lasting,
    /// It ends after [`BRIEFLY`].
    Ending,
}

use Course::{Ending, Lasting};

/// A self-signed certificate and its key, each time another one.
fn certificate() -> (String, Value) {
    let made = self_signed(&["shop.test"], Clock::system().now()).expected("a certificate");
    let bytes = |text: &str| serde_json::to_value(ByteString(text.as_bytes().to_vec()));
    let data = json!({
        "tls.crt": bytes(&made.cert_pem).unwrap_or_default(),
        "tls.key": bytes(made.key_pem.expose()).unwrap_or_default(),
    });
    (made.cert_pem, data)
}

fn gateway_api(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
        "metadata": { "namespace": namespace, "name": name }, "spec": spec,
    })
}

fn core(kind: &str, namespace: &str, name: &str, field: &str, value: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": { "namespace": namespace, "name": name }, field: value,
    })
}

fn endpoints(name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "namespace": NAMESPACE, "name": name,
            "labels": { "kubernetes.io/service-name": "web" },
        },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [address] }],
        "ports": [{ "port": 8080 }],
    })
}

fn grant(from: &str) -> Value {
    let spec = json!({
        "from": [{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": from }],
        "to": [{ "group": "", "kind": "Service" }],
    });
    gateway_api("ReferenceGrant", "bank", "routes", &spec)
}

fn namespace(team: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": "bank", "labels": { "team": team } },
    })
}

fn http_route(namespace: &str, name: &str, path: &str, backend: &Value) -> Value {
    let spec = json!({
        "parentRefs": [{ "name": "edge", "namespace": NAMESPACE }],
        "rules": [{
            "matches": [{ "path": { "type": "PathPrefix", "value": path } }],
            "backendRefs": [backend],
        }],
    });
    gateway_api("HTTPRoute", namespace, name, &spec)
}

fn grpc_route(name: &str, method: &str) -> Value {
    let spec = json!({
        "parentRefs": [{ "name": "edge" }],
        "rules": [{
            "matches": [{ "method": { "service": "shop.Cart", "method": method } }],
            "backendRefs": [{ "name": "web", "port": 80 }],
        }],
    });
    gateway_api("GRPCRoute", NAMESPACE, name, &spec)
}

fn gateway(port: u16) -> Value {
    let selected = json!({
        "from": "Selector",
        "selector": { "matchExpressions": [
            { "key": "team", "operator": "NotIn", "values": ["strangers"] }
        ] },
    });
    let spec = json!({
        "gatewayClassName": "weft",
        "listeners": [
            { "name": "http", "port": port, "protocol": "HTTP",
              "allowedRoutes": { "namespaces": selected } },
            { "name": "https", "port": 443, "protocol": "HTTPS", "hostname": "shop.test",
              "tls": { "certificateRefs": [{ "name": "edge" }] } },
        ],
    });
    gateway_api("Gateway", NAMESPACE, "edge", &spec)
}

fn policy(hostname: &str) -> Value {
    let spec = json!({
        "targetRefs": [{ "group": "", "kind": "Service", "name": "safe" }],
        "validation": {
            "hostname": hostname,
            "caCertificateRefs": [{ "group": "", "kind": "ConfigMap", "name": "authorities" }],
        },
    });
    gateway_api("BackendTLSPolicy", NAMESPACE, "safe", &spec)
}

fn service(namespace: &str, name: &str, port: u16) -> Value {
    let spec = json!({ "clusterIP": "None", "ports": [{ "port": port }] });
    core("Service", namespace, name, "spec", &spec)
}

fn authorities(pem: &str) -> Value {
    let data = json!({ "ca.crt": pem });
    core("ConfigMap", NAMESPACE, "authorities", "data", &data)
}

fn secret() -> Value {
    let (_, data) = certificate();
    let mut secret = core("Secret", NAMESPACE, "edge", "data", &data);
    secret["type"] = "kubernetes.io/tls".into();
    secret
}

fn before(world: &World) {
    let own = json!({ "name": "web", "port": 80 });
    let safe = json!({ "name": "safe", "port": 443 });
    for object in [
        namespace("bankers"),
        service("bank", "vault", 80),
        service(NAMESPACE, "safe", 443),
        authorities(&certificate().0),
        secret(),
        policy("safe.test"),
        gateway(80),
        endpoints("web-1", "10.1.0.1"),
        endpoints("web-2", "10.1.0.2"),
        http_route(NAMESPACE, "web", "/", &own),
        http_route(NAMESPACE, "safe", "/safe", &safe),
        http_route(
            "bank",
            "vault",
            "/vault",
            &json!({ "name": "vault", "port": 80 }),
        ),
        grpc_route("cart", "Add"),
        grant("elsewhere"),
    ] {
        world.api.apply(object);
    }
}

fn change(world: &World) {
    let theirs = json!({ "name": "vault", "namespace": "bank", "port": 80 });
    for object in [
        namespace("strangers"),
        service(NAMESPACE, "safe", 8443),
        authorities(&certificate().0),
        secret(),
        policy("vault.test"),
        gateway(8080),
        endpoints("web-1", "10.1.0.11"),
        endpoints("web-3", "10.1.0.3"),
        http_route(NAMESPACE, "web", "/web", &theirs),
        grpc_route("cart", "Remove"),
        grpc_route("new", "List"),
        grant(NAMESPACE),
    ] {
        world.api.apply(object);
    }
    for (kind, name) in [(Kind::EndpointSlice, "web-2"), (Kind::HttpRoute, "safe")] {
        assert!(world.api.delete(kind, NAMESPACE, name), "{name} was there");
    }
}

/// Status of every route and policy, without times and without what proxies acknowledged: who says
/// what about whom.
fn told(world: &World) -> BTreeMap<String, Value> {
    let stated = STATED.into_iter().flat_map(|kind| {
        let objects = world.api.objects(kind).into_iter();
        objects.map(move |object| {
            let metadata = &object["metadata"];
            let name = format!("{kind} {}/{}", metadata["namespace"], metadata["name"]);
            let mut status = object["status"].clone();
            for list in ["parents", "ancestors"] {
                let parents = status[list].as_array_mut().into_iter().flatten();
                let conditions = parents.filter_map(|parent| parent["conditions"].as_array_mut());
                for conditions in conditions {
                    conditions.retain(|condition| condition["type"] != "weft.dev/Applied");
                    for condition in conditions {
                        for moving in ["lastTransitionTime", "observedGeneration"] {
                            condition.as_object_mut().map(|it| it.remove(moving));
                        }
                    }
                }
                if status[list].as_array().is_some_and(Vec::is_empty) {
                    status[list] = Value::Null;
                }
            }
            (name, status)
        })
    });
    stated.collect()
}

async fn has(proxy: &mut Proxy, wanted: &BTreeMap<Key, u64>, name: &str) {
    let taking = async {
        while proxy.subscriber.assembler().versions() != wanted {
            let (_, answer) = proxy.take_within(LIMIT).await;
            proxy.answer(answer).await;
        }
    };
    let taken = tokio::time::timeout(LIMIT, taking).await.is_ok();
    assert!(
        taken,
        "{name}: after {LIMIT:?} the proxy has {:?}, wanted {wanted:?}",
        proxy.subscriber.assembler().versions()
    );
}

/// What a proxy gets from a healthy control plane that meets the objects of `world` as they are.
async fn reference(world: &World) -> (World, BTreeMap<Key, u64>) {
    let healthy = World::beside(world).await;
    let identity = identity(&healthy).await;
    let address = healthy.addresses().config;
    let mut proxy = opened(address, &identity, subscriber("edge", "reference")).await;
    proxy.next().await;
    let wanted = proxy.subscriber.assembler().versions().clone();
    (healthy, wanted)
}

async fn check(name: &str, course: Course, faults: &[Fault]) {
    let world = World::start().await;
    before(&world);
    let identity = identity(&world).await;
    let address = world.addresses().config;
    let mut proxy = opened(address, &identity, subscriber("edge", "pod-1")).await;
    proxy.next().await;
    for fault in faults {
        world.api.fault(fault.clone());
    }
    change(&world);
    let (healthy, wanted) = reference(&world).await;
    assert_ne!(
        proxy.subscriber.assembler().versions(),
        &wanted,
        "{name}: something is to be done"
    );
    if let Ending = course {
        // What the fault lets through is taken meanwhile.
        let taking = async {
            loop {
                proxy.next().await;
            }
        };
        let _elapsed: Result<(), _> = tokio::time::timeout(BRIEFLY, taking).await;
        world.api.heal();
    }
    has(&mut proxy, &wanted, name).await;
    let agreeing = tokio::time::timeout(LIMIT, async {
        while told(&world) != told(&healthy) {
            tokio::time::sleep(LOOK).await;
        }
    });
    let agree = agreeing.await.is_ok();
    let (told, wanted) = (told(&world), told(&healthy));
    let differing: Vec<_> = wanted
        .iter()
        .filter_map(|(object, wanted)| {
            let told = told.get(object);
            (told != Some(wanted)).then_some((object, told, wanted))
        })
        .collect();
    assert!(
        agree,
        "{name}: after {LIMIT:?} object, status, wanted: {differing:#?}"
    );
}

macro_rules! faults {
    ($($test:ident: $course:expr, [$($fault:expr),+];)+) => {$(
        #[tokio::test]
        async fn $test() {
            check(&stringify!($test).replace('_', " "), $course, &[$($fault),+]).await;
        }
    )+};
}

faults! {
    watch_closes_after_each_event: Lasting, [Fault::WatchClosesAfter(1)];
    watch_closes_at_once: Ending, [Fault::WatchClosesAfter(0)];
    watch_is_silent_while_its_connection_lives: Ending, [Fault::WatchSilent];
    gone_on_resume: Lasting, [Fault::WatchClosesAfter(2), Fault::GoneOnResume(40)];
    gone_mid_stream: Lasting, [Fault::GoneMidStream(40)];
    error_event: Lasting, [Fault::ErrorEvent(40)];
    list_of_a_replica_that_lags: Lasting, [Fault::StaleList(24), Fault::GoneMidStream(16)];
    bookmarks_only: Lasting, [Fault::BookmarksOnly];
    events_out_of_order: Lasting, [Fault::OutOfOrder];
    events_twice: Lasting, [Fault::Duplicates];
    too_many_requests: Lasting, [
        Fault::GoneMidStream(16),
        Fault::TooManyRequests { requests: 20, retry_after: 1 }
    ];
    unavailable: Lasting, [
        Fault::WatchClosesAfter(1),
        Fault::Unavailable { requests: 60, status: 503 }
    ];
    statuses_conflict: Lasting, [Fault::ConflictOnStatus(10)];
    bodies_trickle: Ending, [Fault::GoneMidStream(16), Fault::Trickle(Duration::from_millis(50))];
    lines_are_cut: Ending, [Fault::Cut];
    requests_are_never_answered: Ending, [Fault::GoneMidStream(16), Fault::Silent];
    answers_are_late: Lasting, [Fault::Latency(Duration::from_millis(50))];
}
