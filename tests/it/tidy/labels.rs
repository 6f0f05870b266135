//! Invariant 19: nothing derived from a request becomes a metric label.
//!
//! Label values come from the fields of label structs in `telemetry`, label names stand beside the
//! metrics. All of both are listed here, so a new one is a decision, not an accident.

use super::lexer::{Kind, Token};
use super::report::{Finding, assert_clean, assert_found};
use super::source::{SourceFile, closing, workspace};

const METRICS: &str = "crates/telemetry/src/metrics/";

/// Fields of label structs: filled from configuration or from a closed set.
const FIELDS: &[&str] = &[
    "backend",
    "destination",
    "extra",
    "holder",
    "identity",
    "kind",
    "labels",
    "name",
    "namespace",
    "parent",
    "pod_template_hash",
    "port",
    "protocol",
    "reporter",
    "root",
    "route",
    "rule",
    "source",
    "trust_domain",
    "workload",
];

/// Names of labels. `status` is a valid three-digit code or `other`.
const NAMES: &[&str] = &[
    "backend_name",
    "backend_namespace",
    "backend_port",
    "cause",
    "class",
    "commit",
    "destination_pod_template_hash",
    "destination_workload",
    "destination_workload_namespace",
    "direction",
    "error",
    "group",
    "grpc_status",
    "holder",
    "identity",
    "kind",
    "outcome",
    "parent_kind",
    "parent_name",
    "parent_namespace",
    "parent_port",
    "protocol",
    "reason",
    "reporter",
    "result",
    "root",
    "route_kind",
    "route_name",
    "route_namespace",
    "rule",
    "side",
    "source_workload",
    "source_workload_namespace",
    "state",
    "status",
    "tls",
    "trust_domain",
    "version",
    "where",
];

/// Words in names of values that only a request can fill; no review should let one through.
const FROM_REQUESTS: &[&str] = &[
    "agent",
    "authority",
    "cookie",
    "header",
    "host",
    "method",
    "path",
    "query",
    "referer",
    "request",
    "sni",
    "trace",
    "uri",
    "url",
    "user",
];

/// A field or label name and its line.
type Place = (String, usize);

/// Named fields of the label structs of `file`: all structs of a `labels.rs`, and `...Labels`.
fn fields(file: &SourceFile) -> Vec<Place> {
    let code = file.production();
    let is_label_file = file.path.ends_with("/labels.rs");
    let mut fields = Vec::new();
    for at in 0..code.len().saturating_sub(2) {
        let holds_labels = is_label_file || code[at + 1].text.ends_with("Labels");
        if code[at].is("struct") && holds_labels {
            let body = code[at..]
                .iter()
                .position(|token| token.is("{") || token.is(";"));
            let open = body.map_or(at, |offset| at + offset);
            if code[open].is("{") {
                fields.extend(field_names(&code[open + 1..closing(&code, open)]));
            }
        }
    }
    fields
}

/// Words directly followed by `:` at the top level of a struct's body.
fn field_names(body: &[Token<'_>]) -> Vec<Place> {
    let mut names = Vec::new();
    let mut at = 0;
    while at + 1 < body.len() {
        if ["(", "[", "{"].iter().any(|open| body[at].is(open)) {
            at = closing(body, at);
        } else if body[at].is_word() && body[at + 1].is(":") {
            names.push((body[at].text.to_owned(), body[at].line));
        }
        at += 1;
    }
    names
}

/// Literals in slices of texts, `&["a", "b"]`, and in the calls that write a label.
fn names(file: &SourceFile) -> Vec<Place> {
    let code = file.production();
    let literal = |token: &Token<'_>| {
        let is_text = token.kind == Kind::Text;
        is_text.then(|| (token.text.trim_matches('"').to_owned(), token.line))
    };
    let mut names = Vec::new();
    for at in 0..code.len().saturating_sub(3) {
        let writes = code[at].is(".") && (code[at + 1].is("text") || code[at + 1].is("port"));
        if writes && code[at + 2].is("(") {
            names.extend(literal(&code[at + 3]));
        } else if code[at].is("&") && code[at + 1].is("[") {
            let items = &code[at + 2..closing(&code, at + 1)];
            if items
                .iter()
                .all(|token| token.kind == Kind::Text || token.is(","))
            {
                names.extend(items.iter().filter_map(literal));
            }
        }
    }
    names
}

fn findings(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with(METRICS)) {
        for (found, allowed) in [(fields(file), FIELDS), (names(file), NAMES)] {
            let strangers = found
                .into_iter()
                .filter(|(name, _)| !allowed.contains(&name.as_str()));
            findings.extend(strangers.map(|(name, line)| {
                let from_request = name.split('_').any(|part| FROM_REQUESTS.contains(&part));
                let cure = if from_request {
                    "a client would choose the number of series; put it in the access log"
                } else {
                    "bound its values and list it in tests/it/tidy/labels.rs"
                };
                Finding::new(&file.path, line, format!("label `{name}`"), cure)
            }));
        }
    }
    findings
}

#[test]
fn invariant_19_labels_come_from_configuration() {
    let count = |of: fn(&SourceFile) -> Vec<Place>| {
        let files = workspace()
            .iter()
            .filter(|file| file.path.starts_with(METRICS));
        files.map(|file| of(file).len()).sum::<usize>()
    };
    assert!(
        count(fields) > 10,
        "no label structs below {METRICS}; where have they moved?"
    );
    assert!(
        count(names) > 20,
        "no label names below {METRICS}; where have they moved?"
    );
    assert_clean("invariant 19", &findings(workspace()));
}

#[test]
fn invariant_19_no_list_admits_what_a_request_fills() {
    for name in FIELDS.iter().chain(NAMES) {
        let part = name.split('_').find(|part| FROM_REQUESTS.contains(part));
        assert_eq!(
            part, None,
            "`{name}` is on a list although only a request can fill it"
        );
    }
}

#[test]
fn invariant_19_the_check_sees_fields_and_names() {
    let text = "struct RequestLabels { pub name: Arc<str>, authority: (u8, A), zone: [u8; 2] }\n\
                struct Other { path: u8 }\n\
                const A: B = B::new().labels(&[\"class\", \"url_path\"]);\n\
                fn f(o: W) { o.text(\"user_agent\", \"x\"); g(&[1, 2]); }";
    let sample = |path: &str| [SourceFile::sample(path, text)];
    assert_found(
        text,
        &findings(&sample("crates/telemetry/src/metrics/request.rs")),
        4,
    );
    assert_found(
        text,
        &findings(&sample("crates/telemetry/src/metrics/labels.rs")),
        5,
    );
    assert_found(
        text,
        &findings(&sample("crates/telemetry/src/access_log.rs")),
        0,
    );
}
