//! Recording costs no allocation, and registering a large configuration is quick.

use std::time::Duration;

use weft_telemetry::Reason;
use weft_telemetry::access_log::AccessLog;
use weft_telemetry::metrics::{
    Backend, BuildInfo, CloseReason, ConnectionLabels, LabelGroups, Protocol, Registry, RequestEnd,
    RequestLabels, RetryOutcome, Route,
};

const BUILD: BuildInfo = BuildInfo {
    version: "0",
    commit: "",
};

fn end(status: u16) -> RequestEnd {
    RequestEnd {
        protocol: Protocol::Http1,
        status: Some(status),
        grpc_status: None,
        reason: (status >= 500).then_some(Reason::UpstreamReset),
        duration: Duration::from_micros(700),
        first_byte: Some(Duration::from_micros(600)),
    }
}

#[test]
fn recording_does_not_allocate() {
    let registry = Registry::new(BUILD, LabelGroups::default());
    let requests = registry.request_handles(RequestLabels::default(), Protocol::Http1);
    let connections = registry.connection_metrics(ConnectionLabels::default());
    let access_log = AccessLog::off();
    let exchange = || {
        connections.opened(false);
        requests.enter(Protocol::Http1);
        for status in [200, 404, 503] {
            let end = end(status);
            requests.finish(&end);
            assert!(!access_log.wants(end.is_notable()));
        }
        requests.add_bytes(Protocol::Http1, 100, 1000);
        requests.retry(
            Protocol::Http1,
            Reason::UpstreamReset,
            RetryOutcome::Success,
        );
        requests.leave(Protocol::Http1);
        connections.add_bytes(100, 1000);
        connections.closed(CloseReason::Client, false);
    };
    // The first of its kind on this thread may set up the blocks it records in.
    exchange();
    let counted = allocation_counter::measure(|| (0..1000).for_each(|_| exchange()));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

#[test]
fn ten_thousand_rules_take_little_memory() {
    const RULES: u64 = 10_000;
    let registry = Registry::new(BUILD, LabelGroups::default());
    let labels: Vec<_> = (0..RULES)
        .map(|number| RequestLabels {
            route: Route {
                name: format!("route-{number}").into(),
                ..Route::default()
            },
            backend: Backend {
                name: "web".into(),
                namespace: "shop".into(),
                port: 80,
            },
            ..RequestLabels::default()
        })
        .collect();
    let mut held = Vec::with_capacity(labels.len());
    let registered = allocation_counter::measure(|| {
        held.extend(
            labels
                .into_iter()
                .map(|labels| registry.request_handles(labels, Protocol::Http1)),
        );
    });
    let used = allocation_counter::measure(|| held.iter().for_each(|rule| rule.finish(&end(200))));
    let bytes_per_rule = (registered.bytes_current + used.bytes_current) / RULES.cast_signed();
    assert!(
        bytes_per_rule <= 1536,
        "{bytes_per_rule} bytes per rule in use by one core"
    );
}
