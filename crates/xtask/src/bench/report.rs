//! The report: goals, tables and how they were taken, as Markdown.

#[cfg(test)]
mod tests;

use super::figures::{Table, column, shown};
use super::goals::{GOALS, Goal};
use super::peers::Peer;

/// Columns that are compared with Envoy's, in order; the first a table has is the one.
const COMPARED: &[&str] = &[
    column::CPU,
    column::CONNECTION_CPU,
    column::IDLE_KIB,
    column::ENDPOINT_MIB,
];

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

/// The whole report.
pub(crate) fn render(heading: &Heading, tables: &[Table], failures: &[String]) -> String {
    let mut text = format!(
        "# Results of `cargo x bench`\n\n\
         | | |\n|---|---|\n\
         | date | {} |\n| machine | {} |\n| commit | {} |\n| command | `{}` |\n| conditions | {} |\n",
        heading.date, heading.machine, heading.commit, heading.command, heading.conditions
    );
    for (peer, version) in &heading.versions {
        text += &format!("| {} | {version} |\n", peer.name());
    }
    text += &format!("\n{METHOD}\n\n{}", render_goals(tables));
    for table in tables {
        text += &format!("\n{}", render_table(table));
    }
    if !failures.is_empty() {
        text += "\n## Runs that failed\n\n";
        for failure in failures {
            // The first line says what; the rest is a log.
            text += &format!("- {}\n", failure.lines().next().unwrap_or_default());
        }
    }
    text
}

/// Goals that the tables have anything to say on, with their verdicts.
pub(crate) fn render_goals(tables: &[Table]) -> String {
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
    format!("## Goals\n\n{}", grid(&head, rows))
}

/// One scenario.
pub(crate) fn render_table(table: &Table) -> String {
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
    format!("## {}\n\n{}", table.name, grid(&head, rows))
}

fn grid(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rule = "---|".repeat(head.len());
    let mut text = format!("| {} |\n|{rule}\n", head.join(" | "));
    for cells in rows {
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}
