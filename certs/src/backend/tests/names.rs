//! Which names of a certificate count (Gateway API, `BackendTLSPolicyValidation.subjectAltNames`).

use super::{HOST, backend, check, roots, settings};
use crate::mint::{Ca, Minted, dns, uri};
use crate::{BackendTls, SubjectAltName};

const URI: &str = "spiffe://abc.example.com/test-identity";
const MISMATCH: &str = "backend_tls_name_mismatch";

/// A CA and certificates of it for different names.
struct World {
    ca: Ca,
    by_host: Minted,
    by_uri: Minted,
    by_wildcard: Minted,
    other: Minted,
}

impl World {
    fn new() -> Self {
        let ca = Ca::root("ca.example");
        Self {
            by_host: backend(&ca, vec![dns(HOST)], |_| ()),
            by_uri: backend(&ca, vec![uri(URI)], |_| ()),
            by_wildcard: backend(&ca, vec![dns("*.example.com")], |_| ()),
            other: backend(&ca, vec![dns("other.example.com")], |_| ()),
            ca,
        }
    }

    async fn check(&self, name: &str, names: &[SubjectAltName], shown: &Minted, expected: &str) {
        let settings = BackendTls {
            subject_alt_names: names.to_vec(),
            ..settings(roots(&[&self.ca.der]))
        };
        check(name, &settings, shown, expected).await;
    }
}

fn host(name: &str) -> SubjectAltName {
    SubjectAltName::Hostname(name.to_owned())
}

fn uri_name(uri: &str) -> SubjectAltName {
    SubjectAltName::Uri(uri.to_owned())
}

#[tokio::test]
async fn the_hostname_authenticates_when_it_is_alone() {
    let world = World::new();
    let rows = [
        ("by name", &world.by_host, "ok"),
        ("by wildcard", &world.by_wildcard, "ok"),
        ("another name", &world.other, MISMATCH),
        ("only a URI", &world.by_uri, MISMATCH),
    ];
    for (name, shown, expected) in rows {
        world.check(name, &[], shown, expected).await;
    }
}

#[tokio::test]
async fn further_names_replace_the_hostname() {
    let world = World::new();
    let World {
        by_host,
        by_uri,
        by_wildcard,
        other,
        ..
    } = &world;
    let both = [host(HOST), uri_name(URI)];
    let elsewhere = "spiffe://abc.example.com/other";
    let rows: &[(&str, &[SubjectAltName], &Minted, &str)] = &[
        ("URI", &[uri_name(URI)], by_uri, "ok"),
        (
            "URI, only the hostname",
            &[uri_name(URI)],
            by_host,
            MISMATCH,
        ),
        ("another URI", &[uri_name(elsewhere)], by_uri, MISMATCH),
        (
            "only the server name",
            &[host("other.example.com")],
            by_host,
            MISMATCH,
        ),
        ("another host", &[host("other.example.com")], other, "ok"),
        ("both, by host", &both, by_host, "ok"),
        ("both, by URI", &both, by_uri, "ok"),
        ("both, by neither", &both, other, MISMATCH),
        (
            "a wildcard, by itself",
            &[host("*.Example.com")],
            by_wildcard,
            "ok",
        ),
        (
            "a wildcard, by a name below",
            &[host("*.example.com")],
            by_host,
            MISMATCH,
        ),
    ];
    for (name, names, shown, expected) in rows {
        world.check(name, names, shown, expected).await;
    }
}
