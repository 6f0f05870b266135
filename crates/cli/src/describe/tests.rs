//! Tests of `describe`.

use std::{sync::Arc, time::Duration};

use weft_ir::{
    Backend, BackendFault, Filters, HttpMatch, Matches, Name, Retry, RouteId, RouteKind, Rule,
    ServicePort, Target, Timeouts, UpstreamProtocol,
};

use super::{limits, share, split};

fn backend(weight: u32, name: &str) -> Backend {
    let port = ServicePort {
        service: Name::new("shop", name),
        port: 80,
    };
    Backend {
        weight,
        filters: Filters::default(),
        target: Target::Service {
            port,
            protocol: UpstreamProtocol::Http1,
            tls: None,
        },
    }
}

#[test]
fn shares_are_of_the_sum_of_all_weights() {
    let rows: &[(&str, &[u32], &[&str])] = &[
        ("80 and 20", &[80, 20], &["80 %", "20 %"]),
        ("one", &[1], &["100 %"]),
        (
            "sum above 100",
            &[20, 80, 10, 10],
            &["16.7 %", "66.7 %", "8.3 %", "8.3 %"],
        ),
        ("nobody", &[0, 0], &["0 %", "0 %"]),
    ];
    for (case, weights, expected) in rows {
        let all: Vec<_> = weights
            .iter()
            .map(|weight| backend(*weight, "web"))
            .collect();
        let shares: Vec<_> = all.iter().map(|it| share(it, &all)).collect();
        assert_eq!(shares, *expected, "{case}");
    }
}

#[test]
fn a_split_names_backends_and_what_is_wrong_with_them() {
    let missing = Backend {
        target: Target::Fault {
            fault: BackendFault::BackendNotFound,
            reference: "Service shop/gone:80".to_owned(),
        },
        ..backend(1, "")
    };
    let text = split(&[backend(3, "web"), missing]);
    assert_eq!(
        text,
        "shop/web:80 75 % · Service shop/gone:80 (BackendNotFound) 25 %"
    );
}

#[test]
fn limits_say_how_long_and_how_often() {
    let plain = || Rule {
        route: Arc::new(RouteId {
            kind: RouteKind::Http,
            name: Name::new("shop", "web"),
        }),
        index: 0,
        name: None,
        matches: Matches::Http(vec![HttpMatch::default()]),
        filters: Filters::default(),
        backends: Vec::new(),
        timeouts: Timeouts::default(),
        retry: None,
        idempotent: false,
    };
    assert_eq!(limits(&plain()), [""; 0], "nothing by default");
    let rule = Rule {
        timeouts: Timeouts {
            request: Some(Duration::from_secs(2)),
            backend_request: None,
        },
        retry: Some(Retry {
            codes: vec![502, 503],
            attempts: 2,
            backoff: Duration::ZERO,
        }),
        idempotent: true,
        ..plain()
    };
    assert_eq!(
        limits(&rule),
        [
            "request 2s",
            "2 retries on 502,503",
            "a request that an endpoint read before it died goes to another one"
        ]
    );
}
