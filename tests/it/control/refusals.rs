//! Who gets no certificate, and why: the rows of `tests/refusals.yaml` that are about the identity service.

use std::fs;
use std::net::SocketAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, IsCa, KeyPair, SanType,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use weft_spiffe::SpiffeId;
use weft_tests::binary::workspace;
use weft_tests::fakeapi::Fault;
use weft_tests::rawclient::RawClient;
use weft_tests::refusals::{Row, attacked};
use weft_wire::proto::identity::SignRequest;

use super::client::Anchor;
use super::nodes::{NODE_POD, NODE_TOKEN, certified, open};
use super::{AUDIENCE, CONTROL, NAMESPACE, TOKEN, World, identity_of, objects};

/// Service account of the proxies of nodes.
const NODES: &str = "weft-node";

/// A request to have a certificate signed.
#[derive(Clone)]
struct Asks {
    token: Option<&'static str>,
    /// The service account whose identity is asked for.
    account: &'static str,
    /// UID of the pod it is for.
    pod: &'static str,
    csr: fn(&SpiffeId) -> Vec<u8>,
}

impl Asks {
    /// What the proxy of a node asks for when all is well.
    const WELL: Self = Self {
        token: Some(NODE_TOKEN),
        account: "web",
        pod: "uid-of-here",
        csr: good,
    };
}

/// A pod of `node`, changed by `with`.
fn pod(name: &str, node: &str, with: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "namespace": NAMESPACE, "name": name, "uid": format!("uid-of-{name}") },
        "spec": { "nodeName": node, "serviceAccountName": "web" },
        "status": { "phase": "Running", "podIP": "10.1.0.1" },
    });
    if let Value::Array(changes) = with {
        for change in changes {
            let (place, value) = (change[0].as_str().unwrap_or_default(), change[1].clone());
            let (part, field) = place.split_once('.').expect("`part.field`");
            pod[part][field] = value;
        }
    }
    pod
}

/// A cluster with pods of every kind, which the control plane knows, and what a proxy trusts in it.
async fn world() -> (World, Anchor) {
    let mut objects = objects();
    objects.push(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "labels": { "weft.dev/mesh": "enabled" } },
    }));
    let outside = json!({ "weft.dev/mesh": "disabled" });
    objects.extend([
        pod("here", "node-1", json!([])),
        pod("there", "node-2", json!([])),
        pod("ended", "node-1", json!([["status.phase", "Succeeded"]])),
        pod("host", "node-1", json!([["spec.hostNetwork", true]])),
        pod("outside", "node-1", json!([["metadata.labels", outside]])),
    ]);
    let world = World::with(objects).await;
    let tokens = [
        (NODE_TOKEN, AUDIENCE),
        ("of no pod", AUDIENCE),
        ("for the API", "api"),
    ];
    for (token, audience) in tokens {
        world.api.know_token(token, (CONTROL, NODES), audience);
    }
    world.api.unbind_token("of no pod");
    let anchor = world.anchor().await;
    let identity = certified(&world, &anchor).await;
    let opened = open(&world, (&identity, Some(NODE_TOKEN)), ("node-1", NODE_POD)).await;
    assert!(opened.is_ok(), "the pods are known");
    (world, anchor)
}

/// How often the control plane says that it has refused somebody for this reason.
async fn refused(admin: SocketAddr, reason: &str) -> u64 {
    let tcp = TcpStream::connect(admin).await.expect("it shows metrics");
    let lines = "GET /metrics HTTP/1.1\nhost: localhost\nconnection: close";
    let answer = RawClient::over(tcp).ask(lines).await;
    let sample = format!("weft_identity_refused_total{{reason=\"{reason}\"}} ");
    let text = answer.text();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&sample));
    lines.next().map_or(0, |it| it.parse().expect("a counter"))
}

/// Asks, and says what of the row does not hold.
async fn play(world: &World, anchor: &Anchor, row: &Row, asks: &Asks) -> Vec<String> {
    let addresses = world.addresses();
    let id = identity_of(NAMESPACE, asks.account);
    let request = SignRequest {
        identity: id.to_string(),
        csr_der: (asks.csr)(&id).into(),
        pod_uid: asks.pod.to_owned(),
    };
    let before = refused(addresses.admin, &row.reason).await;
    let answer = anchor.ask(addresses.identity, asks.token, request).await;
    let more = refused(addresses.admin, &row.reason).await - before;
    let seen = match answer {
        Ok(_) => "a certificate".to_owned(),
        Err(code) => format!("{code:?}"),
    };
    let Row {
        row,
        culprit,
        rule,
        peer,
        reason,
        ..
    } = row;
    let mut faults = Vec::new();
    if seen != *peer {
        faults.push(format!("the caller sees {seen}, not {peer}"));
    }
    if more != 1 {
        faults.push(format!(
            "weft_identity_refused_total of {reason} counts {more}, not 1"
        ));
    }
    let named = |fault| format!("{row} ({culprit}; {rule}): {fault}");
    faults.into_iter().map(named).collect()
}

async fn check(group: &str, attacks: &[(&str, Asks)]) {
    let (world, anchor) = world().await;
    let well = Asks::WELL;
    let id = identity_of(NAMESPACE, well.account);
    let address = world.addresses().identity;
    let signed = anchor
        .certify_pod(address, well.token, (&id, well.pod))
        .await;
    assert!(signed.is_ok(), "who may have a certificate gets it");
    let mut faults = Vec::new();
    for (row, asks) in attacked(group, attacks) {
        if row.culprit == "API server" {
            world.api.fault(Fault::Unavailable {
                requests: usize::MAX,
                status: 503,
            });
        }
        faults.extend(play(&world, &anchor, &row, &asks).await);
    }
    let faults = faults.join("\n");
    assert!(faults.is_empty(), "tests/refusals.yaml, {group}:\n{faults}");
}

fn request(id: &SpiffeId, tune: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    request_by(&KeyPair::generate().expect("randomness"), id, tune)
}

fn request_by(key: &KeyPair, id: &SpiffeId, tune: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![uri(id.as_str())];
    tune(&mut params);
    let request = params.serialize_request(key).expect("a request");
    request.der().to_vec()
}

fn good(id: &SpiffeId) -> Vec<u8> {
    request(id, |_| ())
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().expect("ASCII"))
}

const REQUESTS: &[(&str, Asks)] = &[
    (
        "no PKCS 10",
        Asks {
            csr: |_| vec![0x30, 0],
            ..Asks::WELL
        },
    ),
    (
        "a bad signature",
        Asks {
            csr: |id| {
                let mut forged = good(id);
                let last = forged.len() - 1;
                forged[last] ^= 1;
                forged
            },
            ..Asks::WELL
        },
    ),
    (
        "the name of another",
        Asks {
            csr: |_| good(&identity_of(NAMESPACE, "db")),
            ..Asks::WELL
        },
    ),
    (
        "no name",
        Asks {
            csr: |id| request(id, |p| p.subject_alt_names.clear()),
            ..Asks::WELL
        },
    ),
    (
        "two names",
        Asks {
            csr: |id| {
                let other = uri(identity_of(NAMESPACE, "db").as_str());
                request(id, |p| p.subject_alt_names.push(other))
            },
            ..Asks::WELL
        },
    ),
    (
        "a DNS name",
        Asks {
            csr: |id| {
                let host = SanType::DnsName("web.shop".try_into().expect("ASCII"));
                request(id, |p| p.subject_alt_names = vec![host])
            },
            ..Asks::WELL
        },
    ),
    (
        "no SPIFFE ID",
        Asks {
            csr: |id| request(id, |p| p.subject_alt_names = vec![uri("https://web.shop")]),
            ..Asks::WELL
        },
    ),
    (
        "an RSA key",
        Asks {
            csr: |id| {
                let file = workspace().join("certs/testdata/rsa2048.key");
                let pem = fs::read_to_string(file).expect("a key of tests");
                request_by(&KeyPair::from_pem(&pem).expect("a key"), id, |_| ())
            },
            ..Asks::WELL
        },
    ),
    (
        "5 KiB",
        Asks {
            csr: |id| {
                request(id, |p| {
                    let mut content = vec![4, 0x82, 0x14, 0];
                    content.resize(4 + 0x1400, 0);
                    let large = CustomExtension::from_oid_content(&[1, 2, 3, 4], content);
                    p.custom_extensions = vec![large];
                })
            },
            ..Asks::WELL
        },
    ),
    (
        "CA:true",
        Asks {
            csr: |id| {
                request(id, |p| {
                    p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                })
            },
            ..Asks::WELL
        },
    ),
];

const TOKENS: &[(&str, Asks)] = &[
    (
        "no token",
        Asks {
            token: None,
            ..Asks::WELL
        },
    ),
    (
        "an unknown or expired token",
        Asks {
            token: Some("unknown"),
            ..Asks::WELL
        },
    ),
    (
        "a token for another audience",
        Asks {
            token: Some("for the API"),
            ..Asks::WELL
        },
    ),
    (
        "a token of no pod",
        Asks {
            token: Some("of no pod"),
            ..Asks::WELL
        },
    ),
    (
        "a token of a pod that is no proxy",
        Asks {
            token: Some(TOKEN),
            ..Asks::WELL
        },
    ),
    (
        "a gateway that asks for another identity",
        Asks {
            token: Some(TOKEN),
            pod: "",
            ..Asks::WELL
        },
    ),
    (
        "another account than that of the pod",
        Asks {
            account: "db",
            ..Asks::WELL
        },
    ),
    (
        "a pod of another node",
        Asks {
            pod: "uid-of-there",
            ..Asks::WELL
        },
    ),
    (
        "a pod that there is not",
        Asks {
            pod: "uid-of-nobody",
            ..Asks::WELL
        },
    ),
    (
        "a pod that has ended",
        Asks {
            pod: "uid-of-ended",
            ..Asks::WELL
        },
    ),
    (
        "a pod on the network of its node",
        Asks {
            pod: "uid-of-host",
            ..Asks::WELL
        },
    ),
    (
        "a pod outside of the mesh",
        Asks {
            pod: "uid-of-outside",
            ..Asks::WELL
        },
    ),
    (
        "an API server that does not answer",
        Asks {
            token: Some("unheard of"),
            ..Asks::WELL
        },
    ),
];

#[tokio::test]
async fn requests_that_nobody_may_make() {
    check("requests", REQUESTS).await;
}

#[tokio::test]
async fn requests_of_those_who_may_not() {
    check("tokens", TOKENS).await;
}
