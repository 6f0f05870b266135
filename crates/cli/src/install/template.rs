//! The part of Helm's template language that the chart uses, and no more: a value as it stands, a
//! value as YAML, and the namespace. Templates decide nothing, so this much suffices to fill them;
//! whatever else one contains is an error, which keeps it that way.

use serde_json::Value;
use thiserror::Error;

use super::Release;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

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
    #[error(".Values.{0} is no text or number; write `toYaml`")]
    NotScalar(String),
    /// A value that is no YAML.
    #[error(".Values.{0}: {1}")]
    Yaml(String, String),
}

/// Fills a template as Helm would.
///
/// # Errors
/// The template contains more than plain values.
pub(super) fn fill(template: &str, release: &Release) -> Result<String, TemplateError> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
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

fn as_it_stands(action: &str, release: &Release) -> Result<String, TemplateError> {
    let term = action.trim();
    if term == ".Release.Namespace" {
        return Ok(release.namespace.clone());
    }
    let name = named(action, term)?;
    match value(name, release)? {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
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
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    name.filter(is_name)
        .ok_or_else(|| TemplateError::Action(action.to_owned()))
}

fn value<'a>(name: &str, release: &'a Release) -> Result<&'a Value, TemplateError> {
    let found = release.values.get(name);
    found.ok_or_else(|| TemplateError::Unknown(name.to_owned()))
}
