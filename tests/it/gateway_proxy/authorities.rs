//! Authorities of a BackendTLSPolicy travel with the configuration and are saved with it.

use std::fs;

use http::Response;
use weft_ir::Name;
use weft_tests::{
    backend::{Backend, Speaks},
    body::full,
    control_plane::ControlPlane,
    pki::{Ca, Leaf},
    proxy::{Proxy, free_port},
    wait::{Expected, PATIENCE, eventually},
    world::World,
};
use weft_wire::Assembler;

use super::{Fate, ask, on, said, world};

const NAME: &str = "web.shop.test";

/// An HTTP/1 back-end with a certificate of the authority.
async fn secure(ca: &Ca) -> Backend {
    let leaf = Leaf {
        names: &[NAME],
        ..Leaf::NOBODY
    };
    let tls = ca.issue(leaf).server(&["http/1.1"], None);
    let answer = |_request| async { Response::new(full("secure")) };
    Backend::serve_tls(Speaks::Http1, tls, answer).await
}

fn verified_by(pem: &str, world: World) -> World {
    let validation = format!(
        "hostname: {NAME}, caCertificateRefs: [{{group: \"\", kind: ConfigMap, name: ca}}]"
    );
    world
        .backend_tls("shop/tls", "web", &validation)
        .authorities("shop/ca", pem)
}

fn saved_authorities(proxy: &Proxy) -> Option<String> {
    let snapshot = weft_wire::load(&fs::read(proxy.saved()).ok()?).ok()?;
    let (assembler, _) = Assembler::load(&snapshot);
    let bundles = &assembler.configuration().ca_bundles;
    Some(bundles.get(&Name::new("shop", "ca"))?.pem.clone())
}

#[tokio::test]
async fn authorities_are_followed_and_saved() {
    let (ca, other) = (Ca::new(), Ca::new());
    let backend = secure(&ca).await;
    let mut control_plane = ControlPlane::start().await;
    let mut proxy = Proxy::start(&control_plane);
    let port = free_port();
    let rows = [
        ("its own", &ca, true),
        ("of somebody else", &other, false),
        ("its own again", &ca, true),
    ];
    for (name, authority, is_trusted) in rows {
        let world = verified_by(&authority.pem, world(port, &backend));
        let standing = control_plane.publish_and_wait(&world).await;
        assert_eq!(standing.problems, [], "{name}");
        let fate = ask(on(port)).await;
        if is_trusted {
            assert_eq!(fate, said("secure"), "{name}");
        } else {
            let is_refused = matches!(fate, Fate::Answered(502, _));
            assert!(is_refused, "{name}: {fate:?}");
        }
    }

    let is_saved = || saved_authorities(&proxy).is_some_and(|pem| pem.trim() == ca.pem.trim());
    eventually(PATIENCE, "the last authorities are saved", is_saved).await;
    control_plane.go_away().await;
    proxy.restart();
    proxy.ready().await;
    assert_eq!(
        ask(on(port)).await,
        said("secure"),
        "a new parent has the authorities that were saved"
    );
}

#[tokio::test]
async fn those_of_the_platform_are_those_of_the_image() {
    let ca = Ca::new();
    let backend = secure(&ca).await;
    let directory = tempfile::tempdir().expected("a directory");
    let bundle = directory.path().join("ca-certificates.crt");
    fs::write(&bundle, &ca.pem).expected("a bundle");
    let nothing = directory.path().join("none");
    for (name, file, is_there) in [("a bundle", bundle, true), ("none", nothing, false)] {
        let control_plane = ControlPlane::start().await;
        let proxy = Proxy::start_on(&control_plane, Some(file));
        let port = free_port();
        let validation = format!("hostname: {NAME}, wellKnownCACertificates: System");
        let world = world(port, &backend).backend_tls("shop/tls", "web", &validation);
        let standing = control_plane.publish_and_wait(&world).await;
        let problems = standing.problems.iter();
        let named: Vec<_> = problems.map(|it| (&*it.kind, &*it.name)).collect();
        let fate = ask(on(port)).await;
        if is_there {
            assert_eq!(named, [], "{name}: {:?}", standing.problems);
            assert_eq!(fate, said("secure"), "{name}: whom it vouches for");
        } else {
            let route = ("HTTPRoute", "shop/web");
            assert_eq!(named, [route], "{name}: {:?}", standing.problems);
            let is_refused = matches!(fate, Fate::Answered(500..=599, _));
            assert!(is_refused, "{name}: plaintext is no substitute: {fate:?}");
        }
        drop(proxy);
    }
}

#[tokio::test]
async fn authorities_that_cannot_be_used_are_reported_and_refuse() {
    let ca = Ca::new();
    let backend = secure(&ca).await;
    let control_plane = ControlPlane::start().await;
    let _proxy = Proxy::start(&control_plane);
    let port = free_port();
    // Well-formed for translation; what is in it is no certificate.
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----";
    let world = verified_by(broken, world(port, &backend));
    let standing = control_plane.publish_and_wait(&world).await;
    let problems = standing.problems.iter();
    let named: Vec<_> = problems.map(|it| (&*it.kind, &*it.name)).collect();
    assert_eq!(named, [("CaBundle", "shop/ca")], "{:?}", standing.problems);
    let fate = ask(on(port)).await;
    let is_refused = matches!(fate, Fate::Answered(500..=599, _));
    assert!(is_refused, "plaintext is no substitute: {fate:?}");
}
