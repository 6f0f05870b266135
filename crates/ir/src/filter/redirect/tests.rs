//! Redirects: one row per clause of `HTTPRequestRedirectFilter`.

use http::Request;

use super::Redirect;
use crate::{
    Scheme::{self, Http, Https},
    filter::{FilterContext, PathModifier},
};

/// A redirect that changes nothing.
const PLAIN: Redirect = Redirect {
    scheme: None,
    hostname: None,
    port: None,
    path: None,
    status: 302,
};

/// Status and `Location` for a request to `authority` that came in by `scheme` and `port`.
fn answer(redirect: &Redirect, came_by: (Scheme, u16), authority: &str, uri: &str) -> String {
    let (parts, ()) = Request::get(uri)
        .header("host", authority)
        .body(())
        .unwrap()
        .into_parts();
    let context = FilterContext {
        scheme: came_by.0,
        port: came_by.1,
    };
    let answer = redirect.respond(&parts, &context);
    let location = answer
        .headers
        .get("location")
        .map(|value| value.to_str().unwrap());
    format!("{} {}", answer.status.as_u16(), location.unwrap_or("-"))
}

#[track_caller]
fn check(row: &str, redirect: &Redirect, came_by: (Scheme, u16), location: &str) {
    let found = answer(redirect, came_by, "shop.example:8080", "/a/b?c=d");
    assert_eq!(found, format!("302 {location}"), "{row}");
}

/// Scheme and port of the filter, how the request came in, origin of the `Location`.
type PortRow = (Option<Scheme>, Option<u16>, (Scheme, u16), &'static str);

/// The comment of `HTTPRequestRedirectFilter.port`, clause by clause.
#[rustfmt::skip]
const PORTS: [(&str, PortRow); 12] = [
    ("port given", (None, Some(8083), (Http, 80), "http://shop.example:8083")),
    ("port beats scheme", (Some(Https), Some(8443), (Http, 80), "https://shop.example:8443")),
    ("scheme: its own port", (Some(Https), None, (Http, 8080), "https://shop.example")),
    ("scheme http", (Some(Http), None, (Https, 8443), "http://shop.example")),
    ("no scheme: the listener port", (None, None, (Http, 8080), "http://shop.example:8080")),
    ("listener port of TLS", (None, None, (Https, 8443), "https://shop.example:8443")),
    ("http and 80: no port", (None, None, (Http, 80), "http://shop.example")),
    ("https and 443: no port", (None, None, (Https, 443), "https://shop.example")),
    ("given 80 with http: no port", (None, Some(80), (Http, 8080), "http://shop.example")),
    ("given 443 with https", (Some(Https), Some(443), (Http, 80), "https://shop.example")),
    ("80 is not the port of https", (Some(Https), Some(80), (Http, 80), "https://shop.example:80")),
    ("443 is not the port of http", (None, None, (Http, 443), "http://shop.example:443")),
];

#[test]
fn port_rules() {
    for (row, (scheme, port, came_by, origin)) in PORTS {
        let redirect = Redirect {
            scheme,
            port,
            ..PLAIN
        };
        check(row, &redirect, came_by, &format!("{origin}/a/b?c=d"));
    }
}

#[test]
fn host_and_path() {
    let host = Redirect {
        hostname: Some("example.org".into()),
        ..PLAIN
    };
    check(
        "host given",
        &host,
        (Http, 80),
        "http://example.org/a/b?c=d",
    );
    let full = Redirect {
        path: Some(PathModifier::Full("/x".into())),
        ..PLAIN
    };
    check(
        "full path, query kept",
        &full,
        (Http, 80),
        "http://shop.example/x?c=d",
    );
    let prefix = PathModifier::Prefix {
        prefix: "/a".into(),
        replacement: "/z".into(),
    };
    let prefix = Redirect {
        path: Some(prefix),
        ..PLAIN
    };
    check(
        "prefix, query kept",
        &prefix,
        (Http, 80),
        "http://shop.example/z/b?c=d",
    );
    check(
        "nothing given: as the request",
        &PLAIN,
        (Http, 80),
        "http://shop.example/a/b?c=d",
    );
    let mut all = host.clone();
    (all.scheme, all.port, all.path) = (Some(Https), Some(8443), prefix.path.clone());
    check(
        "everything given",
        &all,
        (Http, 80),
        "https://example.org:8443/z/b?c=d",
    );
}

#[test]
fn host_of_the_request_keeps_its_form() {
    for (authority, location) in [
        ("shop", "302 http://shop/"),
        ("shop:1", "302 http://shop/"),
        ("[fd00::1]:8080", "302 http://[fd00::1]/"),
        ("10.0.0.1:80", "302 http://10.0.0.1/"),
    ] {
        assert_eq!(
            answer(&PLAIN, (Http, 80), authority, "/"),
            location,
            "host {authority}"
        );
    }
}

#[test]
fn status_codes() {
    for status in [301, 302, 303, 307, 308] {
        let redirect = Redirect { status, ..PLAIN };
        let found = answer(&redirect, (Http, 80), "shop", "/");
        assert_eq!(found, format!("{status} http://shop/"), "code {status}");
    }
}

#[test]
fn damaged_tables_answer_500_without_location() {
    let host = Redirect {
        hostname: Some("a\r\nset-cookie: x".into()),
        ..PLAIN
    };
    assert_eq!(
        answer(&host, (Http, 80), "shop", "/"),
        "500 -",
        "a host that splits the head"
    );
    let status = Redirect { status: 7, ..PLAIN };
    let found = answer(&status, (Http, 80), "shop", "/");
    assert!(
        found.starts_with("500"),
        "a status that HTTP does not know: {found}"
    );
}
