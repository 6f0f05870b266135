//! Tests of `listener`: the rules of `Listener.hostname` and listener isolation, among them the
//! requests of the upstream tests GatewayHTTPListenerIsolation and
//! HTTPRouteHTTPSListenerDetectMisdirectedRequests.

use std::sync::Arc;

use proptest::{prelude::*, sample::select};

use super::{Listener, ListenerChoice, Port, PortProtocol};
use crate::{Hostname, RouteSet, fixture::rows};

fn port(protocol: PortProtocol, hostnames: &[&str]) -> Port {
    let listener = |hostname: &&str| {
        Arc::new(Listener {
            name: Arc::from(*hostname),
            hostname: Hostname::parse(hostname),
            certificates: Vec::new(),
            routes: Arc::new(RouteSet::default()),
        })
    };
    Port::new(443, protocol, hostnames.iter().map(listener).collect())
}

/// The hostname of the chosen listener (empty: the one without), `404` or `421`.
fn chosen(port: &Port, sni: Option<&str>, host: &str) -> String {
    match port.listener_for(sni, host) {
        ListenerChoice::Serve(at) => port.listeners[at].name.to_string(),
        ListenerChoice::NotFound => "404".to_owned(),
        ListenerChoice::Misdirected => "421".to_owned(),
    }
}

#[test]
fn a_request_uses_the_most_specific_listener_only() {
    let port = port(
        PortProtocol::Http,
        &[
            "",
            "*.example.com",
            "*.foo.example.com",
            "abc.foo.example.com",
        ],
    );
    let rows = [
        ("bar.com", ""),
        ("example.com", ""),
        ("bar.example.com", "*.example.com"),
        ("foo.example.com", "*.example.com"),
        ("a.b.example.com", "*.example.com"),
        ("bar.foo.example.com", "*.foo.example.com"),
        ("x.abc.foo.example.com", "*.foo.example.com"),
        ("abc.foo.example.com", "abc.foo.example.com"),
        ("", ""),
    ];
    for (host, expected) in rows {
        assert_eq!(chosen(&port, None, host), expected, "host {host:?}");
        assert_eq!(
            chosen(&port, Some("bar.com"), host),
            expected,
            "SNI means nothing in cleartext"
        );
    }
}

#[test]
fn a_host_that_no_listener_takes() {
    let port = port(PortProtocol::Http, &["a.com", "*.b.com"]);
    for host in ["b.com", "c.com", "x.a.com", ""] {
        assert_eq!(chosen(&port, None, host), "404", "host {host:?}");
    }
    assert_eq!(
        chosen(&super::tests::port(PortProtocol::Http, &[]), None, "a.com"),
        "404"
    );
}

/// Port with or without a listener for every host, SNI, Host, then listener or status. Where the
/// listener without hostname (`-`) is chosen, its routes decide between 200 and 404. A client that
/// sends no SNI reaches that listener only.
const MISDIRECTED: &str = "
with     example.org                  example.org                  -
with     example.org                  second-example.org           421
with     example.org                  unknown-example.org          -
with     second-example.org           second-example.org           second-example.org
with     second-example.org           example.org                  421
with     second-example.org           unknown-example.org          421
with     third-example.wildcard.org   third-example.wildcard.org   *.wildcard.org
with     third-example.wildcard.org   fith-example.wildcard.org    *.wildcard.org
with     third-example.wildcard.org   fourth-example.wildcard.org  421
with     third-example.wildcard.org   second-example.org           421
with     third-example.wildcard.org   unknown-example.org          421
with     fourth-example.wildcard.org  fourth-example.wildcard.org  fourth-example.wildcard.org
with     fourth-example.wildcard.org  fith-example.wildcard.org    421
with     unknown-example.org          example.org                  -
with     unknown-example.org          unknown-example.org          -
with     -                            example.org                  -
with     -                            second-example.org           421
without  second-example.org           unknown-example.org          404
without  second-example.org           x.wildcard.org               421
without  unknown-example.org          second-example.org           421
without  unknown-example.org          unknown-example.org          404
without  -                            second-example.org           421
without  -                            unknown-example.org          404
";

#[test]
fn misdirected_requests() {
    let with_any = port(
        PortProtocol::Https,
        &[
            "",
            "second-example.org",
            "*.wildcard.org",
            "fourth-example.wildcard.org",
        ],
    );
    let without = port(
        PortProtocol::Https,
        &["second-example.org", "*.wildcard.org"],
    );
    for [listeners, sni, host, expected] in rows(MISDIRECTED) {
        let port = if listeners == "with" {
            &with_any
        } else {
            &without
        };
        let sni = Some(sni).filter(|sni| *sni != "-");
        let expected = if expected == "-" { "" } else { expected };
        assert_eq!(
            chosen(port, sni, host),
            expected,
            "SNI {sni:?}, Host {host}, {listeners} any"
        );
    }
}

#[test]
fn a_stored_port_restores_its_order() {
    let stored = port(PortProtocol::Https, &["*.a.com", "", "b.a.com"]);
    let json = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<Port>(&json).unwrap(), stored);
    let shuffled = port(PortProtocol::Https, &["", "b.a.com", "*.a.com"]);
    assert_eq!(
        serde_json::to_string(&shuffled).unwrap(),
        json,
        "listeners in any order"
    );
}

proptest! {
    /// Binary search against a scan of every hostname.
    #[test]
    fn the_choice_is_the_most_specific_match(
        hostnames in prop::collection::btree_set(
            select(vec!["", "a", "b.a", "*.a", "c.b.a", "*.b.a", "*.c.b.a", "a.b", "*.b", "aa", "*.aa"]),
            0..8,
        ),
        host in select(vec!["a", "b.a", "c.b.a", "d.c.b.a", "b", "a.b", "aa", "b.aa", "x"]),
    ) {
        let hostnames: Vec<_> = hostnames.into_iter().collect();
        let port = port(PortProtocol::Http, &hostnames);
        let taking = hostnames.iter().filter(|hostname| {
            Hostname::parse(hostname).is_none_or(|hostname| hostname.matches(host))
        });
        let best = taking.max_by_key(|hostname| {
            Hostname::parse(hostname).map_or((0, 0), |hostname| hostname.specificity())
        });
        prop_assert_eq!(chosen(&port, None, host), best.map_or("404", |best| *best));
    }
}
