//! What commands that talk to a cluster share: which one, and how a question that was not answered
//! ends them.

use std::{future::Future, path::PathBuf};

use clap::Args;
use serde_json::Value;
use weft_source::kube::{Access, Cluster, RequestError};

use crate::exit::Failure;

/// Which cluster; by default the one `kubectl` would use, and in a pod the one around it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterOptions {
    /// Kubeconfig file; by default that of KUBECONFIG, or the service account of the pod
    #[arg(
        long,
        env = "WEFT_KUBECONFIG",
        value_name = "FILE",
        help_heading = "Cluster"
    )]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(
        long,
        env = "WEFT_CONTEXT",
        value_name = "NAME",
        help_heading = "Cluster"
    )]
    pub(crate) context: Option<String>,
}

impl ClusterOptions {
    /// The cluster. Nothing is sent yet.
    ///
    /// # Errors
    /// There is none, or its kubeconfig cannot be used.
    pub(crate) async fn connect(&self) -> Result<Cluster, Failure> {
        let access = Access {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
        };
        Cluster::connect(access).await.map_err(Failure::unreachable)
    }
}

/// Runs what talks to a cluster to its end.
///
/// # Errors
/// Those of the work, or there is no runtime.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// How a question that was not answered ends a command: unreachable, or an error.
pub(crate) fn failure(error: RequestError) -> Failure {
    if error.was_reached() {
        Failure::errors(error)
    } else {
        Failure::unreachable(error)
    }
}

/// The text at a path of an object; empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    let text = object.pointer(path).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// `namespace/name`, or the name of what has no namespace.
pub(crate) fn name(object: &Value) -> String {
    joined(
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
    )
}

/// `namespace/name`, or the name where the namespace is empty.
pub(crate) fn joined(namespace: &str, name: &str) -> String {
    match namespace {
        "" => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    }
}
