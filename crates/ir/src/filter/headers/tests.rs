//! Header modifiers: one row per clause of `HTTPHeaderFilter`.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::HeaderModifier;

/// `name: value` lines.
fn pairs(lines: &[&str]) -> Vec<(HeaderName, HeaderValue)> {
    lines
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse().unwrap(), value.parse().unwrap())
        })
        .collect()
}

fn modifier(set: &[&str], add: &[&str], remove: &[&str]) -> HeaderModifier {
    let remove = remove.iter().map(|name| name.parse().unwrap()).collect();
    HeaderModifier {
        set: pairs(set),
        add: pairs(add),
        remove,
    }
}

#[track_caller]
fn check(row: &str, modifier: &HeaderModifier, before: &[&str], after: &[&str]) {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(before) {
        headers.append(name, value);
    }
    modifier.apply(&mut headers);
    let mut found: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    // The lines of one field keep their order; the fields have none.
    found.sort_by_key(|line| line.split(':').next().map(str::to_owned));
    assert_eq!(found, after, "{row}: headers after the modifier");
}

#[test]
fn actions_follow_the_specification() {
    let set = modifier(&["my-header: bar"], &[], &[]);
    check(
        "set overwrites",
        &set,
        &["my-header: foo"],
        &["my-header: bar"],
    );
    check(
        "set overwrites every line",
        &set,
        &["my-header: a", "my-header: b"],
        &["my-header: bar"],
    );
    check("set creates", &set, &[], &["my-header: bar"]);

    let add = modifier(&[], &["my-header: bar,baz"], &[]);
    check(
        "add appends with a comma",
        &add,
        &["my-header: foo"],
        &["my-header: foo,bar,baz"],
    );
    check("add creates", &add, &[], &["my-header: bar,baz"]);
    check(
        "add extends the last of several lines",
        &add,
        &["my-header: a", "my-header: b"],
        &["my-header: a", "my-header: b,bar,baz"],
    );

    let remove = modifier(&[], &[], &["my-header1", "my-header3"]);
    check(
        "remove",
        &remove,
        &["my-header1: foo", "my-header2: bar", "my-header3: baz"],
        &["my-header2: bar"],
    );
    check(
        "remove takes every line",
        &remove,
        &["my-header1: a", "my-header1: b"],
        &[],
    );
}

#[test]
fn names_ignore_case() {
    let all = modifier(&["X-Set: 1"], &["X-Add: 2"], &["X-Remove"]);
    check(
        "set",
        &all,
        &["x-set: 0", "x-add: 0"],
        &["x-add: 0,2", "x-set: 1"],
    );
    check("remove", &all, &["x-REMOVE: 0"], &["x-add: 2", "x-set: 1"]);
}

#[test]
fn order_is_set_add_remove() {
    let one_name = modifier(&["a: 1"], &["a: 2"], &[]);
    check("add sees what set wrote", &one_name, &["a: 0"], &["a: 1,2"]);
    let removed = modifier(&["a: 1"], &["a: 2"], &["a"]);
    check("remove comes last", &removed, &["a: 0"], &[]);
}

#[test]
fn add_respects_fields_that_are_no_lists() {
    let cookie = modifier(&[], &["set-cookie: b=2", "cookie: d=4", "host: other"], &[]);
    check(
        "set-cookie stays one line each (RFC 6265), cookies join by \"; \", host stays one",
        &cookie,
        &["set-cookie: a=1", "cookie: c=3", "host: shop"],
        &[
            "cookie: c=3; d=4",
            "host: other",
            "set-cookie: a=1",
            "set-cookie: b=2",
        ],
    );
}

#[test]
fn encoding_keeps_the_modifier() {
    let full = modifier(&["a: 1"], &["b: 2, 3"], &["c"]);
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(
        json,
        r#"{"set":[{"name":"a","value":"1"}],"add":[{"name":"b","value":"2, 3"}],"remove":["c"]}"#
    );
    assert_eq!(serde_json::from_str::<HeaderModifier>(&json).unwrap(), full);
    assert_eq!(
        serde_json::from_str::<HeaderModifier>("{}").unwrap(),
        HeaderModifier::default(),
        "a modifier without actions decodes"
    );
    let broken = serde_json::from_str::<HeaderModifier>(r#"{"set":[{"name":"a","value":"x\ny"}]}"#);
    assert!(
        broken.is_err(),
        "a value that would split the head is refused at decode"
    );
}
