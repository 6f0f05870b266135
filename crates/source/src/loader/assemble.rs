//! From judged documents to what is remembered of their file, with a place for every finding.

use std::path::Path;
use std::sync::Arc;

use super::file::{At, Entry, File, Foreign, Wholeness};
use super::places::{place_in, place_of_line};
use super::read::{Judged, Piece, Raw};
use crate::admit::Verdict;
use crate::finding::{DEFINED_TWICE, Finding, SYNTAX, UNREADABLE};
use crate::yaml::YamlError;

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
            let message = format!("{}: {reason}", raw.path.display());
            file.findings.push(Finding::new(&UNREADABLE, message));
            file.wholeness = Wholeness::Broken;
            return file;
        }
    };
    let source = Source {
        path: &raw.path,
        text,
    };
    for Judged { at, pieces } in judged {
        file.documents += 1;
        match pieces {
            Ok(pieces) => {
                for piece in pieces {
                    source.add(&mut file, piece);
                }
            }
            Err(error) => {
                file.wholeness = Wholeness::Broken;
                file.findings.push(source.syntax_finding(at, &error));
            }
        }
    }
    file.findings.truncate(FINDINGS_MAX);
    file
}

struct Source<'a> {
    path: &'a Arc<Path>,
    text: &'a str,
}

impl Source<'_> {
    fn add(&self, file: &mut File, piece: Piece) {
        let at = piece.at;
        let (reference, object) = match piece.verdict {
            Verdict::Good(object) => (object.reference(), Some(object)),
            Verdict::Foreign { api_version, kind } => {
                file.foreign.push(Foreign {
                    api_version,
                    kind,
                    at,
                });
                return;
            }
            Verdict::Refused { object, findings } => {
                let placed = findings.into_iter().map(|finding| {
                    let place = place_in(self.path, self.text, &at, &finding.field);
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
        if let Some(first) = file.entries.get(&reference) {
            let line = |at| {
                let place = place_in(self.path, self.text, at, "");
                place.map_or(0, |place| place.line)
            };
            let message = format!("defined in line {} already, which counts", line(&first.at));
            let place = place_in(self.path, self.text, &at, "metadata.name");
            let finding = Finding::new(&DEFINED_TWICE, message).place(place);
            file.findings.push(finding.object(Some(reference)));
            return;
        }
        let refused = object.is_none();
        file.entries.insert(
            reference,
            Entry {
                at,
                object,
                refused,
            },
        );
    }

    fn syntax_finding(&self, at: At, error: &YamlError) -> Finding {
        let place = place_of_line(self.path, self.text, &at, (error.line, error.column));
        Finding::new(&SYNTAX, error.message.clone()).place(Some(place))
    }
}
