//! Input nobody meant: nothing panics, and the good is not disturbed by the bad.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Desk, service, told};
use crate::admit::Admission;
use crate::input::Channel;
use crate::yaml::{self, Part};

/// Broken objects of one load.
const BROKEN: usize = 10_000;

/// Reads and judges a text as the loader does, without files.
fn digest(text: &str) {
    let admission: Arc<Admission> = Admission::shared(Channel::Experimental);
    for document in yaml::split(text) {
        for path in ["", "spec.rules[0].name", "metadata.labels[a/b]", "[3]..[x"] {
            let _ = yaml::locate(document.text, path, Part::Value);
        }
        if let Ok(Some(value)) = yaml::parse(document.text) {
            admission.judge(value, document.text.len());
        }
    }
}

fn examples() -> Vec<String> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/fixtures/examples");
    let entries = std::fs::read_dir(directory).expect("the examples are there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let sorted: BTreeSet<_> = paths.collect();
    let texts = sorted.iter().map(std::fs::read_to_string);
    texts.map(|text| text.expect("it can be read")).collect()
}

/// One way to damage a text.
#[derive(Clone, Debug)]
enum Damage {
    Insert(prop::sample::Index, String),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

impl Damage {
    fn apply(&self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        let place = |index: &prop::sample::Index, letters: &[char]| index.index(letters.len() + 1);
        match self {
            Self::Insert(index, part) => {
                let at = place(index, &letters);
                letters.splice(at..at, part.chars());
            }
            Self::Remove(index, length) => {
                let at = place(index, &letters);
                let end = letters.len().min(at + length);
                letters.drain(at..end);
            }
            Self::Repeat(index, length) => {
                let at = place(index, &letters);
                let end = letters.len().min(at + length);
                let part = letters[at..end].to_vec();
                letters.splice(at..at, part);
            }
        }
        letters.into_iter().collect()
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "\t", "- ", ": ", "[", "{", "}", "&a ", "*a", "!!x ", "|\n", "'", "\"", "---\n", "\0",
            "ä", "null"
        ])
        .prop_map(str::to_owned),
        ".{1,6}",
    ];
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), part).prop_map(|(at, part)| Damage::Insert(at, part)),
        (index(), 1..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (index(), 1..40_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_text_is_judged_without_panic(text in "(?s).{0,200}") {
        digest(&text);
    }

    #[test]
    fn any_bytes_are_loaded_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut desk = Desk::new(&[("good.yaml", &service("good", 80))]);
        std::fs::write(desk.directory.path().join("any.yaml"), bytes).expect("it can be written");
        let events = desk.step().0;
        prop_assert!(events.contains(&"+shop/good:80".to_owned()), "{events:?}");
    }

    #[test]
    fn damaged_examples_are_judged_without_panic(
        which in any::<prop::sample::Index>(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let examples = examples();
        let mut text = which.get(&examples).clone();
        for damage in &damages {
            text = damage.apply(&text);
        }
        digest(&text);
    }
}

/// A document that is broken in one of many ways; the number keeps them apart.
fn broken(index: usize) -> String {
    let route = |spec: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: \
             bad-{index}, namespace: shop}}\nspec: {spec}\n"
        )
    };
    match index % 10 {
        0 => service(&format!("bad-{index}"), 0),
        1 => format!("apiVersion: v1\nkind: Service\nmetadata: {{name: bad-{index}}}\nspec: []\n"),
        2 => route("{rules: [{filters: [{type: RequestRedirect}]}]}"),
        3 => route("{rulez: []}"),
        4 => route("{rules: [{matches: [{path: {value: relative}}]}]}"),
        5 => format!("just text {index}\n"),
        6 => format!("apiVersion: v1\nkind: Service\nmetadata: {{name: Bad_{index}}}\n"),
        7 => route("{hostnames: ['*.*.example.com']}"),
        8 => format!("apiVersion: v1\nkind: Servise\nmetadata: {{name: bad-{index}}}\n"),
        _ => route("{parentRefs: [{name: a}, {name: a}]}"),
    }
}

#[test]
fn ten_thousand_broken_objects_leave_the_good_ones_as_they_are() {
    let good: Vec<String> = (0..200_u16)
        .map(|i| service(&format!("good-{i}"), i + 1))
        .collect();
    let mut alone = Desk::new(&[]);
    for (index, text) in good.iter().enumerate() {
        alone.write(&format!("{index}.yaml"), text);
    }
    let mut mixed = Desk::new(&[]);
    for (index, text) in good.iter().enumerate() {
        let share = BROKEN / good.len();
        let bad = (index * share..(index + 1) * share).map(broken);
        let documents: Vec<String> = bad.chain([text.clone()]).collect();
        mixed.write(&format!("{index}.yaml"), &documents.join("---\n"));
    }
    let (alone, mixed) = (alone.load(), mixed.load());
    let told_of = mixed.findings.iter().filter_map(|finding| {
        let place = finding.place.as_ref()?;
        Some((place.file.clone(), place.document))
    });
    let told_of: BTreeSet<_> = told_of.collect();
    assert_eq!(
        told_of.len(),
        BROKEN,
        "every broken object is told, with its place"
    );
    assert!(
        mixed
            .findings
            .iter()
            .all(|finding| finding.place.is_some() && !finding.cure.is_empty())
    );
    let told = |events: &[_]| events.iter().map(told).collect::<Vec<_>>();
    assert_eq!(
        told(&mixed.events),
        told(&alone.events),
        "the good events are the same"
    );
    assert_eq!(mixed.events, alone.events, "in every field");
}
