//! What the report shows of figures.

use super::{Heading, render};
use crate::bench::figures::{Table, column};
use crate::bench::peers::Peer;

fn heading() -> Heading {
    Heading {
        date: "2026-11-21".to_owned(),
        machine: "2 cores".to_owned(),
        commit: "abc".to_owned(),
        command: "cargo x bench".to_owned(),
        conditions: "median of 3 × 5 s".to_owned(),
        versions: vec![(Peer::Envoy, "1.40".to_owned())],
    }
}

fn hop(rows: &[(&str, f64, f64)]) -> Table {
    let runs = rows.iter().map(|&(peer, cpu, rate)| {
        let sample = vec![(column::RATE, rate), (column::CPU, cpu)];
        (peer.to_owned(), vec![sample])
    });
    Table::new("h1", runs.collect())
}

#[test]
fn a_reader_sees_figures_ratios_and_verdicts() {
    let table = hop(&[("Weft", 10.0, 90_000.0), ("Envoy", 32.0, 30_500.0)]);
    let text = render(&heading(), &[table], &[]);
    for line in [
        "| date | 2026-11-21 |",
        "| Envoy | 1.40 |",
        "| P1 | HTTP/1.1 hop | CPU µs/request | 10.0 | 32.0 | 0.312 | ≤ 0.45 × Envoy | ≤ 0.27 × Envoy | met |",
        "| peer | requests/s | CPU µs/request | CPU µs/request ÷ Envoy's |",
        "| Weft | 90000 | 10.0 | 0.312 |",
        "| Envoy | 30500 | 32.0 | 1.00 |",
    ] {
        assert!(text.contains(line), "no line `{line}` in:\n{text}");
    }
    assert!(!text.contains("| P3 |"), "h2 was not run:\n{text}");
    assert!(!text.contains("## Runs that failed"), "none did:\n{text}");
}

#[test]
fn what_was_not_measured_is_not_judged() {
    let text = render(&heading(), &[hop(&[("Envoy", 32.0, 30_500.0)])], &[]);
    let row = "| P1 | HTTP/1.1 hop | CPU µs/request | – | 32.0 | – |";
    assert!(
        text.contains(row) && text.contains("not measured"),
        "{text}"
    );
}

#[test]
fn failed_runs_are_told_without_their_logs() {
    let failure = "h1, Weft: weft ended with 1:\nmany\nlines".to_owned();
    let text = render(&heading(), &[], &[failure]);
    assert!(text.contains("- h1, Weft: weft ended with 1:\n"), "{text}");
    assert!(!text.contains("many"), "{text}");
}
