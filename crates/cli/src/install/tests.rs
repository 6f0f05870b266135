//! Templates that do no more than they may, values that are refused, and the files of the chart.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};

use super::{
    Release, chart,
    template::{TemplateError, fill},
    values,
};

fn release() -> Release {
    Release {
        namespace: "weft-system".to_owned(),
        values: values::defaults(),
    }
}

fn chart_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../charts/weft")
}

#[test]
fn every_template_of_the_chart_is_part_of_the_binary() {
    let entries = fs::read_dir(chart_directory().join("templates")).expect("templates");
    let files = entries.map(|entry| entry.expect("an entry").file_name());
    let names = files.map(|name| name.into_string().expect("names are UTF-8"));
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".yaml")).collect();
    names.sort();
    let mut known: Vec<_> = chart::TEMPLATES.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(names, known, "files of charts/weft/templates and TEMPLATES");
}

#[test]
fn every_value_is_used_and_every_used_value_exists() {
    let texts: String = chart::TEMPLATES.iter().map(|(_, text)| *text).collect();
    for name in values::defaults().keys() {
        assert!(
            texts.contains(&format!(".Values.{name} ")),
            "no template uses {name}: a value that is ignored"
        );
    }
    chart::manifests(&release()).expect("the chart is filled");
}

#[test]
fn versions_of_chart_and_binary_are_one() {
    let text = fs::read_to_string(chart_directory().join("Chart.yaml")).expect("Chart.yaml");
    let chart: BTreeMap<String, Value> = serde_saphyr::from_str(&text).expect("YAML");
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
    }
}

#[test]
fn a_template_is_filled_as_helm_fills_it() {
    let mut release = release();
    release
        .values
        .insert("nodeSelector", json!({ "a": "b", "c": { "d": "e" } }));
    release.values.insert("mesh.enabled", json!(true));
    for (template, expected) in [
        ("n: {{ .Release.Namespace }}\n", "n: weft-system\n"),
        ("i: \"{{ .Values.logLevel }}\" # x\n", "i: \"info\" # x\n"),
        ("r: {{ .Values.replicas }}", "r: 2"),
        ("m: \"{{ .Values.mesh.enabled }}\"", "m: \"true\""),
        (
            "{{- if .Values.mesh.enabled }}\na: 1\n{{- end }}\n",
            "a: 1\n",
        ),
        (
            "t: {{- toYaml .Values.tolerations | nindent 4 }}\nu: 1",
            "t:\n    []\nu: 1",
        ),
        (
            "s: {{- toYaml .Values.nodeSelector | nindent 2 }}\n",
            "s:\n  a: b\n  c:\n    d: e\n",
        ),
    ] {
        assert_eq!(
            fill(template, &release).as_deref(),
            Ok(expected),
            "{template}"
        );
    }
}

#[test]
fn a_template_is_there_as_a_whole_or_not() {
    let mut release = release();
    release.values.insert("mesh.enabled", json!(false));
    let template = "{{- if .Values.mesh.enabled }}\na: 1\n{{- end }}\n";
    assert_eq!(fill(template, &release).as_deref(), Ok(""));
}

#[test]
fn a_template_that_decides_is_refused() {
    let action = |text: &str| TemplateError::Action(text.to_owned());
    for (template, expected) in [
        ("{{ if .Values.replicas }}", action(" if .Values.replicas ")),
        (
            "{{ .Values.image | quote }}",
            action(" .Values.image | quote "),
        ),
        ("{{- include \"x\" . }}", action("- include \"x\" . ")),
        (
            "{{ .Values.resources.requests }}",
            TemplateError::Unknown("resources.requests".to_owned()),
        ),
        (
            "a: 1\n{{- if .Values.mesh.enabled }}\nb: 1\n{{- end }}\n",
            action("- if .Values.mesh.enabled "),
        ),
        (
            "{{- if .Values.replicas }}\na: 1\n{{- end }}\n",
            TemplateError::NotBoolean("replicas".to_owned()),
        ),
        ("{{ .Values.image", TemplateError::Open),
        (
            "{{ .Values.gone }}",
            TemplateError::Unknown("gone".to_owned()),
        ),
        (
            "{{ .Values.resources }}",
            TemplateError::NotScalar("resources".to_owned()),
        ),
    ] {
        assert_eq!(fill(template, &release()), Err(expected), "{template}");
    }
}

/// Each case: a field, a value, a part of the refusal; none when it is taken.
fn choices() -> Vec<(&'static str, Value, Option<&'static str>)> {
    vec![
        ("replicas", json!(3), None),
        ("replicas", json!(0), Some("0 is no number from 1 to 9")),
        ("replicas", json!("3"), Some("\"3\" is no number")),
        ("image", json!("Registry.example:5000/weft@sha256:0a"), None),
        ("image", json!("a b"), Some("is no text of the characters")),
        (
            "trustDomain",
            json!("a\"\n- b"),
            Some("is no text of the characters"),
        ),
        ("trustDomain", json!(""), Some("is no text")),
        ("logLevel", json!("loud"), Some("none of error, warn")),
        ("resources", json!({}), None),
        ("resources", json!([]), Some("[] is no object")),
        ("tolerations", json!({}), Some("is no list")),
        ("mesh.enabled", json!(true), None),
        (
            "mesh.enabled",
            json!("yes"),
            Some("is neither true nor false"),
        ),
        ("mesh", json!(true), Some("there is no value \"mesh\"")),
        (
            "mesh",
            json!({ "enable": true }),
            Some("there is no value \"mesh.enable\""),
        ),
        (
            "replica",
            json!(3),
            Some("there is no value \"replica\"; there are image,"),
        ),
    ]
}

#[test]
fn a_value_is_taken_or_refused_by_name() {
    for (name, value, refusal) in choices() {
        let mut values = values::defaults();
        match (values::set(&mut values, name, value.clone()), refusal) {
            (Ok(()), None) => assert_eq!(values[name], value, "{name}"),
            (Err(error), Some(part)) => {
                let error = error.to_string();
                assert!(error.contains(part), "{name}: {error}");
            }
            (result, _) => panic!("{name} = {value}: {result:?}"),
        }
    }
}

#[test]
fn the_values_of_a_group_are_set_one_by_one() {
    let mut values = values::defaults();
    let group = json!({ "enabled": true, "cniPrograms": "/usr/lib/cni" });
    values::set(&mut values, "mesh", group).expect("both are taken");
    assert_eq!(values["mesh.enabled"], json!(true));
    assert_eq!(values["mesh.cniPrograms"], json!("/usr/lib/cni"));
    assert_eq!(values["mesh.cniConfigurations"], json!("/etc/cni/net.d"));
}

#[test]
fn every_default_is_a_value_its_field_takes() {
    for (name, value) in values::defaults() {
        values::set(&mut values::defaults(), name, value).expect("a default is taken");
    }
}

#[test]
fn the_written_values_are_the_defaults() {
    let written: BTreeMap<String, Value> =
        serde_saphyr::from_str(&values::commented().expect("YAML")).expect("YAML");
    // Every value is another one before, so that none is missing in what is written.
    let mut values = values::defaults();
    values.values_mut().for_each(|value| *value = Value::Null);
    for (name, value) in written {
        values::set(&mut values, &name, value).expect("a default is taken");
    }
    assert_eq!(values, values::defaults());
}
