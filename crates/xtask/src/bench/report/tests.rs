//! What the report shows of figures.

use super::{Heading, render, replace};
use crate::bench::figures::{Table, column};
use crate::bench::peers::Peer;
use crate::bench::scenarios::Part;

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
    let text = render(Part::Loopback, &heading(), &[table], &[]);
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
    let text = render(
        Part::Loopback,
        &heading(),
        &[hop(&[("Envoy", 32.0, 30_500.0)])],
        &[],
    );
    let row = "| P1 | HTTP/1.1 hop | CPU µs/request | – | 32.0 | – |";
    assert!(
        text.contains(row) && text.contains("not measured"),
        "{text}"
    );
}

#[test]
fn failed_runs_are_told_without_their_logs() {
    let failure = "h1, Weft: weft ended with 1:\nmany\nlines".to_owned();
    let text = render(Part::Loopback, &heading(), &[], &[failure]);
    assert!(text.contains("- h1, Weft: weft ended with 1:\n"), "{text}");
    assert!(!text.contains("many"), "{text}");
}

#[test]
fn a_part_takes_the_place_of_its_own_and_of_nothing_else() {
    let pairs = render(Part::Cable, &heading(), &[], &[]);
    let hops = render(Part::Loopback, &heading(), &[], &[]);
    let cluster = "## In a cluster\n\nfigures of others\n";
    let whole = format!("{hops}\n{pairs}\n{cluster}").replace("\n\n\n", "\n\n");
    let without_pairs = format!("{hops}\n{cluster}").replace("\n\n\n", "\n\n");
    for (row, old, part, new, expected) in [
        ("the same pairs", &whole, Part::Cable, &pairs, &whole),
        ("the same hops", &whole, Part::Loopback, &hops, &whole),
        (
            "pairs for the first time",
            &without_pairs,
            Part::Cable,
            &pairs,
            &whole,
        ),
        (
            "hops that had no pairs",
            &without_pairs,
            Part::Loopback,
            &hops,
            &without_pairs,
        ),
    ] {
        assert_eq!(&replace(old, part, new), expected, "{row}");
    }
    let first = replace("", Part::Cable, &pairs);
    assert!(first.starts_with("## Pairs of proxies\n"), "{first}");
}

#[test]
fn how_ztunnel_is_measured_is_told_when_it_is() {
    let mut heading = heading();
    let told = |part: Part, heading: &Heading| render(part, heading, &[], &[]).contains("HBONE");
    assert!(!told(Part::Cable, &heading), "it was not measured");
    heading.versions.push((Peer::Ztunnel, "1.31".to_owned()));
    assert!(told(Part::Cable, &heading), "it was");
    assert!(!told(Part::Loopback, &heading), "it is in pairs only");
}
