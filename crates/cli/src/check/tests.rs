//! Verdicts on pictures of clusters: a good one, and each of its parts gone wrong.

mod nodes;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use weft_api::AnyObject;
use weft_source::kube::{InstalledApi, ServerVersion, WATCHED_KINDS};

use super::{
    Extent,
    control_plane::{version_of, why_not_ready},
    judge,
    picture::{ControlPlane, Given, INSTALLED, Picture, Surroundings},
    report::Verdict,
    rights::Grants,
    time,
};
use crate::exit::Exit;

const NOW: &str = "2026-11-21T21:00:00Z";

fn now() -> SystemTime {
    time::of_object(NOW).expect("a date")
}

fn condition(type_: &str, status: &str) -> Value {
    json!({ "type": type_, "status": status, "reason": "Because", "message": "of it",
            "observedGeneration": 2 })
}

fn class() -> Value {
    json!({ "metadata": { "name": "weft", "generation": 2 },
            "spec": { "controllerName": "weft.dev/gateway-controller" },
            "status": { "conditions": [condition("Accepted", "True")] } })
}

fn gateway() -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": "edge", "uid": "u1", "generation": 2 },
        "spec": { "gatewayClassName": "weft", "listeners": [] },
        "status": {
            "addresses": [{ "type": "IPAddress", "value": "10.0.0.1" }],
            "conditions": [condition("Accepted", "True"), condition("Programmed", "True")],
            "listeners": [{ "name": "http", "conditions": [condition("Programmed", "True")] }],
        },
    })
}

fn deployment(image: &str, arguments: &[&str]) -> Value {
    json!({
        "metadata": { "name": "d", "ownerReferences": [{ "uid": "u1" }] },
        "spec": { "replicas": 2, "template": { "spec": { "containers": [
            { "image": image, "args": arguments },
        ] } } },
        "status": { "readyReplicas": 2, "updatedReplicas": 2 },
    })
}

fn pod(is_ready: &str) -> Value {
    json!({ "metadata": { "namespace": "weft-system", "name": "one" },
            "status": { "conditions": [{ "type": "Ready", "status": is_ready }] } })
}

/// A route of a Gateway, with what is said of its proxies.
fn route(status: &str, message: &str) -> AnyObject {
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "namespace": "shop", "name": "web" },
        "status": { "parents": [{
            "parentRef": { "name": "edge" },
            "controllerName": "weft.dev/gateway-controller",
            "conditions": [{
                "type": "weft.dev/Applied", "status": status, "reason": "Applied",
                "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }] },
    });
    AnyObject::parse(route).expect("a route")
}

fn node(name: &str, cidrs: &[&str]) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "podCIDRs": cidrs } })
}

fn surroundings() -> Surroundings {
    Surroundings {
        namespaces: Ok(vec![
            namespace("weft-system", json!({})),
            namespace("shop", json!({})),
            namespace("far", json!({ "istio-injection": "enabled" })),
        ]),
        nodes: Ok(vec![
            node("one", &["10.1.0.0/24"]),
            node("two", &["10.1.1.0/24"]),
        ]),
        service_cidrs: Ok(vec![json!({ "spec": { "cidrs": ["10.96.0.0/16"] } })]),
        pods: Ok(Vec::new()),
        cilium: Ok(None),
    }
}

fn namespace(name: &str, labels: Value) -> Value {
    json!({ "metadata": { "name": name, "labels": labels } })
}

fn control_plane() -> ControlPlane {
    let image = concat!("weft:", env!("CARGO_PKG_VERSION"));
    ControlPlane {
        deployment: Ok(Some(deployment(image, &["--proxy-image=p:1"]))),
        pods: Ok(vec![pod("True")]),
        lease: Ok(Some(json!({ "spec": {
            "holderIdentity": "one", "leaseDurationSeconds": 10,
            "renewTime": "2026-11-21T20:59:58.000000Z",
        } }))),
        unreadable: Ok(Vec::new()),
        routes: Ok(vec![route("True", "applied on 2 of 2 proxies")]),
        grants: Ok(Grants::shipped(false).expect("the chart is filled")),
    }
}

/// A cluster where all is well.
fn good() -> Picture {
    let given = Given {
        deployment: Ok(Some(deployment("p:1", &[]))),
        service: Ok(Some(
            json!({ "metadata": { "ownerReferences": [{ "uid": "u1" }] } }),
        )),
    };
    Picture {
        now: now(),
        version: Ok(ServerVersion {
            git_version: "v1.36.3".to_owned(),
            minor: Some((1, 36)),
            date: Some("Sat, 21 Nov 2026 21:00:00 GMT".to_owned()),
        }),
        served: Ok(WATCHED_KINDS
            .iter()
            .map(|kind| (*kind, "v1".to_owned()))
            .collect()),
        installed: Ok(Some(InstalledApi {
            bundle_version: Some("v1.6.1".to_owned()),
            channel: Some("standard".to_owned()),
        })),
        safe_upgrades: Ok(true),
        home: Ok(Some(json!({}))),
        namespace: "weft-system".to_owned(),
        surroundings: surroundings(),
        control_plane: Some(control_plane()),
        classes: Ok(vec![class()]),
        gateways: Ok(vec![gateway()]),
        given: [("shop/edge".to_owned(), given)].into(),
        ..Picture::blank()
    }
}

/// What goes wrong: a name, how, and the verdict it brings on a code, with a part of what was seen.
type Row = (
    &'static str,
    fn(&mut Picture),
    &'static str,
    Verdict,
    &'static str,
);

fn check(rows: &[Row]) {
    for (name, spoil, code, verdict, saw) in rows {
        let mut picture = good();
        spoil(&mut picture);
        let report = judge(&picture, Extent::All);
        let found = report.checks.iter().find(|it| it.code == *code);
        let found = found.unwrap_or_else(|| panic!("{name}: no {code} in {report:?}"));
        assert_eq!(found.verdict, *verdict, "{name}: {found:?}");
        assert!(found.saw.contains(saw), "{name}: {found:?}");
        let is_cured = !found.cure.is_empty();
        assert_eq!(
            is_cured,
            *verdict >= Verdict::Warning,
            "{name}: a cure for what is wrong"
        );
    }
}

fn control_of(picture: &mut Picture) -> &mut ControlPlane {
    picture.control_plane.as_mut().expect("it was asked for")
}

fn gateway_of(picture: &mut Picture) -> &mut Value {
    let gateways = picture.gateways.as_mut().expect("they were read");
    gateways.first_mut().expect("there is one")
}

fn deployed(picture: &mut Picture) -> &mut Value {
    let given = picture
        .given
        .get_mut("shop/edge")
        .expect("it was asked for");
    let deployment = given.deployment.as_mut().expect("it was read");
    deployment.as_mut().expect("there is one")
}

#[test]
fn where_all_is_well_nothing_is_said_to_be_wrong() {
    let report = judge(&good(), Extent::All);
    let wrong: Vec<_> = report
        .checks
        .iter()
        .filter(|it| it.verdict != Verdict::Good)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(report.exit(), Exit::Good);
}

const PREREQUISITES: &[Row] = &[
    (
        "old server",
        |it| it.version.as_mut().expect("asked").minor = Some((1, 32)),
        "WC102",
        Verdict::Error,
        "v1.36.3",
    ),
    (
        "no CRDs",
        |it| it.served = Ok([].into()),
        "WC103",
        Verdict::Error,
        "GatewayClass, Gateway",
    ),
    (
        "nobody may look",
        |it| it.served = Err("forbidden".to_owned()),
        "WC103",
        Verdict::Skipped,
        "forbidden",
    ),
    (
        "older CRDs",
        |it| {
            it.installed = Ok(Some(InstalledApi {
                bundle_version: Some("v1.4.0".to_owned()),
                channel: None,
            }))
        },
        "WC104",
        Verdict::Warning,
        "v1.4.0",
    ),
    (
        "no channel",
        |it| {
            it.installed = Ok(Some(InstalledApi {
                bundle_version: None,
                channel: None,
            }))
        },
        "WC105",
        Verdict::Warning,
        "channel",
    ),
    (
        "no policy",
        |it| it.safe_upgrades = Ok(false),
        "WC106",
        Verdict::Warning,
        "missing",
    ),
    (
        "another clock",
        |it| it.now += Duration::from_secs(400),
        "WC114",
        Verdict::Warning,
        "400 s",
    ),
    (
        "no right",
        |it| it.rights = vec![(INSTALLED[1], Ok(false))],
        "WC107",
        Verdict::Error,
        "clusterroles.rbac.authorization.k8s.io",
    ),
];

#[test]
fn prerequisites_that_are_missing_are_named() {
    check(PREREQUISITES);
}

/// Cilium with these settings.
fn cilium(picture: &mut Picture, settings: Value) {
    picture.surroundings.cilium = Ok(Some(json!({ "data": settings })));
}

fn namespaces_of(picture: &mut Picture) -> &mut Vec<Value> {
    picture.surroundings.namespaces.as_mut().expect("asked")
}

const SURROUNDINGS: &[Row] = &[
    (
        "load balancing at every socket",
        |it| cilium(it, json!({ "kube-proxy-replacement": "true" })),
        "WC111",
        Verdict::Good,
        "in the way of a mesh",
    ),
    (
        "at those of nodes",
        |it| {
            cilium(
                it,
                json!({ "bpf-lb-sock": "true", "bpf-lb-sock-hostns-only": "true" }),
            )
        },
        "WC111",
        Verdict::Good,
        "leaves pods alone",
    ),
    (
        "a sidecar for a Gateway",
        |it| namespaces_of(it)[1] = namespace("shop", json!({ "istio.io/rev": "1-31" })),
        "WC112",
        Verdict::Warning,
        "shop is of Istio (istio.io/rev=1-31)",
    ),
    (
        "two meshes",
        |it| {
            let mut both = namespace("pay", json!({ "weft.dev/mesh": "enabled" }));
            both["metadata"]["annotations"] = json!({ "linkerd.io/inject": "enabled" });
            namespaces_of(it).push(both);
        },
        "WC112",
        Verdict::Warning,
        "1 namespace: pay is of Linkerd",
    ),
    (
        "a mesh elsewhere",
        |_| {},
        "WC112",
        Verdict::Good,
        "none in 2 namespaces",
    ),
    (
        "Services of two families, pods of one",
        |it| {
            it.surroundings.service_cidrs = Ok(vec![
                json!({ "spec": { "cidrs": ["10.96.0.0/16", "fd00::/112"] } }),
            ])
        },
        "WC115",
        Verdict::Warning,
        "Services have IPv4 and IPv6, pods IPv4",
    ),
    (
        "nodes that differ",
        |it| {
            it.surroundings
                .nodes
                .as_mut()
                .expect("asked")
                .push(node("six", &["fd01::/64"]))
        },
        "WC115",
        Verdict::Warning,
        "node six IPv6",
    ),
    (
        "pods with addresses of the network's own",
        |it| {
            it.surroundings.nodes = Ok(vec![node("one", &[])]);
            it.surroundings.pods = Ok(vec![
                json!({ "metadata": { "name": "of-its-node" }, "spec": { "hostNetwork": true },
                        "status": { "podIPs": [{ "ip": "192.0.2.1" }] } }),
                json!({ "metadata": { "name": "dns" },
                        "status": { "podIPs": [{ "ip": "fd01::5" }] } }),
            ]);
        },
        "WC115",
        Verdict::Warning,
        "Services have IPv4, pods IPv6",
    ),
    (
        "nobody who says",
        |it| it.surroundings.nodes = Ok(vec![node("one", &[])]),
        "WC115",
        Verdict::Skipped,
        "neither a node nor a pod",
    ),
];

#[test]
fn what_gets_in_the_way_is_named() {
    check(SURROUNDINGS);
}

#[test]
fn what_is_there_in_part_is_waited_for() {
    let waits = |codes: &[&str]| {
        let mut picture = good();
        for (name, spoil, code, ..) in CONTROL_PLANE.iter().chain(SURROUNDINGS) {
            if codes.contains(name) || codes.contains(code) {
                spoil(&mut picture);
            }
        }
        judge(&picture, Extent::All).is_underway
    };
    assert!(!waits(&[]), "nothing is wrong");
    assert!(waits(&["one of two"]), "the other replica may be starting");
    assert!(!waits(&["WC112"]), "another mesh does not go by itself");
}

const CONTROL_PLANE: &[Row] = &[
    (
        "not installed",
        |it| control_of(it).deployment = Ok(None),
        "WC201",
        Verdict::Error,
        "weft install",
    ),
    (
        "one of two",
        |it| {
            control_of(it)
                .deployment
                .as_mut()
                .expect("read")
                .as_mut()
                .expect("there")["status"]["readyReplicas"] = 1.into()
        },
        "WC201",
        Verdict::Warning,
        "1 of 2",
    ),
    (
        "nobody leads",
        |it| control_of(it).lease = Ok(None),
        "WC202",
        Verdict::Error,
        "no lease",
    ),
    (
        "a stale lease",
        |it| {
            control_of(it)
                .lease
                .as_mut()
                .expect("read")
                .as_mut()
                .expect("there")["spec"]["renewTime"] = "2026-11-21T20:59:00Z".into()
        },
        "WC202",
        Verdict::Error,
        "60 s ago",
    ),
    (
        "it has not read",
        |it| control_of(it).pods = Ok(vec![pod("False")]),
        "WC203",
        Verdict::Error,
        "no replica",
    ),
    (
        "a proxy that lags",
        |it| {
            let message = "applied on 1 of 2 proxies; waiting for edge-1";
            control_of(it).routes = Ok(vec![route("True", ""), route("False", message)]);
        },
        "WC207",
        Verdict::Warning,
        "1 of 2 routes: HTTPRoute shop/web applied on 1 of 2 proxies; waiting for edge-1",
    ),
    (
        "nothing to serve",
        |it| control_of(it).routes = Ok(Vec::new()),
        "WC207",
        Verdict::Good,
        "no route",
    ),
    (
        "an old status",
        |it| gateway_of(it)["metadata"]["generation"] = 3.into(),
        "WC208",
        Verdict::Error,
        "shop/edge",
    ),
    (
        "no class",
        |it| it.classes = Ok(Vec::new()),
        "WC209",
        Verdict::Error,
        "none",
    ),
    (
        "no rights",
        |it| control_of(it).grants = Ok(Grants::default()),
        "WC211",
        Verdict::Error,
        "missing",
    ),
    (
        "another version",
        |it| {
            control_of(it)
                .deployment
                .as_mut()
                .expect("read")
                .as_mut()
                .expect("there")["spec"]["template"]["spec"]["containers"][0]["image"] =
                "weft:9.9.9".into()
        },
        "WC212",
        Verdict::Warning,
        "9.9",
    ),
];

#[test]
fn a_control_plane_that_is_not_well_says_how() {
    check(CONTROL_PLANE);
}

const GATEWAYS: &[Row] = &[
    (
        "class refused",
        |it| {
            it.classes.as_mut().expect("read")[0]["status"] =
                json!({ "conditions": [condition("Accepted", "False")] })
        },
        "WC801",
        Verdict::Error,
        "Because: of it",
    ),
    (
        "not programmed",
        |it| gateway_of(it)["status"]["conditions"][1]["status"] = "False".into(),
        "WC802",
        Verdict::Error,
        "not Programmed: Because",
    ),
    (
        "a bad listener",
        |it| gateway_of(it)["status"]["listeners"][0]["conditions"][0]["status"] = "False".into(),
        "WC802",
        Verdict::Error,
        "listener http",
    ),
    (
        "a change under way",
        |it| gateway_of(it)["metadata"]["generation"] = 3.into(),
        "WC802",
        Verdict::Error,
        "last change",
    ),
    (
        "no address",
        |it| gateway_of(it)["status"]["addresses"] = json!([]),
        "WC803",
        Verdict::Error,
        "none",
    ),
    (
        "no Deployment",
        |it| it.given.get_mut("shop/edge").expect("asked").deployment = Ok(None),
        "WC805",
        Verdict::Error,
        "no Deployment",
    ),
    (
        "somebody else's",
        |it| deployed(it)["metadata"]["ownerReferences"] = json!([]),
        "WC805",
        Verdict::Error,
        "not of this Gateway",
    ),
    (
        "another image",
        |it| deployed(it)["spec"]["template"]["spec"]["containers"][0]["image"] = "p:0".into(),
        "WC805",
        Verdict::Error,
        "p:0",
    ),
    (
        "no pod",
        |it| deployed(it)["status"] = json!({}),
        "WC805",
        Verdict::Error,
        "0 of 2",
    ),
];

#[test]
fn a_gateway_that_is_not_served_says_why() {
    check(GATEWAYS);
}

#[test]
fn without_an_api_server_that_is_all_there_is_to_say() {
    let mut picture = good();
    picture.version = Err((false, "connection refused".to_owned()));
    let report = judge(&picture, Extent::All);
    assert_eq!(report.checks.len(), 1, "{report:?}");
    assert_eq!(report.exit(), Exit::Unreachable);
}

#[test]
fn a_certificate_is_warned_about_before_it_ends() {
    let rows: [(&str, u64, Verdict, &str); 3] = [
        ("fresh", 0, Verdict::Good, "good for"),
        ("soon over", 1, Verdict::Warning, "expires in"),
        ("over", 31, Verdict::Error, "expired"),
    ];
    // It is good for 30 days.
    let made = weft_certs::self_signed(&["a.example"], now()).expect("a certificate");
    let encode = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
    let secret = json!({ "data": {
        "tls.crt": encode(&made.cert_pem), "tls.key": encode(made.key_pem.expose()),
    } });
    for (name, days, verdict, saw) in rows {
        let mut picture = good();
        picture.now += Duration::from_secs(days * 24 * 60 * 60);
        gateway_of(&mut picture)["spec"]["listeners"] =
            json!([{ "tls": { "certificateRefs": [{ "name": "web" }] } }]);
        let key = "shop/web".to_owned();
        picture.secrets.insert(key, Ok(Some(secret.clone())));
        let report = judge(&picture, Extent::All);
        let found = report.checks.iter().find(|it| it.code == "WC804");
        let found = found.expect("the certificate is judged");
        assert_eq!(found.verdict, verdict, "{name}: {found:?}");
        assert!(found.saw.contains(saw), "{name}: {found:?}");
    }
}

#[test]
fn a_pod_says_what_it_waits_for() {
    let mut waiting = pod("False");
    assert!(why_not_ready(&pod("True")).is_none());
    let probe = why_not_ready(&waiting).expect("it waits");
    assert!(probe.contains("readiness probe"), "{probe}");
    waiting["status"]["containerStatuses"] = json!([{ "state": { "waiting": { "reason": "ErrImageNeverPull", "message": "no image" } } }]);
    let image = why_not_ready(&waiting).expect("it waits");
    assert_eq!(image, "pod one: ErrImageNeverPull no image");
}

#[test]
fn versions_are_those_of_tags() {
    let rows = [
        ("ghcr.io/x/weft:0.1.0", Some((0, 1))),
        ("localhost:5000/weft:v1.12.3-rc1", Some((1, 12))),
        ("weft:1.2.3@sha256:00", Some((1, 2))),
        ("weft:dev", None),
        ("weft", None),
    ];
    for (image, expected) in rows {
        assert_eq!(version_of(image), expected, "{image}");
    }
}

#[test]
fn rights_beyond_those_shipped_are_seen() {
    let shipped = Grants::shipped(false).expect("the chart is filled");
    let mut granted = shipped.clone();
    let role =
        json!({ "rules": [{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["list"] }] });
    granted.add(&json!({}), Some(&role), true);
    assert_eq!(granted.beyond(&shipped), ["cluster list /secrets"]);
    assert!(shipped.beyond(&granted).is_empty());
}
