//! The judge: what a row says against what was seen, arrived and stated. Nothing here waits.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    client::{Question, Seen, Speaks},
    pods::Arrival,
    row::{Arrives, Row, Sees, StatusRow},
};

/// A parent as status rows write it.
pub(super) fn parent_name(parent: &Value) -> String {
    let mut name = parent["kind"].as_str().unwrap_or("Gateway").to_owned();
    name.push(' ');
    if let Some(namespace) = parent["namespace"].as_str() {
        name.push_str(namespace);
        name.push('/');
    }
    name.push_str(parent["name"].as_str().unwrap_or_default());
    for (field, word) in [("sectionName", "section"), ("port", "port")] {
        if let Some(value) = parent.get(field).filter(|value| !value.is_null()) {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            name.push_str(&format!(" {word} {value}"));
        }
    }
    name
}

/// What the status of a parent should have said and did not.
pub(super) fn status_faults(
    row: Option<&StatusRow>,
    parent: &Value,
    generation: &Value,
) -> Vec<String> {
    let good = [
        "Accepted=True Accepted".to_owned(),
        "ResolvedRefs=True ResolvedRefs".to_owned(),
    ];
    let wanted: BTreeSet<&str> = row
        .map_or(&good[..], |row| &row.says)
        .iter()
        .map(String::as_str)
        .collect();
    let of = |condition: &Value, field: &str| condition[field].as_str().unwrap_or("?").to_owned();
    let conditions = parent["conditions"].as_array().cloned().unwrap_or_default();
    let said: Vec<String> = conditions
        .iter()
        .map(|it| {
            format!(
                "{}={} {}",
                of(it, "type"),
                of(it, "status"),
                of(it, "reason")
            )
        })
        .collect();
    let mut faults = Vec::new();
    if said.iter().map(String::as_str).collect::<BTreeSet<_>>() != wanted {
        faults.push(format!("it says {said:?}, not {wanted:?}: {conditions:?}"));
    }
    let because = row.map_or("", |row| &row.because);
    if !conditions
        .iter()
        .any(|it| of(it, "message").contains(because))
    {
        faults.push(format!("no message contains {because:?}: {conditions:?}"));
    }
    if conditions
        .iter()
        .any(|it| it["observedGeneration"] != *generation)
    {
        faults.push(format!("not of generation {generation}: {conditions:?}"));
    }
    let is_service = parent["parentRef"]["kind"] == "Service";
    if is_service && parent["controllerName"] != "weft.dev/mesh-controller" {
        faults.push(format!("it is by {}", parent["controllerName"]));
    }
    faults
}

/// What the client should have seen and did not.
pub(super) fn seen_faults(
    row: &Row,
    question: &Question,
    speaks: Speaks,
    seen: &Seen,
) -> Vec<String> {
    if row.sees.reset {
        let is_reset = seen.failure.is_some();
        return if is_reset {
            Vec::new()
        } else {
            vec![format!("no reset but {seen:?}")]
        };
    }
    if let Some(failure) = &seen.failure {
        return vec![format!("no answer: {failure}")];
    }
    let mut faults = Vec::new();
    if speaks == Speaks::Tcp {
        if seen.content != question.target {
            faults.push(format!("the bytes that come back are {:?}", seen.content));
        }
        return faults;
    }
    let is_call = question.is_grpc() && row.sees.status.is_none();
    let status = row.sees.status.unwrap_or(200);
    if seen.status != Some(status) {
        faults.push(format!(
            "status {:?}, not {status}: {}",
            seen.status, seen.content
        ));
    }
    if is_call && seen.grpc != Some(row.sees.grpc.unwrap_or(0)) {
        faults.push(format!(
            "grpc-status {:?}, not {:?}",
            seen.grpc, row.sees.grpc
        ));
    }
    if is_call && row.sees.grpc.is_some() && !seen.content.is_empty() {
        faults.push(format!(
            "an error of gRPC has no content: {:?}",
            seen.content
        ));
    }
    faults.extend(field_faults(&row.sees, seen));
    faults
}

/// Fields of the answer; a `Location` that no row names is one too many.
fn field_faults(wanted: &Sees, seen: &Seen) -> Vec<String> {
    let Sees {
        headers,
        without,
        location,
        ..
    } = wanted;
    let mut faults = Vec::new();
    let value = |name: &str| {
        let value = seen.headers.get(name);
        value.map(|it| String::from_utf8_lossy(it.as_bytes()))
    };
    if value("location").as_deref() != location.as_deref() {
        faults.push(format!(
            "Location {:?}, not {location:?}",
            value("location")
        ));
    }
    for (name, wanted) in headers {
        if value(name).as_deref() != Some(wanted) {
            faults.push(format!("field {name} is {:?}, not {wanted:?}", value(name)));
        }
    }
    for name in without
        .iter()
        .filter(|name| seen.headers.contains_key(name.as_str()))
    {
        faults.push(format!("field {name} is there: {:?}", value(name)));
    }
    faults
}

/// What should have arrived and did not, or the other way round.
pub(super) fn arrival_faults(
    wanted: Option<&Arrives>,
    question: &Question,
    found: &[Arrival],
) -> Vec<String> {
    let Some(wanted) = wanted else {
        let is_quiet = found.is_empty();
        return if is_quiet {
            Vec::new()
        } else {
            vec![format!("nobody is to get it: {found:?}")]
        };
    };
    let mut faults = Vec::new();
    if found.len() != wanted.times {
        faults.push(format!(
            "{} arrived, not {}: {found:?}",
            found.len(),
            wanted.times
        ));
    }
    for arrival in found {
        faults.extend(faults_of(arrival, wanted, question));
    }
    faults
}

/// What is wrong with one that arrived.
fn faults_of(arrival: &Arrival, wanted: &Arrives, question: &Question) -> Vec<String> {
    let mut faults = Vec::new();
    let target = wanted.target.as_ref().unwrap_or(&question.target);
    let is_bytes = question.method == "TCP";
    let host = wanted.host.as_ref().unwrap_or(&question.host);
    if !wanted.at.split(" or ").any(|pod| pod == arrival.pod) {
        faults.push(format!("it arrived at {}, not {}", arrival.pod, wanted.at));
    }
    if arrival.method != question.method || arrival.target != *target {
        let (method, got) = (&arrival.method, &arrival.target);
        faults.push(format!(
            "{method} {got} arrived, not {} {target}",
            question.method
        ));
    }
    if !is_bytes && arrival.host != *host {
        faults.push(format!(
            "the Host that arrived is {:?}, not {host:?}",
            arrival.host
        ));
    }
    let value = |name: &str| {
        let all = arrival.headers.get_all(name).iter();
        let all: Vec<_> = all
            .map(|it| String::from_utf8_lossy(it.as_bytes()))
            .collect();
        (!all.is_empty()).then(|| all.join(","))
    };
    for (name, wanted) in &wanted.headers {
        if value(name).as_ref() != Some(wanted) {
            faults.push(format!(
                "{name} arrived as {:?}, not {wanted:?}",
                value(name)
            ));
        }
    }
    for name in &wanted.without {
        if let Some(value) = value(name) {
            faults.push(format!("{name} arrived: {value:?}"));
        }
    }
    faults
}
