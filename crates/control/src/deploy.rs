//! What a Gateway is given in a cluster (GEP-1762): a Deployment of `weft-proxy gateway`, a Service
//! in front of it and a ServiceAccount to be somebody. Pure: objects in, objects out, the same
//! ones to the byte for the same input; who applies them decides when.
//!
//! Objects are JSON values because they are written by server-side apply, where a field that is
//! absent is a field somebody else may own.

mod deployment;
mod limits;
mod metadata;
mod name;
mod parameters;
mod quantity;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};
use thiserror::Error;
use weft_api::{Gateway, ObjectKey};
use weft_spiffe::TrustDomain;

pub use limits::limit;
pub use metadata::{CLASS_LABEL, GATEWAY_LABEL, MANAGED_BY, MANAGED_LABEL, is_ours};
pub use name::{deployed_name, label_value};
pub use parameters::{LogLevel, ParameterError, Parameters, Resources};
pub use service::{Port, ports};

use metadata::Owned;

/// Port of every gateway pod for probes and metrics. No Service leads to it, and no listener can
/// have it.
pub const ADMIN_PORT: u16 = 15021;
/// ConfigMap with the roots of the mesh, which the control plane publishes in every namespace that
/// has Gateways. Pods wait for it.
pub const ROOTS_NAME: &str = "weft-root";
/// Its key, in PEM.
pub const ROOTS_KEY: &str = "root.pem";
/// Whom the tokens of gateways are meant for; no API server takes them.
pub const TOKEN_AUDIENCE: &str = "weft-identity";
/// Beyond its drain, a pod has so long to end before it is killed.
const GRACE: Duration = Duration::from_secs(30);

/// What all Gateways of a control plane share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Image of `weft-proxy`.
    pub image: String,
    /// Host where configuration and certificates come from.
    pub control_plane: String,
    /// Namespace of the control plane, which its identity names.
    pub control_namespace: String,
    /// Whose identities the gateways have.
    pub trust_domain: TrustDomain,
    /// From the signal to end, new connections are accepted for so long, until the last client has
    /// heard that the pod leaves its Service. Whole seconds.
    pub drain_delay: Duration,
    /// After that, requests and connections may take so long to end. Whole seconds.
    pub drain_limit: Duration,
}

/// The objects of one Gateway, in the order in which to apply them. All are owned by the Gateway
/// and go with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployed {
    /// Who the pods are.
    pub service_account: Value,
    /// Where clients connect; absent while no listener has a port, which no Service can be without.
    pub service: Option<Value>,
    /// The pods.
    pub deployment: Value,
}

impl Deployed {
    /// All objects, in the order in which to apply them.
    pub fn objects(&self) -> impl Iterator<Item = &Value> {
        [&self.service_account]
            .into_iter()
            .chain(&self.service)
            .chain([&self.deployment])
    }
}

/// Why nothing can be deployed for a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RenderError {
    /// Owner references need the uid; without them nothing would be removed with the Gateway.
    #[error(
        "Gateway {0}: metadata.uid is missing, so what is generated for it could not be removed \
         with it; read it from the API server"
    )]
    NoUid(ObjectKey),
}

/// The objects of a Gateway.
///
/// `listening` are the ports of all its listeners, those of its ListenerSets included; see
/// [`ports`].
///
/// # Errors
///
/// When the Gateway does not come from an API server.
pub fn render(
    gateway: &Gateway,
    listening: &BTreeSet<Port>,
    parameters: &Parameters,
    settings: &Settings,
) -> Result<Deployed, RenderError> {
    let owned = Owned::new(gateway)?;
    Ok(Deployed {
        service_account: service_account(&owned),
        service: service::render(&owned, gateway, listening, parameters),
        deployment: deployment::render(&owned, parameters, settings),
    })
}

/// Who the pods are. Nothing is granted to it, and no token of it is mounted but the one the pods
/// ask for themselves.
fn service_account(owned: &Owned) -> Value {
    let fields = Map::from_iter([("automountServiceAccountToken".to_owned(), json!(false))]);
    owned.object("v1", "ServiceAccount", fields)
}
