//! Figures of a scenario: samples of runs, their medians, and the table they stand in.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

/// Names of columns, units included. Goals refer to them.
pub(crate) mod column {
    pub(crate) const RATE: &str = "requests/s";
    pub(crate) const CPU: &str = "CPU µs/request";
    pub(crate) const BUSY: &str = "busy";
    pub(crate) const P50: &str = "p50 µs";
    pub(crate) const P99: &str = "p99 µs";
    pub(crate) const GRPC_RATE: &str = "gRPC-like/s";
    pub(crate) const GRPC_CPU: &str = "gRPC-like CPU µs";
    pub(crate) const CONNECTION_RATE: &str = "connections/s";
    pub(crate) const CONNECTION_CPU: &str = "CPU µs/connection";
    pub(crate) const PACED_CPU: &str = "CPU µs/request at 500/s";
    pub(crate) const PACED_CONNECTION_CPU: &str = "CPU µs/connection at 500/s";
    pub(crate) const BULK_RATE: &str = "GB/s";
    pub(crate) const BULK_CPU: &str = "CPU s/GB";
    pub(crate) const BASE_RSS: &str = "base RSS MiB";
    pub(crate) const IDLE_KIB: &str = "KiB/idle connection";
    pub(crate) const NODE_RSS: &str = "base RSS MiB, whole node";
    pub(crate) const SERVER_IDLE_KIB: &str = "KiB/idle connection, server's side";
    pub(crate) const START: &str = "start s";
    pub(crate) const START_CPU: &str = "start CPU s";
    pub(crate) const RSS: &str = "RSS MiB";
    pub(crate) const CHANGE: &str = "change ms";
    pub(crate) const CHANGE_CPU: &str = "change CPU ms";
    pub(crate) const RSS_AFTER: &str = "RSS after MiB";
    pub(crate) const ENDPOINT_MIB: &str = "MiB/1,000 endpoints";
    pub(crate) const REQUESTS: &str = "requests";
    pub(crate) const EDITS: &str = "edits";
    pub(crate) const FAILED: &str = "failed";
    pub(crate) const REFUSED: &str = "refused";
    pub(crate) const RESET: &str = "reset";
    pub(crate) const TIMEOUT: &str = "timeout";
    pub(crate) const WRONG_STATUS: &str = "wrong status";
    pub(crate) const WRONG_BODY: &str = "wrong body";
    pub(crate) const COUNTED_ERRORS: &str = "errors counted by Weft";
    pub(crate) const ABORTS: &str = "streams left by the client";

    /// Columns whose median would hide what they are for.
    pub(crate) const FAILURES: &[&str] = &[
        FAILED,
        REFUSED,
        RESET,
        TIMEOUT,
        WRONG_STATUS,
        WRONG_BODY,
        COUNTED_ERRORS,
    ];
}

/// What one run of one peer gave: columns and their values, in the order of the table.
pub(crate) type Sample = Vec<(&'static str, f64)>;

/// The figures of all peers in one scenario.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Heading; goals refer to it.
    pub(crate) name: String,
    /// Columns in order of first appearance.
    pub(crate) columns: Vec<&'static str>,
    /// Peers in order, with their median per column.
    pub(crate) rows: Vec<(String, BTreeMap<&'static str, f64>)>,
}

impl Table {
    /// Takes the median of each column over the runs of each peer; of failures it takes the worst
    /// run. Peers without a run are left out.
    pub(crate) fn new(name: &str, runs: Vec<(String, Vec<Sample>)>) -> Self {
        let mut table = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        for (peer, samples) in runs {
            let mut values: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
            for (column, value) in samples.into_iter().flatten() {
                if !table.columns.contains(&column) {
                    table.columns.push(column);
                }
                values.entry(column).or_default().push(value);
            }
            let medians: BTreeMap<_, _> = values
                .into_iter()
                .filter_map(|(column, values)| Some((column, summary(column, values)?)))
                .collect();
            if !medians.is_empty() {
                table.rows.push((peer, medians));
            }
        }
        table
    }

    /// The figure of `peer` in `column`, if it was taken.
    pub(crate) fn value(&self, peer: &str, column: &str) -> Option<f64> {
        let (_, values) = self.rows.iter().find(|(name, _)| name == peer)?;
        values.get(column).copied()
    }
}

/// The one figure that stands for those of all runs.
fn summary(column: &str, values: Vec<f64>) -> Option<f64> {
    if column::FAILURES.contains(&column) {
        return values.into_iter().max_by(f64::total_cmp);
    }
    median(values)
}

/// The middle value, or the mean of the two middle ones; `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[values.len() / 2 - 1], upper))
}

/// The value below which the given share of `sorted` lies; `None` of nothing.
pub(crate) fn quantile(sorted: &[u32], share: f64) -> Option<u32> {
    let last = sorted.len().checked_sub(1)?;
    let at = (sorted.len() as f64 * share) as usize;
    Some(sorted[at.min(last)])
}

/// Three significant digits, thousands whole: `0.0345`, `8.91`, `38.7`, `10500`.
pub(crate) fn shown(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(2 - magnitude).unwrap_or(0);
    format!("{value:.decimals$}")
}
