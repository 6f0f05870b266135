//! Findings as people and programs read them.

use std::path::Path;

use serde_json::json;
use weft_api::{Kind, ObjectKey, ObjectRef};

use super::{CODES, Finding, UNKNOWN_FIELD};
use crate::place::{Place, Snippet};

fn finding(line: &str, start: usize, length: usize) -> Finding {
    let place = Place {
        file: Path::new("shop/web.yaml").into(),
        document: 1,
        line: 12,
        column: u32::try_from(start).expect("it is small") + 1,
        snippet: Some(Snippet::new(line, start, length)),
    };
    Finding::new(&UNKNOWN_FIELD, "there is no field \"rulez\" here")
        .object(Some(ObjectRef::new(
            Kind::HttpRoute,
            ObjectKey::new("shop", "web"),
        )))
        .field("spec.rulez")
        .cure("write rules")
        .place(Some(place))
}

#[test]
fn the_text_names_object_field_cure_and_place_and_shows_the_line() {
    let expected = "error WA101 HTTPRoute shop/web spec.rulez: there is no field \"rulez\" here → \
                    write rules\n  --> shop/web.yaml:12:3\n   |\n12 |   rulez: []\n   |   ^^^^^\n";
    assert_eq!(finding("  rulez: []", 2, 5).render(false), expected);
}

#[test]
fn colours_change_nothing_but_colours() {
    let finding = finding("  rulez: []", 2, 5);
    let coloured = finding.render(true);
    assert!(coloured.contains("\x1b["), "there are colours");
    let mut plain = String::new();
    let mut parts = coloured.split('\x1b');
    plain += parts.next().unwrap_or_default();
    for part in parts {
        plain += part.split_once('m').expect("a colour ends").1;
    }
    assert_eq!(plain, finding.render(false));
}

#[test]
fn long_lines_and_control_characters_do_not_reach_the_terminal() {
    let line = format!("{}\x1b[2Jrulez{}", "x".repeat(500), "y".repeat(500));
    let text = finding(&line, 504, 5).render(false);
    assert!(!text.contains('\x1b'), "control characters are replaced");
    assert!(
        text.lines().all(|line| line.chars().count() < 200),
        "lines are cut: {text}"
    );
    let mut lines = text.lines().skip(3);
    let (shown, caret) = (
        lines.next().expect("the line"),
        lines.next().expect("the caret"),
    );
    let at = caret.find('^').expect("there is a caret");
    let marked: String = shown.chars().skip(at).take(5).collect();
    assert_eq!(marked, "rulez", "the caret stands below what is meant");
}

#[test]
fn the_json_form_has_every_part() {
    let value = serde_json::to_value(finding("  rulez: []", 2, 5)).expect("it is JSON");
    assert_eq!(value["severity"], "error");
    assert_eq!(value["code"], "WA101");
    assert_eq!(value["object"], "HTTPRoute shop/web");
    assert_eq!(value["place"]["file"], "shop/web.yaml");
    assert_eq!(value["place"]["line"], 12);
    assert_eq!(
        value["place"]["snippet"],
        json!({"text": "  rulez: []", "start": 2, "length": 5})
    );
}

#[test]
fn codes_ascend_and_each_has_a_subject_and_a_cure() {
    assert!(
        CODES.windows(2).all(|pair| pair[0].id < pair[1].id),
        "in ascending order, none twice"
    );
    for code in CODES {
        assert!(
            !code.subject.is_empty() && !code.cure.is_empty(),
            "{}",
            code.id
        );
    }
}
