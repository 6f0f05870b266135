//! Object metadata, reduced to what Weft reads. Most of a small object is its metadata, so this
//! type decides what ten thousand of them cost; labels are a sorted list because a tree node for
//! two labels takes more than half a kilobyte.

mod labels;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, Time,
};
pub use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use thiserror::Error;

pub use labels::Labels;

use crate::schema::schema;

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

schema! {
    /// Metadata of an object. Managed fields, finalizers and the self link are never kept. Its names
    /// are shared with every key that is made of them.
    pub struct ObjectMeta {
        /// Name; always present in objects that were parsed.
        pub name: Option<Arc<str>>,
        /// Namespace; absent for cluster-scoped objects.
        pub namespace: Option<Arc<str>>,
        /// Identity of this incarnation; absent outside a cluster.
        pub uid: Option<Box<str>>,
        /// Version for optimistic locking; absent outside a cluster.
        pub resource_version: Option<Box<str>>,
        /// Counts changes of the spec; absent outside a cluster.
        pub generation: Option<i64>,
        /// When the object was created; absent outside a cluster.
        pub creation_timestamp: Option<Time>,
        /// When deletion was asked for.
        pub deletion_timestamp: Option<Time>,
        /// Labels.
        pub labels: Labels,
        /// Annotations.
        pub annotations: Labels,
        /// Objects this one belongs to.
        pub owner_references: Vec<OwnerReference>,
    }

    /// An object another one belongs to, always of the same namespace or cluster-scoped.
    pub struct OwnerReference {
        /// Group and version.
        pub api_version: String,
        /// Kind.
        pub kind: String,
        /// Name.
        pub name: String,
        /// Identity of the incarnation.
        pub uid: String,
        /// Whether the owner is the managing controller.
        pub controller: Option<bool>,
    }
}

/// Drops the copy of the object `kubectl apply` leaves in an annotation: nobody reads it, and it
/// can be the largest part of an object.
pub fn slim(metadata: &mut ObjectMeta) {
    metadata.annotations.remove(LAST_APPLIED);
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
            ("In", [_, ..]) => found.is_some_and(|value| values.iter().any(|one| one == value)),
            ("NotIn", [_, ..]) => found.is_none_or(|value| values.iter().all(|one| one != value)),
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
