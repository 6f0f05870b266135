//! Distinct and overlapping listeners, from the text of `GatewaySpec.listeners` and of
//! `ListenerConditionOverlappingTLSConfig`.

use crate::fixture::{CLASS, output, status, tables};

/// Listeners as `(name, port, protocol, hostname)` and the conditions of each that are not good.
type Row<'a> = (
    &'a str,
    &'a [(&'a str, u16, &'a str, &'a str)],
    &'a [&'a str],
);

fn world(listeners: &[(&str, u16, &str, &str)]) -> String {
    let listeners = listeners.iter().map(|(name, port, protocol, hostname)| {
        let tls = if *protocol == "HTTPS" {
            ", tls: {certificateRefs: [{name: cert}]}"
        } else {
            ""
        };
        let hostname = if hostname.is_empty() {
            String::new()
        } else {
            format!(", hostname: '{hostname}'")
        };
        format!("{{name: {name}, port: {port}, protocol: {protocol}{hostname}{tls}}}")
    });
    let pem = |label: &str| format!("-----BEGIN {label}-----\\nMIIBAAAA\\n-----END {label}-----");
    format!(
        "{CLASS}Secret infra/cert {{type: kubernetes.io/tls, stringData: {{tls.crt: \"{}\", tls.key: \"{}\"}}}}\n\
         Gateway infra/gw {{gatewayClassName: weft, listeners: [{}]}}",
        pem("CERTIFICATE"),
        pem("PRIVATE KEY"),
        listeners.collect::<Vec<_>>().join(", ")
    )
}

fn check(rows: &[Row<'_>]) {
    for (name, listeners, expected) in rows {
        let lines = status(&output(&world(listeners)), "Gateway infra/gw");
        assert_eq!(lines[1..], **expected, "{name}");
    }
}

const HOSTNAME: &str =
    "Accepted=False/HostnameConflict Programmed=False/Invalid Conflicted=True/HostnameConflict";
const PROTOCOL: &str =
    "Accepted=False/ProtocolConflict Programmed=False/Invalid Conflicted=True/ProtocolConflict";

#[test]
fn indistinct_listeners_all_lose() {
    let host = |name: &str| format!("{name} (0) {HOSTNAME}");
    let protocol = |name: &str| format!("{name} (0) {PROTOCOL}");
    let unserved = "t (0) [] Accepted=False/UnsupportedProtocol Programmed=False/Invalid";
    check(&[
        (
            "other ports",
            &[("a", 80, "HTTP", ""), ("b", 81, "HTTP", "")],
            &["a (0)", "b (0)"],
        ),
        (
            "other hostnames",
            &[
                ("a", 80, "HTTP", "a.com"),
                ("b", 80, "HTTP", "*.com"),
                ("c", 80, "HTTP", ""),
            ],
            &["a (0)", "b (0)", "c (0)"],
        ),
        (
            "same hostname",
            &[
                ("a", 80, "HTTP", "a.com"),
                ("b", 80, "HTTP", "a.com"),
                ("c", 80, "HTTP", ""),
            ],
            &[&host("a"), &host("b"), "c (0)"],
        ),
        (
            "hostnames have no case",
            &[("a", 80, "HTTP", "A.com"), ("b", 80, "HTTP", "a.COM")],
            &[&host("a"), &host("b")],
        ),
        (
            "no hostname twice",
            &[("a", 80, "HTTP", ""), ("b", 80, "HTTP", "")],
            &[&host("a"), &host("b")],
        ),
        (
            "two protocols on a port",
            &[("a", 80, "HTTP", "a.com"), ("b", 80, "HTTPS", "b.com")],
            &[&protocol("a"), &protocol("b")],
        ),
        (
            "protocols that are not served take no part",
            &[("a", 80, "HTTP", ""), ("t", 80, "TCP", "")],
            &["a (0)", unserved],
        ),
        (
            "a refused listener takes no part",
            &[("a", 80, "HTTP", ""), ("b", 80, "HTTP", "not a host")],
            &[
                "a (0)",
                "b (0) Accepted=False/UnsupportedValue Programmed=False/Invalid",
            ],
        ),
    ]);
}

#[test]
fn the_distinct_ones_are_served() {
    let output = output(&world(&[
        ("a", 80, "HTTP", "x.com"),
        ("b", 80, "HTTP", "x.com"),
        ("c", 80, "HTTP", ""),
    ]));
    assert_eq!(
        tables(&output),
        ["infra/gw:80 c *: "],
        "no conflicted listener is ever the winner"
    );
    assert_eq!(
        status(&output, "Gateway infra/gw")[0],
        "gateway Accepted=True/ListenersNotValid"
    );
    let none = output_of_all_conflicted();
    assert_eq!(
        none,
        "gateway Accepted=False/ListenersNotValid Programmed=False/Invalid"
    );
}

fn output_of_all_conflicted() -> String {
    let output = output(&world(&[("a", 80, "HTTP", ""), ("b", 80, "HTTP", "")]));
    status(&output, "Gateway infra/gw").swap_remove(0)
}

#[test]
fn overlapping_hostnames_behind_tls_are_said() {
    let overlap = |name: &str| format!("{name} (0) OverlappingTLSConfig=True/OverlappingHostnames");
    check(&[
        (
            "the example of the type comment",
            &[
                ("a", 443, "HTTPS", "foo.example.com"),
                ("b", 443, "HTTPS", "foo.example.org"),
                ("c", 443, "HTTPS", "*.example.com"),
            ],
            &[&overlap("a"), "b (0)", &overlap("c")],
        ),
        (
            "a listener for every host",
            &[("a", 443, "HTTPS", "a.com"), ("b", 443, "HTTPS", "")],
            &[&overlap("a"), &overlap("b")],
        ),
        (
            "other ports",
            &[("a", 443, "HTTPS", "a.com"), ("b", 444, "HTTPS", "*.com")],
            &["a (0)", "b (0)"],
        ),
        (
            "no TLS",
            &[("a", 80, "HTTP", "a.com"), ("b", 80, "HTTP", "")],
            &["a (0)", "b (0)"],
        ),
    ]);
}

/// Names are map keys of the status, so a repeated one cannot have an entry.
#[test]
fn a_repeated_listener_name_is_left_out() {
    let output = output(&world(&[("a", 80, "HTTP", ""), ("a", 81, "HTTP", "")]));
    assert_eq!(status(&output, "Gateway infra/gw"), ["gateway", "a (0)"]);
    assert_eq!(
        crate::fixture::notes(&output, "Gateway infra/gw"),
        ["WA100 spec.listeners[1].name"]
    );
}
