//! Tests of `routes`: rows say what a rule does.

use weft_translate::translate;

use super::{Row, Section, sections, text};
use crate::output::Paint;

fn rows(rules: &str) -> Vec<Row> {
    let yaml = format!(
        r#"[{{"apiVersion": "v1", "kind": "Service", "metadata": {{"name": "web"}},
             "spec": {{"ports": [{{"port": 80}}]}}}},
           {{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
             "metadata": {{"name": "web"}},
             "spec": {{"parentRefs": [{{"group": "", "kind": "Service", "name": "web"}}],
                       "rules": {rules}}}}}]"#
    );
    let objects: Vec<serde_json::Value> = serde_json::from_str(&yaml).expect("JSON");
    let mut store = weft_store::Store::default();
    for object in objects {
        store.apply(weft_api::AnyObject::parse(object).expect("an object"));
    }
    let output = translate(&store, &weft_translate::Scope::standalone());
    let mut sections = sections(&output);
    assert_eq!(sections.len(), 1, "one port, one group");
    sections.remove(0).rows
}

#[test]
fn a_rule_is_shown_with_what_it_leads_to() {
    let table = [
        (
            r#"[{"backendRefs": [{"name": "web", "port": 80}]}]"#,
            "default/web:80 100 %",
        ),
        (r#"[{"backendRefs": []}]"#, "500 no backend"),
        (
            r#"[{"filters": [{"type": "RequestRedirect", "requestRedirect": {"statusCode": 301}}]}]"#,
            "RequestRedirect 301",
        ),
        (
            r#"[{"backendRefs": [{"name": "none", "port": 80}]}]"#,
            "Service default/none:80 (BackendNotFound) 100 %",
        ),
    ];
    for (rules, to) in table {
        assert_eq!(rows(rules)[0].to, to, "{rules}");
    }
}

#[test]
fn rules_that_never_win_are_marked() {
    let rows = rows(
        r#"[{"matches": [{"path": {"value": "/a"}}]},
                        {"matches": [{"path": {"value": "/a"}}]}]"#,
    );
    let shadowed: Vec<_> = rows
        .iter()
        .map(|row| (row.rule, row.shadowed.is_some()))
        .collect();
    assert_eq!(shadowed, [(0, false), (1, true)]);
}

#[test]
fn a_rule_is_shown_with_its_limits() {
    let table = [
        (r#"[{"backendRefs": []}]"#, &[][..]),
        (
            r#"[{"timeouts": {"request": "2s"}, "retry": {"attempts": 3}, "backendRefs": []}]"#,
            &["request 2s", "3 retries on connection errors"],
        ),
    ];
    for (rules, limits) in table {
        assert_eq!(rows(rules)[0].limits, limits, "{rules}");
        let section = Section {
            of: "Service default/web:80 producer".to_owned(),
            rows: rows(rules),
        };
        let line = format!("HTTPRoute default/web rule 0: {}", limits.join(" · "));
        let is_told = text(&section, Paint(false)).contains(&line);
        assert_eq!(is_told, !limits.is_empty(), "{rules}: {line}");
    }
}
