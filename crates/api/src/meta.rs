//! Object metadata. The types are those of `k8s-openapi`, because the cluster client needs them;
//! everything else in this room is our own.

use std::collections::BTreeMap;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta, OwnerReference, Time,
};
pub use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// Where `kubectl apply` keeps a copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Why a label selector cannot be evaluated. Such a selector selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "label selector: operator {operator:?} of key {key:?} is not one of In, NotIn, Exists, \
     DoesNotExist with the values it needs"
)]
pub struct SelectorError {
    /// The label's key.
    pub key: String,
    /// The operator as written.
    pub operator: String,
}

/// Drops what Weft never reads and clusters make large: managed fields, the self link, and the
/// copy of the object `kubectl apply` leaves in an annotation.
pub fn slim(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    metadata.self_link = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.annotations = None;
        }
    }
}

/// Whether a selector selects an object with these labels. An empty selector selects everything.
///
/// # Errors
///
/// When an expression has an unknown operator, or `In` or `NotIn` without values.
pub fn selects(selector: &LabelSelector, labels: Option<&Labels>) -> Result<bool, SelectorError> {
    let label = |key: &str| labels.and_then(|labels| labels.get(key));
    let mut selected = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| label(key) == Some(value));
    for expression in selector.match_expressions.iter().flatten() {
        let values = expression.values.as_deref().unwrap_or_default();
        let found = label(&expression.key);
        selected &= match (expression.operator.as_str(), values) {
            ("In", [_, ..]) => found.is_some_and(|value| values.contains(value)),
            ("NotIn", [_, ..]) => found.is_none_or(|value| !values.contains(value)),
            ("Exists", []) => found.is_some(),
            ("DoesNotExist", []) => found.is_none(),
            (operator, _) => {
                return Err(SelectorError {
                    key: expression.key.clone(),
                    operator: operator.to_owned(),
                });
            }
        };
    }
    Ok(selected)
}
