//! The example manifests of Gateway API v1.6.1, unmodified, served by `weft run`: each answers as
//! its text says, and each that cannot says why in its status.
//!
//! Examples leave out what every cluster has. A case adds it: the Services that routes refer to
//! (made here, one backend each, that says what reached it), the Secrets of listeners (one
//! certificate for all hosts asked for) and, as YAML, Gateways and routes of other pages of the
//! documentation.

mod cors;
mod expected;
mod grpc;
mod http;
mod manifests;
mod refused;
mod rewrites;
mod serving;
mod splits;

use std::{collections::BTreeSet, fs, path::Path};

use weft_tests::{
    binary::{Run, workspace},
    wait::Expected,
};

use self::{manifests::Manifests, serving::Serving};

/// One example, or a few that belong together.
#[derive(Clone, Copy)]
struct Case {
    /// Paths below `tests/upstream/standard`.
    files: &'static [&'static str],
    /// What the example takes for granted, as YAML.
    given: &'static str,
    /// Whether routes that name no parent are attached to a Gateway of this test. Unmodified they
    /// would answer nowhere.
    adopt: bool,
    /// `Kind namespace/name` and parts of its status. Everything that is not named here has to be
    /// accepted without complaint.
    statuses: &'static [(&'static str, &'static [&'static str])],
    /// Requests and what becomes of them; see [`expected`].
    answers: &'static [(&'static str, &'static str)],
    /// A request, and the share in percent that each backend, or each failure, gets of many.
    splits: &'static [(&'static str, &'static [(&'static str, usize)])],
}

/// Nothing beside the files.
const PLAIN: Case = Case {
    files: &[],
    given: "",
    adopt: false,
    statuses: &[],
    answers: &[],
    splits: &[],
};

const TABLES: &[&[Case]] = &[
    http::CASES,
    rewrites::CASES,
    cors::CASES,
    splits::CASES,
    grpc::CASES,
    refused::CASES,
];

fn examples() -> std::path::PathBuf {
    workspace().join("tests/upstream/standard")
}

async fn check(cases: &[Case]) {
    for case in cases {
        let manifests = Manifests::of(case);
        let serving = Serving::start(&manifests).await;
        for (object, parts) in case.statuses {
            let status = serving.status(object, !parts.is_empty()).await;
            for part in *parts {
                assert!(
                    status.contains(part),
                    "{case}: {object} says\n{status}not {part}"
                );
            }
        }
        let named: BTreeSet<_> = case.statuses.iter().map(|(object, _)| *object).collect();
        for object in manifests.judged().filter(|it| !named.contains(it.as_str())) {
            let status = serving.status(&object, true).await;
            let complaint = status.lines().find(|line| is_complaint(line));
            assert!(complaint.is_none(), "{case}: {object} says\n{status}");
        }
        for (request, answer) in case.answers {
            let got = serving.ask(request).await;
            expected::check(&format!("{case}: {request}"), &got, answer, &serving).await;
        }
        for (request, shares) in case.splits {
            serving.check_split(request, shares).await;
        }
    }
}

/// Whether a condition says that something is wrong. A conflict that is not there is fine.
fn is_complaint(condition: &str) -> bool {
    condition.contains("=False ") && !condition.contains("Conflicted=False ")
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.files.join(" "))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn http_examples_answer_as_they_say() {
    check(http::CASES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn redirect_and_rewrite_examples_answer_as_they_say() {
    check(rewrites::CASES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn cors_examples_answer_as_they_say() {
    check(cors::CASES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn splitting_examples_answer_as_they_say() {
    check(splits::CASES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn grpc_examples_answer_as_they_say() {
    check(grpc::CASES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn examples_that_cannot_be_served_say_why() {
    check(refused::CASES).await;
}

/// A route that names no parent is nobody's: no status, no address, no complaint about the file.
#[test]
fn route_without_parent_is_left_alone() {
    let file = "httproute.yaml";
    let text = fs::read_to_string(examples().join(file)).expected(file);
    let run = Run::start(&[(file.to_owned(), text)]);
    assert_eq!(run.state("status/HTTPRoute/default/my-app.yaml"), None);
}

#[test]
fn every_example_is_in_a_table() {
    let mut files = BTreeSet::new();
    collect(&examples(), &mut files);
    assert!(!files.is_empty(), "there are examples");
    for case in TABLES.iter().copied().flatten() {
        for file in case.files {
            files.remove(*file);
        }
    }
    assert!(files.is_empty(), "examples that no case serves: {files:?}");
}

fn collect(folder: &Path, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expected("a folder of examples") {
        let path = entry.expected("its entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let relative = path.strip_prefix(examples()).expected("a path below");
            files.insert(relative.display().to_string());
        }
    }
}
