//! Documents that stand unchanged in a changed file: they are not judged again, and nobody can
//! tell by anything else.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, PoisonError};

use proptest::prelude::*;
use weft_api::{AnyObject, Object, ObjectRef, Service};

use super::{Desk, service};
use crate::admit::Verdict;
use crate::finding::{Finding, Severity};
use crate::loader::file::Mark;
use crate::loader::{Batch, Event};
use crate::yaml;

const FILE: &str = "x.yaml";
const SYNTAX_ERROR: &str = "spec: [unclosed\n";
/// Its name is an anchor, which another field repeats.
const ANCHORED: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: &n d, namespace: shop, \
                        labels: {app: *n}}\nspec: {ports: [{port: 4}]}\n";

/// The Services of a file that would not be judged again, as they lie in memory.
fn known(desk: &Desk) -> Vec<Arc<Service>> {
    let path = desk.directory.path().join(FILE);
    let text = fs::read_to_string(&path).expect("the file is there");
    let book = desk.loader.book.read();
    let book = book.unwrap_or_else(PoisonError::into_inner);
    let known = book.known(&path);
    let verdicts = yaml::split(&text)
        .into_iter()
        .filter_map(|document| known.verdict(Mark::of(document.text)));
    let services = verdicts.filter_map(|verdict| match verdict {
        Verdict::Good(AnyObject::Service(service)) => Some(service),
        _ => None,
    });
    services.collect()
}

/// The names of those that were judged anew between two looks.
fn anew(before: &[Arc<Service>], after: &[Arc<Service>]) -> Vec<String> {
    let is_new = |one: &&Arc<Service>| !before.iter().any(|other| Arc::ptr_eq(one, other));
    let new = after.iter().filter(is_new);
    new.map(|service| service.name().to_owned()).collect()
}

fn file(documents: &[&str]) -> String {
    let documents = documents.iter().map(|document| format!("---\n{document}"));
    documents.collect()
}

#[test]
fn only_documents_that_changed_are_judged_again() {
    let (a, b, c) = (&service("a", 1), &service("b", 2), &service("c", 3));
    let (edited, refused, longer) = (service("b", 9), service("b", 0), format!("# longer\n{c}"));
    let renamed = ANCHORED.replace("&n d", "&n e");
    type Names<'a> = &'a [&'a str];
    let rows: [(&str, Names<'_>, Names<'_>, Names<'_>); 9] = [
        ("edited", &[a, &edited, c, ANCHORED], &["b"], &["+shop/b:9"]),
        (
            "put in front",
            &[&service("z", 7), a, b, c, ANCHORED],
            &["z"],
            &["+shop/z:7"],
        ),
        ("turned round", &[ANCHORED, c, b, a], &[], &[]),
        ("removed", &[a, c, ANCHORED], &[], &["-shop/b"]),
        ("given a comment", &[a, b, &longer, ANCHORED], &["c"], &[]),
        ("written twice", &[a, b, c, ANCHORED, b], &[], &[]),
        (
            "given another anchor",
            &[a, b, c, &renamed],
            &["e"],
            &["-shop/d", "+shop/e:4"],
        ),
        ("refused", &[a, &refused, c, ANCHORED], &[], &[]),
        ("no YAML", &[a, SYNTAX_ERROR, c, ANCHORED], &[], &[]),
    ];
    for (name, documents, judged, told) in rows {
        let mut desk = Desk::new(&[(FILE, &file(&[a, b, c, ANCHORED]))]);
        desk.load();
        let before = known(&desk);
        assert_eq!(before.len(), 4, "{name}: every document is known");
        desk.write(FILE, &file(documents));
        let (events, _) = desk.step();
        assert_eq!(events, told, "{name}: what is told");
        assert_eq!(
            anew(&before, &known(&desk)),
            judged,
            "{name}: what is judged"
        );
    }
}

#[test]
fn documents_are_known_again_when_a_mistake_is_undone() {
    let (a, b) = (&service("a", 1), &service("b", 2));
    for mistake in [SYNTAX_ERROR, &service("b", 0), "kind: Service\n"] {
        let mut desk = Desk::new(&[(FILE, &file(&[a, b]))]);
        desk.load();
        let before = known(&desk);
        desk.write(FILE, &file(&[a, mistake]));
        let (events, codes) = desk.step();
        assert!(
            events.is_empty(),
            "{mistake:?}: last good versions serve: {events:?}"
        );
        assert_eq!(codes.len(), 1, "{mistake:?} is told");
        desk.write(FILE, &file(&[a, b]));
        assert_eq!(desk.step(), (vec![], vec![]), "{mistake:?} is undone");
        let again = anew(&before, &known(&desk));
        assert!(
            again.is_empty(),
            "after {mistake:?} {again:?} are judged again"
        );
    }
}

#[test]
fn findings_and_places_follow_a_document_that_moves() {
    let text = file(&[&service("a", 1), &service("b", 0), &service("c", 3)]);
    let mut desk = Desk::new(&[(FILE, &text)]);
    let lines = |batch: &Batch| -> Vec<u32> {
        let places = batch
            .findings
            .iter()
            .filter_map(|finding| finding.place.as_ref());
        places.map(|place| place.line).collect()
    };
    assert_eq!(lines(&desk.load()), [14], "the port of b");
    desk.write(FILE, &format!("# one\r\n# two\r\n{text}"));
    assert_eq!(
        lines(&desk.load()),
        [16],
        "the port of b, two lines further down"
    );
    let places = desk.loader.places();
    let object = ObjectRef::new(
        weft_api::Kind::Service,
        weft_api::ObjectKey::new("shop", "c"),
    );
    let place = places
        .locate(&object, "spec.ports[0].port")
        .expect("c has a place");
    assert_eq!(
        (place.line, place.document),
        (23, 3),
        "c was not judged again"
    );
}

/// Documents of every sort, some of them about the same objects.
fn documents() -> Vec<String> {
    let list = "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: l, namespace: shop}\n  \
                spec: {ports: [{port: 7}]}\n- metadata: {name: a, namespace: shop}\n  spec: {ports: \
                [{port: 8}]}\n";
    let block = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n  text: |\n    ---\n    \
                 apiVersion: x\n";
    [
        format!("---\n{}", service("a", 1)),
        format!("--- # the other\n{}", service("a", 2)),
        format!("---\n{}", service("b", 1)).replace('\n', "\r\n"),
        format!("---\n{}...\n", service("c", 1)),
        format!("...\n%YAML 1.2\n---\n{}", service("d", 1)),
        format!("---\n{}", service("b", 0)),
        format!("---\n{ANCHORED}"),
        format!("---\n{list}"),
        format!("---\n{block}"),
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n".to_owned(),
        "---\njust text\n".to_owned(),
        "---\n# nothing\n".to_owned(),
        "---\n{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"j\"}}\n"
            .to_owned(),
    ]
    .to_vec()
}

/// What findings say, but for what they say about the past.
fn told(findings: &[Finding]) -> Vec<String> {
    let parts = |finding: &Finding| {
        let message = finding.message.split("; ").next().unwrap_or_default();
        let place = finding.place.as_ref();
        let place = place.map(|place| {
            (
                place.line,
                place.column,
                place.document,
                place.snippet.clone(),
            )
        });
        format!("{} {:?} {message} {place:?}", finding.code, finding.object)
    };
    findings.iter().map(parts).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_read_again_says_what_it_says_when_it_is_new(
        versions in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(prop::sample::select(documents()), 0..8)),
            2..5,
        ),
    ) {
        let mut desk = Desk::new(&[]);
        let mut objects = BTreeMap::new();
        for (marked, documents) in versions {
            let order_mark = if marked { "\u{feff}" } else { "" };
            desk.write(FILE, &format!("{order_mark}{}", documents.concat()));
            let again = desk.load();
            for event in again.events {
                match event {
                    Event::Apply(object) => objects.insert(object.reference(), object),
                    Event::Delete(object) => objects.remove(&object),
                };
            }
            let new = super::load(&[desk.directory.path().to_owned()]);
            prop_assert_eq!(told(&again.findings), told(&new.findings));
            prop_assert_eq!(again.documents, new.documents);
            if new.findings.iter().all(|finding| finding.severity < Severity::Error) {
                let served: Vec<_> = objects.values().cloned().map(Event::Apply).collect();
                prop_assert_eq!(served, new.events);
            }
        }
    }
}
