//! The registry through its scrape: what users and dashboards see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{
    ALL, Backend, BuildInfo, CloseReason, ConnectionLabels, Destination, Detected, EndpointCounts,
    Holder, IdentityLabels, IdentityMetrics, IdentityState, Kind, LabelGroups, Parent, Protocol,
    Registry, Reporter, RequestEnd, RequestLabels, RetryOutcome, RootLabels, Route, Source,
    TlsGroup, TlsHandshake, TlsResult, TlsSide, TlsVersion,
};
use crate::reason::Reason;

const BUILD: BuildInfo = BuildInfo {
    version: "1.2.3",
    commit: "abc",
};

fn registry() -> Registry {
    Registry::with_lanes(BUILD, LabelGroups::default(), 4)
}

fn labels(rule: &str) -> RequestLabels {
    RequestLabels {
        reporter: Reporter::Gateway,
        parent: Parent {
            kind: "Gateway".into(),
            name: "edge".into(),
            namespace: "infra".into(),
            port: 80,
        },
        route: Route {
            kind: "HTTPRoute".into(),
            name: "web".into(),
            namespace: "shop".into(),
            rule: rule.into(),
        },
        backend: Backend {
            name: "web-v1".into(),
            namespace: "shop".into(),
            port: 8080,
        },
        destination: Destination {
            workload: "web".into(),
            namespace: "shop".into(),
            pod_template_hash: "5f6".into(),
        },
        source: Source {
            workload: "cart".into(),
            namespace: "shop".into(),
        },
    }
}

fn end(status: u16) -> RequestEnd {
    RequestEnd {
        protocol: Protocol::Http1,
        status: Some(status),
        grpc_status: None,
        reason: None,
        duration: Duration::from_millis(3),
        first_byte: Some(Duration::from_millis(2)),
    }
}

/// A series of a scrape: sample name and labels.
type Sample = (String, BTreeMap<String, String>);

/// Reads OpenMetrics text strictly enough to notice anything a scraper would refuse.
fn parse(text: &str) -> BTreeMap<Sample, f64> {
    let body = text
        .strip_suffix("# EOF\n")
        .expect("a scrape ends with # EOF");
    let mut samples = BTreeMap::new();
    let mut family = String::new();
    let mut families = BTreeSet::new();
    for line in body.lines() {
        if let Some(header) = line.strip_prefix("# ") {
            let name = header.split(' ').nth(1).expect("a header names its family");
            if name != family {
                assert!(
                    families.insert(name.to_owned()),
                    "family {name} is not contiguous"
                );
                family = name.to_owned();
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        let (name, labels) = series
            .split_once('{')
            .expect("samples are written with braces");
        assert!(
            name.starts_with(&family),
            "{name} under the header of {family}"
        );
        let labels = labels.strip_suffix('}').expect("a closing brace");
        let labels: BTreeMap<_, _> = split_labels(labels).into_iter().collect();
        let value = value.parse().expect("a number");
        let sample = (name.to_owned(), labels);
        assert!(
            samples.insert(sample.clone(), value).is_none(),
            "{sample:?} appears twice"
        );
    }
    samples
}

fn split_labels(mut text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let mut escaped = false;
        let end = rest.find(|c| {
            let closing = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closing
        });
        let (value, rest) = rest.split_at(end.expect("a closing quote"));
        labels.push((name.to_owned(), value.to_owned()));
        text = rest[1..].strip_prefix(',').unwrap_or(&rest[1..]);
    }
    labels
}

/// The sum of all samples called `name` whose labels include `wanted`; `None` if there are none.
fn sum(text: &str, name: &str, wanted: &[(&str, &str)]) -> Option<f64> {
    let has = |labels: &BTreeMap<String, String>| {
        wanted
            .iter()
            .all(|(key, value)| labels.get(*key).is_some_and(|found| found == value))
    };
    let samples = parse(text);
    let found: Vec<f64> = samples
        .iter()
        .filter(|((sample, labels), _)| sample == name && has(labels))
        .map(|(_, value)| *value)
        .collect();
    (!found.is_empty()).then(|| found.iter().sum())
}

/// A root of the usual trust domain.
fn root(holder: Holder, root: &str, not_after_unix_s: i64) -> (RootLabels, i64) {
    let labels = RootLabels {
        holder,
        trust_domain: "cluster.local".into(),
        root: root.into(),
    };
    (labels, not_after_unix_s)
}

/// What is recorded of certificates.
fn identities(registry: &Registry) -> Arc<IdentityMetrics> {
    let identity = registry.identity_metrics(IdentityLabels {
        holder: Holder::Worker,
        identity: "spiffe://cluster.local/ns/shop/sa/web".into(),
    });
    identity.set(IdentityState {
        not_after_unix_s: Some(1_800_000_000),
        life: Duration::from_secs(86_400),
        renewals: 2,
        failed: BTreeMap::from([("signer_denied", 3)]),
        failing: Some(("signer_denied", 1)),
    });
    registry.trust().set(BTreeMap::from([root(
        Holder::Worker,
        "ab12",
        1_900_000_000,
    )]));
    registry.issuance().issued();
    registry.issuance().refused("not_there");
    identity
}

/// A registry in which everything that can be recorded has been.
fn everything() -> (Registry, Vec<Arc<dyn std::any::Any>>) {
    let registry = registry();
    let request = registry.request_handles(labels("0"), Protocol::Http1);
    request.set_weight(90);
    request.add_bytes(Protocol::Http1, 10, 20);
    request.finish(&RequestEnd {
        grpc_status: Some(0),
        ..end(200)
    });
    request.finish(&RequestEnd {
        reason: Some(Reason::UpstreamReset),
        ..end(503)
    });
    request.retry(
        Protocol::Http1,
        Reason::UpstreamStatus,
        RetryOutcome::Success,
    );
    let connection = registry.connection_metrics(ConnectionLabels {
        reporter: Reporter::Gateway,
        parent: labels("0").parent,
        protocol: Some(Protocol::Tcp),
    });
    connection.opened(true);
    connection.closed(CloseReason::Cut(Reason::TimeoutHeader), true);
    connection.add_bytes(1, 2);
    connection.detected(Detected::Http2);
    connection.detect_deadline(Detected::Opaque);
    let backend = registry.backend_metrics(labels("0").backend);
    backend.set_endpoints(EndpointCounts {
        ready: 3,
        ..EndpointCounts::default()
    });
    backend.ejected("consecutive_errors");
    registry.tls().handshake(TlsHandshake {
        side: TlsSide::Server,
        group: TlsGroup::X25519MlKem768,
        version: TlsVersion::V1_3,
        result: TlsResult::Ok,
    });
    let identity = identities(&registry);
    registry.config().applied(7, Duration::from_millis(20));
    registry.config().translated(Duration::from_millis(9));
    registry.config().rejected("HTTPRoute", "UnsupportedValue");
    registry.process().busy(Duration::from_millis(1500));
    registry.process().panicked("connection");
    registry.process().channel_full("access_log");
    (registry, vec![request, connection, backend, identity])
}

#[test]
fn scrape_and_definitions_agree() {
    let (registry, _held) = everything();
    let samples = parse(&registry.encode());
    let mut missing: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(missing.len(), ALL.len(), "a metric is defined twice");
    for (name, found) in samples.keys() {
        let metric = ALL
            .iter()
            .find(|metric| match metric.kind {
                Kind::Histogram => ["_sum", "_count", "_bucket"]
                    .iter()
                    .any(|part| name.strip_suffix(part) == Some(metric.name)),
                Kind::Counter | Kind::Gauge => metric.name == name,
            })
            .unwrap_or_else(|| panic!("{name} is exported but not defined"));
        missing.remove(metric.name);
        let allowed: BTreeSet<_> = metric.all_labels().chain(["le"]).collect();
        for label in found.keys() {
            assert!(
                allowed.contains(label.as_str()),
                "{name} has an undefined label {label}"
            );
        }
    }
    assert!(
        missing.is_empty(),
        "defined but never exported: {missing:?}"
    );
}

#[test]
fn every_defined_label_is_used() {
    let (registry, _held) = everything();
    let samples = parse(&registry.encode());
    for metric in ALL {
        let used: BTreeSet<_> = samples
            .keys()
            .filter(|(name, _)| name.starts_with(metric.name))
            .flat_map(|(_, labels)| labels.keys().map(String::as_str))
            .collect();
        for label in metric.all_labels() {
            assert!(
                used.contains(label),
                "{} never carries {label}",
                metric.name
            );
        }
    }
}

#[test]
fn names_follow_the_rules() {
    for metric in ALL {
        let name = metric.name;
        assert!(name.starts_with("weft_"), "{name} lacks the prefix");
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{name}"
        );
        let bare = name.trim_end_matches("_total");
        if let Some(unit) = metric.unit {
            assert!(bare.ends_with(unit.as_str()), "{name} lacks its unit");
        }
        for label in metric.all_labels() {
            let scraped = ["namespace", "pod", "instance", "job"];
            assert!(
                !scraped.contains(&label),
                "{name}: Prometheus would rename {label}"
            );
            let requested = [
                "authority",
                "host",
                "path",
                "method",
                "url",
                "header",
                "user_agent",
            ];
            assert!(
                !requested.contains(&label),
                "{name}: {label} comes from requests"
            );
        }
    }
}

#[test]
fn success_and_error_exist_before_the_first_request() {
    for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Grpc] {
        let registry = registry();
        let handles = registry.request_handles(labels("0"), protocol);
        let text = registry.encode();
        for class in ["success", "error"] {
            let wanted = [("class", class), ("protocol", protocol.as_str())];
            let found = sum(&text, "weft_requests_total", &wanted);
            assert_eq!(found, Some(0.0), "{class}, {protocol:?}");
        }
        let buckets = sum(&text, "weft_request_duration_seconds_bucket", &[]);
        assert_eq!(buckets, None, "an idle rule pays for its histograms");
        drop(handles);
    }
}

/// The only series of `weft_requests_total` that `ended` moves, as (class, status, grpc_status).
fn counted_as(ended: &RequestEnd) -> (String, String, String) {
    let registry = registry();
    registry
        .request_handles(labels("0"), Protocol::Http1)
        .finish(ended);
    let samples = parse(&registry.encode());
    let mut moved = samples
        .iter()
        .filter(|((name, _), count)| name == "weft_requests_total" && **count > 0.0);
    let ((_, labels), count) = moved.next().expect("the request is not counted");
    assert!(
        *count < 1.5 && moved.next().is_none(),
        "the request is counted twice"
    );
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    (label("class"), label("status"), label("grpc_status"))
}

#[test]
fn requests_are_counted_by_class_and_status() {
    let grpc = |code| RequestEnd {
        protocol: Protocol::Grpc,
        grpc_status: Some(code),
        ..end(200)
    };
    let because = |status, reason| RequestEnd {
        reason: Some(reason),
        ..end(status)
    };
    let cut = RequestEnd {
        status: None,
        ..because(0, Reason::ClientAbort)
    };
    let rows = [
        ("plain success", end(200), ("success", "200", "")),
        ("the client's mistake", end(404), ("success", "404", "")),
        ("server error", end(500), ("error", "500", "")),
        ("not a status", end(42), ("success", "other", "")),
        ("extension status", end(999), ("error", "999", "")),
        ("gRPC success", grpc(0), ("success", "200", "0")),
        ("gRPC not found", grpc(5), ("success", "200", "5")),
        ("gRPC unavailable", grpc(14), ("error", "200", "14")),
        (
            "gRPC status outside the list",
            grpc(4711),
            ("success", "200", "other"),
        ),
        (
            "cut after the head",
            because(200, Reason::UpstreamReset),
            ("error", "200", ""),
        ),
        (
            "no route",
            because(404, Reason::NoRoute),
            ("success", "404", ""),
        ),
        ("client gone before the head", cut, ("success", "other", "")),
    ];
    for (row, ended, (class, status, grpc_status)) in rows {
        let expected = (class.to_owned(), status.to_owned(), grpc_status.to_owned());
        assert_eq!(counted_as(&ended), expected, "{row}");
    }
}

#[test]
fn hostile_statuses_do_not_multiply_series() {
    let registry = registry();
    let handles = registry.request_handles(labels("0"), Protocol::Http1);
    for status in 100..=999 {
        handles.finish(&end(status));
    }
    let text = registry.encode();
    let series = parse(&text)
        .keys()
        .filter(|(name, _)| name == "weft_requests_total")
        .count();
    assert!(series <= 36, "{series} series for one rule");
    assert_eq!(
        sum(&text, "weft_requests_total", &[]),
        Some(900.0),
        "requests were lost"
    );
}

#[test]
fn handles_survive_a_swap_and_leave_one_scrape_after_their_rule() {
    let registry = registry();
    let count = |text: &str, rule| sum(text, "weft_requests_total", &[("rule", rule)]);
    let old = registry.request_handles(labels("0"), Protocol::Http1);
    let gone = registry.request_handles(labels("1"), Protocol::Http1);
    old.finish(&end(200));
    gone.finish(&end(200));

    let new = registry.request_handles(labels("0"), Protocol::Http1);
    assert!(Arc::ptr_eq(&old, &new), "the same rule got new counters");
    drop((old, gone));
    new.finish(&end(200));
    let last = registry.encode();
    assert_eq!(count(&last, "0"), Some(2.0), "a counter jumped at the swap");
    assert_eq!(
        count(&last, "1"),
        Some(1.0),
        "the last counts of a removed rule are lost"
    );
    let after = registry.encode();
    assert_eq!(count(&after, "0"), Some(2.0));
    assert_eq!(count(&after, "1"), None, "a removed rule is still shown");
}

#[test]
fn a_rule_that_comes_back_before_its_last_scrape_keeps_counting() {
    let registry = registry();
    let rule = registry.request_handles(labels("0"), Protocol::Http1);
    rule.finish(&end(200));
    drop(rule);
    let _ = registry.encode();
    let back = registry.request_handles(labels("0"), Protocol::Http1);
    back.finish(&end(200));
    let _ = registry.encode();
    assert_eq!(
        sum(&registry.encode(), "weft_requests_total", &[]),
        Some(2.0)
    );
}

#[test]
fn sums_over_threads_are_exact() {
    const THREADS: u64 = 8;
    const REQUESTS: u64 = 5_000;
    let registry = registry();
    let handles = registry.request_handles(labels("0"), Protocol::Http2);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (handles, registry) = (&handles, &registry);
            scope.spawn(move || {
                for request in 0..REQUESTS {
                    handles.enter(Protocol::Http1);
                    handles.finish(&end(if request % 2 == 0 { 200 } else { 503 }));
                    handles.add_bytes(Protocol::Http1, 1, 2);
                    handles.leave(Protocol::Http1);
                }
                if number == 0 {
                    let _ = registry.encode();
                }
            });
        }
    });
    let text = registry.encode();
    let total = (THREADS * REQUESTS) as f64;
    let rows = [
        ("weft_requests_total", "class", "success", total / 2.0),
        ("weft_requests_total", "class", "error", total / 2.0),
        (
            "weft_request_duration_seconds_count",
            "protocol",
            "http1",
            total,
        ),
        (
            "weft_response_first_byte_seconds_count",
            "protocol",
            "http1",
            total,
        ),
        ("weft_request_bytes_total", "protocol", "http1", total),
        (
            "weft_response_bytes_total",
            "protocol",
            "http1",
            2.0 * total,
        ),
        ("weft_requests_in_flight", "protocol", "http1", 0.0),
    ];
    for (name, label, value, expected) in rows {
        assert_eq!(
            sum(&text, name, &[(label, value)]),
            Some(expected),
            "{name}"
        );
    }
}

#[test]
fn requests_in_flight_are_shown_while_they_last() {
    let registry = registry();
    let handles = registry.request_handles(labels("0"), Protocol::Http1);
    handles.enter(Protocol::Http2);
    handles.enter(Protocol::Http2);
    let name = "weft_requests_in_flight";
    assert_eq!(
        sum(&registry.encode(), name, &[("protocol", "http2")]),
        Some(2.0)
    );
    handles.leave(Protocol::Http2);
    handles.leave(Protocol::Http2);
    assert_eq!(
        sum(&registry.encode(), name, &[("protocol", "http2")]),
        Some(0.0)
    );
}

#[test]
fn label_groups_that_are_off_merge_their_series() {
    let groups = LabelGroups {
        source: false,
        ..LabelGroups::default()
    };
    let registry = Registry::with_lanes(BUILD, groups, 1);
    let from = |workload: &str| RequestLabels {
        source: Source {
            workload: workload.into(),
            namespace: "shop".into(),
        },
        ..labels("0")
    };
    let cart = registry.request_handles(from("cart"), Protocol::Http1);
    let web = registry.request_handles(from("web"), Protocol::Http1);
    assert!(
        Arc::ptr_eq(&cart, &web),
        "callers are told apart although their group is off"
    );
    assert!(!registry.encode().contains("source_workload"));
}

#[test]
fn workloads_of_one_backend_show_its_weight_once() {
    let registry = registry();
    let canary = |hash: &str| RequestLabels {
        destination: Destination {
            pod_template_hash: hash.into(),
            ..labels("0").destination
        },
        ..labels("0")
    };
    let held = ["a", "b"].map(|hash| registry.request_handles(canary(hash), Protocol::Http1));
    held.iter().for_each(|handles| handles.set_weight(25));
    assert_eq!(
        sum(&registry.encode(), "weft_route_weight", &[]),
        Some(25.0)
    );
}

#[test]
fn label_values_cannot_break_out_of_their_quotes() {
    let registry = registry();
    let hostile = "a\"} 1\nweft_evil{x=\"\\";
    let handles = registry.request_handles(labels(hostile), Protocol::Http1);
    handles.finish(&end(200));
    let text = registry.encode();
    assert!(
        !text.lines().any(|line| line.starts_with("weft_evil")),
        "{text}"
    );
    let escaped = "a\\\"} 1\\nweft_evil{x=\\\"\\\\";
    assert_eq!(
        sum(&text, "weft_requests_total", &[("rule", escaped)]),
        Some(1.0)
    );
}

#[test]
fn an_idle_rule_is_small() {
    use super::request::RequestLane;
    // Handles, one block, the status list of success; measured against 1.5 KiB per (rule, backend).
    let idle = size_of::<super::RequestHandles>() + size_of::<RequestLabels>() + 3 * 8 * 16;
    let lane = size_of::<RequestLane>() + 64;
    assert!(
        idle + lane <= 1536,
        "{idle} bytes idle, {lane} bytes per core in use"
    );
}

#[test]
fn a_certificate_is_shown_by_its_end_and_its_life() {
    let registry = registry();
    let labels = |holder| IdentityLabels {
        holder,
        identity: "spiffe://cluster.local/ns/shop/sa/web".into(),
    };
    let worker = registry.identity_metrics(labels(Holder::Worker));
    let text = registry.encode();
    let end = "weft_identity_cert_expiry_timestamp_seconds";
    assert_eq!(sum(&text, end, &[]), None, "there is no certificate yet");
    worker.set(IdentityState {
        not_after_unix_s: Some(1_800_000_000),
        life: Duration::from_secs(600),
        renewals: 2,
        failed: BTreeMap::from([("signer_denied", 3), ("signer_unavailable", 0)]),
        failing: Some(("signer_denied", 1)),
    });
    let text = registry.encode();
    let row = |name: &str, wanted: &[(&str, &str)]| sum(&text, name, wanted);
    assert_eq!(row(end, &[("holder", "worker")]), Some(1.8e9));
    assert_eq!(row("weft_identity_cert_life_seconds", &[]), Some(600.0));
    let renewals = "weft_identity_renewals_total";
    assert_eq!(row(renewals, &[("result", "ok")]), Some(2.0));
    assert_eq!(row(renewals, &[("result", "signer_denied")]), Some(3.0));
    assert_eq!(
        row(renewals, &[("result", "signer_unavailable")]),
        Some(0.0),
        "a failure is seen to be the first"
    );
    let failures = "weft_identity_renewal_failures";
    assert_eq!(row(failures, &[("reason", "signer_denied")]), Some(1.0));
    assert_eq!(
        row(failures, &[("reason", "signer_unavailable")]),
        Some(0.0),
        "what failed before does so no more"
    );
    assert_eq!(
        row("weft_identity_issued_total", &[]),
        None,
        "only an identity service shows what it signed"
    );
}

#[test]
fn every_root_is_shown_by_its_end_as_long_as_it_is_trusted() {
    let registry = registry();
    let ends = || {
        let text = registry.encode();
        let end = "weft_trust_root_expiry_timestamp_seconds";
        ["ab12", "cd34"].map(|root| {
            let domain = ("trust_domain", "cluster.local");
            sum(
                &text,
                end,
                &[("holder", "controller"), domain, ("root", root)],
            )
        })
    };
    assert_eq!(ends(), [None, None], "nobody is trusted yet");
    let [old, new] = [("ab12", 1_800_000_000), ("cd34", 1_900_000_000)]
        .map(|(name, end)| root(Holder::Controller, name, end));
    registry.trust().set(BTreeMap::from([old.clone()]));
    assert_eq!(ends(), [Some(1.8e9), None]);
    registry.trust().set(BTreeMap::from([old, new.clone()]));
    assert_eq!(
        ends(),
        [Some(1.8e9), Some(1.9e9)],
        "the next is distributed"
    );
    registry.trust().set(BTreeMap::from([new]));
    assert_eq!(ends(), [None, Some(1.9e9)], "the old one is taken back");
}

#[test]
fn a_process_without_a_registry_shows_its_identity_alike() {
    let labels = IdentityLabels {
        holder: Holder::Parent,
        identity: "spiffe://cluster.local/ns/weft-system/sa/weft-node".into(),
    };
    let state = IdentityState {
        not_after_unix_s: Some(7),
        ..IdentityState::default()
    };
    let text = super::identity_text(vec![(labels, state)]) + "# EOF\n";
    let end = "weft_identity_cert_expiry_timestamp_seconds";
    assert_eq!(sum(&text, end, &[("holder", "parent")]), Some(7.0));
}
