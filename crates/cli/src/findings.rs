//! Findings of the files and of their translation, as one sorted list, and the exit code they mean.

mod junit;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::Serialize;
use weft_source::{Finding, Place, Places, Severity};
use weft_translate::{Note, Output};

pub(crate) use self::junit::escape as xml_escape;
use crate::{
    args::FailOn,
    exit::{Exit, Failure},
    load::Loaded,
    output::{self, Format},
};

/// Everything that is to be said about some files.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Version of the JSON form; it only grows.
    version: u32,
    /// Files that were read.
    files: usize,
    /// Documents in them.
    documents: usize,
    /// Objects of the cluster, if one was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<usize>,
    /// Findings by file, line and column.
    findings: Vec<Finding>,
}

impl Report {
    /// The report on a directory.
    pub(crate) fn new(loaded: &Loaded) -> Self {
        Self {
            version: 1,
            files: loaded.files,
            documents: loaded.documents,
            objects: loaded.live,
            findings: all(
                (&loaded.findings, &loaded.output),
                &loaded.places,
                Severity::Info,
            ),
        }
    }

    /// A report of findings alone.
    #[cfg(test)]
    pub(crate) fn of(findings: Vec<Finding>) -> Self {
        Self {
            version: 1,
            files: 0,
            documents: 0,
            objects: None,
            findings,
        }
    }

    /// The findings alone.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Prints the report.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn print(&self, format: Format, colour: bool) -> Result<(), Failure> {
        match format {
            Format::Json => output::print_json(self),
            Format::Junit => Ok(output::print(&junit::xml(&self.findings))?),
            Format::Text | Format::Markdown => Ok(output::print(&self.text(colour))?),
        }
    }

    fn text(&self, colour: bool) -> String {
        let mut text: String = self.findings.iter().map(|it| it.render(colour)).collect();
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}", self.summary());
        text
    }

    /// `2 errors, 1 warning in 3 documents of 1 file`
    pub(crate) fn summary(&self) -> String {
        let mut parts = Vec::new();
        for severity in [Severity::Error, Severity::Warning, Severity::Info] {
            let count = self.count(severity);
            match (severity, count) {
                (_, 0) => {}
                (Severity::Info, count) => parts.push(format!("{count} info")),
                (severity, count) => parts.push(counted(count, severity.as_str())),
            }
        }
        if parts.is_empty() {
            parts.push("nothing to complain about".to_owned());
        }
        let documents = counted(self.documents, "document");
        let files = counted(self.files, "file");
        let objects = self.objects.map(|count| counted(count, "object"));
        let read = match (self.files, objects) {
            (_, None) => format!("{documents} of {files}"),
            (0, Some(objects)) => format!("{objects} of the cluster"),
            (_, Some(objects)) => format!("{documents} of {files} over {objects} of the cluster"),
        };
        format!("{} in {read}", parts.join(", "))
    }

    /// What the findings mean for the exit code.
    pub(crate) fn exit(&self, fail_on: FailOn) -> Exit {
        exit(&self.findings, fail_on)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|it| it.severity == severity)
            .count()
    }
}

/// What findings mean for the exit code.
pub(crate) fn exit(findings: &[Finding], fail_on: FailOn) -> Exit {
    let worst = findings.iter().map(|it| it.severity).max();
    match (worst, fail_on) {
        (None | Some(Severity::Info), _) => Exit::Good,
        (Some(Severity::Warning), FailOn::Error) => Exit::Warnings,
        _ => Exit::Errors,
    }
}

/// `1 file`, `2 files`
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The findings of files and of translation that are at least so bad, sorted by place; those about no
/// file come last.
pub(crate) fn all(
    (of_files, output): (&[Finding], &Output),
    places: &Places,
    least: Severity,
) -> Vec<Finding> {
    let notes = output.notes.values().flat_map(|notes| notes.iter());
    let notes: Vec<&Note> = notes.filter(|note| severity(note) >= least).collect();
    let of_files = of_files.iter().filter(|it| it.severity >= least);
    let mut findings: Vec<Finding> = of_files.cloned().collect();
    findings.extend(of_notes(&notes, places));
    order(&mut findings);
    findings
}

fn order(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let place = |finding: &Finding| {
            let place = finding.place.as_ref();
            place.map(|place| (place.file.clone(), place.line, place.column))
        };
        let (a_place, b_place) = (place(a), place(b));
        let of_no_file = a_place.is_none().cmp(&b_place.is_none());
        let order = of_no_file.then(a_place.cmp(&b_place));
        order.then_with(|| (&a.object, &a.field, a.code).cmp(&(&b.object, &b.field, b.code)))
    });
}

/// Findings of translation, with the places where their fields are written.
pub(crate) fn of_notes(notes: &[&Note], places: &Places) -> Vec<Finding> {
    let wanted: Vec<_> = notes
        .iter()
        .map(|note| (&note.object, note.field.as_str()))
        .collect();
    let places = places.locate_all(&wanted);
    let located = notes.iter().zip(places);
    located.map(|(note, place)| of_note(note, place)).collect()
}

/// How many findings there are of a severity.
pub(crate) fn count(of_files: &[Finding], output: &Output, wanted: Severity) -> usize {
    let notes = output.notes.values().flat_map(|notes| notes.iter());
    let of_files = of_files.iter().filter(|it| it.severity == wanted).count();
    of_files + notes.filter(|note| severity(note) == wanted).count()
}

fn severity(note: &Note) -> Severity {
    match note.severity() {
        weft_translate::Severity::Info => Severity::Info,
        weft_translate::Severity::Warning => Severity::Warning,
        weft_translate::Severity::Error => Severity::Error,
    }
}

fn of_note(note: &Note, place: Option<Place>) -> Finding {
    Finding {
        severity: severity(note),
        code: note.code.id,
        object: Some(note.object.clone()),
        field: note.field.clone(),
        message: note.message.clone(),
        cure: note.cure().to_owned(),
        place,
    }
}
