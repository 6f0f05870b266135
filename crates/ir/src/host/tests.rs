//! Tests of `host`: the clauses of `Hostname` (shared_types.go) and `spec.hostnames`.

use super::{Hostname, host_of};
use crate::fixture::rows;

#[test]
fn what_a_hostname_may_be() {
    let long_label = "a".repeat(63);
    let longest = format!("{0}.{0}.{0}.{1}", long_label, "a".repeat(61));
    let too_long = format!("{longest}a");
    let rows = [
        ("a precise name", "www.example.com", Some("www.example.com")),
        ("one label", "localhost", Some("localhost")),
        ("a wildcard name", "*.example.com", Some("*.example.com")),
        ("a wildcard over one label", "*.com", Some("*.com")),
        (
            "digits and hyphens inside",
            "a-1.b2.example",
            Some("a-1.b2.example"),
        ),
        (
            "upper case is lowered",
            "WWW.Example.COM",
            Some("www.example.com"),
        ),
        (
            "upper case behind a wildcard",
            "*.Example.COM",
            Some("*.example.com"),
        ),
        ("253 bytes", &longest, Some(longest.as_str())),
        ("254 bytes", &too_long, None),
        ("empty", "", None),
        ("an asterisk alone", "*", None),
        ("a wildcard without name", "*.", None),
        ("an asterisk as part of a label", "a*.example.com", None),
        ("an asterisk that is not the first label", "a.*.com", None),
        ("two wildcard labels", "*.*.com", None),
        ("a trailing dot", "example.com.", None),
        ("a leading dot", ".example.com", None),
        ("an empty label", "a..com", None),
        ("a label that starts with a hyphen", "-a.com", None),
        ("a label that ends with a hyphen", "a-.com", None),
        ("an underscore", "a_b.com", None),
        ("a port", "example.com:80", None),
        ("an IPv4 address", "192.0.2.1", None),
        ("an IPv6 address", "[::1]", None),
        ("a space", "a b.com", None),
        ("a letter beyond ASCII", "bücher.example", None),
    ];
    for (name, text, expected) in rows {
        let parsed = Hostname::parse(text).map(|hostname| hostname.to_string());
        assert_eq!(parsed.as_deref(), expected, "{name}: {text:?}");
    }
}

/// Name, hostname, host, whether the hostname takes it.
const TAKES: &str = "
a precise name takes itself         example.com      example.com                yes
and no subdomain                    example.com      www.example.com            no
and no parent                       www.example.com  example.com                no
a wildcard takes one label          *.example.com    test.example.com           yes
and many labels                     *.example.com    foo.test.example.com       yes
and very many                       *.example.com    a.b.c.d.e.f.g.example.com  yes
but not the bare suffix             *.example.com    example.com                no
nor an empty label                  *.example.com    .example.com               no
nor a longer last label             *.example.com    testexample.com            no
nor another domain                  *.example.com    test.example.net           no
nor a host that goes on             *.example.com    test.example.com.evil.org  no
a wildcard over a top-level domain  *.com            a.b.com                    yes
no host at all                      *.com            -                          no
";

#[test]
fn hosts_that_a_hostname_takes() {
    for [name, hostname, host, expected] in rows(TAKES) {
        let host = if host == "-" { "" } else { host };
        let taken = Hostname::parse(hostname).unwrap().matches(host);
        assert_eq!(taken, expected == "yes", "{name}: {hostname} and {host:?}");
    }
}

#[test]
fn hosts_that_two_hostnames_share() {
    let rows = [
        ("equal names", "a.com", "a.com", Some("a.com")),
        ("different names", "a.com", "b.com", None),
        (
            "a name under a wildcard",
            "*.example.com",
            "test.example.com",
            Some("test.example.com"),
        ),
        ("the bare suffix", "*.example.com", "example.com", None),
        (
            "a name elsewhere",
            "*.example.com",
            "test.example.net",
            None,
        ),
        (
            "a narrower wildcard",
            "*.example.com",
            "*.test.example.com",
            Some("*.test.example.com"),
        ),
        (
            "equal wildcards",
            "*.example.com",
            "*.example.com",
            Some("*.example.com"),
        ),
        (
            "unrelated wildcards",
            "*.example.com",
            "*.example.net",
            None,
        ),
        (
            "a suffix that is no domain",
            "*.example.com",
            "*.myexample.com",
            None,
        ),
    ];
    for (name, a, b, expected) in rows {
        let (a, b) = (Hostname::parse(a).unwrap(), Hostname::parse(b).unwrap());
        for (a, b) in [(&a, &b), (&b, &a)] {
            let shared = a.intersect(b).map(|hostname| hostname.to_string());
            assert_eq!(shared.as_deref(), expected, "{name}: {a} and {b}");
        }
    }
}

#[test]
fn order_of_hostnames() {
    let most_specific_first = [
        "abc.foo.example.com",
        "*.bar.foo.example.com",
        "*.foo.example.com",
        "*.example.com",
    ];
    let specificity = |text| Hostname::parse(text).unwrap().specificity();
    assert!(
        most_specific_first
            .map(specificity)
            .is_sorted_by(|a, b| a > b)
    );
    assert!(
        specificity("a.b") > specificity("*.a.very.long.wildcard.example.com"),
        "exact first"
    );
    assert!(specificity("*.a") > (0, 0), "a wildcard before no hostname");
}

#[test]
fn hosts_of_authorities() {
    let rows = [
        ("example.com", "example.com"),
        ("example.com:8080", "example.com"),
        ("example.com:", "example.com"),
        ("Example.COM:80", "Example.COM"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("[2001:db8::1]:443", "[2001:db8::1]"),
        ("[2001:db8::8000]", "[2001:db8::8000]"),
        ("example.com:http", "example.com:http"),
        ("", ""),
    ];
    for (authority, host) in rows {
        assert_eq!(host_of(authority), host, "authority {authority:?}");
    }
}

#[test]
fn stored_as_text() {
    let hostname = Hostname::parse("*.example.com").unwrap();
    let json = serde_json::to_string(&hostname).unwrap();
    assert_eq!(json, "\"*.example.com\"");
    assert_eq!(serde_json::from_str::<Hostname>(&json).unwrap(), hostname);
    let error = serde_json::from_str::<Hostname>("\"a_b\"")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"a_b\" is not a hostname"),
        "the culprit is named: {error}"
    );
}
