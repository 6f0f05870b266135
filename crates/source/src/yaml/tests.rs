//! Reading YAML as `kubectl` does: documents, scalars, budgets, places.

use serde_json::{Value, json};

use super::{Part, Span, locate, parse, split};

fn value(text: &str) -> Value {
    match parse(text) {
        Ok(value) => value.unwrap_or(Value::Null),
        Err(error) => panic!("{text:?} is refused: {}", error.message),
    }
}

#[test]
fn scalars_mean_what_go_yaml_makes_of_them() {
    let rows = [
        ("text", json!("text")),
        ("'1'", json!("1")),
        ("\"true\"", json!("true")),
        ("true", json!(true)),
        ("yes", json!(true)),
        ("on", json!(true)),
        ("Off", json!(false)),
        ("n", json!(false)),
        ("~", json!(null)),
        ("null", json!(null)),
        ("80", json!(80)),
        ("-3", json!(-3)),
        ("+3", json!(3)),
        ("0x1F", json!(31)),
        ("0o17", json!(15)),
        ("017", json!(15)),
        ("08", json!(8)),
        ("0b101", json!(5)),
        ("1_000", json!(1000)),
        ("1.5", json!(1.5)),
        ("80.0", json!(80)),
        ("1e3", json!(1000)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("18446744073709551615", json!(u64::MAX)),
        ("1.2.3.4", json!("1.2.3.4")),
        ("10.0.0.1", json!("10.0.0.1")),
        ("2026-01-01", json!("2026-01-01")),
        ("1s", json!("1s")),
        ("--", json!("--")),
        ("infinity", json!("infinity")),
        ("!!str 80", json!("80")),
        ("!!int '80'", json!(80)),
    ];
    for (text, expected) in rows {
        let read = value(&format!("a: {text}\n"));
        assert_eq!(read["a"], expected, "{text}");
    }
}

#[test]
fn collections_anchors_and_keys_become_json() {
    let rows = [
        ("a: [1, {b: c}]", json!({"a": [1, {"b": "c"}]})),
        ("a: &x {b: 1}\nc: *x", json!({"a": {"b": 1}, "c": {"b": 1}})),
        (
            "d: &x {b: 1, c: 2}\ne: {<<: *x, c: 3}",
            json!({"d": {"b": 1, "c": 2}, "e": {"b": 1, "c": 3}}),
        ),
        ("80: a\ntrue: b", json!({"80": "a", "true": "b"})),
        ("{\n\t\"a\": \"b\"\n}", json!({"a": "b"})),
        ("a: |\n  one\n  two\n", json!({"a": "one\ntwo\n"})),
        ("# only a comment", json!(null)),
    ];
    for (text, expected) in rows {
        assert_eq!(value(text), expected, "{text:?}");
    }
}

#[test]
fn a_value_that_is_null_is_no_empty_document() {
    let rows = [
        ("~", true),
        ("null # nothing", true),
        ("&a", true),
        ("--- ~", true),
        ("--- # two", false),
        ("\u{feff}# head", false),
        ("%YAML 1.2\n# head\n---\n...\n", false),
    ];
    for (text, has_value) in rows {
        let expected = has_value.then_some(Value::Null);
        assert_eq!(parse(text), Ok(expected), "{text:?}");
    }
}

#[test]
fn what_is_not_yaml_or_costs_too_much_is_refused() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let before = level - 1;
        let repeated = vec![format!("*a{before}"); 10].join(", ");
        laughs += &format!("a{level}: &a{level} [{repeated}]\n");
    }
    let mut nested = String::from("b0: &b0 {c: d}\n");
    for level in 1..200 {
        nested += &format!("b{level}: &b{level} {{c: *b{}}}\n", level - 1);
    }
    let rows = [
        ("unclosed", "a: [1".to_owned()),
        ("tab", "a:\n\tb: c".to_owned()),
        ("repeated key", "a: 1\na: 2".to_owned()),
        ("list as a key", "[a]: b".to_owned()),
        ("unknown alias", "a: *b".to_owned()),
        ("alias inside its own value", "a: &a [*a]".to_owned()),
        ("merge of a text", "a: {<<: b}".to_owned()),
        ("no JSON number", "a: .nan".to_owned()),
        ("tag", "a: !vault x".to_owned()),
        ("aliases that multiply", laughs),
        ("aliases that deepen", nested),
        ("depth", "[".repeat(100_000)),
    ];
    for (name, text) in rows {
        assert!(parse(&text).is_err(), "{name} is accepted");
    }
}

#[test]
fn files_are_cut_at_separators_wherever_they_stand() {
    let text = "\u{feff}# head\n---\na: |\n  ---\n  x\n--- # two\nb: 1\n---\n---\n# nothing\n---\r\nc: 2\n...\n";
    let documents = split(text);
    let told: Vec<_> = documents
        .iter()
        .map(|document| (document.number, document.lines_before, value(document.text)))
        .collect();
    let expected = [
        (1, 1, json!({"a": "---\nx\n"})),
        (2, 5, json!({"b": 1})),
        (3, 10, json!({"c": 2})),
    ];
    assert_eq!(told, expected);
}

#[test]
fn directives_belong_to_the_document_they_announce() {
    let text =
        "%YAML 1.2\n# head\n---\na: 1\n---\n%b: 2\n...\n\n%YAML 1.2\n--- \nc: 3\n...\n# tail\n";
    let told: Vec<_> = split(text)
        .iter()
        .map(|document| (document.lines_before, &text[document.offset..][..9]))
        .collect();
    let expected = [(0, "%YAML 1.2"), (4, "---\n%b: 2"), (7, "\n%YAML 1.")];
    assert_eq!(told, expected, "lines before and beginnings");
    let values: Vec<_> = split(text)
        .iter()
        .map(|document| parse(document.text))
        .collect();
    assert_eq!(values[0], Ok(Some(json!({"a": 1}))));
    assert_eq!(values[2], Ok(Some(json!({"c": 3}))));
}

#[test]
fn fields_are_located_by_their_path() {
    let text = "metadata:\n  labels: {a.b/c: d}\nspec:\n  rules:\n  - name: one\n    \
                filters:\n    - type: Foo\n  - name: \"zwö\"\n";
    let rows = [
        ("", (1, 1, 0)),
        ("spec", (3, 1, 4)),
        ("spec.rules[0].filters[0].type", (7, 13, 3)),
        ("spec.rules[1].name", (8, 11, 5)),
        ("spec.rules[1].missing", (8, 5, 0)),
        ("metadata.labels[a.b/c]", (2, 19, 1)),
        ("nothing.at.all", (1, 1, 0)),
    ];
    for (path, (line, column, length)) in rows {
        let found = locate(text, path, Part::Value).map(|span| Span {
            length: if length == 0 { 0 } else { span.length },
            ..span
        });
        assert_eq!(
            found,
            Some(Span {
                line,
                column,
                length
            }),
            "{path}"
        );
    }
    let key =
        locate(text, "spec.rules[0].filters[0].type", Part::Key).map(|it| (it.line, it.column));
    assert_eq!(key, Some((7, 7)), "the name of a field, not what is in it");
}
