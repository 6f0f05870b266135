//! The part of Helm's template language that the chart uses, and no more: a value as it stands, a
//! value as YAML, the namespace, and a template that is there as a whole or not. Templates decide
//! nothing else, so this much suffices to fill them; whatever else one contains is an error, which
//! keeps it that way.

use serde_json::Value;
use thiserror::Error;

use super::Release;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// The first line of a template that is there when a value is true.
const IF: (&str, &str) = ("{{- if .Values.", " }}\n");
/// The last line of such a template.
const END: &str = "{{- end }}\n";

/// A template that cannot be filled.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum TemplateError {
    /// An action without end.
    #[error("`{OPEN}` without `{CLOSE}`")]
    Open,
    /// More than templates of the chart may do.
    #[error(
        "`{OPEN}{0}{CLOSE}` is neither .Release.Namespace, .Values.NAME nor \
         `- toYaml .Values.NAME | nindent N`"
    )]
    Action(String),
    /// A value that does not exist.
    #[error("there is no value {0:?}")]
    Unknown(String),
    /// A list or an object where text belongs.
    #[error(".Values.{0} is no text, number or boolean; write `toYaml`")]
    NotScalar(String),
    /// A condition by what is neither true nor false.
    #[error(".Values.{0} is neither true nor false, so nothing can depend on it")]
    NotBoolean(String),
    /// A value that is no YAML.
    #[error(".Values.{0}: {1}")]
    Yaml(String, String),
}

/// Fills a template as Helm would; empty when it is not to be there.
///
/// # Errors
/// The template contains more than plain values.
pub(super) fn fill(template: &str, release: &Release) -> Result<String, TemplateError> {
    let mut rest = template;
    if let Some((name, body)) = conditional(template) {
        match value(name, release)? {
            Value::Bool(true) => rest = body,
            Value::Bool(false) => return Ok(String::new()),
            _ => return Err(TemplateError::NotBoolean(name.to_owned())),
        }
    }
    let mut filled = String::with_capacity(rest.len());
    while let Some((text, after)) = rest.split_once(OPEN) {
        let (action, after) = after.split_once(CLOSE).ok_or(TemplateError::Open)?;
        filled.push_str(text);
        if let Some(block) = action.strip_prefix('-') {
            filled.truncate(filled.trim_end().len());
            filled.push_str(&as_yaml(action, block, release)?);
        } else {
            filled.push_str(&as_it_stands(action, release)?);
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The value that decides about a whole template, and what stands between its first and last line.
fn conditional(template: &str) -> Option<(&str, &str)> {
    let (name, body) = template.strip_prefix(IF.0)?.split_once(IF.1)?;
    Some((name, body.strip_suffix(END)?))
}

fn as_it_stands(action: &str, release: &Release) -> Result<String, TemplateError> {
    let term = action.trim();
    if term == ".Release.Namespace" {
        return Ok(release.namespace.clone());
    }
    let name = named(action, term)?;
    match value(name, release)? {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(it) => Ok(it.to_string()),
        _ => Err(TemplateError::NotScalar(name.to_owned())),
    }
}

/// `toYaml .Values.NAME | nindent N`.
fn as_yaml(action: &str, block: &str, release: &Release) -> Result<String, TemplateError> {
    let words: Vec<&str> = block.split_whitespace().collect();
    let other = || TemplateError::Action(action.to_owned());
    let ["toYaml", term, "|", "nindent", spaces] = words.as_slice() else {
        return Err(other());
    };
    let spaces: usize = spaces.parse().map_err(|_| other())?;
    let name = named(action, term)?;
    let yaml = serde_saphyr::to_string(value(name, release)?)
        .map_err(|error| TemplateError::Yaml(name.to_owned(), error.to_string()))?;
    let lines = yaml.trim_end().lines();
    Ok(lines
        .map(|line| format!("\n{:spaces$}{line}", ""))
        .collect())
}

fn named<'a>(action: &str, term: &'a str) -> Result<&'a str, TemplateError> {
    let name = term.strip_prefix(".Values.");
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    name.filter(|name| name.bytes().all(is_part))
        .ok_or_else(|| TemplateError::Action(action.to_owned()))
}

fn value<'a>(name: &str, release: &'a Release) -> Result<&'a Value, TemplateError> {
    let found = release.values.get(name);
    found.ok_or_else(|| TemplateError::Unknown(name.to_owned()))
}
