//! TLS to back-ends: who is spoken to and who is not, and what changes under traffic.

mod change;
mod files;
mod mesh;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use weft_tests::{
    backend::{self, Backend, Speaks, nobody},
    body::{Body, empty, fed, full},
    client::{ask1, ask2, http1, http2, tcp},
    gateway::Weft,
    pki::{Ca, Leaf},
    rawclient::{RawClient, head},
    wait::{Expected, PATIENCE, eventually},
    world::World,
};

const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";
const NAME: &str = "web.shop.test";
/// The authorities of ConfigMap `shop/ca`.
const CA: &str = "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}]";

/// What arrived, as the back-end saw it.
async fn echo(request: Request<Incoming>) -> Response<Body> {
    backend::echo("web", request).await
}

/// An HTTP/1 back-end with a certificate of the authority.
async fn secure(ca: &Ca, leaf: Leaf<'_>) -> Backend {
    let tls = ca.issue(leaf).server(&["http/1.1"], None);
    Backend::serve_tls(Speaks::Http1, tls, echo).await
}

fn named<'a>(names: &'a [&'a str]) -> Leaf<'a> {
    Leaf {
        names,
        ..Leaf::NOBODY
    }
}

/// Service `shop/web` with this back-end, under a policy that trusts the authority.
fn world(backend: &Backend, ca: &Ca, validation: &str) -> World {
    World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", ANY)
        .authorities("shop/ca", &ca.pem)
        .backend_tls("shop/tls", "web", validation)
}

async fn status(weft: &Weft) -> u16 {
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client.ask("GET / HTTP/1.1\nhost: a").await.status
}

fn get(host: &str) -> Request<Body> {
    let request = Request::builder().uri("/").header("host", host);
    request.body(empty()).expect("a request")
}

/// What a back-end proves, and what is asked of it.
struct Row {
    name: &'static str,
    leaf: Leaf<'static>,
    /// Whether its authority is the one that is trusted.
    is_trusted: bool,
    validation: &'static str,
    status: u16,
}

const GOOD: Leaf<'_> = Leaf {
    names: &[NAME],
    uris: &["spiffe://test/ns/shop/sa/web"],
    is_expired: false,
};

const fn row(
    name: &'static str,
    leaf: Leaf<'static>,
    validation: &'static str,
    status: u16,
) -> Row {
    Row {
        name,
        leaf,
        is_trusted: true,
        validation,
        status,
    }
}

const ROWS: &[Row] = &[
    row("the hostname is proved", GOOD, "", 200),
    row(
        "by a wildcard",
        Leaf {
            names: &["*.shop.test"],
            ..Leaf::NOBODY
        },
        "",
        200,
    ),
    row(
        "another name",
        Leaf {
            names: &["other.test"],
            ..GOOD
        },
        "",
        502,
    ),
    Row {
        is_trusted: false,
        ..row("an authority that nobody trusts", GOOD, "", 502)
    },
    row(
        "a certificate that is over",
        Leaf {
            is_expired: true,
            ..GOOD
        },
        "",
        502,
    ),
    row(
        "a URI",
        GOOD,
        "subjectAltNames: [{type: URI, uri: \"spiffe://test/ns/shop/sa/web\"}]",
        200,
    ),
    row(
        "another URI, though the hostname is proved",
        GOOD,
        "subjectAltNames: [{type: URI, uri: \"spiffe://test/ns/shop/sa/db\"}]",
        502,
    ),
    row(
        "a further host in place of the hostname",
        Leaf {
            names: &["inner.test"],
            ..GOOD
        },
        "subjectAltNames: [{type: Hostname, hostname: inner.test}]",
        200,
    ),
    row(
        "another host, though the hostname is proved",
        GOOD,
        "subjectAltNames: [{type: Hostname, hostname: inner.test}]",
        502,
    ),
    row(
        "one of several names",
        GOOD,
        "subjectAltNames: [{type: Hostname, hostname: inner.test}, \
         {type: URI, uri: \"spiffe://test/ns/shop/sa/web\"}]",
        200,
    ),
    row(
        "none of several names",
        GOOD,
        "subjectAltNames: [{type: Hostname, hostname: inner.test}, {type: URI, uri: \"a:b\"}]",
        502,
    ),
];

#[tokio::test]
async fn a_backend_proves_what_its_policy_asks_for_or_gets_nothing() {
    let (ours, others) = (Ca::new(), Ca::new());
    for row in ROWS {
        let issuer = if row.is_trusted { &ours } else { &others };
        let backend = secure(issuer, row.leaf).await;
        let validation = format!("hostname: {NAME}, {CA}, {}", row.validation);
        let validation = validation.trim_end_matches([',', ' ']);
        let weft = Weft::start(&world(&backend, &ours, validation));
        assert_eq!(status(&weft).await, row.status, "{}", row.name);
        let arrived = usize::from(row.status == 200);
        assert_eq!(
            backend.requests(),
            arrived,
            "{}: requests that arrived",
            row.name
        );
        assert!(
            backend.connections() > 0,
            "{}: it was asked for proof",
            row.name
        );
    }
}

#[tokio::test]
async fn the_authorities_of_the_platform() {
    let ca = Ca::new();
    let backend = secure(&ca, GOOD).await;
    let validation = format!("hostname: {NAME}, wellKnownCACertificates: System");
    let unknown = world(&backend, &ca, &validation);
    let weft = Weft::start(&unknown);
    assert_eq!(status(&weft).await, 500, "a platform without any");
    assert_eq!(backend.connections(), 0, "and nothing is sent");
    weft.update(&unknown.authorities("platform/roots", &ca.pem));
    assert_eq!(status(&weft).await, 200, "those that the platform has");
}

/// Bytes that are no TLS must not be sent to, nor taken from, a back-end that is to speak it.
#[tokio::test]
async fn plaintext_is_no_substitute() {
    let (ca, backend) = (Ca::new(), Backend::named("plain").await);
    let weft = Weft::start(&world(&backend, &ca, &format!("hostname: {NAME}, {CA}")));
    assert_eq!(
        status(&weft).await,
        502,
        "a back-end that does not speak TLS"
    );
    let missing = "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: none}]";
    weft.update(&world(
        &backend,
        &ca,
        &format!("hostname: {NAME}, {missing}"),
    ));
    let before = backend.connections();
    assert_eq!(status(&weft).await, 500, "a policy that cannot be honoured");
    assert_eq!(backend.connections(), before, "nobody is connected to");
    assert_eq!(backend.requests(), 0, "no request arrived in plaintext");
    let call = "POST /a.B/C HTTP/1.1\nhost: a\ncontent-type: application/grpc\ncontent-length: 0";
    let answer = RawClient::connect(weft.gateway(8080)).await.ask(call).await;
    assert_eq!(
        answer.field("grpc-status"),
        Some("14"),
        "a call is UNAVAILABLE"
    );
}

/// Connections are kept inside TLS as they are without, and HTTP/1.1 is what is agreed on.
#[tokio::test]
async fn connections_are_kept() {
    let ca = Ca::new();
    let backend = secure(&ca, GOOD).await;
    let weft = Weft::start_with(&world(&backend, &ca, &format!("hostname: {NAME}, {CA}")), 1);
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    for _ in 0..5 {
        let answer = ask1(&mut client, get("shop.test")).await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        assert!(
            text.contains("GET / HTTP/1.1"),
            "HTTP/1.1 was agreed on: {text}"
        );
        assert!(
            text.contains("host: shop.test"),
            "the host is the client's: {text}"
        );
    }
    assert_eq!(backend.connections(), 1, "one handshake for five requests");
    let ok = ["side=\"client\"", "result=\"ok\""];
    assert_eq!(
        weft.metric("weft_tls_handshakes_total", &ok),
        1.0,
        "and it was counted"
    );
}

/// A back-end that takes only clients with a certificate.
#[tokio::test]
async fn a_gateway_shows_its_certificate() {
    let ca = Ca::new();
    let tls = ca.issue(GOOD).server(&["http/1.1"], Some(&ca));
    let backend = Backend::serve_tls(Speaks::Http1, tls, echo).await;
    let plain = world(&backend, &ca, &format!("hostname: {NAME}, {CA}"));
    let weft = Weft::start(&plain);
    assert!(
        status(&weft).await >= 502,
        "without a certificate it refuses"
    );
    assert_eq!(backend.requests(), 0);
    let shown = |secret: &str| {
        let yaml = plain.yaml().replace(
            "gatewayClassName: weft",
            &format!("gatewayClassName: weft, tls: {{backend: {{clientCertificateRef: {{name: {secret}}}}}}}"),
        );
        let (good, foreign) = (ca.issue(Leaf::NOBODY), Ca::new().issue(Leaf::NOBODY));
        World::raw(yaml)
            .secret("infra/good", &good.cert_pem, &good.key_pem)
            .secret("infra/foreign", &foreign.cert_pem, &foreign.key_pem)
    };
    for (secret, is_taken) in [
        ("good", true),
        ("foreign", false),
        ("none", false),
        ("good", true),
    ] {
        weft.update(&shown(secret));
        assert_eq!(status(&weft).await == 200, is_taken, "certificate {secret}");
    }
}

/// Answers a call with its messages and status 0.
async fn call(request: Request<Incoming>) -> Response<Body> {
    assert_eq!(
        request.uri().scheme_str(),
        Some("https"),
        "the scheme is that of the connection"
    );
    let (feed, body) = fed();
    tokio::spawn(async move {
        let message = request.into_body().collect().await.expected("a message");
        feed.data(message.to_bytes()).await;
        let ok = [(
            header::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )];
        feed.trailers(HeaderMap::from_iter(ok)).await;
    });
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}

/// `h2` is all that is offered, and all that the back-end would agree to.
#[tokio::test]
async fn grpc_calls_go_in_http2_inside_tls() {
    let ca = Ca::new();
    let tls = ca.issue(GOOD).server(&["h2"], None);
    let backend = Backend::serve_tls(Speaks::H2c, tls, call).await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .grpc_route("shop/web", ANY)
        .authorities("shop/ca", &ca.pem)
        .backend_tls("shop/tls", "web", &format!("hostname: {NAME}, {CA}"));
    let weft = Weft::start_with(&world, 1);
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    for _ in 0..3 {
        let request = Request::builder()
            .method("POST")
            .uri("http://a/s/m")
            .header("content-type", "application/grpc")
            .body(full(&b"\0\0\0\0\x02hi"[..]))
            .expect("a request");
        let answer = ask2(&mut client, request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.grpc_status()),
            (200, Some("0"))
        );
        assert_eq!(
            &answer.body[..],
            b"\0\0\0\0\x02hi",
            "the message comes back"
        );
    }
    assert_eq!(backend.connections(), 1, "calls share a connection");
}

/// Agrees to a WebSocket and sends back every byte.
async fn agree(request: Request<Incoming>) -> Response<Body> {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.expected("the upgrade");
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
        // However it ends, the test sees it at the client.
        let _ended = tokio::io::copy(&mut read, &mut write).await;
    });
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}

#[tokio::test]
async fn websockets_go_inside_tls() {
    let ca = Ca::new();
    let tls = ca.issue(GOOD).server(&["http/1.1"], None);
    let backend = Backend::serve_tls(Speaks::Http1, tls, agree).await;
    for app_protocol in ["", "appProtocol: kubernetes.io/wss"] {
        let world = World::new()
            .service_port("shop/web", app_protocol, &[backend.address])
            .route("shop/web", ANY)
            .authorities("shop/ca", &ca.pem)
            .backend_tls("shop/tls", "web", &format!("hostname: {NAME}, {CA}"));
        let weft = Weft::start(&world);
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let ask = "GET /chat HTTP/1.1\nhost: a\nconnection: Upgrade\nupgrade: websocket\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13";
        client.send(head(ask)).await;
        assert_eq!(client.answer_head().await.status, 101, "{app_protocol}");
        for piece in [&b"\x81\x05hello"[..], b"\n\n\0\xff\r\n"] {
            client.send(piece).await;
            assert_eq!(client.exactly(piece.len()).await, piece, "{app_protocol}");
        }
    }
}

/// Copies get TLS as requests do, each by the policy of its own Service.
#[tokio::test]
async fn mirrors_go_inside_tls() {
    let ca = Ca::new();
    let copy = secure(&ca, named(&["copy.test"])).await;
    let main = Backend::named("main").await;
    let route = "rules: [{filters: [{type: RequestMirror, requestMirror: \
                 {backendRef: {name: copy, port: 80}}}], backendRefs: [{name: web, port: 80}]}]";
    let world = World::new()
        .service("shop/web", &[main.address])
        .service("shop/copy", &[copy.address])
        .route("shop/web", route)
        .authorities("shop/ca", &ca.pem)
        .backend_tls("shop/tls", "copy", &format!("hostname: copy.test, {CA}"));
    let weft = Weft::start(&world);
    assert_eq!(status(&weft).await, 200);
    eventually(PATIENCE, "the copy arrives", || copy.requests() == 1).await;
    assert_eq!(main.requests(), 1);
}

/// An endpoint that is gone, and one that proves another name, give way to one that is good.
#[tokio::test]
async fn another_endpoint_is_tried() {
    let ca = Ca::new();
    let (good, wrong) = (
        secure(&ca, GOOD).await,
        secure(&ca, named(&["other.test"])).await,
    );
    let world = World::new()
        .service("shop/web", &[nobody(), wrong.address, good.address])
        .route("shop/web", ANY)
        .authorities("shop/ca", &ca.pem)
        .backend_tls("shop/tls", "web", &format!("hostname: {NAME}, {CA}"));
    let weft = Weft::start(&world);
    for attempt in 0..10 {
        assert_eq!(status(&weft).await, 200, "request {attempt}");
    }
    assert_eq!(wrong.requests(), 0, "who proves another name gets nothing");
    assert_eq!(good.requests(), 10);
}
