//! From the events of one document to a JSON value.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{ErrorKind, Event, Marker, ScalarStyle, ScanError, Tag};

use super::{DEPTH_MAX, VALUES_MAX, YamlError, cure, parser, scalar, usual};

/// The value of a document; `None` when it has none, as a document of comments.
///
/// # Errors
///
/// When it is not YAML, repeats a key, has a key that is a collection, or is over a budget.
pub(crate) fn parse(text: &str) -> Result<Option<Value>, YamlError> {
    match usual::parse(text) {
        Some(value) => Ok(Some(value)),
        None => parse_all(text),
    }
}

/// The same for all YAML there is.
pub(super) fn parse_all(text: &str) -> Result<Option<Value>, YamlError> {
    let mut builder = Builder::default();
    for next in parser(text) {
        let (event, span) = next.map_err(|error| refusal(text, &error))?;
        builder
            .take(event)
            .map_err(|fault| error_at(text, &span.start, fault))?;
    }
    Ok(builder.root.filter(|value| !value.is_null() || says(text)))
}

/// Whether a document without value is one on purpose (`null`, `~`, a bare anchor) and not just
/// markers, directives and comments.
fn says(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().any(|line| {
        let content = ["---", "..."]
            .iter()
            .find_map(|marker| line.strip_prefix(marker))
            .unwrap_or(line)
            .trim_start();
        !(content.is_empty() || content.starts_with('#') || line.starts_with('%'))
    })
}

/// What the parser has to say, in our words where they are ours.
fn refusal(text: &str, error: &ScanError) -> YamlError {
    let fault = match error.kind() {
        ErrorKind::RecursionLimitExceeded => Fault::too_deep(),
        _ => Fault::from(error.info().to_owned()),
    };
    error_at(text, error.marker(), fault)
}

fn error_at(text: &str, marker: &Marker, fault: Fault) -> YamlError {
    let line = text.lines().nth(marker.line().saturating_sub(1));
    YamlError {
        cure: cure::of(&fault.message, line.unwrap_or_default()),
        message: fault.message.into_owned(),
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
        column: u32::try_from(marker.col() + 1).unwrap_or(u32::MAX),
        over_budget: fault.over_budget,
    }
}

/// Why an event cannot be taken.
pub(super) struct Fault {
    message: Cow<'static, str>,
    over_budget: bool,
}

impl<T: Into<Cow<'static, str>>> From<T> for Fault {
    fn from(message: T) -> Self {
        Self {
            message: message.into(),
            over_budget: false,
        }
    }
}

impl Fault {
    fn too_deep() -> Self {
        Self::over_budget(format!("more than {DEPTH_MAX} nested collections"))
    }

    fn too_many() -> Self {
        Self::over_budget(format!("more than {VALUES_MAX} values, aliases followed"))
    }

    fn over_budget(message: String) -> Self {
        Self {
            message: message.into(),
            over_budget: true,
        }
    }
}

/// A finished value and what copying it costs.
#[derive(Clone)]
struct Node {
    value: Value,
    values: usize,
    height: usize,
}

/// A collection under construction.
enum Frame {
    List {
        anchor: usize,
        items: Vec<Value>,
        size: Size,
    },
    Map {
        anchor: usize,
        fields: Map<String, Value>,
        key: Option<Key>,
        merged: Vec<Value>,
        size: Size,
    },
}

/// What the values of a collection cost, all together.
#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    height: usize,
}

/// A key of a map.
pub(super) enum Key {
    Field(String),
    Merge,
}

#[derive(Default)]
struct Builder {
    root: Option<Value>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    /// Values made so far, copies by aliases included.
    values: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err("a second document begins without a line `---`".into())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref())
            }
            Event::SequenceStart(_, anchor, _) => self.open(Frame::List {
                anchor,
                items: Vec::new(),
                size: Size::default(),
            }),
            Event::MappingStart(_, anchor, _) => self.open(Frame::Map {
                anchor,
                fields: Map::new(),
                key: None,
                merged: Vec::new(),
                size: Size::default(),
            }),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Fault> {
        if anchor == 0
            && let Some(Frame::Map {
                key: key @ None,
                fields,
                ..
            }) = self.frames.last_mut()
        {
            *key = Some(unused(key_of(text, style, tag)?, fields)?);
            return Ok(());
        }
        let value = scalar::resolve(&text, style, tag)?;
        self.add(
            anchor,
            value,
            Size {
                values: 1,
                height: 0,
            },
        )
    }

    fn open(&mut self, frame: Frame) -> Result<(), Fault> {
        if let Some(Frame::Map { key: None, .. }) = self.frames.last() {
            return Err("a key must be a text, not a list or a map".into());
        }
        if self.frames.len() >= DEPTH_MAX {
            return Err(Fault::too_deep());
        }
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        match self.frames.pop() {
            Some(Frame::List {
                anchor,
                items,
                size,
            }) => self.add(anchor, items.into(), size.up()),
            Some(Frame::Map {
                anchor,
                mut fields,
                merged,
                size,
                ..
            }) => {
                merged
                    .into_iter()
                    .try_for_each(|value| merge(&mut fields, value))?;
                self.add(anchor, fields.into(), size.up())
            }
            None => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize) -> Result<(), Fault> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err("the alias stands inside the value it repeats".into());
        };
        if self.frames.len() + node.height > DEPTH_MAX {
            return Err(Fault::too_deep());
        }
        if self.values + node.values > VALUES_MAX {
            return Err(Fault::too_many());
        }
        let Node {
            value,
            values,
            height,
        } = node.clone();
        if let Some(Frame::Map {
            key: key @ None,
            fields,
            ..
        }) = self.frames.last_mut()
        {
            *key = Some(unused(key_from(value)?, fields)?);
            return Ok(());
        }
        self.add(0, value, Size { values, height })
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, anchor: usize, value: Value, cost: Size) -> Result<(), Fault> {
        self.values += 1;
        if self.values + cost.values > VALUES_MAX + 1 {
            return Err(Fault::too_many());
        }
        if anchor != 0 {
            let node = Node {
                value: value.clone(),
                values: cost.values,
                height: cost.height,
            };
            self.values += cost.values;
            self.anchors.insert(anchor, node);
        }
        match self.frames.last_mut() {
            None => self.root = Some(value),
            Some(Frame::List { items, size, .. }) => {
                size.grow(cost);
                items.push(value);
            }
            Some(Frame::Map {
                fields,
                key,
                merged,
                size,
                ..
            }) => {
                size.grow(cost);
                match key.take() {
                    None => *key = Some(unused(key_from(value)?, fields)?),
                    Some(Key::Merge) => merged.push(value),
                    Some(Key::Field(name)) => {
                        fields.insert(name, value);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Size {
    fn grow(&mut self, other: Self) {
        self.values += other.values;
        self.height = self.height.max(other.height);
    }

    fn up(self) -> Self {
        Self {
            values: self.values + 1,
            height: self.height + 1,
        }
    }
}

/// The key, unless its map has it already: said where it is repeated, before its value is read.
fn unused(key: Key, fields: &Map<String, Value>) -> Result<Key, Fault> {
    match key {
        Key::Field(name) if fields.contains_key(&name) => {
            Err(format!("key {name:?} stands twice in one map").into())
        }
        key => Ok(key),
    }
}

/// Adds the fields of a merge key's value, of which those already there are kept.
fn merge(fields: &mut Map<String, Value>, value: Value) -> Result<(), Fault> {
    match value {
        Value::Object(other) => {
            for (name, value) in other {
                fields.entry(name).or_insert(value);
            }
            Ok(())
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            items.into_iter().try_for_each(|item| merge(fields, item))
        }
        _ => Err("`<<` needs a map or a list of maps".into()),
    }
}

/// The key that a scalar is; an error says why it can be none.
pub(super) fn key_of(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Key, Fault> {
    if tag.is_none() {
        if style != ScalarStyle::Plain {
            return Ok(Key::Field(text.into_owned()));
        }
        if text == "<<" {
            return Ok(Key::Merge);
        }
        // Most keys are words of four letters and more that no rule turns into something else.
        let is_word =
            |text: &str| text.len() > 5 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_word(&text) {
            return Ok(Key::Field(text.into_owned()));
        }
    }
    key_from(scalar::resolve(&text, style, tag)?)
}

/// The text JSON has for a key that is not a text.
fn key_from(value: Value) -> Result<Key, Fault> {
    match value {
        Value::String(text) => Ok(Key::Field(text)),
        Value::Number(number) => Ok(Key::Field(number.to_string())),
        Value::Bool(truth) => Ok(Key::Field(truth.to_string())),
        _ => Err("a key must be a text, not a list, a map or nothing".into()),
    }
}
