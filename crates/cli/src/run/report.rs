//! What a run says: where everything listens at the start, what changed later.

mod places;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io};

use serde::Serialize;
use weft_api::ObjectRef;
use weft_source::{Finding, Severity};

use super::{assemble::Settled, control::View, engine::Engine, state::State};
use crate::{
    args::Global,
    exit::Failure,
    findings::counted,
    output::{self, Colour, Format, Paint, table},
    status,
};

/// The start of a run in JSON; it only grows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    version: u32,
    generation: u64,
    listening: &'a State,
    complaints: BTreeMap<String, Vec<String>>,
    notes: &'a [String],
}

/// Says what is served, after the start.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn started(engine: &Engine, format: Format, global: Global) -> Result<(), Failure> {
    let view = engine.view();
    if format == Format::Json {
        let complaints = complaints(&view).into_iter();
        return output::print_json(&Started {
            version: 1,
            generation: view.generation,
            listening: &view.state,
            complaints: complaints
                .map(|(object, all)| (object.to_string(), all))
                .collect(),
            notes: &view.remarks,
        });
    }
    if global.quiet {
        return Ok(());
    }
    output::print(&text(&view, Paint(global.color.on(&io::stdout()))))?;
    tell_findings(&engine.findings());
    for remark in &view.remarks {
        output::tell(format_args!("note: {remark}"));
    }
    Ok(())
}

fn text(view: &View, paint: Paint) -> String {
    let documents = counted(view.documents, "document");
    let files = counted(view.files, "file");
    let sockets = counted(view.sockets, "socket");
    let mut parts = vec![format!("{documents} of {files}, {sockets} open")];
    parts.extend(places::gateways(&view.state, &view.output.tables));
    parts.extend(places::services(&view.state));
    parts.push(statuses(view, paint));
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}

/// Objects whose status complains, and how many do not.
fn statuses(view: &View, paint: Paint) -> String {
    let judged = view.output.statuses.len();
    let complaints = complaints(view);
    if complaints.is_empty() {
        let objects = counted(judged, "object");
        return paint.green(format!("{objects} judged, no complaint"));
    }
    let fine = judged - complaints.len();
    let rows = complaints.into_iter();
    let rows = rows.map(|(object, all)| [object.to_string(), all.join("\n")]);
    let table = table::first(["STATUS", "COMPLAINT"], rows.collect());
    format!("{table}\n{fine} more without complaint")
}

/// What the statuses complain about, by object.
fn complaints(view: &View) -> BTreeMap<&ObjectRef, Vec<String>> {
    let complaints = view.output.statuses.iter().filter_map(|(object, status)| {
        let conditions = status::conditions(status).into_iter();
        let wrong: Vec<String> = conditions
            .filter(|(_, condition)| status::is_complaint(condition))
            .map(|(about, condition)| {
                let gap = if about.is_empty() { "" } else { ": " };
                format!(
                    "{about}{gap}{}={:?} {}: {}",
                    condition.type_, condition.status, condition.reason, condition.message
                )
            })
            .collect();
        (!wrong.is_empty()).then_some((object, wrong))
    });
    complaints.collect()
}

/// Says what an edit brought.
pub(crate) fn changed(settled: &Settled, new: &[Finding]) {
    tell_findings(new);
    for remark in &settled.remarks {
        output::tell(format_args!("note: {remark}"));
    }
}

/// Errors and warnings with their place, the first ones in full.
fn tell_findings(findings: &[Finding]) {
    let worth: Vec<&Finding> = findings
        .iter()
        .filter(|it| it.severity > Severity::Info)
        .collect();
    let colour = Colour::Auto.on(&io::stderr());
    for finding in worth.iter().take(table::ROWS) {
        output::tell(finding.render(colour).trim_end());
    }
    let hidden = worth.len().saturating_sub(table::ROWS);
    if hidden > 0 {
        output::tell(format_args!(
            "… and {hidden} more; `weft analyze` lists all"
        ));
    }
}
