//! `Identity.Sign`: a certificate for whoever proves with a token of the cluster that the identity is
//! its own.
//!
//! The caller learns little: refused, not now, too often. Why stands in the log, and every certificate
//! that is signed stands in the audit log (log target `audit`).

mod authorise;
mod limits;
mod own;
mod reviews;
mod strangers;
mod tokens;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, metadata::MetadataMap};
use weft_certs::{CheckedRequest, Clock, CsrError, LeafLife, SignError, Signer, SignerRoots};
use weft_source::kube::TokenOwner;
use weft_spiffe::TrustDomain;
use weft_telemetry::metrics::IssuanceMetrics;
use weft_wire::proto::identity::{SignRequest, SignResponse};

pub(crate) use self::{
    authorise::node_of,
    own::OwnTrust,
    tokens::{Tokens, bearer},
};
use self::{
    authorise::{Asked, Granted, NotGranted, Rules, authorise},
    limits::{Caller, Limits},
    strangers::Strangers,
};
use crate::{door::PeerAddress, hub::Hub, proto::identity::identity_server::Identity};

/// Reviews and signatures under way at once.
const IN_FLIGHT: usize = 64;

/// So long a request waits for its pod to be heard of. Watches are milliseconds apart; what takes longer
/// is a replica that is cut off, and another one will answer the next attempt.
const INFORMER_LAG: Duration = Duration::from_millis(500);

/// What the service is made of.
pub(crate) struct IdentityParts {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) domain: TrustDomain,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) life: LeafLife,
    pub(crate) clock: Clock,
    /// Knows the pods of nodes.
    pub(crate) hub: Arc<Hub>,
    /// Namespace and name of the service account of the proxies of nodes; `None` where there is no
    /// mesh.
    pub(crate) nodes: Option<(String, String)>,
    /// Counts what is signed and refused.
    pub(crate) issuance: Arc<IssuanceMetrics>,
}

/// The service.
pub(crate) struct IdentityService {
    parts: IdentityParts,
    limits: Limits,
    strangers: Strangers,
    in_flight: Semaphore,
}

/// Why nothing is signed. The variant is what the caller learns, the text is for the log.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Unauthenticated(&'static str),
    #[error("{0}")]
    NotGranted(NotGranted),
    #[error("{0}; it may be new")]
    NotYet(NotGranted),
    #[error("{0}: {1}")]
    Csr(String, CsrError),
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Later(String),
    #[error("asked too often: {0}")]
    TooOften(String),
}

impl Refusal {
    /// For the audit log, the same for ever.
    fn reason(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "token_not_valid",
            Self::NotGranted(why) | Self::NotYet(why) => why.reason(),
            Self::Csr(_, why) => why.reason(),
            Self::Denied(_) => "signer_denied",
            Self::Later(_) => "not_now",
            Self::TooOften(_) => "too_often",
        }
    }
}

impl IdentityService {
    pub(crate) fn new(parts: IdentityParts) -> Self {
        Self {
            parts,
            limits: Limits::default(),
            strangers: Strangers::default(),
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
        let token = bearer(metadata).ok_or(Refusal::Unauthenticated("there is no bearer token"))?;
        let now = self.now();
        let owner = self.review(token, address, now).await?;
        self.limit(&owner, now)?;
        let Granted { id, pod } = self.granted(&owner, request, now).await?;
        let checked = CheckedRequest::parse(&request.csr_der, &id);
        let checked = checked.map_err(|error| Refusal::Csr(id.to_string(), error))?;
        self.sign(&owner, &Granted { id, pod }, &checked).await
    }

    /// Whose the token is.
    async fn review(
        &self,
        token: &str,
        address: Option<PeerAddress>,
        now: Duration,
    ) -> Result<Arc<TokenOwner>, Refusal> {
        let IdentityParts { tokens, .. } = &self.parts;
        if let Some(owner) = tokens.known(token) {
            return Ok(owner);
        }
        // The API server must not be asked too often. One address first: whoever floods takes nothing
        // from others.
        if let Some(PeerAddress(address)) = address
            && !self.limits.admits(Caller::Address(address), now)
        {
            return Err(Refusal::TooOften(address.to_string()));
        }
        if !self.limits.admits(Caller::Anybody, now) {
            return Err(Refusal::TooOften("requests of all callers".to_owned()));
        }
        let owner = tokens.review(token).await;
        let owner = owner.map_err(|error| Refusal::Later(error.to_string()))?;
        owner.ok_or(Refusal::Unauthenticated("the token is not valid here"))
    }

    /// Proxies of nodes have one account, and are told apart by their nodes.
    fn limit(&self, owner: &TokenOwner, now: Duration) -> Result<(), Refusal> {
        let TokenOwner {
            namespace,
            service_account,
            pod,
            ..
        } = owner;
        let is_node = self.nodes() == Some((namespace, service_account));
        let node = pod.as_ref().and_then(node_of).filter(|_| is_node);
        let caller = match node {
            Some(node) => Caller::Node(node),
            None => Caller::Account(namespace, service_account),
        };
        if self.limits.admits(caller, now) {
            return Ok(());
        }
        let who = match node {
            Some(node) => format!("node {node}"),
            None => format!("{namespace}/{service_account}"),
        };
        Err(Refusal::TooOften(who))
    }

    /// Decides, and waits a moment for a pod that nobody knows yet: the watch of this replica may be
    /// behind that of the one the node has its configuration from. A refusal would cost the caller a
    /// back-off, during which the connections of its newest pod wait.
    async fn granted(
        &self,
        owner: &TokenOwner,
        request: &SignRequest,
        now: Duration,
    ) -> Result<Granted, Refusal> {
        let mut generations = self.parts.hub.generations();
        let deciding = async {
            loop {
                generations.mark_unchanged();
                let decided = self.authorise(owner, request, now);
                let is_early = matches!(decided, Err(Refusal::NotYet(_)));
                if !is_early || generations.changed().await.is_err() {
                    return decided;
                }
            }
        };
        let in_time = tokio::time::timeout(INFORMER_LAG, deciding).await;
        in_time.unwrap_or_else(|_elapsed| self.authorise(owner, request, now))
    }

    /// Whether the caller may have it, by what its token proves and what pods there are.
    fn authorise(
        &self,
        owner: &TokenOwner,
        request: &SignRequest,
        now: Duration,
    ) -> Result<Granted, Refusal> {
        let rules = Rules {
            domain: &self.parts.domain,
            nodes: self.nodes(),
        };
        let asked = Asked {
            owner,
            identity: &request.identity,
            pod_uid: &request.pod_uid,
        };
        let find = |node: &str, uid: &str| self.parts.hub.workload(node, uid);
        authorise(rules, asked, find).map_err(|refused| match &refused {
            NotGranted::NotThere { node, uid } if self.strangers.may_come(node, uid, now) => {
                Refusal::NotYet(refused)
            }
            _ => Refusal::NotGranted(refused),
        })
    }

    fn nodes(&self) -> Option<(&str, &str)> {
        let (namespace, name) = self.parts.nodes.as_ref()?;
        Some((namespace, name))
    }

    async fn sign(
        &self,
        owner: &TokenOwner,
        granted: &Granted,
        checked: &CheckedRequest,
    ) -> Result<SignResponse, Refusal> {
        let IdentityParts {
            signer,
            life,
            clock,
            ..
        } = &self.parts;
        let id = &granted.id;
        // Before signing: a chain to a root that is only announced afterwards is asked for again.
        let SignerRoots { roots, version, .. } = signer.roots().borrow().clone();
        let signed = signer.sign(checked, *life, clock.now()).await;
        let signed = signed.map_err(|error| {
            let why = format!("{id}: {error}");
            match error {
                SignError::Denied(_) => Refusal::Denied(why),
                SignError::Retry(_) | SignError::Misconfigured(_) => Refusal::Later(why),
            }
        })?;
        let caller = owner.pod.as_ref();
        let (name, uid) = match &granted.pod {
            Some(pod) => (Some(pod.name.to_string()), Some(&*pod.uid)),
            None => (
                caller.map(|pod| pod.name.clone()),
                caller.map(|pod| &*pod.uid),
            ),
        };
        tracing::info!(
            target: "audit",
            identity = %id,
            serial = signed.serial,
            not_after = signed.not_after_unix_s,
            pod = name.as_deref(),
            pod_uid = uid,
            node = caller.and_then(node_of),
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
        self.parts.clock.read().monotonic
    }
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn sign(&self, request: Request<SignRequest>) -> Result<Response<SignResponse>, Status> {
        let metadata = request.metadata().clone();
        let address = request.extensions().get::<PeerAddress>().copied();
        let decided = self.decide((&metadata, address), request.get_ref()).await;
        let counted = &self.parts.issuance;
        if decided.is_ok() {
            counted.issued();
        }
        decided.map(Response::new).map_err(|refusal| {
            let reason = refusal.reason();
            counted.refused(reason);
            tracing::warn!(target: "audit", reason, "no certificate is signed: {refusal}");
            refusal.into()
        })
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated(_) => Self::unauthenticated("not allowed"),
            Refusal::NotGranted(_) | Refusal::Csr(..) | Refusal::Denied(_) => {
                Self::permission_denied("not allowed")
            }
            Refusal::NotYet(_) | Refusal::Later(_) => Self::unavailable("not now"),
            Refusal::TooOften(_) => Self::resource_exhausted("too often"),
        }
    }
}
