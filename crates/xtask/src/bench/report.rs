//! The report: goals, tables and how they were taken, as Markdown.

#[cfg(test)]
mod tests;

use super::figures::{Table, column, shown};
use super::goals::{GOALS, Goal};
use super::peers::Peer;
use super::scenarios::Part;

/// Columns that are compared with Envoy's, in order; the first a table has is the one.
const COMPARED: &[&str] = &[
    column::CPU,
    column::CONNECTION_CPU,
    column::IDLE_KIB,
    column::ENDPOINT_MIB,
];

/// How the file begins, and so its first part.
const TITLE: &str = "# Results of `cargo x bench`\n";
/// How the part of pairs begins.
const PAIRS: &str = "## Pairs of proxies\n";
/// How what others write in the file begins.
const KEPT: &str = "## In a cluster\n";

/// How to read the figures, whoever takes them.
const METHOD: &str = "\
The load generators and the back-ends have one core, the proxy the other; everything is loopback, \
bodies are 1 KiB. `CPU µs/request` is user and system time of the proxy's processes divided by \
requests and is the figure to trust: on a virtual machine whose neighbours come and go, absolute \
rates and latencies move by tens of percent from one hour to the next, while ratios inside one run \
hold. Runs of the peers are interleaved and the median counts; of failed requests, the worst run. `busy` is the share of its core the \
proxy used while the rate was taken; below 0.9 the load generator was the limit. Latencies are of \
an open loop with Poisson arrivals, counted from the time a request was due. Weft matches host, \
path and a header and records metrics for each request; its peers match everything (or a host, in \
`idle` and `scale`) and record what they do by default.";

/// How to read those of pairs.
const PAIRS_METHOD: &str = "\
The application that calls and its proxy are in one network namespace, the proxy and the application of \
the other side in a second one, with a veth pair between; the proxies speak mutual TLS to each other. \
Both proxies have one core, load and application the other. `CPU µs/request` is that of all processes of \
both proxies together: for Weft, two supervisors and two workers. `mesh-http` are requests that the \
client's proxy routes, `mesh-tcp` bytes that nobody parses. Weft captures what the application dials, a \
ClusterIP; its peers are dialled on loopback, match everything, and have a certificate in a file. A new \
connection is one for each request, from the application. Memory is looked at with 10 routes, without \
load, and with 100 and 4,000 connections that have each had a request. `direct` is the application \
without proxies, and its own CPU time. Those at 500/s are of an open loop with Poisson arrivals, 5,000 \
requests or more over at most 8 connections at once, kept or one for each request: each finds processes \
that sleep. They are summed from what the scheduler counts for each thread, as clock ticks are coarse \
beside so little.";

/// How ztunnel is measured, when it is.
const ZTUNNEL_METHOD: &str = "\
ztunnel gets what the application dials, the ClusterIP that Weft has in `mesh-tcp`, by a redirect, as the \
proxy of one pod on either side: one worker thread, no access log, sources not kept, configured by a file, \
with the certificate authority for tests that is built into it. No figure of it is taken before it is seen \
that while the application is answered nothing passes to another port than that of HBONE, and that who \
has no certificate is refused there.";

/// What stands above the tables.
pub(crate) struct Heading {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) commit: String,
    /// The command that takes the figures again.
    pub(crate) command: String,
    /// Runs, seconds, scheduling, load of the machine.
    pub(crate) conditions: String,
    /// Peers and what they say of their version.
    pub(crate) versions: Vec<(Peer, String)>,
}

/// A part of the report.
pub(crate) fn render(
    part: Part,
    heading: &Heading,
    tables: &[Table],
    failures: &[String],
) -> String {
    let (title, method, level) = match part {
        Part::Loopback => (TITLE, METHOD, "##"),
        Part::Cable => (PAIRS, PAIRS_METHOD, "###"),
    };
    let mut text = format!(
        "{title}\n\
         | | |\n|---|---|\n\
         | date | {} |\n| machine | {} |\n| commit | {} |\n| command | `{}` |\n| conditions | {} |\n",
        heading.date, heading.machine, heading.commit, heading.command, heading.conditions
    );
    for (peer, version) in &heading.versions {
        text += &format!("| {} | {version} |\n", peer.name());
    }
    text += &format!("\n{method}\n\n");
    let has_ztunnel = heading
        .versions
        .iter()
        .any(|(peer, _)| *peer == Peer::Ztunnel);
    if part == Part::Cable && has_ztunnel {
        text += &format!("{ZTUNNEL_METHOD}\n\n");
    }
    text += &render_goals(tables, level);
    for table in tables {
        text += &format!("\n{}", render_table(table, level));
    }
    if !failures.is_empty() {
        text += &format!("\n{level} Runs that failed\n\n");
        for failure in failures {
            // The first line says what; the rest is a log.
            text += &format!("- {}\n", failure.lines().next().unwrap_or_default());
        }
    }
    text
}

/// The file with `new` in the place of that part; the other parts, and what others have written, stay.
pub(crate) fn replace(old: &str, part: Part, new: &str) -> String {
    let at = |heading: &str| match old.starts_with(heading) {
        true => Some(0),
        false => old.find(&format!("\n{heading}")).map(|at| at + 1),
    };
    let kept = at(KEPT).unwrap_or(old.len());
    let pairs = at(PAIRS).map_or(kept, |at| at.min(kept));
    let parts = match part {
        Part::Loopback => [new, &old[pairs..kept], &old[kept..]],
        Part::Cable => [&old[..pairs], new, &old[kept..]],
    };
    let parts = parts.map(str::trim_end);
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n") + "\n"
}

/// Goals that the tables have anything to say on, with their verdicts.
fn render_goals(tables: &[Table], level: &str) -> String {
    let was_run = |goal: &&Goal| tables.iter().any(|table| table.name == goal.table);
    let rows = GOALS.iter().filter(was_run).map(|goal| {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let reference = goal.first.reference(goal, tables).map(shown);
        vec![
            goal.id.to_owned(),
            goal.what.to_owned(),
            goal.column.to_owned(),
            or_dash(goal.figure(tables).map(shown)),
            or_dash(reference),
            or_dash(goal.ratio(tables)),
            goal.first.to_string(),
            goal.beyond.to_string(),
            goal.verdict(tables).name().to_owned(),
        ]
    });
    let head = [
        "goal",
        "what",
        "figure",
        "Weft",
        "beside",
        "ratio",
        "first release",
        "beyond",
        "verdict",
    ];
    format!("{level} Goals\n\n{}", grid(&head, rows))
}

/// One table, below a heading of that level.
pub(crate) fn render_table(table: &Table, level: &str) -> String {
    let compared = COMPARED
        .iter()
        .find(|column| table.columns.contains(column));
    let mut head = vec!["peer"];
    head.extend(&table.columns);
    let ratio_head = compared.map(|column| format!("{column} ÷ Envoy's"));
    head.extend(ratio_head.as_deref());
    let rows = table.rows.iter().map(|(peer, values)| {
        let mut cells = vec![peer.clone()];
        let value = |column: &&str| values.get(*column).copied().map(shown).unwrap_or_default();
        cells.extend(table.columns.iter().map(value));
        cells.extend(compared.map(|column| {
            let (own, envoy) = (values.get(*column), table.value(Peer::Envoy.name(), column));
            let ratio = own.zip(envoy).map(|(own, envoy)| shown(own / envoy));
            ratio.unwrap_or_default()
        }));
        cells
    });
    format!("{level} {}\n\n{}", table.name, grid(&head, rows))
}

fn grid(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rule = "---|".repeat(head.len());
    let mut text = format!("| {} |\n|{rule}\n", head.join(" | "));
    for cells in rows {
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}
