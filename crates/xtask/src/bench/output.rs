//! What load generators print, turned into figures.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::AddAssign;

use anyhow::{Result, bail};

use super::figures::{Sample, column};

/// Requests that went wrong, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// No connection could be made.
    pub(crate) refused: u64,
    /// The connection or stream broke before the answer was complete.
    pub(crate) reset: u64,
    /// No answer came in time.
    pub(crate) timeout: u64,
    /// An answer with another status than asked for.
    pub(crate) wrong_status: u64,
    /// The right status with another body than the back-end sent.
    pub(crate) wrong_body: u64,
}

/// What a load generator saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// Answers, right or wrong.
    pub(crate) requests: u64,
    /// Answers per second.
    pub(crate) rate: f64,
    pub(crate) failures: Failures,
}

impl Load {
    /// What each request took of `cpu_secs`, in microseconds.
    ///
    /// # Errors
    /// When there was no request: then there is no such figure.
    pub(crate) fn cpu_us(&self, cpu_secs: f64) -> Result<f64> {
        if self.requests == 0 {
            bail!("the load generator got no answer at all");
        }
        Ok(cpu_secs / self.requests as f64 * 1e6)
    }
}

impl Failures {
    pub(crate) fn total(self) -> u64 {
        self.refused + self.reset + self.timeout + self.wrong_status + self.wrong_body
    }

    /// One column per class.
    pub(crate) fn columns(self) -> Sample {
        vec![
            (column::FAILED, self.total() as f64),
            (column::REFUSED, self.refused as f64),
            (column::RESET, self.reset as f64),
            (column::TIMEOUT, self.timeout as f64),
            (column::WRONG_STATUS, self.wrong_status as f64),
            (column::WRONG_BODY, self.wrong_body as f64),
        ]
    }
}

impl AddAssign for Failures {
    fn add_assign(&mut self, other: Self) {
        self.refused += other.refused;
        self.reset += other.reset;
        self.timeout += other.timeout;
        self.wrong_status += other.wrong_status;
        self.wrong_body += other.wrong_body;
    }
}

/// Reads the report of `wrk`.
///
/// # Errors
/// When the number or the rate of requests is not in it.
pub(crate) fn wrk(report: &str) -> Result<Load> {
    let mut load = Load::default();
    let (mut has_requests, mut has_rate) = (false, false);
    for line in report.lines().map(str::trim) {
        if let Some((count, _)) = line.split_once(" requests in ") {
            load.requests = count.parse()?;
            has_requests = true;
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            load.rate = rate.trim().parse()?;
            has_rate = true;
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses:") {
            load.failures.wrong_status = count.trim().parse()?;
        } else if let Some(errors) = line.strip_prefix("Socket errors:") {
            for error in errors.split(',') {
                let (class, count) = error.trim().split_once(' ').unwrap_or_default();
                let count: u64 = count.parse()?;
                match class {
                    "connect" => load.failures.refused += count,
                    "timeout" => load.failures.timeout += count,
                    _ => load.failures.reset += count,
                }
            }
        }
    }
    if !has_requests || !has_rate {
        bail!("wrk printed no result:\n{report}");
    }
    Ok(load)
}

/// Reads the report of `h2load`.
///
/// # Errors
/// When the number or the rate of requests is not in it.
pub(crate) fn h2load(report: &str) -> Result<Load> {
    let line = |start: &str| report.lines().find_map(|line| line.strip_prefix(start));
    let (Some(finished), Some(requests), Some(statuses)) = (
        line("finished in "),
        line("requests: "),
        line("status codes: "),
    ) else {
        bail!("h2load printed no result:\n{report}");
    };
    let rate = finished
        .split(", ")
        .find_map(|part| part.strip_suffix(" req/s"));
    let Some(rate) = rate else {
        bail!("h2load printed no rate: {finished}");
    };
    let count = |list: &str, name: &str| -> u64 {
        let mut items = list.split(", ").filter_map(|item| item.split_once(' '));
        let found = items.find(|(_, label)| *label == name);
        found.and_then(|(count, _)| count.parse().ok()).unwrap_or(0)
    };
    let others = ["3xx", "4xx", "5xx"];
    Ok(Load {
        requests: count(requests, "done"),
        rate: rate.parse()?,
        failures: Failures {
            reset: count(requests, "errored"),
            timeout: count(requests, "timeout"),
            wrong_status: others.iter().map(|name| count(statuses, name)).sum(),
            ..Failures::default()
        },
    })
}

/// The samples of a counter in OpenMetrics text, summed by the value of one of its labels.
pub(crate) fn counter_by(metrics: &str, name: &str, label: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in metrics.lines() {
        let sample = line.strip_prefix(name).and_then(|rest| {
            let (labels, value) = rest.strip_prefix('{')?.rsplit_once("} ")?;
            let value = value.split(' ').next()?.parse::<f64>().ok()?;
            Some((label_value(labels, label)?, value))
        });
        if let Some((key, value)) = sample {
            *sums.entry(key.to_owned()).or_default() += value;
        }
    }
    sums
}

/// The value of `label` in `a="b",c="d"`. Values that are looked for hold no quotes.
fn label_value<'l>(labels: &'l str, label: &str) -> Option<&'l str> {
    let start = format!("{label}=\"");
    let at = labels
        .match_indices(&start)
        .find(|(at, _)| *at == 0 || labels[..*at].ends_with(','));
    let (value, _) = labels[at?.0 + start.len()..].split_once('"')?;
    Some(value)
}
