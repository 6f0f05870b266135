//! Holds a value against a schema: fills in defaults, then says everything that is wrong with it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use super::suggest::closest;
use super::{Format, ListType, Node, Type};

/// Most faults of one object that are worth telling.
const FAULTS_MAX: usize = 25;

/// Something an API server would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Path of the field, for example `spec.rules[0].name`.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do, when more can be said than that it must be corrected.
    pub(crate) cure: Option<String>,
    /// Whether the field is not in the schema at all.
    pub(crate) unknown: bool,
}

/// What a check found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// What is wrong.
    pub(crate) faults: Vec<Fault>,
    /// Whether some rule could not be proven to hold, so that the oracle must be asked.
    pub(crate) unproven: bool,
}

/// The way to a value; written out only when there is something to say about it.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Key(&'a str),
    Item(usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else {
            return Ok(());
        };
        parent.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if parent.parent.is_none() => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Key(key) => write!(f, "[{key}]"),
            Step::Item(index) => write!(f, "[{index}]"),
        }
    }
}

impl Node {
    /// Fills in defaults, drops nulls, and checks.
    pub(crate) fn check(&self, value: &mut Value) -> Report {
        let mut report = Report::default();
        let root = Path {
            parent: None,
            step: Step::Root,
        };
        self.visit(value, &root, &mut report);
        report
    }

    fn visit(&self, value: &mut Value, path: &Path<'_>, report: &mut Report) {
        if let Some(kind) = self.kind
            && !kind.holds(value)
        {
            let found = name_of(value);
            return report.fault(path, format!("must be {kind}, not {found}"));
        }
        match value {
            Value::Object(fields) => self.object(fields, path, report),
            Value::Array(items) => self.array(items, path, report),
            Value::String(text) => self.text(text, path, report),
            Value::Number(number) => self.number(number.as_f64(), path, report),
            Value::Null | Value::Bool(_) => {}
        }
        if !self.enumeration.is_empty() && !self.enumeration.contains(value) {
            self.not_listed(value, path, report);
        }
        if !self.one_of.is_empty() {
            let fitting = self.one_of.iter().filter(|schema| fits(schema, value));
            if fitting.count() != 1 {
                report.fault(path, "does not fit its type".to_owned());
            }
        }
        let holds =
            |rule: &Option<super::Proof>| rule.as_ref().is_some_and(|rule| rule.holds(value));
        report.unproven |= !self.rules.iter().all(holds);
    }

    fn object(&self, fields: &mut Map<String, Value>, path: &Path<'_>, report: &mut Report) {
        fields.retain(|_, value| !value.is_null());
        for (name, child) in &self.properties {
            if let Some(default) = &child.default
                && !fields.contains_key(name.as_ref())
            {
                fields.insert(name.to_string(), default.clone());
            }
        }
        for (name, value) in &mut *fields {
            let (step, child) = match (self.properties.get(name.as_str()), &self.values) {
                (Some(child), _) => (Step::Field(name), child),
                (None, Some(child)) => (Step::Key(name), child.as_ref()),
                (None, None) if self.open => continue,
                (None, None) => {
                    self.unknown(name, &path.then(Step::Field(name)), report);
                    continue;
                }
            };
            child.visit(value, &path.then(step), report);
        }
        for name in &self.required {
            if !fields.contains_key(name.as_ref()) {
                let cure = Some(format!("add {name}"));
                let path = path.then(Step::Field(name));
                report.push(&path, "is required".to_owned(), cure, false);
            }
        }
        self.size(fields.len(), "fields", path, report);
    }

    fn array(&self, items: &mut [Value], path: &Path<'_>, report: &mut Report) {
        self.size(items.len(), "items", path, report);
        if let Some(child) = &self.items {
            for (index, item) in items.iter_mut().enumerate() {
                child.visit(item, &path.then(Step::Item(index)), report);
            }
        }
        let same = |one: &Value, other: &Value| match &self.list {
            ListType::Atomic => false,
            ListType::Set => one == other,
            ListType::Map(keys) => keys
                .iter()
                .all(|key| one.get(key.as_ref()) == other.get(key.as_ref())),
        };
        if self.list == ListType::Atomic {
            return;
        }
        for (index, item) in items.iter().enumerate() {
            if let Some(first) = items[..index].iter().position(|other| same(other, item)) {
                let what = match &self.list {
                    ListType::Map(keys) => format!("{} of", keys.join(" and ")),
                    _ => String::new(),
                };
                let message = format!("repeats {what} item {first}");
                report.fault(&path.then(Step::Item(index)), message.replace("  ", " "));
            }
        }
    }

    fn text(&self, text: &str, path: &Path<'_>, report: &mut Report) {
        // Counting characters is only needed when there may be too many or too few.
        let bounds = self.bounds;
        let certain = bounds.greatest_size.is_none_or(|most| text.len() <= most)
            && bounds
                .least_size
                .is_none_or(|least| least <= 1 && text.len() >= least);
        if !certain {
            self.size(text.chars().count(), "characters", path, report);
        }
        if let Some(pattern) = &self.pattern
            && !pattern.regex.is_match(text)
        {
            let shape = &pattern.text;
            let message = format!("{text:?} does not match {shape}");
            let cure = cure_of_pattern(shape).map(str::to_owned);
            report.push(path, message, cure, false);
        }
        let wrong = match self.format {
            Some(Format::DateTime) => (!is_date_time(text)).then_some("an RFC 3339 time"),
            Some(Format::Byte) => (!is_base64(text)).then_some("base64"),
            _ => None,
        };
        if let Some(wanted) = wrong {
            report.fault(path, format!("must be {wanted}"));
        }
    }

    fn number(&self, number: Option<f64>, path: &Path<'_>, report: &mut Report) {
        let number = number.unwrap_or(f64::NAN);
        let format_bounds = match self.format {
            Some(Format::Int32) => (f64::from(i32::MIN), f64::from(i32::MAX)),
            _ => (f64::MIN, f64::MAX),
        };
        let least = self.bounds.minimum.unwrap_or(format_bounds.0);
        let most = self.bounds.maximum.unwrap_or(format_bounds.1);
        if number < least {
            report.fault(path, format!("must be at least {least}, not {number}"));
        }
        if number > most {
            report.fault(path, format!("must be at most {most}, not {number}"));
        }
    }

    fn size(&self, size: usize, unit: &str, path: &Path<'_>, report: &mut Report) {
        if let Some(least) = self.bounds.least_size.filter(|least| size < *least) {
            report.fault(path, format!("needs at least {least} {unit}, not {size}"));
        }
        if let Some(most) = self.bounds.greatest_size.filter(|most| size > *most) {
            report.fault(path, format!("may have at most {most} {unit}, not {size}"));
        }
    }

    fn not_listed(&self, value: &Value, path: &Path<'_>, report: &mut Report) {
        let listed: Vec<String> = self.enumeration.iter().map(Value::to_string).collect();
        let message = format!("must be one of {}, not {value}", listed.join(", "));
        let texts = self.enumeration.iter().filter_map(Value::as_str);
        let meant = value.as_str().and_then(|text| closest(text, texts));
        let cure = meant.map(|meant| format!("write {meant}"));
        report.push(path, message, cure, false);
    }

    fn unknown(&self, name: &str, path: &Path<'_>, report: &mut Report) {
        let declared = self.properties.keys().map(AsRef::as_ref);
        let cure = closest(name, declared).map(|meant| format!("write {meant}"));
        let message = format!("there is no field {name:?} here");
        report.push(path, message, cure, true);
    }
}

impl<'a> Path<'a> {
    fn then<'b>(&'b self, step: Step<'b>) -> Path<'b>
    where
        'a: 'b,
    {
        Path {
            parent: Some(self),
            step,
        }
    }
}

impl Report {
    fn fault(&mut self, path: &Path<'_>, message: String) {
        self.push(path, message, None, false);
    }

    fn push(&mut self, path: &Path<'_>, message: String, cure: Option<String>, unknown: bool) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault {
                path: path.to_string(),
                message,
                cure,
                unknown,
            });
        }
    }
}

impl Type {
    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::IntOrString => value.is_i64() || value.is_u64() || value.is_string(),
        }
    }
}

/// What the patterns mean that people meet; Gateway API has no words for them.
fn cure_of_pattern(pattern: &str) -> Option<&'static str> {
    Some(match pattern {
        r"^([0-9]{1,5}(h|m|s|ms)){1,4}$" => "write a GEP-2257 duration such as 500ms or 1m30s",
        r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" => {
            "write a hostname in lower case and without port, with *. in front for a wildcard"
        }
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" => {
            "write lower-case letters, digits, `-` and `.`, with a letter or digit at both ends"
        }
        _ => return None,
    })
}

fn name_of(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => format!("the truth value {truth}; quote it if it is a text"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// Whether a value satisfies a branch of a junctor, which may only use the keywords below.
fn fits(schema: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else {
        return true;
    };
    keywords
        .iter()
        .all(|(keyword, demand)| match keyword.as_str() {
            "properties" => demand
                .as_object()
                .into_iter()
                .flatten()
                .all(|(name, schema)| value.get(name).is_none_or(|value| fits(schema, value))),
            "enum" => demand
                .as_array()
                .is_some_and(|listed| listed.contains(value)),
            "not" => !fits(demand, value),
            "anyOf" => demand
                .as_array()
                .is_some_and(|branches| branches.iter().any(|branch| fits(branch, value))),
            "format" => match (demand.as_str(), value.as_str()) {
                (Some("ipv4"), Some(text)) => text.parse::<Ipv4Addr>().is_ok(),
                (Some("ipv6"), Some(text)) => text.parse::<Ipv6Addr>().is_ok(),
                _ => true,
            },
            _ => false,
        })
}

/// RFC 3339, which is what Kubernetes writes times in.
fn is_date_time(text: &str) -> bool {
    serde_json::from_value::<weft_api::meta::Time>(Value::String(text.to_owned())).is_ok()
}

fn is_base64(text: &str) -> bool {
    serde_json::from_value::<weft_api::ByteString>(Value::String(text.to_owned())).is_ok()
}
