//! Tests of `findings`: order, counts, exit codes, and XML that parsers take.

use std::{path::Path, sync::Arc};

use weft_source::{Finding, Place, Severity};

use super::{Report, junit, order};
use crate::{args::FailOn, exit::Exit};

fn finding(severity: Severity, place: Option<(&str, u32)>, message: &str) -> Finding {
    Finding {
        severity,
        code: "WA100",
        object: None,
        field: "spec".to_owned(),
        message: message.to_owned(),
        cure: "mend it".to_owned(),
        place: place.map(|(file, line)| Place {
            file: Arc::from(Path::new(file)),
            document: 1,
            line,
            column: 1,
            snippet: None,
        }),
    }
}

fn report(severities: &[Severity]) -> Report {
    let findings = severities.iter().map(|it| finding(*it, None, "wrong"));
    Report {
        version: 1,
        files: 1,
        documents: 2,
        objects: None,
        findings: findings.collect(),
    }
}

#[test]
fn exit_codes_follow_the_worst_finding() {
    use Severity::{Error, Info, Warning};
    let rows: [(&[Severity], FailOn, Exit); 6] = [
        (&[], FailOn::Error, Exit::Good),
        (&[Info], FailOn::Warning, Exit::Good),
        (&[Info, Warning], FailOn::Error, Exit::Warnings),
        (&[Info, Warning], FailOn::Warning, Exit::Errors),
        (&[Warning, Error], FailOn::Error, Exit::Errors),
        (&[Error], FailOn::Warning, Exit::Errors),
    ];
    for (severities, fail_on, exit) in rows {
        let found = report(severities).exit(fail_on);
        assert_eq!(found, exit, "{severities:?}, fail on {fail_on:?}");
    }
}

#[test]
fn summaries_count_in_words() {
    use Severity::{Error, Info, Warning};
    let rows: [(&[Severity], &str); 3] = [
        (&[], "nothing to complain about in 2 documents of 1 file"),
        (
            &[Error, Error, Warning],
            "2 errors, 1 warning in 2 documents of 1 file",
        ),
        (&[Info], "1 info in 2 documents of 1 file"),
    ];
    for (severities, expected) in rows {
        assert_eq!(report(severities).summary(), expected);
    }
}

#[test]
fn findings_stand_in_the_order_of_their_places() {
    let places = [None, Some(("b", 1)), Some(("a", 9)), Some(("a", 2))];
    let mut findings: Vec<_> = places
        .iter()
        .map(|place| finding(Severity::Error, *place, ""))
        .collect();
    order(&mut findings);
    let shown: Vec<_> = findings
        .iter()
        .map(|it| {
            it.place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
        })
        .collect();
    assert_eq!(
        shown,
        ["a:2:1", "a:9:1", "b:1:1", ""],
        "those of no file last"
    );
}

#[test]
fn junit_escapes_what_users_wrote() {
    let hostile = "\"a\" <b> & \u{1}";
    let xml = junit::xml(&[
        finding(Severity::Error, Some(("x<y.yaml", 3)), hostile),
        finding(Severity::Warning, None, "w"),
    ]);
    assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
    assert!(
        xml.contains("message=\"&quot;a&quot; &lt;b&gt; &amp; \u{fffd}\""),
        "{xml}"
    );
    assert!(xml.contains("file=\"x&lt;y.yaml\" line=\"3\""), "{xml}");
    assert!(
        xml.contains("<system-out>"),
        "warnings are no failures: {xml}"
    );
    assert_eq!(
        xml.matches("<testcase").count(),
        xml.matches("</testcase>").count()
    );
}
