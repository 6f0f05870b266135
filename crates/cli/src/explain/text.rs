//! A decision for people.

use super::decision::{Answer, Decision};
use crate::output::Paint;

#[cfg(test)]
mod tests;

/// Losers that are shown; the JSON form has all of them.
const SHOWN: usize = 12;

/// The text of a decision, every line ended.
pub(crate) fn text(decision: &Decision, paint: Paint) -> String {
    let mut lines = vec![head(decision, paint)];
    let entry = &decision.entry;
    let listener = entry.listener.as_ref();
    let listener = listener
        .map(|it| format!("   listener {it}"))
        .unwrap_or_default();
    let kind = entry.kind.to_ascii_lowercase();
    let place = format!(
        "{}:{}   {}{listener}",
        entry.name, entry.port, entry.protocol
    );
    lines.push(row(&kind, &place));
    lines.extend(entry.group.as_ref().map(|group| row("group", group)));
    lines.extend(matches(decision, paint));
    lines.extend(decision.filters.iter().map(|filter| row("filter", filter)));
    lines.extend(decision.limits.iter().map(|limit| row("limit", limit)));
    let shares: Vec<_> = decision
        .backends
        .iter()
        .map(|it| format!("{} {}", it.backend, it.share))
        .collect();
    if !shares.is_empty() {
        lines.push(row("split", &shares.join(" · ")));
    }
    for backend in &decision.backends {
        let of = format!(" of {}", backend.backend);
        lines.extend(
            backend
                .filters
                .iter()
                .map(|it| row("filter", &format!("{it}{of}"))),
        );
        if let Answer::Status { .. } = backend.outcome {
            lines.push(row(
                "backend",
                &format!("{}: {}", backend.backend, answer(&backend.outcome, paint)),
            ));
        }
        lines.extend(
            backend
                .endpoints
                .iter()
                .map(|it| row("endpoint", &format!("{it}{of}"))),
        );
    }
    lines.push(row("answer", &answer(&decision.answer, paint)));
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn head(decision: &Decision, paint: Paint) -> String {
    let client = decision.entry.client_namespace.as_ref();
    let from = client.map(|it| format!("  from namespace {it}"));
    format!(
        "{}{}",
        paint.bold(&decision.request),
        from.unwrap_or_default()
    )
}

fn row(title: &str, text: &str) -> String {
    format!("{title:<9}{text}")
}

fn matches(decision: &Decision, paint: Paint) -> Vec<String> {
    let width = decision
        .matches
        .iter()
        .map(|it| it.rule.chars().count())
        .max();
    let width = width.unwrap_or_default();
    let mut lines: Vec<String> = decision
        .matches
        .iter()
        .take(SHOWN + 1)
        .map(|one| {
            let verdict = if one.wins {
                paint.green("WINS ")
            } else {
                paint.dim("loses")
            };
            let reason = one.reason.as_ref().map(|reason| format!("   ({reason})"));
            let reason = reason.unwrap_or_default();
            format!(
                "  {:<width$}   {verdict}   {}{reason}",
                one.rule, one.conditions
            )
        })
        .collect();
    let hidden = decision.matches.len().saturating_sub(lines.len());
    if hidden > 0 {
        lines.push(paint.dim(format!(
            "  … and {hidden} more that lose; -o json lists all"
        )));
    }
    lines
}

fn answer(answer: &Answer, paint: Paint) -> String {
    match answer {
        Answer::Backend { request } => format!("that of the backend, which sees {request}"),
        Answer::NoHandshake { reason } => {
            format!(
                "{}: the TLS handshake is refused: {reason}",
                paint.red("none")
            )
        }
        Answer::Status {
            status,
            reason,
            location,
        } => {
            let location = location
                .as_ref()
                .map(|it| format!(" to {it}"))
                .unwrap_or_default();
            let status = if *status >= 400 {
                paint.red(status)
            } else {
                status.to_string()
            };
            format!("{status}{location}: {reason}")
        }
    }
}
