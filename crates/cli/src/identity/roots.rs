//! The roots of the mesh as they are published, and how a rotation stands. Pure.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use weft_certs::RootInfo;
use weft_control::{
    deploy::{ROOTS_KEY, ROOTS_NAME},
    orders,
};

use crate::{
    cluster::text,
    exit::{Exit, Failure},
    findings::counted,
    output::{self, Format, table},
};

/// A root that ends sooner is a warning: an operator's own has to be replaced by then, and by hand.
const DAYS_LEFT_MIN: i64 = 60;
const DAY_S: i64 = 24 * 3600;

/// The authority of a mesh; the JSON form only grows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authority {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trust_domain: Option<String>,
    pub(super) roots: Vec<Root>,
    /// Namespaces in which roots are published.
    namespaces: Vec<String>,
    pub(super) rotation: Rotation,
}

/// A root.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Root {
    subject: String,
    /// SHA-256 of the certificate.
    pub(super) fingerprint: String,
    not_before: String,
    not_after: String,
    /// Whole days; negative when it has ended.
    days_left: i64,
    /// Namespaces whose ConfigMap lacks it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lacking: Vec<String>,
}

/// How a rotation stands, as far as that may be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub(super) enum Rotation {
    /// Roles do not allow to look.
    Hidden,
    /// None is under way.
    None,
    /// One is asked for, and the leader has not begun.
    Asked {
        /// What is to be replaced, `root` or `issuer`.
        what: String,
    },
    /// One is under way.
    Underway {
        /// `distribute`, `activate` or `retire`.
        phase: String,
        /// Who is waited for, as the leader last said.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        /// An operator has ordered the next step.
        #[serde(rename = "forced")]
        is_forced: bool,
    },
}

impl Rotation {
    /// Reads it off the metadata of the authority's Secret.
    pub(super) fn of(secret: &Value) -> Self {
        let annotation = |name: &str| {
            let value = secret.pointer("/metadata/annotations")?.get(name)?;
            Some(value.as_str()?.to_owned())
        };
        match (annotation(orders::PHASE), annotation(orders::ROTATE)) {
            (Some(phase), _) => Self::Underway {
                phase,
                status: annotation(orders::STATUS),
                is_forced: annotation(orders::STEP).is_some(),
            },
            (None, Some(what)) => Self::Asked { what },
            (None, None) => Self::None,
        }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Hidden => {
                "not known: allow get of secrets/weft-ca to the user of this kubeconfig \
                             (only its metadata is asked for)"
                    .to_owned()
            }
            Self::None => "none under way".to_owned(),
            Self::Asked { what } => {
                format!("asked for: another {what}; the leader has not begun yet")
            }
            Self::Underway {
                phase,
                status,
                is_forced,
            } => {
                let (step, meaning) = match phase.as_str() {
                    "distribute" => ("1 of 3", "everybody is told the new root"),
                    "activate" => ("2 of 3", "the new issuer signs, certificates are renewed"),
                    "retire" => ("3 of 3", "the old root is taken back"),
                    _ => ("of a newer version", "see its documentation"),
                };
                let mut words = format!("{phase} ({step}): {meaning}");
                if let Some(status) = status {
                    let _written = write!(words, "; {status}");
                }
                if *is_forced {
                    words.push_str("; the next step is ordered");
                }
                words
            }
        }
    }
}

impl Authority {
    /// Reads the roots off the ConfigMaps by their namespaces.
    ///
    /// # Errors
    /// There are no roots, or a ConfigMap holds what is no certificate.
    pub(super) fn of(
        published: &BTreeMap<String, Value>,
        rotation: Rotation,
        now: SystemTime,
    ) -> Result<Self, Failure> {
        let now_unix_s = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now_unix_s = i64::try_from(now_unix_s).unwrap_or(i64::MAX);
        let mut in_namespace = BTreeMap::new();
        for (namespace, config_map) in published {
            let pem = text(config_map, &format!("/data/{ROOTS_KEY}"));
            let roots = RootInfo::read_all(pem).map_err(|error| {
                Failure::errors(format!(
                    "ConfigMap {namespace}/{ROOTS_NAME} holds what is no root: {error}; delete it, \
                     and the control plane writes it again"
                ))
            })?;
            in_namespace.insert(namespace.clone(), roots);
        }
        let mut all: Vec<RootInfo> = Vec::new();
        for root in in_namespace.values().flatten() {
            if !all.iter().any(|it| it.fingerprint == root.fingerprint) {
                all.push(root.clone());
            }
        }
        if all.is_empty() {
            return Err(Failure::errors(format!(
                "no root is published (ConfigMap {ROOTS_NAME}, key {ROOTS_KEY}); the control plane \
                 does it where there are proxies, and `weft check` says whether it runs"
            )));
        }
        let lacking = |root: &RootInfo| {
            let lacks = |roots: &[RootInfo]| !roots.iter().any(|it| it == root);
            let lacking = in_namespace.iter().filter(|(_, roots)| lacks(roots));
            lacking.map(|(namespace, _)| namespace.clone()).collect()
        };
        Ok(Self {
            version: 1,
            trust_domain: all.iter().find_map(|root| root.trust_domain.clone()),
            roots: all
                .iter()
                .map(|root| Root {
                    subject: root.subject.clone(),
                    fingerprint: root.fingerprint.clone(),
                    not_before: date(root.not_before_unix_s),
                    not_after: date(root.not_after_unix_s),
                    days_left: (root.not_after_unix_s - now_unix_s).div_euclid(DAY_S),
                    lacking: lacking(root),
                })
                .collect(),
            namespaces: in_namespace.keys().cloned().collect(),
            rotation,
        })
    }

    /// A root that ends soon is a warning, and one that has ended an error.
    pub(super) fn verdict(&self) -> Exit {
        let left = self.roots.iter().map(|root| root.days_left).min();
        match left {
            Some(days) if days < 0 => Exit::Errors,
            Some(days) if days < DAYS_LEFT_MIN => Exit::Warnings,
            _ => Exit::Good,
        }
    }

    /// Writes it to standard output.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn print(&self, format: Format) -> Result<(), Failure> {
        if format == Format::Json {
            return output::print_json(self);
        }
        Ok(output::print(&self.text())?)
    }

    fn text(&self) -> String {
        let domain = self
            .trust_domain
            .as_deref()
            .unwrap_or("not named by its roots");
        let all = self.namespaces.len();
        let rows = self.roots.iter().map(|root| {
            let left = match root.days_left {
                days if days < 0 => "ended".to_owned(),
                days => days.to_string(),
            };
            let has = all - root.lacking.len();
            [
                root.fingerprint.clone(),
                root.subject.clone(),
                root.not_after.clone(),
                left,
                format!("{has} of {}", counted(all, "namespace")),
            ]
        });
        let head = [
            "SHA-256",
            "SUBJECT",
            "NOT AFTER",
            "DAYS LEFT",
            "PUBLISHED IN",
        ];
        let roots = table::whole(head, rows);
        let rotation = self.rotation.words();
        format!("trust domain {domain}\nrotation     {rotation}\n\n{roots}\n")
    }
}

/// As RFC 3339 has it.
fn date(unix_s: i64) -> String {
    // Certificates can name years that dates here cannot.
    Timestamp::from_second(unix_s).map_or_else(|_| format!("@{unix_s}"), |it| it.to_string())
}

#[cfg(test)]
mod tests;
