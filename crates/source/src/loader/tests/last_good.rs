//! Last good versions: what keeps serving while a document is broken.

use super::{Desk, service};

const SYNTAX_ERROR: &str = "spec: [unclosed\n";
const NAMELESS: &str = "apiVersion: v1\nkind: Service\nmetadata: {namespace: shop}\nspec: {}\n";

fn two(a: &str, b: &str) -> String {
    format!("{a}---\n{b}")
}

#[test]
fn what_a_broken_file_held_keeps_serving() {
    let rows: [(&str, String, &[&str]); 4] = [
        (
            "a syntax error keeps the whole file",
            two(&service("a", 9), SYNTAX_ERROR),
            &[],
        ),
        (
            "a refused object keeps itself only",
            two(&service("a", 9), &service("b", 0)),
            &["+shop/a:9"],
        ),
        (
            "an object without a name may be the missing one",
            two(&service("a", 9), NAMELESS),
            &["+shop/a:9"],
        ),
        (
            "an object that is left out is gone",
            service("a", 9),
            &["+shop/a:9", "-shop/b"],
        ),
    ];
    for (name, text, expected) in rows {
        let mut desk = Desk::new(&[("x.yaml", &two(&service("a", 1), &service("b", 2)))]);
        desk.load();
        desk.write("x.yaml", &text);
        let (events, _) = desk.step();
        assert_eq!(events, expected, "{name}");
    }
}

#[test]
fn findings_say_that_the_last_good_version_serves() {
    let mut desk = Desk::new(&[("x.yaml", &service("a", 1))]);
    desk.load();
    desk.write("x.yaml", &service("a", 0));
    let batch = desk.load();
    let message = &batch.findings[0].message;
    assert!(
        message.ends_with("the last good version keeps serving"),
        "{message}"
    );
    desk.write("x.yaml", SYNTAX_ERROR);
    let batch = desk.load();
    let message = &batch.findings[0].message;
    assert!(message.contains("keeps its last good version"), "{message}");
    desk.write("x.yaml", &service("a", 5));
    let (events, codes) = desk.step();
    assert_eq!(
        (events, codes),
        (vec!["+shop/a:5".to_owned()], vec![]),
        "corrected"
    );
}

#[test]
fn a_broken_file_that_is_new_gives_what_can_be_read() {
    let text = two(&service("a", 1), SYNTAX_ERROR);
    let mut desk = Desk::new(&[("x.yaml", &text)]);
    assert_eq!(desk.step(), (vec!["+shop/a:1".to_owned()], vec!["WA120"]));
}

#[test]
fn a_broken_file_that_is_removed_takes_its_last_good_versions_along() {
    let mut desk = Desk::new(&[("x.yaml", &service("a", 1))]);
    desk.load();
    desk.write("x.yaml", SYNTAX_ERROR);
    assert!(desk.step().0.is_empty(), "it keeps serving");
    desk.remove("x.yaml");
    assert_eq!(desk.step().0, ["-shop/a"]);
}

#[test]
fn a_last_good_version_outlives_a_move_to_a_file_that_is_broken() {
    let mut desk = Desk::new(&[("x.yaml", &service("a", 1))]);
    desk.load();
    desk.remove("x.yaml");
    desk.write("y.yaml", &service("a", 0));
    let (events, codes) = desk.step();
    assert!(
        events.is_empty(),
        "the object is still defined, so it is not gone: {events:?}"
    );
    assert_eq!(codes, ["WA100"]);
}

#[test]
fn a_broken_first_definition_does_not_hand_over_to_the_second() {
    let mut desk = Desk::new(&[
        ("a.yaml", &service("web", 1)),
        ("b.yaml", &service("web", 2)),
    ]);
    desk.load();
    desk.write("a.yaml", &service("web", 0));
    assert!(
        desk.step().0.is_empty(),
        "the last good version of the first counts"
    );
}
