//! From judged documents to what is remembered of their file, with a place for every finding.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use weft_api::ObjectRef;

use super::file::{At, Entry, File, Foreign, Mark, Wholeness};
use super::places::{place_in, place_of_line};
use super::read::{Judged, Piece, Raw, Unreadable};
use crate::admit::Verdict;
use crate::finding::{DEFINED_TWICE, Finding, NO_OBJECTS, SYNTAX, TOO_LARGE, UNREADABLE};
use crate::place::Place;
use crate::yaml::{Part, YamlError};

/// Most findings about one file that are kept.
const FINDINGS_MAX: usize = 10_000;

/// What is remembered of a file.
pub(super) fn assemble(raw: &Raw, judged: Vec<Judged>) -> File {
    let mut file = File {
        stamp: raw.stamp,
        content: raw.content,
        ..File::default()
    };
    let text = match &raw.text {
        Ok(text) => text,
        Err(reason) => {
            file.findings.push(unreadable(&raw.path, reason));
            file.wholeness = Wholeness::Broken;
            return file;
        }
    };
    if judged.is_empty() {
        let finding = Finding::new(&NO_OBJECTS, "the file holds no object");
        let place = Some(position_in(&raw.path, (1, 1)));
        file.findings.push(finding.place(place));
    }
    let source = Source {
        path: &raw.path,
        text,
    };
    let mut entries = BTreeMap::new();
    for Judged { at, mark, pieces } in judged {
        file.documents += 1;
        match pieces {
            Ok(pieces) => {
                for piece in pieces {
                    source.add(&mut file, &mut entries, (piece, mark));
                }
            }
            Err(error) => {
                file.wholeness = Wholeness::Broken;
                file.findings.push(source.syntax_finding(at, &error));
            }
        }
    }
    file.findings.truncate(FINDINGS_MAX);
    file.entries = entries.into();
    file
}

struct Source<'a> {
    path: &'a Arc<Path>,
    text: &'a str,
}

impl Source<'_> {
    fn add(
        &self,
        file: &mut File,
        entries: &mut BTreeMap<ObjectRef, Entry>,
        (piece, mark): (Piece, Mark),
    ) {
        let at = piece.at;
        let (reference, object) = match piece.verdict {
            Verdict::Good(object) => (object.reference(), Some(object)),
            Verdict::Foreign { api_version, kind } => {
                file.foreign.push(Foreign {
                    api_version,
                    kind,
                    at,
                    mark,
                });
                return;
            }
            Verdict::Refused { object, findings } => {
                let kind = object.as_ref().map(|object| object.kind);
                let placed = findings.into_iter().map(|finding| {
                    let about = (kind, finding.field.as_str(), finding.part());
                    let place = place_in(self.path, self.text, &at, about);
                    finding.object(object.clone()).place(place)
                });
                file.findings.extend(placed);
                let Some(reference) = object else {
                    file.wholeness = file.wholeness.max(Wholeness::Nameless);
                    return;
                };
                (reference, None)
            }
        };
        if let Some(first) = entries.get(&reference) {
            let place = |at, field| {
                let about = (Some(reference.kind), field, Part::Value);
                place_in(self.path, self.text, at, about)
            };
            let line = place(&first.at, "").map_or(0, |place| place.line);
            let message = format!("defined in line {line} already, which counts");
            let place = place(&at, "metadata.name");
            let finding = Finding::new(&DEFINED_TWICE, message).place(place);
            file.findings.push(finding.object(Some(reference)));
            return;
        }
        let refused = object.is_none();
        entries.insert(
            reference,
            Entry {
                at,
                object,
                mark,
                refused,
            },
        );
    }

    fn syntax_finding(&self, at: At, error: &YamlError) -> Finding {
        let place = place_of_line(self.path, self.text, &at, (error.line, error.column));
        let code = if error.over_budget {
            &TOO_LARGE
        } else {
            &SYNTAX
        };
        let finding = Finding::new(code, error.message.clone()).place(Some(place));
        match error.cure {
            Some(cure) => finding.cure(cure),
            None => finding,
        }
    }
}

fn unreadable(path: &Arc<Path>, reason: &Unreadable) -> Finding {
    match reason {
        Unreadable::System(reason) => {
            Finding::new(&UNREADABLE, reason).place(Some(position_in(path, (1, 1))))
        }
        Unreadable::NotText { position, byte } => {
            let message =
                format!("byte {byte:#04x} is not UTF-8, which YAML for Kubernetes must be");
            let finding =
                Finding::new(&UNREADABLE, message).place(Some(position_in(path, *position)));
            finding.cure("save the file as UTF-8, or keep what is no text elsewhere")
        }
    }
}

/// A position in a file that has no documents.
fn position_in(path: &Arc<Path>, (line, column): (u32, u32)) -> Place {
    Place {
        file: Arc::clone(path),
        document: 1,
        line,
        column,
        snippet: None,
    }
}
