//! The access log: what gets a line, and that a line is one line of JSON whatever clients send.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::Value;
use weft_spiffe::SpiffeId;

use super::{AccessLog, AccessLogError, AccessRecord, Config, Mode, Policy, Queue, Rate, Sink};
use crate::metrics::{
    BuildInfo, LabelGroups, ProcessMetrics, Protocol, Registry, Reporter, RequestEnd, RequestLabels,
};
use crate::reason::Reason;

const LIMIT: Duration = Duration::from_secs(20);

fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do as the origin"
    )]
    Instant::now()
}

fn end(status: u16, reason: Option<Reason>) -> RequestEnd {
    RequestEnd {
        protocol: Protocol::Http2,
        status: Some(status),
        grpc_status: None,
        reason,
        duration: Duration::from_micros(1_234_567),
        first_byte: Some(Duration::from_micros(89)),
    }
}

fn record(labels: &RequestLabels, end: RequestEnd) -> AccessRecord<'_> {
    AccessRecord {
        time: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        end,
        labels,
        client: None,
        source_principal: None,
        destination_principal: None,
        method: b"GET",
        authority: b"shop.example",
        path: b"/cart?token=secret#x",
        endpoint: None,
        attempts: 1,
        upstream_connect: None,
        request_bytes: 0,
        response_bytes: 42,
        policy: None,
        trace_id: None,
    }
}

/// A sink that hands each write to the test.
struct Channel(SyncSender<Vec<u8>>);

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log_to(
    out: Box<dyn Write + Send>,
    queue_lines: usize,
    mode: Mode,
    rate: Rate,
) -> (AccessLog, Registry) {
    let build = BuildInfo {
        version: "0",
        commit: "",
    };
    let registry = Registry::new(build, LabelGroups::default());
    let queue = Queue::write_to(out, queue_lines, registry.process()).expect("a thread");
    let limiter = Arc::new(super::Limiter::new(rate));
    (
        AccessLog {
            mode,
            rate,
            limiter,
            queue: Some(Arc::new(queue)),
        },
        registry,
    )
}

fn log(mode: Mode, rate: Rate) -> (AccessLog, Receiver<Vec<u8>>) {
    let (sender, written) = sync_channel(64);
    (log_to(Box::new(Channel(sender)), 64, mode, rate).0, written)
}

fn lines(written: &Receiver<Vec<u8>>) -> Vec<Value> {
    let bytes: Vec<u8> = written.try_iter().flatten().collect();
    let text = String::from_utf8(bytes).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn modes_choose_what_is_logged() {
    let rows = [
        ("success", end(200, None), [false, false, true]),
        (
            "the backend's own 404",
            end(404, None),
            [false, false, true],
        ),
        ("server error", end(502, None), [false, true, true]),
        (
            "denied",
            end(403, Some(Reason::PolicyDenied)),
            [false, true, true],
        ),
        (
            "reset after the head",
            end(200, Some(Reason::UpstreamReset)),
            [false, true, true],
        ),
    ];
    for (row, ended, expected) in rows {
        for (mode, expected) in [Mode::Off, Mode::Errors, Mode::All]
            .into_iter()
            .zip(expected)
        {
            let (log, written) = log(mode, Rate::default());
            assert_eq!(log.wants(ended.is_notable()), expected, "{row}, {mode}");
            log.write(&record(&RequestLabels::default(), ended), now());
            assert!(log.flush(LIMIT));
            assert_eq!(
                lines(&written).len(),
                usize::from(expected),
                "{row}, {mode}"
            );
        }
    }
}

#[test]
fn a_line_tells_everything_that_is_known() {
    let labels = RequestLabels {
        reporter: Reporter::Gateway,
        parent: crate::metrics::Parent {
            kind: "Gateway".into(),
            name: "edge".into(),
            namespace: "infra".into(),
            port: 443,
        },
        ..RequestLabels::default()
    };
    let principal = SpiffeId::parse("spiffe://cluster.local/ns/shop/sa/web").expect("valid");
    let full = AccessRecord {
        client: Some(([192, 0, 2, 7], 4711).into()),
        source_principal: Some(&principal),
        endpoint: Some(([10, 0, 0, 3], 8080).into()),
        upstream_connect: Some(Duration::from_micros(250)),
        policy: Some(Policy {
            name: "shop/allow-cart",
            verdict: "denied",
        }),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        ..record(&labels, end(403, Some(Reason::PolicyDenied)))
    };
    let expected = "{\"time\":\"2023-11-14T22:13:20.000000Z\",\"reporter\":\"gateway\",\
        \"protocol\":\"http2\",\"client\":\"192.0.2.7:4711\",\"method\":\"GET\",\
        \"authority\":\"shop.example\",\"path\":\"/cart\",\"status\":403,\
        \"reason\":\"policy_denied\",\"duration_seconds\":1.234567,\
        \"first_byte_seconds\":0.000089,\"request_bytes\":0,\"response_bytes\":42,\
        \"parent_kind\":\"Gateway\",\"parent_namespace\":\"infra\",\"parent_name\":\"edge\",\
        \"parent_port\":443,\"source_principal\":\"spiffe://cluster.local/ns/shop/sa/web\",\
        \"endpoint\":\"10.0.0.3:8080\",\"attempts\":1,\"upstream_connect_seconds\":0.000250,\
        \"policy\":\"shop/allow-cart\",\"verdict\":\"denied\",\
        \"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"suppressed\":3}\n";
    assert_eq!(String::from_utf8(full.to_line(3)).expect("UTF-8"), expected);
}

#[test]
fn suppressed_lines_are_reported_by_the_next_one() {
    let rate = Rate {
        per_second: 1,
        burst: 2,
    };
    let (log, written) = log(Mode::Errors, rate);
    let labels = RequestLabels::default();
    let start = now();
    let fail = |log: &AccessLog, at| log.write(&record(&labels, end(503, None)), at);
    (0..5).for_each(|_| fail(&log, start));
    fail(&log.scope(), start);
    fail(&log, start + Duration::from_secs(1));
    assert!(log.flush(LIMIT));
    let suppressed: Vec<_> = lines(&written)
        .iter()
        .map(|line| line["suppressed"].as_u64())
        .collect();
    assert_eq!(
        suppressed,
        [None, None, None, Some(3)],
        "two, the other scope's, the late one"
    );
}

#[test]
fn a_full_queue_drops_and_counts() {
    const LINES: usize = 1000;
    // Nobody reads yet: the writer blocks as soon as its buffer is full.
    let (sender, written) = sync_channel(0);
    let (log, registry) = log_to(Box::new(Channel(sender)), 1, Mode::All, Rate::default());
    let labels = RequestLabels::default();
    for _ in 0..LINES {
        log.write(&record(&labels, end(200, None)), now());
    }
    assert!(
        !log.flush(Duration::ZERO),
        "a stuck sink is reported as flushed"
    );
    let scrape = registry.encode();
    let counter = "weft_channel_full_total{where=\"access_log\"} ";
    let dropped = scrape.lines().find_map(|line| line.strip_prefix(counter));
    let dropped: usize = dropped
        .expect("lines were dropped")
        .parse()
        .expect("a number");

    let reader = std::thread::spawn(move || written.iter().flatten().collect::<Vec<u8>>());
    assert!(log.flush(LIMIT), "a sink that works again is not flushed");
    drop(log);
    let written = reader.join().expect("no panic");
    let written = written.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(
        written + dropped,
        LINES,
        "{written} written, {dropped} counted as dropped"
    );
}

#[test]
fn a_failing_sink_harms_nobody() {
    struct Broken(Arc<Mutex<u32>>);
    impl Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            *self.0.lock().expect("not poisoned") += 1;
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let tries = Arc::new(Mutex::new(0));
    let sink = Box::new(Broken(Arc::clone(&tries)));
    let (log, _registry) = log_to(sink, 8, Mode::All, Rate::default());
    log.write(&record(&RequestLabels::default(), end(200, None)), now());
    assert!(
        log.flush(LIMIT),
        "a disk that is full must not delay the shutdown"
    );
    assert!(
        *tries.lock().expect("not poisoned") > 0,
        "the sink was never tried"
    );
}

#[test]
fn files_are_appended_to_and_complete_after_drop() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("access.log");
    let config = Config {
        mode: Mode::All,
        sink: Sink::File(path.clone()),
        ..Config::default()
    };
    let labels = RequestLabels::default();
    for _ in 0..2 {
        let log = AccessLog::start(&config, Arc::default()).expect("a writable file");
        (0..100).for_each(|_| log.write(&record(&labels, end(200, None)), now()));
    }
    let text = std::fs::read_to_string(&path).expect("the file exists");
    assert_eq!(text.lines().count(), 200, "lines are lost or overwritten");
}

#[test]
fn a_bad_file_names_itself_and_a_cure() {
    let sink = Sink::File("/nonexistent/access.log".into());
    let config = Config {
        sink,
        ..Config::default()
    };
    let error =
        AccessLog::start(&config, Arc::<ProcessMetrics>::default()).expect_err("no directory");
    assert!(matches!(error, AccessLogError::Open { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("/nonexistent/access.log") && text.contains("must exist"),
        "{text}"
    );
}

#[test]
fn modes_round_trip() {
    for mode in [Mode::All, Mode::Errors, Mode::Off] {
        assert_eq!(
            mode.to_string().parse::<Mode>().expect("its own spelling"),
            mode
        );
    }
    assert!("some".parse::<Mode>().is_err());
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let hostile = prop::sample::select(vec![
        b"\r\n".to_vec(),
        b"\"}{\"".to_vec(),
        b"\x1b[2J".to_vec(),
        "\u{2028}\u{202e}\u{85}\u{7f}".into(),
        b"\\u0000\\".to_vec(),
        b"\xff\xc3".to_vec(),
    ]);
    let any = prop::collection::vec(any::<u8>(), 0..12);
    prop::collection::vec(prop_oneof![any, hostile], 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_bytes_give_one_line_of_json(method in bytes(), authority in bytes(), path in bytes()) {
        let labels = RequestLabels::default();
        let hostile = AccessRecord {
            method: &method,
            authority: &authority,
            path: &path,
            ..record(&labels, end(200, None))
        };
        let line = hostile.to_line(0);
        let text = std::str::from_utf8(&line).expect("UTF-8");
        let body = text.strip_suffix('\n').expect("a line feed at the end");
        let direction = |c| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        prop_assert!(!body.contains(|c: char| c.is_control() || direction(c)), "{body:?}");
        let value: Value = serde_json::from_str(body).expect("JSON");
        let read = |name| value.get(name).and_then(Value::as_str).unwrap_or_default();
        prop_assert_eq!(read("method"), String::from_utf8_lossy(&method));
        prop_assert_eq!(read("authority"), String::from_utf8_lossy(&authority));
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
        prop_assert_eq!(read("path"), String::from_utf8_lossy(path));
        prop_assert_eq!(value["status"].as_u64(), Some(200));
    }
}
