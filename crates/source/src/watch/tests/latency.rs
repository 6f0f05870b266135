//! How soon a change arrives. Run by hand, in release, to read the figures.

use std::fs;

use super::{Desk, service};
use crate::clock;

/// Files beside the one that changes.
const FILES: usize = 2_000;
const CHANGES: u16 = 200;

#[tokio::test]
#[ignore = "prints figures; run with --release --ignored --nocapture"]
#[expect(clippy::print_stderr, reason = "the figures are what it is run for")]
async fn some_manual_latency() {
    let names: Vec<String> = (0..FILES).map(|index| format!("f{index}.yaml")).collect();
    let texts: Vec<String> = (0..FILES)
        .map(|index| service(&format!("s{index}"), 1))
        .collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let mut desk = Desk::new(&files);
    let mut took = Vec::new();
    for port in 2..CHANGES + 2 {
        let start = clock::now();
        fs::write(desk.path("f7.yaml"), service("s7", port)).expect("it can be written");
        desk.until(&format!("+s7:{port}")).await;
        took.push(clock::now() - start);
    }
    took.sort();
    let at = |share: usize| took[took.len() * share / 100];
    eprintln!(
        "write to batch: median {:?}, p90 {:?}, p99 {:?}",
        at(50),
        at(90),
        at(99)
    );
}
