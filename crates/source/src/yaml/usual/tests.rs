//! That the fast reader says what the parser of all YAML says, or nothing.

use proptest::prelude::*;

use super::super::build::parse_all;
use super::super::split;
use super::parse;

/// Texts as people write them, which the fast reader must know.
const USUAL: &[&str] = &[
    "apiVersion: v1\nkind: Service\nmetadata: {name: s1, namespace: default}\nspec:\n  ports: \
     [{name: http, port: 80, targetPort: 9101}]\n",
    "---\n# head\na:\n  b: # none yet\n  - c: 1\n    d:\n    - e\n  # between\n  -   f: 'it is'\n      \
     g: \"x y\" # end\n\n  h: [1, {i: j}, []]\nk: {}\nl:\n",
    "rules:\n- matches:\n  - path:\n      type: PathPrefix\n      value: /cart/1\n    headers: []\n  \
     timeouts: {request: 10s}\n- name: two\nhostnames:\n- a.example.com\n- 10:30\n- -1\n",
];

fn check(text: &str) -> bool {
    let Some(value) = parse(text) else {
        return false;
    };
    assert_eq!(Ok(Some(value)), parse_all(text), "{text:?}");
    true
}

#[test]
fn usual_texts_are_read() {
    for text in USUAL {
        assert!(check(text), "not read: {text}");
    }
}

#[test]
fn examples_mean_the_same_to_both_and_most_are_usual() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/fixtures/examples");
    let (mut all, mut read) = (0, 0);
    for entry in std::fs::read_dir(directory).expect("the examples are there") {
        let path = entry.expect("it can be listed").path();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        for document in split(&text) {
            all += 1;
            read += usize::from(check(document.text));
        }
    }
    assert!(read * 10 > all * 7, "only {read} of {all} are read");
}

#[test]
fn what_means_something_else_is_left_to_the_parser_of_all_yaml() {
    let rows = [
        "a: b\n  c",
        "a: b: c",
        "a:\n    b: 1\n  c: 2",
        "a: 1\na: 2",
        "<<: {a: b}",
        "a: 'it''s'",
        "a: |\n  b",
        "a: &x b",
        "a: \"\\n\"",
        "- a",
        "a: [b",
        "a: [b,]",
        "a: {b}",
        "a: [b: c]",
        "a: b\n...",
        "a: b\n---\nc: d",
        "a:\tb",
        "a: .nan",
        "null: a",
    ];
    for text in rows {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

/// Parts of YAML in any order, most of which make sense together.
fn jumble(parts_max: usize) -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a", "b", "c: ", "d:\n", "e: f\n", "g: 1\n", "- ", "- h: ", "- i\n", "\n", "\n  ",
        "\n    ", "  ", " ", "#", " # x\n", ":", ": ", "'", "\"", "'j'", "\"k\"", "[", "]", "{",
        "}", "{l: m}", ", ", ",", "1", "-1", "0x1F", "on", "~", "null", "---\n", "...", "/x",
        "&n ", "*n", "|", ">", "!t ", "?", "? ", "-", "%", "@", "`", "\\", "=", "<<: ", "\t",
        "\r\n", "ä", ".", "_", "(", "$",
    ]);
    prop::collection::vec(part, 0..parts_max).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn any_text_means_the_same_to_both(text in jumble(24)) {
        check(&text);
    }

    #[test]
    fn a_usual_text_that_is_damaged_means_the_same_to_both(
        text in prop::sample::select(USUAL),
        at in any::<prop::sample::Index>(),
        removed in 0..4_usize,
        inserted in jumble(4),
    ) {
        let at = at.index(text.len());
        let end = text.len().min(at + removed);
        check(&format!("{}{inserted}{}", &text[..at], &text[end..]));
    }
}
