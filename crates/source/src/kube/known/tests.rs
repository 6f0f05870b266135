//! Lists and watch events against what is known, by themselves.

use serde_json::{Value, json};
use weft_api::Kind;

use super::super::item::{Item, Line, Page, Served};
use super::{Delta, Disorder, Known, Listing, Stale};

fn route(name: &str, version: u64) -> Item {
    let value = json!({
        "metadata": { "name": name, "namespace": "shop", "resourceVersion": version.to_string() },
        "spec": {},
    });
    Item::read(&Served::newest(Kind::HttpRoute), value)
}

fn page(version: u64, items: Vec<Item>, next: Option<&str>) -> Page {
    Page {
        items,
        version: version.to_string(),
        next: next.map(str::to_owned),
    }
}

/// What changed, in words: `+name`, `-name`, `!name` for a bad one, `.` at the end of a list.
fn words(deltas: impl IntoIterator<Item = Delta>) -> String {
    let mut words: Vec<_> = deltas
        .into_iter()
        .map(|delta| match delta {
            Delta::Apply(object) => format!("+{}", object.key().name()),
            Delta::Delete(reference) => format!("-{}", reference.key.name()),
            Delta::Bad(reference, _) => format!("!{}", reference.key.name()),
            Delta::Settled(_) => ".".to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    words.sort();
    words.join(" ")
}

fn list(known: &mut Known, version: u64, items: Vec<Item>) -> Result<String, Stale> {
    known
        .page(&mut Listing::default(), page(version, items, None))
        .map(words)
}

fn event(known: &mut Known, line: Line) -> Result<String, Disorder> {
    known.event(line).map(words)
}

fn listed() -> Known {
    let mut known = Known::new(Kind::HttpRoute);
    let items = vec![route("a", 3), route("b", 5)];
    assert_eq!(
        list(&mut known, 10, items).as_deref(),
        Ok("+a +b ."),
        "the first list"
    );
    known
}

#[test]
fn a_second_list_gives_the_difference() {
    let mut known = listed();
    let items = vec![route("a", 3), route("c", 11)];
    assert_eq!(
        list(&mut known, 12, items).as_deref(),
        Ok("+c -b ."),
        "a is known"
    );
    assert_eq!(known.resume(), "12", "watching goes on from the list");
}

#[test]
fn what_is_on_another_page_is_not_gone() {
    let mut known = listed();
    let mut listing = Listing::default();
    let first = known.page(&mut listing, page(12, vec![route("a", 3)], Some("next")));
    assert_eq!(
        first.map(words).as_deref(),
        Ok(""),
        "nothing is gone before the last page"
    );
    let second = known.page(&mut listing, page(12, vec![route("b", 5)], None));
    assert_eq!(
        second.map(words).as_deref(),
        Ok("."),
        "b was on the second page"
    );
}

#[test]
fn a_list_that_is_given_up_in_the_middle_loses_nothing() {
    let mut known = listed();
    let page = page(12, vec![route("c", 11)], Some("next"));
    let half = known.page(&mut Listing::default(), page).map(words);
    assert_eq!(half.as_deref(), Ok("+c"), "the first page");
    let items = vec![route("a", 3)];
    assert_eq!(
        list(&mut known, 13, items).as_deref(),
        Ok("-b -c ."),
        "the next list knows of c"
    );
}

#[test]
fn a_stale_list_is_refused_until_it_must_be_the_truth() {
    let mut known = listed();
    for attempt in 1..=5 {
        assert_eq!(
            list(&mut known, 4, vec![route("a", 3)]),
            Err(Stale),
            "attempt {attempt}"
        );
    }
    let restored = list(&mut known, 4, vec![route("a", 2)]);
    assert_eq!(
        restored.as_deref(),
        Ok("+a -b ."),
        "a cluster restored from a backup"
    );
    let next = event(&mut known, Line::Changed(route("c", 5)));
    assert_eq!(
        next.as_deref(),
        Ok("+c"),
        "and its versions count from there"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row per way events can come")]
fn events_in_and_out_of_order() {
    let bookmark = |version: &str| Line::Bookmark(version.to_owned());
    type Case = (
        &'static str,
        Vec<Line>,
        Result<&'static str, Disorder>,
        &'static str,
    );
    let cases: Vec<Case> = vec![
        (
            "a change",
            vec![Line::Changed(route("a", 11))],
            Ok("+a"),
            "11",
        ),
        (
            "a new object",
            vec![Line::Changed(route("c", 11))],
            Ok("+c"),
            "11",
        ),
        (
            "a deletion",
            vec![Line::Deleted(route("a", 11))],
            Ok("-a"),
            "11",
        ),
        (
            "a deletion of what is unknown",
            vec![Line::Deleted(route("z", 11))],
            Ok(""),
            "11",
        ),
        ("a bookmark", vec![bookmark("40")], Ok(""), "40"),
        ("an empty bookmark", vec![bookmark("")], Ok(""), "10"),
        (
            "a change twice",
            vec![Line::Changed(route("a", 11)), Line::Changed(route("a", 11))],
            Ok("+a"),
            "11",
        ),
        (
            "a deletion twice",
            vec![Line::Deleted(route("a", 11)), Line::Deleted(route("a", 11))],
            Ok("-a"),
            "11",
        ),
        (
            "a change from before",
            vec![Line::Changed(route("a", 12)), Line::Changed(route("b", 11))],
            Err(Disorder),
            "12",
        ),
        (
            "a change from before a deletion",
            vec![Line::Deleted(route("a", 12)), Line::Changed(route("a", 11))],
            Err(Disorder),
            "12",
        ),
        (
            "a deletion from before",
            vec![Line::Changed(route("b", 12)), Line::Deleted(route("a", 11))],
            Err(Disorder),
            "12",
        ),
        (
            "a bookmark from before",
            vec![bookmark("9")],
            Err(Disorder),
            "10",
        ),
        ("a type of later servers", vec![Line::Unknown], Ok(""), "10"),
    ];
    for (name, lines, expected, resume) in cases {
        let mut known = listed();
        let mut deltas = Vec::new();
        let result = lines.into_iter().try_for_each(|line| {
            deltas.extend(known.event(line)?);
            Ok(())
        });
        assert_eq!(
            result.map(|()| words(deltas)),
            expected.map(str::to_owned),
            "{name}"
        );
        assert_eq!(known.resume(), resume, "{name}: where a watch goes on");
    }
}

#[test]
fn versions_that_are_no_numbers_can_only_be_told_apart() {
    let opaque = |name: &str, version: &str| {
        let value = json!({ "metadata": { "name": name, "resourceVersion": version } });
        Item::read(&Served::newest(Kind::GatewayClass), value)
    };
    let mut known = Known::new(Kind::GatewayClass);
    let page = Page {
        items: vec![opaque("a", "x1")],
        version: "x9".to_owned(),
        next: None,
    };
    let first = known.page(&mut Listing::default(), page).map(words);
    assert_eq!(first.as_deref(), Ok("+a ."), "the list");
    let same = event(&mut known, Line::Changed(opaque("a", "x1")));
    assert_eq!(same.as_deref(), Ok(""), "the same version");
    let other = event(&mut known, Line::Changed(opaque("a", "x0")));
    assert_eq!(other.as_deref(), Ok("+a"), "another version");
}

#[test]
fn a_bad_object_is_bad_alone_and_known_by_its_name() {
    let bad = |version: u64| {
        let value = json!({
            "metadata": { "name": "a", "namespace": "shop", "resourceVersion": version.to_string() },
            "spec": { "rules": 7 },
        });
        Item::read(&Served::newest(Kind::HttpRoute), value)
    };
    let mut known = Known::new(Kind::HttpRoute);
    let both = list(&mut known, 10, vec![bad(3), route("b", 5)]);
    assert_eq!(both.as_deref(), Ok("!a +b ."), "its neighbour is good");
    let gone = event(&mut known, Line::Deleted(bad(11)));
    assert_eq!(gone.as_deref(), Ok("-a"), "it can be deleted");
}

#[test]
fn a_kind_that_is_gone_takes_its_objects_with_it() {
    let mut known = listed();
    assert_eq!(words(known.clear()), "-a -b", "everything");
    assert_eq!(
        list(&mut known, 2, vec![route("a", 1)]).as_deref(),
        Ok("+a ."),
        "from the start"
    );
}

/// Pages as servers write them.
#[test]
fn pages_are_read_object_by_object() {
    let read = |served: &Served, page: Value| {
        let page = Page::decode(served, page.to_string().as_bytes()).expect("a page");
        let good = page.items.iter().filter(|item| item.object.is_ok()).count();
        (good, page.items.len(), page.version, page.next)
    };
    let service =
        json!({ "metadata": { "name": "web", "namespace": "shop", "managedFields": [{}] } });
    let cases = [
        ("items without a kind", json!([service]), (1, 1)),
        ("no items", json!([]), (0, 0)),
        ("null for no items", Value::Null, (0, 0)),
        ("one that is no object", json!([7, service]), (1, 2)),
        (
            "one with a wrong field",
            json!([{ "metadata": { "name": "x" }, "spec": 1 }, service]),
            (1, 2),
        ),
    ];
    for (name, items, (good, all)) in cases {
        let metadata = json!({ "resourceVersion": "8", "continue": "token" });
        let page = json!({ "kind": "ServiceList", "metadata": metadata, "items": items });
        let read = read(&Served::newest(Kind::Service), page);
        assert_eq!(
            read,
            (good, all, "8".to_owned(), Some("token".to_owned())),
            "{name}"
        );
    }
}
