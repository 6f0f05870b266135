//! From the text of a schema to its compiled form. A keyword that is not understood is an error,
//! so that nothing a schema demands is left out in silence.

use std::collections::HashMap;
use std::sync::Arc;

use regex_automata::meta::Regex;
use serde_json::{Map, Value};

use super::proof::Proof;
use super::{Bounds, Format, ListType, Node, Pattern, Type};

/// Keywords that demand nothing of a value.
const WITHOUT_EFFECT: &[&str] = &["description", "title", "x-kubernetes-map-type"];

/// Compiles a schema.
///
/// # Errors
///
/// What cannot be understood, and where.
pub(crate) fn compile(schema: &Value) -> Result<Node, String> {
    Compiler::default().node(schema, "")
}

#[derive(Default)]
struct Compiler {
    /// Patterns by text: the same few stand in hundreds of places.
    patterns: HashMap<String, Arc<Pattern>>,
    proofs: HashMap<String, Option<Proof>>,
}

impl Compiler {
    fn node(&mut self, schema: &Value, path: &str) -> Result<Node, String> {
        let Value::Object(keywords) = schema else {
            return Err(format!("{path}: a schema must be a map"));
        };
        let mut node = Node::default();
        for (keyword, value) in keywords {
            self.keyword(&mut node, (keyword, value), path)
                .map_err(|error| error.unwrap_or_else(|| format!("{path}: {keyword}: {value}")))?;
        }
        node.list = list_type(keywords);
        if keywords.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
            node.kind = Some(Type::IntOrString);
        }
        Ok(node)
    }

    /// Takes one keyword; `Err(None)` when its value makes no sense.
    fn keyword(
        &mut self,
        node: &mut Node,
        (keyword, value): (&str, &Value),
        path: &str,
    ) -> Result<(), Option<String>> {
        match keyword {
            "type" => node.kind = Some(type_of(value).ok_or(None)?),
            "default" => node.default = Some(value.clone()),
            "properties" => {
                for (name, schema) in value.as_object().ok_or(None)? {
                    let child = self.node(schema, &format!("{path}.{name}"))?;
                    node.properties.insert(name.as_str().into(), child);
                }
            }
            "required" => node.required = texts(value).ok_or(None)?,
            "additionalProperties" => match value {
                Value::Bool(open) => node.open |= *open,
                schema => {
                    let values = self.node(schema, &format!("{path}{{}}"))?;
                    node.values = Some(Box::new(values));
                }
            },
            "x-kubernetes-preserve-unknown-fields" => node.open |= value == &Value::Bool(true),
            "items" => node.items = Some(Box::new(self.node(value, &format!("{path}[]"))?)),
            "enum" => node.enumeration = value.as_array().ok_or(None)?.as_slice().into(),
            "pattern" => node.pattern = Some(self.pattern(value.as_str().ok_or(None)?)?),
            "format" => node.format = Some(format_of(value).ok_or(None)?),
            "oneOf" => node.one_of = value.as_array().ok_or(None)?.as_slice().into(),
            "x-kubernetes-validations" => {
                let rules = value.as_array().ok_or(None)?.iter();
                let texts = rules.filter_map(|rule| rule.get("rule")?.as_str());
                node.rules = texts.filter_map(|rule| self.rule(rule)).collect();
            }
            "x-kubernetes-list-type" | "x-kubernetes-list-map-keys" => {}
            "x-kubernetes-int-or-string" => {}
            keyword if WITHOUT_EFFECT.contains(&keyword) => {}
            keyword => {
                let bound = bound(&mut node.bounds, keyword, value);
                bound.ok_or_else(|| Some(format!("{path}: unknown keyword {keyword}")))?;
            }
        }
        Ok(())
    }

    fn pattern(&mut self, text: &str) -> Result<Arc<Pattern>, String> {
        if let Some(known) = self.patterns.get(text) {
            return Ok(Arc::clone(known));
        }
        let regex = Regex::new(text).map_err(|error| format!("pattern {text}: {error}"))?;
        let text = Box::from(text);
        let pattern = Arc::new(Pattern { text, regex });
        self.patterns
            .insert(pattern.text.to_string(), Arc::clone(&pattern));
        Ok(pattern)
    }

    /// The proof of a rule; `None` for a rule about changes, which says nothing about an object
    /// that is created.
    fn rule(&mut self, rule: &str) -> Option<Option<Proof>> {
        if rule.contains("oldSelf") {
            return None;
        }
        let proofs = &mut self.proofs;
        let proof = proofs
            .entry(rule.to_owned())
            .or_insert_with(|| Proof::compile(rule));
        Some(proof.clone())
    }
}

/// Takes a keyword that sets a bound; `None` when it is none.
fn bound(bounds: &mut Bounds, keyword: &str, value: &Value) -> Option<()> {
    let size = || value.as_u64().and_then(|size| usize::try_from(size).ok());
    match keyword {
        "minLength" | "minItems" | "minProperties" => bounds.least_size = Some(size()?),
        "maxLength" | "maxItems" | "maxProperties" => bounds.greatest_size = Some(size()?),
        "minimum" => bounds.minimum = Some(value.as_f64()?),
        "maximum" => bounds.maximum = Some(value.as_f64()?),
        _ => return None,
    }
    Some(())
}

fn list_type(keywords: &Map<String, Value>) -> ListType {
    match keywords
        .get("x-kubernetes-list-type")
        .and_then(Value::as_str)
    {
        Some("set") => ListType::Set,
        Some("map") => {
            let keys = keywords.get("x-kubernetes-list-map-keys");
            ListType::Map(keys.and_then(texts).unwrap_or_default())
        }
        _ => ListType::Atomic,
    }
}

fn type_of(value: &Value) -> Option<Type> {
    Some(match value.as_str()? {
        "object" => Type::Object,
        "array" => Type::Array,
        "string" => Type::String,
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        _ => return None,
    })
}

fn format_of(value: &Value) -> Option<Format> {
    Some(match value.as_str()? {
        "int32" => Format::Int32,
        "int64" => Format::Int64,
        "date-time" => Format::DateTime,
        "byte" => Format::Byte,
        _ => return None,
    })
}

fn texts(value: &Value) -> Option<Box<[Box<str>]>> {
    let items = value.as_array()?.iter();
    items.map(|item| item.as_str().map(Box::from)).collect()
}
