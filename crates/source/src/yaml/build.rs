//! From the events of one document to a JSON value.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Event, Marker, ScalarStyle, Tag};

use super::{DEPTH_MAX, VALUES_MAX, YamlError, parser, scalar};

/// The value of a document; `None` when it has none, as a document of comments.
///
/// # Errors
///
/// When it is not YAML, repeats a key, has a key that is a collection, or is over a budget.
pub(crate) fn parse(text: &str) -> Result<Option<Value>, YamlError> {
    let mut builder = Builder::default();
    for next in parser(text) {
        let (event, span) = next.map_err(|error| error_at(error.marker(), error.info()))?;
        builder
            .take(event)
            .map_err(|message| error_at(&span.start, message))?;
    }
    Ok(builder.root.filter(|value| !value.is_null()))
}

fn error_at(marker: &Marker, message: impl Into<String>) -> YamlError {
    YamlError {
        message: message.into(),
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
        column: u32::try_from(marker.col() + 1).unwrap_or(u32::MAX),
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

enum Key {
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
    fn take(&mut self, event: Event<'_>) -> Result<(), Cow<'static, str>> {
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
    ) -> Result<(), Cow<'static, str>> {
        if anchor == 0
            && let Some(Frame::Map {
                key: key @ None, ..
            }) = self.frames.last_mut()
        {
            *key = Some(key_of(text, style, tag)?);
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

    fn open(&mut self, frame: Frame) -> Result<(), Cow<'static, str>> {
        if let Some(Frame::Map { key: None, .. }) = self.frames.last() {
            return Err("a key must be a text, not a list or a map".into());
        }
        if self.frames.len() >= DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} nested collections").into());
        }
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Cow<'static, str>> {
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

    fn alias(&mut self, anchor: usize) -> Result<(), Cow<'static, str>> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err("the alias stands inside the value it repeats".into());
        };
        if self.frames.len() + node.height > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} nested collections").into());
        }
        if self.values + node.values > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values").into());
        }
        let Node {
            value,
            values,
            height,
        } = node.clone();
        if let Some(Frame::Map {
            key: key @ None, ..
        }) = self.frames.last_mut()
        {
            *key = Some(key_from(value)?);
            return Ok(());
        }
        self.add(0, value, Size { values, height })
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, anchor: usize, value: Value, cost: Size) -> Result<(), Cow<'static, str>> {
        self.values += 1;
        if self.values + cost.values > VALUES_MAX + 1 {
            return Err(format!("more than {VALUES_MAX} values").into());
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
                    None => *key = Some(key_from(value)?),
                    Some(Key::Merge) => merged.push(value),
                    Some(Key::Field(name)) => insert(fields, name, value)?,
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

fn insert(
    fields: &mut Map<String, Value>,
    name: String,
    value: Value,
) -> Result<(), Cow<'static, str>> {
    if fields.contains_key(&name) {
        return Err(format!("key {name:?} stands twice in one map").into());
    }
    fields.insert(name, value);
    Ok(())
}

/// Adds the fields of a merge key's value, of which those already there are kept.
fn merge(fields: &mut Map<String, Value>, value: Value) -> Result<(), Cow<'static, str>> {
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

fn key_of(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Key, Cow<'static, str>> {
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
fn key_from(value: Value) -> Result<Key, Cow<'static, str>> {
    match value {
        Value::String(text) => Ok(Key::Field(text)),
        Value::Number(number) => Ok(Key::Field(number.to_string())),
        Value::Bool(truth) => Ok(Key::Field(truth.to_string())),
        _ => Err("a key must be a text, not a list, a map or nothing".into()),
    }
}
