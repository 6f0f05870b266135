//! HTTPS listeners: certificates by name, hosts by certificate, and both under change.

use http::Request;
use weft_certs::{SelfSigned, self_signed};
use weft_tests::{
    backend::Backend,
    body::{Body, empty},
    client::{ask1, ask2, http1, http2, tls},
    gateway::Weft,
    rawclient::{RawClient, head},
    wait::{Expected, PATIENCE, eventually},
    world::World,
};

const LISTENERS: &str = "\
{name: exact, port: 8443, protocol: HTTPS, hostname: a.shop.test, tls: {certificateRefs: [{name: a}]}}
{name: wild, port: 8443, protocol: HTTPS, hostname: \"*.shop.test\", tls: {certificateRefs: [{name: wild}]}}
{name: other, port: 8443, protocol: HTTPS, hostname: b.test, tls: {certificateRefs: [{name: b}]}}";

struct Names {
    exact: SelfSigned,
    wild: SelfSigned,
    other: SelfSigned,
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates are checked against the real clock"
)]
fn certificate(names: &[&str]) -> SelfSigned {
    self_signed(names, std::time::SystemTime::now()).expected("a certificate")
}

impl Names {
    fn new() -> Self {
        Self {
            exact: certificate(&["a.shop.test"]),
            wild: certificate(&["*.shop.test"]),
            other: certificate(&["b.test"]),
        }
    }

    fn roots(&self) -> String {
        [&self.exact, &self.wild, &self.other]
            .map(|cert| cert.cert_pem.as_str())
            .concat()
    }

    /// One back-end per listener, told apart by the listener their route is attached to.
    fn world(&self, backends: [&Backend; 3]) -> World {
        let secret = |world: World, name: &str, cert: &SelfSigned| {
            world.secret(name, &cert.cert_pem, cert.key_pem.expose())
        };
        let mut world = World::bare().gateway("infra/edge", LISTENERS);
        world = secret(world, "infra/a", &self.exact);
        world = secret(world, "infra/wild", &self.wild);
        world = secret(world, "infra/b", &self.other);
        for (section, backend) in ["exact", "wild", "other"].into_iter().zip(backends) {
            world = world
                .service(&format!("shop/{section}"), &[backend.address])
                .with(&format!(
                    "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, \
                 metadata: {{name: {section}, namespace: shop}}, spec: {{parentRefs: \
                 [{{name: edge, namespace: infra, sectionName: {section}}}], \
                 rules: [{{backendRefs: [{{name: {section}, port: 80}}]}}]}}}}"
                ));
        }
        world
    }
}

fn get(host: &str) -> Request<Body> {
    let request = Request::builder()
        .uri(format!("https://{host}/"))
        .header("host", host);
    request.body(empty()).expect("a request")
}

async fn backends() -> [Backend; 3] {
    [
        Backend::named("exact").await,
        Backend::named("wild").await,
        Backend::named("other").await,
    ]
}

#[tokio::test]
async fn the_name_of_the_connection_chooses_certificate_and_hosts() {
    let (names, [exact, wild, other]) = (Names::new(), backends().await);
    let weft = Weft::start(&names.world([&exact, &wild, &other]));
    let rows = [
        ("a.shop.test", "a.shop.test", 200, "exact"),
        ("c.shop.test", "c.shop.test", 200, "wild"),
        ("b.test", "b.test", 200, "other"),
        ("c.shop.test", "a.shop.test", 421, ""),
        ("a.shop.test", "c.shop.test", 421, ""),
        ("a.shop.test", "b.test", 421, ""),
        ("a.shop.test", "nobody.test", 404, ""),
    ];
    for (sni, host, status, backend) in rows {
        let h1 = tls(weft.gateway(8443), sni, &["http/1.1"], &names.roots()).await;
        let answer = ask1(&mut http1(h1.expected(sni)).await, get(host)).await;
        assert_eq!(
            answer.status,
            status,
            "SNI {sni}, host {host}, HTTP/1: {}",
            answer.text()
        );
        let h2 = tls(weft.gateway(8443), sni, &["h2"], &names.roots()).await;
        let answer = ask2(&mut http2(h2.expected(sni)).await, get(host)).await;
        assert_eq!(
            answer.status,
            status,
            "SNI {sni}, host {host}, HTTP/2: {}",
            answer.text()
        );
        if status == 200 {
            assert_eq!(
                answer.text(),
                backend,
                "SNI {sni}, host {host}: the listener's own route"
            );
        }
    }
}

#[tokio::test]
async fn alpn_decides_and_http1_is_the_default() {
    let (names, [exact, wild, other]) = (Names::new(), backends().await);
    let weft = Weft::start(&names.world([&exact, &wild, &other]));
    for (offer, agreed) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = tls(weft.gateway(8443), "a.shop.test", offer, &names.roots())
            .await
            .expected("TLS");
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            agreed,
            "offered {offer:?}"
        );
        if agreed != Some(b"h2") {
            let mut client = RawClient::over(stream);
            assert_eq!(
                client.ask("GET / HTTP/1.1\nhost: a.shop.test").await.status,
                200,
                "{offer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_name_without_a_listener_gets_no_handshake() {
    let (names, [exact, wild, other]) = (Names::new(), backends().await);
    let weft = Weft::start(&names.world([&exact, &wild, &other]));
    let refused = tls(weft.gateway(8443), "nobody.test", &["h2"], &names.roots()).await;
    assert!(refused.is_err(), "no certificate is for this name");
    let failed = || weft.metric("weft_tls_handshakes_total", &["no_certificate"]);
    eventually(PATIENCE, "it is counted", || failed() == 1.0).await;
}

/// The wildcard would take the name too, and answer it with another listener's routes.
#[tokio::test]
async fn a_listener_without_certificate_keeps_its_name() {
    let (names, [exact, wild, other]) = (Names::new(), backends().await);
    let whole = names.world([&exact, &wild, &other]);
    let (unnamed, nobody) = (
        "certificateRefs: [{name: a}]",
        "certificateRefs: [{name: nobody}]",
    );
    let broken = World::raw(whole.yaml().replace(unnamed, nobody));
    let weft = Weft::start(&whole);
    let handshake = async |sni| {
        let stream = tls(weft.gateway(8443), sni, &["h2"], &names.roots()).await;
        stream.is_ok()
    };
    assert!(handshake("a.shop.test").await, "with its certificate");
    weft.update(&broken);
    assert!(
        !handshake("a.shop.test").await,
        "no listener stands in for it"
    );
    assert!(handshake("c.shop.test").await, "the others are served");
    weft.update(&whole);
    assert!(handshake("a.shop.test").await, "with its certificate again");
}

#[tokio::test]
async fn the_client_is_told_to_be_behind_https() {
    let (names, [_, wild, other]) = (Names::new(), backends().await);
    let echo = Backend::echo("echo", weft_tests::backend::Speaks::Http1).await;
    let weft = Weft::start(&names.world([&echo, &wild, &other]));
    let stream = tls(weft.gateway(8443), "a.shop.test", &[], &names.roots())
        .await
        .expected("TLS");
    let seen = RawClient::over(stream)
        .ask("GET / HTTP/1.1\nhost: a.shop.test")
        .await
        .text();
    assert!(seen.contains("x-forwarded-proto: https\n"), "{seen}");
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_spares_open_ones() {
    let (mut names, [exact, wild, other]) = (Names::new(), backends().await);
    let weft = Weft::start(&names.world([&exact, &wild, &other]));
    let old_roots = names.roots();
    let stream = tls(weft.gateway(8443), "a.shop.test", &[], &old_roots)
        .await
        .expected("TLS");
    let mut open = RawClient::over(stream);
    assert_eq!(
        open.ask("GET / HTTP/1.1\nhost: a.shop.test").await.status,
        200,
        "before"
    );
    open.send("GET / HTTP/1.1\r\n").await;
    names.exact = certificate(&["a.shop.test"]);
    weft.update(&names.world([&exact, &wild, &other]));
    open.send(head("host: a.shop.test")).await;
    assert_eq!(
        open.answer().await.status,
        200,
        "the open connection, in the middle of a head"
    );
    let stream = tls(weft.gateway(8443), "a.shop.test", &[], &names.roots()).await;
    stream.expected("the new certificate is served");
    let old = tls(weft.gateway(8443), "a.shop.test", &[], &old_roots).await;
    assert!(old.is_err(), "the old certificate is gone");
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_not_served() {
    let (names, [exact, wild, other]) = (Names::new(), backends().await);
    let weft = Weft::start(&names.world([&exact, &wild, &other]));
    let mut client = RawClient::connect(weft.gateway(8443)).await;
    client.send(head("GET / HTTP/1.1\nhost: a.shop.test")).await;
    let _alert_or_reset = client.ends_in_order().await;
    assert_eq!(
        exact.requests() + wild.requests() + other.requests(),
        0,
        "requests served"
    );
}

#[tokio::test]
async fn hosts_choose_among_listeners_of_a_cleartext_port() {
    let (one, all) = (Backend::named("one").await, Backend::named("all").await);
    let listeners = "{name: one, port: 8080, protocol: HTTP, hostname: one.example}\n\
                     {name: all, port: 8080, protocol: HTTP}";
    let mut world = World::bare().gateway("infra/edge", listeners);
    for (section, backend, path) in [("one", &one, "/one"), ("all", &all, "/")] {
        world = world.service(&format!("shop/{section}"), &[backend.address]).with(&format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: \
             {{name: {section}, namespace: shop}}, spec: {{parentRefs: [{{name: edge, namespace: infra, \
             sectionName: {section}}}], rules: [{{matches: [{{path: {{type: PathPrefix, value: {path}}}}}], \
             backendRefs: [{{name: {section}, port: 80}}]}}]}}}}"
        ));
    }
    let weft = Weft::start(&world);
    let rows = [
        ("one.example", "/one", 200, "one"),
        ("one.example", "/", 404, ""),
        ("ONE.example:8080", "/one", 200, "one"),
        ("two.example", "/", 200, "all"),
        ("two.example", "/one", 200, "all"),
    ];
    for (host, path, status, backend) in rows {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let answer = client
            .ask(&format!("GET {path} HTTP/1.1\nhost: {host}"))
            .await;
        assert_eq!(answer.status, status, "{host}{path}");
        if status == 200 {
            assert_eq!(answer.text(), backend, "{host}{path}");
        }
    }
}
