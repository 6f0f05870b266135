//! Policies, names and authorities that change: what holds from the next request on, and who does not
//! notice.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use http::Response;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use weft_tests::{
    backend::{Backend, Speaks},
    body::full,
    client::{ask1, http1, tcp},
    gateway::Weft,
    pki::Ca,
    wait::{Expected, PATIENCE, eventually},
    world::World,
};

use super::{ANY, CA, GOOD, NAME, get, named, secure, status, world};

/// A connection that is pooled must not outlive the settings it was made under.
#[tokio::test]
async fn a_changed_policy_takes_new_connections() {
    let ca = Ca::new();
    let backend = secure(&ca, GOOD).await;
    let asking = |validation: &str| world(&backend, &ca, &format!("{validation}, {CA}"));
    let weft = Weft::start_with(&asking("hostname: web.shop.test"), 1);
    let rows = [
        ("hostname: web.shop.test", 200),
        ("hostname: other.test", 502),
        ("hostname: web.shop.test", 200),
        (
            "hostname: web.shop.test, subjectAltNames: [{type: Hostname, hostname: b.test}]",
            502,
        ),
        (
            "hostname: other.test, subjectAltNames: [{type: Hostname, hostname: web.shop.test}]",
            200,
        ),
    ];
    for (validation, expected) in rows {
        weft.update(&asking(validation));
        assert_eq!(status(&weft).await, expected, "{validation}");
    }
}

/// Authorities are swapped for whoever uses them, from the next request on; others keep their
/// connections.
#[tokio::test]
async fn changed_authorities_concern_their_own_backends() {
    let (old, new, stable) = (Ca::new(), Ca::new(), Ca::new());
    let backend = secure(&old, GOOD).await;
    let other = secure(&stable, named(&["other.test"])).await;
    let route = "rules: [{matches: [{path: {value: /other}}], backendRefs: [{name: other, port: 80}]}, \
                 {backendRefs: [{name: web, port: 80}]}]";
    let trusting = |authorities: &str| {
        World::new()
            .service("shop/web", &[backend.address])
            .service("shop/other", &[other.address])
            .route("shop/web", route)
            .authorities("shop/ca", authorities)
            .authorities("shop/stable", &stable.pem)
            .backend_tls("shop/tls", "web", &format!("hostname: {NAME}, {CA}"))
            .backend_tls(
                "shop/other",
                "other",
                "hostname: other.test, \
                 caCertificateRefs: [{group: \"\", kind: ConfigMap, name: stable}]",
            )
    };
    let weft = Weft::start_with(&trusting(&old.pem), 1);
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    let both = format!("{}{}", old.pem, new.pem);
    let rows = [
        ("the old one", &old.pem, 200),
        ("both, while they are exchanged", &both, 200),
        (
            "the new one, which the back-end has no certificate of",
            &new.pem,
            502,
        ),
        ("both again", &both, 200),
        ("no certificate at all", &String::new(), 500),
        ("the old one again", &old.pem, 200),
    ];
    for (name, authorities, expected) in rows {
        weft.update(&trusting(authorities));
        assert_eq!(status(&weft).await, expected, "{name}");
        let mut request = get("a");
        *request.uri_mut() = http::Uri::from_static("/other");
        assert_eq!(
            ask1(&mut client, request).await.status,
            200,
            "{name}: the other back-end"
        );
    }
    assert_eq!(
        other.connections(),
        1,
        "the other back-end kept its connection"
    );
}

/// A back-end that takes both and says which it got.
async fn either(ca: &Ca) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expected("a socket");
    let address = listener.local_addr().expected("its address");
    let tls = TlsAcceptor::from(ca.issue(GOOD).server(&["http/1.1"], None));
    tokio::spawn(async move {
        loop {
            let (stream, _peer) = listener.accept().await.expected("accept");
            let tls = tls.clone();
            tokio::spawn(async move {
                let mut first = [0];
                let is_tls = stream.peek(&mut first).await.is_ok() && first == [0x16];
                let say = |what: &'static str| {
                    hyper::service::service_fn(move |_request| async move {
                        Ok(Response::new(full(what)))
                    })
                };
                if !is_tls {
                    Speaks::Http1.serve(stream, say("plaintext")).await;
                } else if let Ok(stream) = tls.accept(stream).await {
                    Speaks::Http1.serve(stream, say("TLS")).await;
                }
            });
        }
    });
    address
}

/// From the moment a policy is there requests get TLS, and from the moment it is gone they do not;
/// none is lost on the way.
#[tokio::test]
async fn a_policy_comes_and_goes_under_traffic() {
    let ca = Ca::new();
    let address = either(&ca).await;
    let plain = World::new()
        .service("shop/web", &[address])
        .route("shop/web", ANY)
        .authorities("shop/ca", &ca.pem);
    let secured = plain
        .clone()
        .backend_tls("shop/tls", "web", &format!("hostname: {NAME}, {CA}"));
    let weft = Weft::start(&plain);
    let (done, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let traffic: Vec<_> = (0..4)
        .map(|_| {
            let (done, asked, at) = (Arc::clone(&done), Arc::clone(&asked), weft.gateway(8080));
            tokio::spawn(async move {
                let mut client = http1(tcp(at).await).await;
                while !done.load(Relaxed) {
                    let answer = ask1(&mut client, get("a")).await;
                    assert_eq!(answer.status, 200, "under traffic: {}", answer.text());
                    asked.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    for round in 0..5 {
        for (world, expected) in [(&plain, "plaintext"), (&secured, "TLS")] {
            weft.update(world);
            let said = ask1(&mut client, get("a")).await.text();
            assert_eq!(said, expected, "round {round}: the next request");
            let seen = asked.load(Relaxed);
            let more = || asked.load(Relaxed) > seen + 20;
            eventually(PATIENCE, "requests go on", more).await;
        }
    }
    done.store(true, Relaxed);
    for task in traffic {
        task.await.expected("no request failed");
    }
}

/// Endpoints that come are reached as those before them.
#[tokio::test]
async fn new_endpoints_get_tls_too() {
    let ca = Ca::new();
    let (first, second) = (secure(&ca, GOOD).await, secure(&ca, GOOD).await);
    let of = |backend: &Backend| world(backend, &ca, &format!("hostname: {NAME}, {CA}"));
    let weft = Weft::start(&of(&first));
    assert_eq!(status(&weft).await, 200);
    weft.update(&of(&second));
    assert_eq!(status(&weft).await, 200);
    assert_eq!((first.requests(), second.requests()), (1, 1));
}
