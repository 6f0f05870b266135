//! Figures of small runs.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Run;
use crate::tasks::conformance::catalogue::Catalogue;
use crate::tasks::conformance::log::Log;

const CATALOGUE: &str = "\
catalogue\tGATEWAY-HTTP\tcore\tSimple\tGateway,HTTPRoute
catalogue\tGATEWAY-HTTP\tcore\tWeight\tGateway,HTTPRoute
catalogue\tGATEWAY-HTTP\textended\tCors\tHTTPRoute,HTTPRouteCORS
PASS
";

fn check(log: &str, succeeded: bool, flakes: &[&str], good: bool, lines: &[&str]) {
    let (catalogue, log) = (Catalogue::parse(CATALOGUE), Log::parse(log));
    let profiles = ["GATEWAY-HTTP".to_owned()];
    let run = Run {
        catalogue: &catalogue,
        profiles: &profiles,
        only: None,
        log: &log,
        succeeded,
        flakes: &BTreeSet::from_iter(flakes.iter().map(|&name| name.to_owned())),
        took: Duration::from_secs(90),
    };
    let text = run.render();
    assert_eq!(run.is_good(), good, "verdict on\n{text}");
    for line in lines {
        assert!(
            text.lines()
                .any(|shown| shown.split_whitespace().eq(line.split_whitespace())),
            "no line `{line}` in\n{text}"
        );
    }
}

fn log(lines: &[&str]) -> String {
    let names = ["Simple", "Weight", "Cors"];
    let runs = names.map(|name| format!("=== RUN   TestConformance/{name}\n"));
    format!(
        "=== RUN   TestConformance\n{}{}",
        runs.concat(),
        lines.join("\n")
    )
}

#[test]
fn a_claimed_feature_that_holds_is_a_success() {
    check(
        &log(&[
            "Skipping Cors: suite does not support HTTPRouteCORS",
            "--- PASS: TestConformance (9.00s)",
            "    --- PASS: TestConformance/Simple (1.00s)",
            "    --- PASS: TestConformance/Weight (1.00s)",
            "    --- SKIP: TestConformance/Cors (0.00s)",
        ]),
        true,
        &[],
        true,
        &[
            "GATEWAY-HTTP core 2 0 0 0",
            "GATEWAY-HTTP extended 0 0 0 1",
            "passed in 1 min 30 s",
        ],
    );
}

#[test]
fn a_failed_test_fails_the_run_and_is_named_with_its_reason() {
    let text = log(&[
        "=== CONT  TestConformance/Weight",
        "    Error:  it is 0.5",
        "--- FAIL: TestConformance (9.00s)",
        "    --- PASS: TestConformance/Simple (1.00s)",
        "    --- FAIL: TestConformance/Weight (1.00s)",
        "    --- SKIP: TestConformance/Cors (0.00s)",
    ]);
    let lines = [
        "GATEWAY-HTTP core 1 1 0 0",
        "failed: Weight: it is 0.5",
        "skipped: Cors, though it is claimed",
    ];
    check(&text, false, &[], false, &lines);
    let flaky = [
        "GATEWAY-HTTP core 2 0 0 0",
        "flaky: Weight failed in the run and passed alone",
    ];
    check(&text, false, &["Weight"], true, &flaky);
}

#[test]
fn the_exit_status_counts_when_every_line_says_passed() {
    let text = log(&[
        "--- PASS: TestConformance (9.00s)",
        "    --- PASS: TestConformance/Simple (1.00s)",
        "    --- PASS: TestConformance/Weight (1.00s)",
        "    --- PASS: TestConformance/Cors (1.00s)",
    ]);
    check(&text, true, &[], true, &["passed in 1 min 30 s"]);
    check(&text, false, &[], false, &["failed in 1 min 30 s"]);
}

#[test]
fn tests_that_never_began_are_not_passed() {
    check(
        "=== RUN   TestConformance\n--- FAIL: TestConformance (0.10s)\n",
        false,
        &[],
        false,
        &[
            "GATEWAY-HTTP core 0 0 2 0",
            "the suite: the suite failed outside of its tests",
        ],
    );
}
