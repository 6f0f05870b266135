//! One row per clause of the rules for a request before matching.

use http::{Request, Version, request::Parts};

use super::{Canonical, Invalid, canonicalise};

/// A request head: method, target, fields.
type Head<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn parts((method, target, fields): Head<'_>, version: Version) -> Parts {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .version(version);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

/// The refusal, or target and host of the canonical form.
fn judged(head: Head<'_>, version: Version) -> Result<(String, String), Invalid> {
    let mut parts = parts(head, version);
    canonicalise(&mut parts)?;
    assert!(
        parts.uri.authority().is_none(),
        "the canonical target has no authority: {}",
        parts.uri
    );
    let host = parts.headers.get_all("host").iter().collect::<Vec<_>>();
    assert_eq!(host.len(), 1, "exactly one host: {head:?}");
    let host = host[0].to_str().expect("text").to_owned();
    Ok((parts.uri.to_string(), host))
}

type Row<'a> = (&'a str, Head<'a>, Result<(&'a str, &'a str), Invalid>);

fn check(version: Version, rows: &[Row<'_>]) {
    for (name, head, expected) in rows {
        let found = judged(*head, version);
        let found = found
            .as_ref()
            .map(|(target, host)| (target.as_str(), host.as_str()));
        assert_eq!(
            found.map_err(|invalid| *invalid),
            *expected,
            "{name}: {head:?}"
        );
    }
}

const HTTP1_HOSTS: &[Row<'_>] = &[
    ("a host", ("GET", "/", &[("host", "a")]), Ok(("/", "a"))),
    (
        "its case stays",
        ("GET", "/", &[("host", "A.b")]),
        Ok(("/", "A.b")),
    ),
    (
        "its port stays",
        ("GET", "/", &[("host", "a:80")]),
        Ok(("/", "a:80")),
    ),
    (
        "a literal",
        ("GET", "/", &[("host", "[::1]:80")]),
        Ok(("/", "[::1]:80")),
    ),
    (
        "an underscore",
        ("GET", "/", &[("host", "a_b")]),
        Ok(("/", "a_b")),
    ),
    ("none", ("GET", "/", &[]), Err(Invalid::NoHost)),
    (
        "an empty one",
        ("GET", "/", &[("host", "")]),
        Err(Invalid::NoHost),
    ),
    (
        "two",
        ("GET", "/", &[("host", "a"), ("host", "a")]),
        Err(Invalid::ManyHosts),
    ),
    (
        "absolute, equal",
        ("GET", "http://a/x?q", &[("host", "a")]),
        Ok(("/x?q", "a")),
    ),
    (
        "absolute, equal but for case",
        ("GET", "http://A/", &[("host", "a")]),
        Ok(("/", "a")),
    ),
    (
        "absolute without path",
        ("GET", "http://a", &[("host", "a")]),
        Ok(("/", "a")),
    ),
    (
        "absolute, another",
        ("GET", "http://b/", &[("host", "a")]),
        Err(Invalid::HostMismatch),
    ),
    (
        "absolute, another port",
        ("GET", "http://a:1/", &[("host", "a")]),
        Err(Invalid::HostMismatch),
    ),
    (
        "absolute without host",
        ("GET", "http://a/", &[]),
        Err(Invalid::NoHost),
    ),
    (
        "userinfo",
        ("GET", "/", &[("host", "u@a")]),
        Err(Invalid::BadHost),
    ),
    (
        "userinfo twice",
        ("GET", "http://u@a/", &[("host", "u@a")]),
        Err(Invalid::BadHost),
    ),
    (
        "an escape",
        ("GET", "/", &[("host", "a%2e")]),
        Err(Invalid::BadHost),
    ),
    (
        "a path",
        ("GET", "/", &[("host", "a/b")]),
        Err(Invalid::BadHost),
    ),
    (
        "a list",
        ("GET", "/", &[("host", "a, b")]),
        Err(Invalid::BadHost),
    ),
    (
        "an empty port",
        ("GET", "/", &[("host", "a:")]),
        Err(Invalid::BadHost),
    ),
    (
        "a long port",
        ("GET", "/", &[("host", "a:123456")]),
        Err(Invalid::BadHost),
    ),
    (
        "a word",
        ("GET", "/", &[("host", "a:http")]),
        Err(Invalid::BadHost),
    ),
    (
        "only a port",
        ("GET", "/", &[("host", ":80")]),
        Err(Invalid::BadHost),
    ),
    (
        "an open literal",
        ("GET", "/", &[("host", "[::1")]),
        Err(Invalid::BadHost),
    ),
    (
        "text behind a literal",
        ("GET", "/", &[("host", "[::1]a")]),
        Err(Invalid::BadHost),
    ),
];

#[test]
fn http1_hosts() {
    check(Version::HTTP_11, HTTP1_HOSTS);
}

#[test]
fn http2_hosts_and_values() {
    use Invalid::{BadHost, EdgeSpace, HostMismatch, ManyHosts, NoHost};
    check(
        Version::HTTP_2,
        &[
            ("authority", ("GET", "http://a/x", &[]), Ok(("/x", "a"))),
            ("host", ("GET", "/x", &[("host", "a")]), Ok(("/x", "a"))),
            (
                "both, equal",
                ("GET", "http://a/", &[("host", "a")]),
                Ok(("/", "a")),
            ),
            (
                "both, unequal",
                ("GET", "http://a/", &[("host", "b")]),
                Err(HostMismatch),
            ),
            ("neither", ("GET", "/", &[]), Err(NoHost)),
            (
                "two hosts",
                ("GET", "http://a/", &[("host", "a"), ("host", "a")]),
                Err(ManyHosts),
            ),
            ("userinfo", ("GET", "http://u@a/", &[]), Err(BadHost)),
            (
                "space in front",
                ("GET", "http://a/", &[("x", " 1")]),
                Err(EdgeSpace),
            ),
            (
                "space behind",
                ("GET", "http://a/", &[("x", "1 ")]),
                Err(EdgeSpace),
            ),
            (
                "a tab behind",
                ("GET", "http://a/", &[("x", "1\t")]),
                Err(EdgeSpace),
            ),
            (
                "only a space",
                ("GET", "http://a/", &[("x", " ")]),
                Err(EdgeSpace),
            ),
            (
                "space inside",
                ("GET", "http://a/", &[("x", "1 2")]),
                Ok(("/", "a")),
            ),
            (
                "an empty value",
                ("GET", "http://a/", &[("x", "")]),
                Ok(("/", "a")),
            ),
        ],
    );
}

#[test]
fn framing_and_targets() {
    use Invalid::{Connect, Framing, Target};
    const HOST: (&str, &str) = ("host", "a");
    const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");
    check(
        Version::HTTP_11,
        &[
            (
                "one chunked",
                ("POST", "/", &[HOST, CHUNKED]),
                Ok(("/", "a")),
            ),
            (
                "its case",
                ("POST", "/", &[HOST, ("transfer-encoding", "ChunkeD")]),
                Ok(("/", "a")),
            ),
            (
                "two",
                ("POST", "/", &[HOST, CHUNKED, CHUNKED]),
                Err(Framing),
            ),
            (
                "a list",
                ("POST", "/", &[HOST, ("transfer-encoding", "gzip, chunked")]),
                Err(Framing),
            ),
            (
                "an empty element",
                ("POST", "/", &[HOST, ("transfer-encoding", ",chunked")]),
                Err(Framing),
            ),
            (
                "with a length",
                ("POST", "/", &[HOST, CHUNKED, ("content-length", "1")]),
                Err(Framing),
            ),
            ("CONNECT", ("CONNECT", "a:443", &[HOST]), Err(Connect)),
            (
                "authority form",
                ("GET", "a:80", &[("host", "a:80")]),
                Err(Target),
            ),
            ("the asterisk", ("OPTIONS", "*", &[HOST]), Ok(("*", "a"))),
            ("the asterisk for GET", ("GET", "*", &[HOST]), Err(Target)),
            (
                "a path to normalise",
                ("GET", "/a/../b//c?x=/..", &[HOST]),
                Ok(("/b/c?x=/..", "a")),
            ),
        ],
    );
}

#[test]
fn paths_that_cannot_be_normalised() {
    for target in ["/%zz", "/%", "/%4", "/%/"] {
        let found = judged(("GET", target, &[("host", "a")]), Version::HTTP_11);
        assert!(
            matches!(found, Err(Invalid::Path(_))),
            "{target}: {found:?}"
        );
    }
}

#[test]
fn encoded_separators_are_told_on() {
    let rows = [
        ("/a", false),
        ("/a%20b", false),
        ("/a%2fb", true),
        ("/a%5Cb", true),
        ("/a%00", true),
        ("/a?b=%2f", false),
    ];
    for (target, encoded_separator) in rows {
        let mut parts = parts(("GET", target, &[("host", "a")]), Version::HTTP_11);
        let found = canonicalise(&mut parts);
        assert_eq!(found, Ok(Canonical { encoded_separator }), "{target}");
    }
}

#[test]
fn http2_heads_have_the_bounds_of_http1() {
    let long = "v".repeat(8192);
    let fits = &long[..8191];
    let target = format!("http://a/{}", &long[..8191]);
    let longer = format!("http://a/{long}");
    let many = vec![("x", "1"); 101];
    let rows: [(&str, Head<'_>, Option<u16>); 6] = [
        ("a long field", ("GET", "http://a/", &[("x", fits)]), None),
        (
            "too long a field",
            ("GET", "http://a/", &[("x", &long)]),
            Some(431),
        ),
        ("a long target", ("GET", &target, &[]), None),
        ("too long a target", ("GET", &longer, &[]), Some(414)),
        ("a hundred fields", ("GET", "http://a/", &many[..100]), None),
        ("one more", ("GET", "http://a/", &many), Some(431)),
    ];
    for (name, head, status) in rows {
        let found = judged(head, Version::HTTP_2).err().map(Invalid::status);
        assert_eq!(found, status, "{name}");
    }
}

#[test]
fn connect_is_a_method_that_is_not_allowed() {
    assert_eq!(Invalid::Connect.status(), 405);
    assert_eq!(Invalid::NoHost.status(), 400);
    assert_eq!(Invalid::Target.status(), 400);
}
