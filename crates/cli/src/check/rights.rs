//! Rights in single grants, so that those of a cluster can be compared with those that are shipped.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{cluster, exit::Failure, install};

/// What a service account is granted: `cluster get /services`, `own get /secrets weft-ca`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grants(BTreeSet<String>);

impl Grants {
    /// What `weft install` grants to a control plane with or without a mesh.
    ///
    /// # Errors
    /// The templates of the chart cannot be filled.
    pub(super) fn shipped(has_mesh: bool) -> Result<Self, Failure> {
        let mut shipped = Self::default();
        for object in install::shipped(has_mesh)? {
            let place = match cluster::text(&object, "/kind") {
                "ClusterRole" => "cluster",
                "Role" => "own",
                _ => continue,
            };
            shipped.add_rules(&object, place);
        }
        Ok(shipped)
    }

    /// Whether a binding is for this service account.
    pub(super) fn is_bound(binding: &Value, (namespace, name): (&str, &str)) -> bool {
        let subjects = binding.pointer("/subjects").and_then(Value::as_array);
        subjects.into_iter().flatten().any(|subject| {
            cluster::text(subject, "/kind") == "ServiceAccount"
                && cluster::text(subject, "/name") == name
                && cluster::text(subject, "/namespace") == namespace
        })
    }

    /// Adds what a binding grants.
    pub(super) fn add(&mut self, binding: &Value, role: Option<&Value>, is_cluster: bool) {
        let place = if is_cluster { "cluster" } else { "own" };
        match role {
            Some(role) => self.add_rules(role, place),
            // A binding to a role that does not exist grants nothing yet.
            None => {
                let role = cluster::text(binding, "/roleRef/name");
                tracing::debug!("the role {role} of a binding does not exist");
            }
        }
    }

    fn add_rules(&mut self, role: &Value, place: &str) {
        let rules = role.pointer("/rules").and_then(Value::as_array);
        for rule in rules.into_iter().flatten() {
            let texts = |field: &str| -> Vec<&str> {
                let all = rule.get(field).and_then(Value::as_array);
                all.into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect()
            };
            let names = match texts("resourceNames").as_slice() {
                [] => vec![""],
                names => names.to_vec(),
            };
            for verb in texts("verbs") {
                let urls = texts("nonResourceURLs");
                self.0
                    .extend(urls.iter().map(|url| format!("{place} {verb} {url}")));
                for group in texts("apiGroups") {
                    for resource in texts("resources") {
                        self.0.extend(names.iter().map(|name| {
                            let grant = format!("{place} {verb} {group}/{resource} {name}");
                            grant.trim_end().to_owned()
                        }));
                    }
                }
            }
        }
    }

    /// What is granted here and not there.
    pub(super) fn beyond(&self, other: &Self) -> Vec<String> {
        self.0.difference(&other.0).cloned().collect()
    }
}
