//! The templates of the chart, in the order in which to apply them.

use thiserror::Error;

use super::Release;
use super::template::{TemplateError, fill};

/// A template of the chart by the name of its file.
macro_rules! template {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../../charts/weft/templates/", $name)),
        )
    };
}

/// Templates and their names. The class is the last one: without the CRDs of the Gateway API it is
/// refused, and then the rest is there.
pub(super) const TEMPLATES: &[(&str, &str)] = &[
    template!("serviceaccount.yaml"),
    template!("clusterrole.yaml"),
    template!("clusterrolebinding.yaml"),
    template!("role.yaml"),
    template!("rolebinding.yaml"),
    template!("service.yaml"),
    template!("poddisruptionbudget.yaml"),
    template!("mesh-clusterrole.yaml"),
    template!("mesh-clusterrolebinding.yaml"),
    template!("node-serviceaccount.yaml"),
    template!("deployment.yaml"),
    template!("node-daemonset.yaml"),
    template!("dashboards.yaml"),
    template!("alerts.yaml"),
    template!("gatewayclass.yaml"),
];

/// The namespace, which Helm makes by itself (`--create-namespace`), without and with a mesh. Only the
/// proxies of nodes need rights; where there are none, nothing that needs any gets into it.
const NAMESPACES: [&str; 2] = [
    "apiVersion: v1
kind: Namespace
metadata:
  name: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/part-of: weft
    pod-security.kubernetes.io/enforce: restricted
    weft.dev/mesh: disabled
",
    "apiVersion: v1
kind: Namespace
metadata:
  name: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/part-of: weft
    pod-security.kubernetes.io/enforce: privileged
    weft.dev/mesh: disabled
",
];

/// A template of the chart cannot be filled.
#[derive(Debug, Error)]
#[error("template {name}: {error}")]
pub(super) struct ChartError {
    name: &'static str,
    error: TemplateError,
}

/// All manifests as one YAML stream.
///
/// # Errors
/// A template of the chart contains more than it may, or names a value that does not exist.
pub(super) fn manifests(release: &Release) -> Result<String, ChartError> {
    let mut text = String::new();
    let namespace = ("namespace", NAMESPACES[usize::from(release.has_mesh())]);
    for (name, template) in [&namespace].into_iter().chain(TEMPLATES) {
        let filled = fill(template, release).map_err(|error| ChartError { name, error })?;
        if !text.is_empty() && !filled.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&filled);
    }
    Ok(text)
}
