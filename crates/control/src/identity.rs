//! `Identity.Sign`: a certificate for whoever proves with a token of the cluster that the identity is
//! its own.
//!
//! The caller learns little: refused, not now, too often. Why stands in the log, and every certificate
//! that is signed stands in the audit log (log target `audit`).

mod limits;
mod own;
mod reviews;

use std::{sync::Arc, time::Duration};

use http::header::AUTHORIZATION;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, metadata::MetadataMap};
use weft_certs::{CheckedRequest, Clock, LeafLife, SignError, Signer, SignerRoots};
use weft_source::kube::{Cluster, TokenOwner};
use weft_spiffe::{SpiffeId, TrustDomain, Workload};
use weft_wire::proto::identity::{SignRequest, SignResponse};

pub(crate) use self::own::OwnTrust;
use self::{
    limits::{Caller, Limits},
    reviews::Reviews,
};
use crate::{
    deploy::TOKEN_AUDIENCE, door::PeerAddress, proto::identity::identity_server::Identity,
};

/// Longest token that is reviewed; those of Kubernetes have about 1 KiB.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Reviews and signatures under way at once.
const IN_FLIGHT: usize = 64;

/// The service.
pub(crate) struct IdentityService {
    cluster: Cluster,
    domain: TrustDomain,
    signer: Arc<dyn Signer>,
    life: LeafLife,
    clock: Clock,
    limits: Limits,
    reviews: Reviews,
    in_flight: Semaphore,
}

/// Why nothing is signed. The variant is what the caller learns, the text is for the log.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Unauthenticated(String),
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Later(String),
    #[error("asked too often: {0}")]
    TooOften(String),
}

impl IdentityService {
    pub(crate) fn new(
        cluster: Cluster,
        domain: TrustDomain,
        signer: Arc<dyn Signer>,
        life: LeafLife,
        clock: Clock,
    ) -> Self {
        Self {
            cluster,
            domain,
            signer,
            life,
            clock,
            limits: Limits::default(),
            reviews: Reviews::default(),
            in_flight: Semaphore::new(IN_FLIGHT),
        }
    }

    async fn decide(
        &self,
        (metadata, address): (&MetadataMap, Option<PeerAddress>),
        request: &SignRequest,
    ) -> Result<SignResponse, Refusal> {
        let _slot = self
            .in_flight
            .try_acquire()
            .map_err(|_| Refusal::TooOften("too many requests are under way".to_owned()))?;
        let token = bearer(metadata)?;
        // Before anybody is asked who that is, so that the API server is not asked too often. One
        // address first: whoever floods takes nothing from others.
        let now = self.now();
        if let Some(PeerAddress(address)) = address
            && !self.limits.admits(Caller::Address(address), now)
        {
            return Err(Refusal::TooOften(address.to_string()));
        }
        if !self.limits.admits(Caller::Anybody, now) {
            return Err(Refusal::TooOften("requests of all callers".to_owned()));
        }
        let owner = self.review(token).await?;
        let account = Caller::Account(&owner.namespace, &owner.service_account);
        if !self.limits.admits(account, now) {
            let who = format!("{}/{}", owner.namespace, owner.service_account);
            return Err(Refusal::TooOften(who));
        }
        let id = self.authorise(&owner, &request.identity)?;
        let checked = CheckedRequest::parse(&request.csr_der, &id);
        let checked = checked.map_err(|error| Refusal::Denied(format!("{id}: {error}")))?;
        self.sign(&owner, &id, &checked).await
    }

    /// Whose the token is.
    async fn review(&self, token: &str) -> Result<Arc<TokenOwner>, Refusal> {
        if let Some(owner) = self.reviews.find(token, self.clock.read()) {
            return Ok(owner);
        }
        let review = self.cluster.review_token(token, TOKEN_AUDIENCE).await;
        let owner = review.map_err(|error| Refusal::Later(error.to_string()))?;
        let invalid = || Refusal::Unauthenticated("the token is not valid here".to_owned());
        let owner = Arc::new(owner.ok_or_else(invalid)?);
        self.reviews.keep(token, &owner, self.clock.read());
        Ok(owner)
    }

    /// The identity, if it is that of the token's service account, and the token is held by a pod.
    fn authorise(&self, owner: &TokenOwner, wanted: &str) -> Result<SpiffeId, Refusal> {
        let TokenOwner {
            namespace,
            service_account,
            pod,
            ..
        } = owner;
        let who = format!("service account {namespace}/{service_account}");
        if pod.is_none() {
            let why = format!("the token of {who} is bound to no pod");
            return Err(Refusal::Denied(why));
        }
        let workload = Workload {
            namespace,
            service_account,
        };
        let own = SpiffeId::for_workload(&self.domain, workload);
        let own = own.map_err(|error| Refusal::Denied(format!("{who}: {error}")))?;
        if own.as_str() == wanted {
            Ok(own)
        } else {
            let wanted: String = wanted.chars().take(256).collect();
            Err(Refusal::Denied(format!("{who} asks for {wanted:?}")))
        }
    }

    async fn sign(
        &self,
        owner: &TokenOwner,
        id: &SpiffeId,
        checked: &CheckedRequest,
    ) -> Result<SignResponse, Refusal> {
        // Before signing: a chain to a root that is only announced afterwards is asked for again.
        let SignerRoots { roots, version, .. } = self.signer.roots().borrow().clone();
        let signed = self.signer.sign(checked, self.life, self.clock.now()).await;
        let signed = signed.map_err(|error| {
            let why = format!("{id}: {error}");
            match error {
                SignError::Denied(_) => Refusal::Denied(why),
                SignError::Retry(_) | SignError::Misconfigured(_) => Refusal::Later(why),
            }
        })?;
        let pod = owner.pod.as_ref();
        tracing::info!(
            target: "audit",
            identity = %id,
            serial = signed.serial,
            not_after = signed.not_after_unix_s,
            pod = pod.map(|pod| pod.name.as_str()),
            pod_uid = pod.map(|pod| pod.uid.as_str()),
            node = pod.and_then(|pod| pod.node.as_deref()),
            credential_id = owner.credential_id.as_deref(),
            "signed a certificate"
        );
        Ok(SignResponse {
            chain: signed.chain.into_iter().map(Into::into).collect(),
            roots: roots.into_iter().map(Into::into).collect(),
            bundle_version: version,
            not_after: signed.not_after_unix_s,
        })
    }

    fn now(&self) -> Duration {
        self.clock.read().monotonic
    }
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn sign(&self, request: Request<SignRequest>) -> Result<Response<SignResponse>, Status> {
        let metadata = request.metadata().clone();
        let address = request.extensions().get::<PeerAddress>().copied();
        let decided = self.decide((&metadata, address), request.get_ref()).await;
        decided.map(Response::new).map_err(|refusal| {
            tracing::warn!("no certificate is signed: {refusal}");
            refusal.into()
        })
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated(_) => Self::unauthenticated("not allowed"),
            Refusal::Denied(_) => Self::permission_denied("not allowed"),
            Refusal::Later(_) => Self::unavailable("not now"),
            Refusal::TooOften(_) => Self::resource_exhausted("too often"),
        }
    }
}

/// The token that a request carries.
fn bearer(metadata: &MetadataMap) -> Result<&str, Refusal> {
    let none = || Refusal::Unauthenticated("there is no bearer token".to_owned());
    let value = metadata.get(AUTHORIZATION.as_str()).ok_or_else(none)?;
    let text = value.to_str().map_err(|_| none())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(none)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Err(none());
    }
    Ok(token)
}
