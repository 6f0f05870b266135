//! Headers that are read for logs.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Metadata;

type Pair<'a> = (&'static str, &'a str);

fn read(headers: &[Pair<'_>], is_own_domain: bool) -> Metadata {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).expect("text");
        map.append(HeaderName::from_static(name), value);
    }
    Metadata::read(&map, is_own_domain)
}

#[test]
fn where_a_connection_comes_from() {
    for (forwarded, source) in [
        (
            r#"for="10.0.9.9:40000";host="10.0.0.1:80""#,
            Some("10.0.9.9:40000"),
        ),
        ("for=10.0.9.9:40000;host=web.shop", Some("10.0.9.9:40000")),
        (
            r#"proto=https; For="[fd00::9]:40000""#,
            Some("[fd00::9]:40000"),
        ),
        (r#"for="10.0.9.9:1", for="10.0.9.8:2""#, Some("10.0.9.9:1")),
        ("for=10.0.9.9", None),
        ("for=unknown", None),
        ("for", None),
        ("host=web", None),
    ] {
        let read = read(&[("forwarded", forwarded)], true).source;
        assert_eq!(
            read.map(|s| s.to_string()).as_deref(),
            source,
            "{forwarded}"
        );
    }
}

#[test]
fn what_is_kept() {
    let long = "x".repeat(8193);
    let rows: [(&str, &[Pair<'_>], Option<&str>); 4] = [
        ("once", &[("baggage", "a=1")], Some("a=1")),
        ("twice", &[("baggage", "a=1"), ("baggage", "b=2")], None),
        ("too long", &[("baggage", &long)], None),
        ("absent", &[], None),
    ];
    for (name, headers, kept) in rows {
        let baggage = read(headers, true).baggage;
        let text = baggage.as_ref().and_then(|value| value.to_str().ok());
        assert_eq!(text, kept, "{name}");
    }
    let route = [("x-weft-route", "shop/web/0")];
    assert!(read(&route, true).route.is_some(), "our own domain");
    assert!(
        read(&route, false).route.is_none(),
        "a foreign one says nothing about routes"
    );
}
