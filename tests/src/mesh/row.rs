//! Rows as files write them.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::{Family, manifests::documents};
use crate::wait::Expected;

/// A world, or a change of it, and what is asked of it then.
#[derive(Debug)]
pub struct Stage {
    /// Objects that come or change.
    pub put: Vec<Value>,
    /// References of objects that go.
    pub delete: Vec<String>,
    /// What is asked.
    pub rows: Rows,
}

/// A document of kind `Rows`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    #[serde(rename = "kind")]
    _kind: String,
    /// The rule that rows are about which name none themselves.
    pub clause: String,
    /// Whom rows address that do not say it themselves.
    #[serde(default)]
    pub to: String,
    /// Requests.
    #[serde(default)]
    pub rows: Vec<Row>,
    /// Statuses.
    #[serde(default)]
    pub statuses: Vec<StatusRow>,
}

/// A request and what comes of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What the row is about.
    pub row: String,
    /// The rule behind it.
    #[serde(default)]
    pub clause: String,
    /// Namespace of the client; `client` unless said.
    #[serde(default)]
    pub from: String,
    /// `namespace/service:port`, `pod namespace/name:port`, or an address and port.
    #[serde(default)]
    pub to: String,
    /// Family of the address of the Service or pod; IPv4 unless said.
    pub over: Option<Family>,
    /// `METHOD /path?query`, `GRPC /service/method` or `TCP bytes`.
    pub ask: String,
    /// Host of the request; that of the Service unless said.
    pub host: Option<String>,
    /// Fields of the request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What arrives; nothing unless said.
    pub arrives: Option<Arrives>,
    /// Pods that get a copy.
    #[serde(default)]
    pub copies: Vec<String>,
    /// What the client sees; success unless said.
    #[serde(default)]
    pub sees: Sees,
    /// Instead of one request: shares in percent of 500, by pod or by the status of a failure; ` or `
    /// between those that share one.
    #[serde(default)]
    pub shares: BTreeMap<String, usize>,
    /// A pod (`namespace/name`) that comes and goes while shares are counted.
    pub churn: Option<String>,
}

/// What arrives at a pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrives {
    /// The pod; ` or ` between those that may get it.
    pub at: String,
    /// Path and query; those of the request unless said.
    pub target: Option<String>,
    /// Host; that of the request unless said.
    pub host: Option<String>,
    /// Fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Fields that do not arrive.
    #[serde(default)]
    pub without: Vec<String>,
    /// How often; once unless said.
    #[serde(default = "once")]
    pub times: usize,
}

fn once() -> usize {
    1
}

/// What the client sees.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sees {
    /// Status of HTTP.
    pub status: Option<u16>,
    /// Status of gRPC.
    pub grpc: Option<u8>,
    /// The whole `Location`; none unless said.
    pub location: Option<String>,
    /// Fields of the answer.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Fields that the answer does not have.
    #[serde(default)]
    pub without: Vec<String>,
    /// No answer; the connection is reset.
    #[serde(default)]
    pub reset: bool,
}

/// What the status of a route says of a parent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusRow {
    /// What the row is about.
    pub row: String,
    /// The rule behind it.
    #[serde(default)]
    pub clause: String,
    /// The route: `Kind namespace/name`.
    pub route: String,
    /// The parent as the route names it: `Service [namespace/]name [section NAME] [port NUMBER]`.
    pub under: String,
    /// All conditions: `Type=Status Reason`.
    pub says: Vec<String>,
    /// Text that the message of a condition contains.
    #[serde(default)]
    pub because: String,
}

/// Reads a file of rows, in order.
///
/// # Panics
/// When it is not well formed, or a row names no rule.
#[must_use]
pub fn load(path: &Path) -> Vec<Stage> {
    let name = path.display().to_string();
    let mut stages = Vec::new();
    let (mut put, mut delete) = (Vec::new(), Vec::new());
    for document in documents(path) {
        match document["kind"].as_str() {
            Some("Rows") => {
                let mut rows: Rows = serde_json::from_value(document).expected(&name);
                rows.complete();
                let (put, delete) = (std::mem::take(&mut put), std::mem::take(&mut delete));
                stages.push(Stage { put, delete, rows });
            }
            Some("Delete") => {
                let of = document["objects"].as_array().into_iter().flatten();
                delete.extend(of.filter_map(Value::as_str).map(str::to_owned));
            }
            _ => put.push(document),
        }
    }
    assert!(put.is_empty(), "{name}: nothing is asked of {put:?}");
    stages
}

impl Rows {
    /// Fills in what rows leave to their document.
    fn complete(&mut self) {
        for row in &mut self.rows {
            for (own, default) in [(&mut row.clause, &self.clause), (&mut row.to, &self.to)] {
                if own.is_empty() {
                    own.clone_from(default);
                }
            }
            if row.from.is_empty() {
                "client".clone_into(&mut row.from);
            }
            assert!(!row.to.is_empty(), "{}: nobody is addressed", row.row);
        }
        for row in &mut self.statuses {
            if row.clause.is_empty() {
                row.clause.clone_from(&self.clause);
            }
        }
    }
}
