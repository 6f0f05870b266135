//! The table `tests/coverage.tsv`: every test of the official conformance suite, and the proof of
//! the same behaviour here. A proof that does not exist, and a test without a row, is a failure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::golden;

/// Tests of the suite v1.6.1: names of both kinds, and how many of them are mesh tests.
const SUITE: usize = 153;
const MESH: usize = 22;

/// A row: what proves the behaviour of one test.
#[derive(Debug, PartialEq)]
struct Row<'t> {
    test: &'t str,
    proofs: Vec<&'t str>,
    words: &'t str,
}

fn table() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("coverage.tsv");
    fs::read_to_string(path).expect("the table of the suite's tests")
}

fn rows(table: &str) -> Vec<Row<'_>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut columns = line.split('\t');
            let (test, proofs) = (columns.next().unwrap_or(""), columns.next().unwrap_or(""));
            let words = columns.next().unwrap_or("");
            Row {
                test,
                proofs: proofs.split(' ').collect(),
                words,
            }
        })
        .collect()
}

/// What is wrong with a table, given the fixtures and the text of test files.
fn faults(
    table: &str,
    fixtures: &BTreeSet<String>,
    read: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for Row {
        test,
        proofs,
        words,
    } in rows(table)
    {
        *seen.entry(test).or_default() += 1;
        if words.is_empty() {
            faults.push(format!("{test}: no words about what is proven"));
        }
        for proof in proofs {
            let known = match (proof.strip_prefix("golden/"), proof.split_once('#')) {
                _ if proof == "later" => true,
                (Some(fixture), _) => fixtures.contains(fixture),
                (None, Some((path, name))) => read(path).is_some_and(|text| has_test(&text, name)),
                (None, None) => false,
            };
            if !known {
                faults.push(format!("{test}: no such proof: {proof:?}"));
            }
        }
        let named = words
            .split([' ', ';', ','])
            .filter_map(|word| word.strip_prefix("golden/"));
        for fixture in named.filter(|fixture| !fixtures.contains(*fixture)) {
            faults.push(format!("{test}: no such fixture: {fixture}"));
        }
    }
    let twice = seen.iter().filter(|(_, rows)| **rows > 1);
    faults.extend(twice.map(|(test, _)| format!("{test}: two rows")));
    faults
}

/// Whether the text of a file has the test: a function with an attribute that makes it one.
fn has_test(text: &str, name: &str) -> bool {
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else {
        return false;
    };
    let own = before.rsplit("\n\n").next().unwrap_or_default();
    let attributes = ["#[test]", "#[tokio::test"];
    attributes.iter().any(|attribute| own.contains(attribute))
}

#[test]
fn every_named_proof_exists() {
    let fixtures: BTreeSet<String> = golden::names().into_iter().collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let faults = faults(&table(), &fixtures, |path| {
        fs::read_to_string(root.join(path)).ok()
    });
    assert!(
        faults.is_empty(),
        "tests/coverage.tsv:\n{}",
        faults.join("\n")
    );
}

#[test]
fn every_test_of_the_suite_has_a_row() {
    let table = table();
    let tests: Vec<&str> = rows(&table).iter().map(|row| row.test).collect();
    assert_eq!(
        tests.len(),
        SUITE,
        "rows of tests/coverage.tsv against tests of the suite"
    );
    let mesh = tests.iter().filter(|test| test.starts_with("Mesh")).count();
    assert_eq!(mesh, MESH, "mesh tests among them");
}

/// What is not proven here has to be one of the kinds that are not built yet.
#[test]
fn only_kinds_that_are_not_built_are_left_for_later() {
    const NOT_BUILT: [&str; 5] = [
        "ListenerSet",
        "TCPRoute",
        "TLSRoute",
        "UDPRoute",
        "GatewayFrontend",
    ];
    const NOT_BUILT_TESTS: [&str; 2] = [
        "GatewayInfrastructure",
        "GatewayInvalidFrontendClientCertificateValidation",
    ];
    let table = table();
    for Row { test, proofs, .. } in rows(&table) {
        let excused =
            NOT_BUILT.iter().any(|kind| test.starts_with(kind)) || NOT_BUILT_TESTS.contains(&test);
        assert_eq!(
            proofs == ["later"],
            excused,
            "{test}: proofs against what is built"
        );
    }
}

#[test]
fn the_check_sees_each_fault() {
    let fixtures = BTreeSet::from(["there".to_owned()]);
    let text = "#[test]\nfn known() {}\n\nfn help() {}\n\n#[tokio::test]\nasync fn waits() {}";
    let read = |path: &str| (path == "a.rs").then(|| text.to_owned());
    for (table, fault) in [
        ("A\tgolden/there a.rs#known\twords", None),
        ("A\ta.rs#waits\twords", None),
        ("A\tlater\tsee golden/there", None),
        (
            "A\ta.rs#help\twords",
            Some("A: no such proof: \"a.rs#help\""),
        ),
        (
            "A\tgolden/gone\twords",
            Some("A: no such proof: \"golden/gone\""),
        ),
        (
            "A\ta.rs#unknown\twords",
            Some("A: no such proof: \"a.rs#unknown\""),
        ),
        (
            "A\tb.rs#known\twords",
            Some("A: no such proof: \"b.rs#known\""),
        ),
        ("A\tnonsense\twords", Some("A: no such proof: \"nonsense\"")),
        ("A\t\twords", Some("A: no such proof: \"\"")),
        ("A\tlater\t", Some("A: no words about what is proven")),
        (
            "A\tlater\tsee golden/gone",
            Some("A: no such fixture: gone"),
        ),
        ("A\tlater\tx\nA\tlater\ty", Some("A: two rows")),
    ] {
        let found = faults(table, &fixtures, read);
        assert_eq!(
            found,
            fault.map(str::to_owned).into_iter().collect::<Vec<_>>(),
            "{table:?}"
        );
    }
}
