//! A description for people: facts, verdicts, tables, findings.

use std::fmt::Write as _;

use super::Description;
use crate::output::{Paint, table};

/// The whole text; every line ends with a newline.
pub(super) fn text(description: &Description, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.bold(&description.object));
    let width = description.facts.iter().map(|(name, _)| name.len()).max();
    for (name, value) in &description.facts {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name:<width$}  {value}", width = width.unwrap_or(0));
    }
    if !description.conditions.is_empty() {
        let rows = description.conditions.iter().map(|verdict| {
            let part = match verdict.about.as_str() {
                "" => "itself",
                about => about,
            };
            [
                part,
                &verdict.type_,
                &verdict.status,
                &verdict.reason,
                &verdict.message,
            ]
        });
        let head = ["ABOUT", "CONDITION", "STATUS", "REASON", "MESSAGE"];
        let _ = writeln!(
            text,
            "\n{}\n{}",
            paint.bold("verdicts"),
            table::whole(head, rows)
        );
    }
    for section in &description.sections {
        let title = paint.bold(section.title);
        if section.rows.is_empty() {
            let _ = writeln!(text, "\n{title}\nnone");
            continue;
        }
        let head: Vec<_> = section.head.to_vec();
        let rows = table::whole(head, section.rows.iter().cloned());
        let _ = writeln!(text, "\n{title}\n{rows}");
    }
    if !description.findings.is_empty() {
        let _ = writeln!(text, "\n{}", paint.bold("findings"));
        for finding in &description.findings {
            text.push_str(&finding.render(paint.0));
        }
    }
    text
}
