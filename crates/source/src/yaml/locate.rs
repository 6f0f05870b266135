//! Where a field stands in the text of a document. Nothing is remembered for it: the text is read
//! again when somebody asks.

use serde_saphyr::granit_parser::{Event, Span as Mark};

use super::parser;

/// A part of a line. Lines and columns count from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Line within the document.
    pub(crate) line: u32,
    /// Column.
    pub(crate) column: u32,
    /// Characters; 0 when the part has no end on the line.
    pub(crate) length: u32,
}

/// One step of a path such as `spec.rules[2].filters[0]` or `metadata.labels[app/name]`.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

/// Which part of a field is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What is written in it.
    Value,
    /// Its name.
    Key,
}

/// The place of a field: of its value when that is a scalar and meant, else of its key or its list
/// item. When the field is not there, the place of the nearest part of the path that is; an empty
/// path gives the start of the document's content.
pub(crate) fn locate(text: &str, path: &str, part: Part) -> Option<Span> {
    let mut events = parser(text).filter_map(Result::ok);
    let is_node = |(event, _): &(Event<'_>, Mark)| event.is_node();
    let (mut node, mark) = events.find(is_node)?;
    let mut best = span(&mark);
    'walk: for step in steps(path) {
        let mut index = 0;
        loop {
            let (event, mark) = events.next()?;
            match (&node, &step) {
                (Event::MappingStart(..), Step::Field(name)) => {
                    if event == Event::MappingEnd {
                        break 'walk;
                    }
                    let found = event.scalar().is_some_and(|(key, _)| key == *name);
                    skip(&event, &mut events);
                    let (value, value_mark) = events.next()?;
                    if found {
                        let is_text = value.scalar().is_some_and(|(text, _)| !text.is_empty());
                        let in_value = is_text && part == Part::Value;
                        best = span(if in_value { &value_mark } else { &mark });
                        node = value;
                        continue 'walk;
                    }
                    skip(&value, &mut events);
                }
                (Event::SequenceStart(..), Step::Item(wanted)) => {
                    if event == Event::SequenceEnd {
                        break 'walk;
                    }
                    if index == *wanted {
                        best = span(&mark);
                        node = event;
                        continue 'walk;
                    }
                    skip(&event, &mut events);
                    index += 1;
                }
                _ => break 'walk,
            }
        }
    }
    Some(best)
}

/// Passes the rest of a node whose first event was taken.
fn skip<'a>(first: &Event<'a>, events: &mut impl Iterator<Item = (Event<'a>, Mark)>) {
    let mut open = i32::from(opens(first));
    while open > 0 {
        match events.next() {
            Some((event, _)) if opens(&event) => open += 1,
            Some((Event::MappingEnd | Event::SequenceEnd, _)) => open -= 1,
            Some(_) => {}
            None => return,
        }
    }
}

fn opens(event: &Event<'_>) -> bool {
    matches!(event, Event::MappingStart(..) | Event::SequenceStart(..))
}

fn span(mark: &Mark) -> Span {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let on_one_line = mark.start.line() == mark.end.line();
    Span {
        line: count(mark.start.line()),
        column: count(mark.start.col() + 1),
        length: if on_one_line {
            count(mark.end.col().saturating_sub(mark.start.col()))
        } else {
            0
        },
    }
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (key, after) = inside.split_once(']').unwrap_or((inside, ""));
            steps.push(key.parse().map_or(Step::Field(key), Step::Item));
            rest = after;
        } else {
            let rest_of_name = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest_of_name.find(['.', '[']).unwrap_or(rest_of_name.len());
            let (name, after) = rest_of_name.split_at(end);
            if !name.is_empty() {
                steps.push(Step::Field(name));
            }
            rest = after;
        }
    }
    steps
}
