//! Invariant 10: every channel is bounded.

use super::paths::{Ban, banned};
use super::report::{Finding, assert_clean, assert_found};
use super::source::{SourceFile, workspace};

const CURE: &str = "use a bounded channel, say what happens when it is full, and count it";

const BANS: &[Ban] = &[
    // The one of the standard library that reads as if it were the ordinary one.
    Ban {
        pattern: "std::sync::mpsc::channel",
        cure: CURE,
    },
];

fn findings(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = files.iter().flat_map(|file| banned(file, BANS)).collect();
    for file in files {
        let unbounded = file.production().into_iter().filter(|token| {
            let is_type = ["UnboundedReceiver", "UnboundedSender"].contains(&token.text);
            token.is_word() && (is_type || token.text.starts_with("unbounded"))
        });
        findings.extend(
            unbounded.map(|token| {
                Finding::new(&file.path, token.line, format!("`{}`", token.text), CURE)
            }),
        );
    }
    findings
}

#[test]
fn invariant_10_every_channel_is_bounded() {
    assert_clean("invariant 10", &findings(workspace()));
}

#[test]
fn invariant_10_the_check_sees_unbounded_channels() {
    let text = "use std::sync::mpsc;\nfn f(s: UnboundedSender<u8>) { unbounded_channel(); \
                mpsc::channel(); }";
    assert_found(
        text,
        &findings(&[SourceFile::sample("proxy/src/lib.rs", text)]),
        3,
    );
    let bounded = "use tokio::sync::mpsc;\nfn f() { mpsc::channel(8); Bound::Unbounded; }";
    assert_found(
        bounded,
        &findings(&[SourceFile::sample("proxy/src/lib.rs", bounded)]),
        0,
    );
}
