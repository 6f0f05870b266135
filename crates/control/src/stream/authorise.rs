//! Whose proxy opens a stream.

use tonic::Status;
use weft_certs::PeerIdentity;
use weft_ir::Name;
use weft_spiffe::{SpiffeId, Workload};
use weft_wire::proto::config::{Hello, Role};

use super::{ConfigService, node};
use crate::hub::JoinError;

/// Longest name of an instance that is taken; UIDs have 36 bytes.
const INSTANCE_BYTES_MAX: usize = 128;
/// What a proxy is told that is refused; why, stands in our log alone.
const NOT_ALLOWED: &str = "not allowed";

impl ConfigService {
    /// The Gateway or node, if the peer is one of its proxies. What is refused is not told apart: the
    /// answer would say which Gateways exist.
    pub(super) async fn authorise(
        &self,
        peer: &PeerIdentity,
        hello: &Hello,
        token: Option<&str>,
    ) -> Result<Name, Status> {
        if !self.hub.is_synced() {
            return Err(Status::unavailable(JoinError::NotSynced.to_string()));
        }
        match hello.role() {
            Role::Gateway => self.gateway(peer, hello),
            Role::Node => self.node(peer, hello, token).await,
            Role::Unspecified => Err(refused((peer, hello), "its role is not known here")),
        }
    }

    /// The node, if the peer is its proxy by certificate and token.
    async fn node(
        &self,
        peer: &PeerIdentity,
        hello: &Hello,
        token: Option<&str>,
    ) -> Result<Name, Status> {
        let refuse = |why: &str| refused((peer, hello), why);
        let account = self
            .nodes
            .as_ref()
            .ok_or_else(|| refuse("there is no mesh"))?;
        let nodes = (&self.domain, (account.0.as_str(), account.1.as_str()));
        // Before the API server is asked anything.
        if !node::is_proxy(nodes, &peer.id) {
            return Err(refuse("the peer is no proxy of a node"));
        }
        let token = token.ok_or_else(|| refuse("there is no token, which would say which node"))?;
        let owner = self.tokens.review(token).await.map_err(|error| {
            tracing::warn!(peer = %peer.id, node = hello.name, "whose token it is: {error}");
            Status::unavailable("not now")
        })?;
        let owner = owner.ok_or_else(|| refuse("the token is not valid here"))?;
        node::of_token(nodes, &owner, hello).map_err(refuse)
    }

    /// The Gateway, if the peer is one of its proxies.
    fn gateway(&self, peer: &PeerIdentity, hello: &Hello) -> Result<Name, Status> {
        let refuse = |why: &str| Err(refused((peer, hello), why));
        if hello.namespace.is_empty() {
            return refuse("a Gateway has a namespace");
        }
        if hello.instance.is_empty() || hello.instance.len() > INSTANCE_BYTES_MAX {
            return Err(Status::invalid_argument("the instance has no proper name"));
        }
        let gateway = Name::new(hello.namespace.as_str(), hello.name.as_str());
        let Some(service_account) = self.hub.workload_of(&gateway) else {
            // The pods of a Gateway that was deleted call until they have drained.
            tracing::debug!(peer = %peer.id, %gateway, "stream refused: no such Gateway of ours");
            return Err(Status::permission_denied(NOT_ALLOWED));
        };
        let workload = Workload {
            namespace: &hello.namespace,
            service_account: &service_account,
        };
        match SpiffeId::for_workload(&self.domain, workload) {
            Ok(expected) if expected == peer.id => Ok(gateway),
            _ => refuse("the peer is no proxy of that Gateway"),
        }
    }
}

/// Says why to our log alone.
fn refused((peer, hello): (&PeerIdentity, &Hello), why: &str) -> Status {
    let (namespace, name) = (&hello.namespace, &hello.name);
    tracing::warn!(peer = %peer.id, namespace, name, "stream refused: {why}");
    Status::permission_denied(NOT_ALLOWED)
}
