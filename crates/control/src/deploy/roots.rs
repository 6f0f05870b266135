//! The ConfigMap by which gateways know the control plane: its root certificates, once per
//! namespace that has Gateways.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weft_api::Gateway;

use super::RenderError;
use super::metadata::owner;

/// Name of the ConfigMap.
pub const ROOTS_NAME: &str = "weft-root";
/// Key of the certificates, in PEM.
pub const ROOTS_KEY: &str = "ca.crt";

/// The ConfigMap of a namespace, owned by all its Gateways: it goes with the last of them.
///
/// `roots` are the certificates in PEM. Server-side apply replaces the owners of one field manager
/// as a whole, so all Gateways of the namespace must be given.
///
/// # Errors
///
/// When a Gateway does not come from an API server.
pub fn roots<'a>(
    namespace: &str,
    gateways: impl IntoIterator<Item = &'a Gateway>,
    roots: &str,
) -> Result<Value, RenderError> {
    let mut owners = BTreeMap::new();
    for gateway in gateways {
        owners.insert(gateway.metadata.name.clone(), owner(gateway, false)?);
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ROOTS_NAME,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/part-of": "weft",
                "app.kubernetes.io/managed-by": "weft",
            },
            "ownerReferences": owners.into_values().collect::<Vec<_>>(),
        },
        "data": { ROOTS_KEY: roots },
    }))
}
