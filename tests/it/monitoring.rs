//! Dashboards and alerts of the chart: what they ask for exists, and what they say can be read.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use weft_telemetry::metrics::{ALL, BY_PARENTS, Kind};
use weft_tests::binary;

/// A template of the chart, which is there as a whole or not.
fn template(name: &str) -> Value {
    let path = binary::workspace().join("charts/weft/templates").join(name);
    let text = fs::read_to_string(&path).expect("a template");
    let lines = text.lines().filter(|line| !line.starts_with("{{-"));
    let text: Vec<_> = lines.collect();
    let filled = text.join("\n").replace("{{ .Release.Namespace }}", "weft");
    serde_saphyr::from_str(&filled).expect("YAML")
}

fn dashboards() -> Vec<(String, Value)> {
    let map = template("dashboards.yaml");
    let files = map["data"].as_object().expect("files");
    let parsed = files.iter().map(|(name, text)| {
        let text = text.as_str().expect("text");
        let json = serde_json::from_str(text);
        (
            name.clone(),
            json.unwrap_or_else(|error| panic!("{name}: {error}")),
        )
    });
    parsed.collect()
}

fn panels(dashboard: &Value) -> &[Value] {
    dashboard["panels"].as_array().expect("panels")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Queries by what asks them.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().expect("targets") {
                let asks = format!("{name}: {}", text(panel, "title"));
                queries.push((asks, text(target, "expr").to_owned()));
            }
        }
    }
    let alerts = template("alerts.yaml");
    let rules = alerts["spec"]["groups"][0]["rules"].as_array();
    for rule in rules.expect("rules") {
        queries.push((
            text(rule, "alert").to_owned(),
            text(rule, "expr").to_owned(),
        ));
    }
    queries
}

/// Names of metrics in a query.
fn metrics(query: &str) -> BTreeSet<&str> {
    let words = query.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    words.filter(|word| word.starts_with("weft_")).collect()
}

/// Names that a scrape may show.
fn names() -> BTreeSet<String> {
    let known = ALL.iter().chain(BY_PARENTS);
    let names = known.flat_map(|metric| match metric.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"]
            .map(|part| format!("{}{part}", metric.name))
            .to_vec(),
        Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
    });
    names.collect()
}

#[test]
fn every_query_asks_for_metrics_there_are() {
    let names = names();
    for (asks, query) in queries() {
        let asked = metrics(&query);
        assert!(!asked.is_empty(), "{asks} asks for nothing: {query:?}");
        for name in asked {
            assert!(
                names.contains(name),
                "{asks} asks for {name}, which nothing has"
            );
        }
        let open = query.matches('(').count();
        assert_eq!(open, query.matches(')').count(), "{asks}: {query}");
    }
}

#[test]
fn labels_in_queries_are_those_of_their_metrics() {
    // Of metrics that the processes with workers write, and of shards, which these add.
    let others = ["fault", "le", "shard"];
    for (asks, query) in queries() {
        let asked = metrics(&query);
        let metrics = ALL.iter().filter(|metric| {
            let is_of = |name: &&str| name.starts_with(metric.name);
            asked.iter().any(is_of)
        });
        let known: BTreeSet<_> = metrics
            .flat_map(|it| it.all_labels())
            .chain(others)
            .collect();
        let grouped = query.split("by (").skip(1);
        for labels in grouped.filter_map(|it| it.split_once(')')) {
            for label in labels.0.split(',').map(str::trim) {
                assert!(known.contains(label), "{asks} groups by {label}: {query}");
            }
        }
    }
}

#[test]
fn the_mesh_is_seen() {
    let asked: BTreeSet<String> = queries().into_iter().map(|(_, query)| query).collect();
    for (what, name) in [
        ("captured pods", "weft_pod_captured"),
        ("handshake failures", "weft_tls_handshakes_total{result!="),
        ("identity life left", "weft_identity_cert_life_seconds"),
        ("CPU of each shard", "weft_shard_busy_seconds_total"),
        ("captures that are repaired", "weft_capture_repairs_total"),
        ("workers that end", "weft_shard_restarts_total"),
    ] {
        let is_asked = asked.iter().any(|query| query.contains(name));
        assert!(is_asked, "nobody sees {what}");
    }
}

#[test]
fn dashboards_are_whole_and_bound_to_no_data_source() {
    for (name, dashboard) in dashboards() {
        let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
        for panel in panels(&dashboard) {
            let title = text(panel, "title");
            assert!(ids.insert(panel["id"].as_u64()), "{name}: {title}: its ID");
            let at = &panel["gridPos"];
            let place = (at["x"].as_u64(), at["y"].as_u64());
            assert!(places.insert(place), "{name}: {title}: its place");
            assert!(!text(panel, "description").is_empty(), "{name}: {title}");
            let source = text(&panel["datasource"], "uid");
            assert_eq!(source, "${datasource}", "{name}: {title}");
        }
        let variable = &dashboard["templating"]["list"][0];
        assert_eq!(text(variable, "type"), "datasource", "{name}");
    }
}

#[test]
fn every_alert_says_what_to_do() {
    let alerts = template("alerts.yaml");
    let rules = alerts["spec"]["groups"][0]["rules"].as_array();
    for rule in rules.expect("rules") {
        let name = text(rule, "alert");
        for field in ["summary", "description"] {
            let said = text(&rule["annotations"], field);
            assert!(!said.is_empty(), "{name}: {field}");
        }
        let severity = text(&rule["labels"], "severity");
        assert!(["critical", "warning"].contains(&severity), "{name}");
    }
}
