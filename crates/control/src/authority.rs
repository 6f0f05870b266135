//! The certification authority of the mesh: one Secret of the control namespace, made at first start,
//! in which it is rotated as well.

mod keeper;
mod stored;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use weft_api::{AnyObject, Kind, ObjectKey, ObjectRef};
use weft_certs::{Authority, AuthorityError, BuiltIn, Clock, ImportError};
use weft_source::kube::{Cluster, Created, RequestError};
use weft_spiffe::TrustDomain;

pub(crate) use self::keeper::{Keeper, Parts as KeeperParts};
use self::stored::Stored;
use crate::orders::SECRET;

/// There is no authority to sign with.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The API server does not give or take the Secret.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The Secret holds no usable authority. It is never replaced: members trust what is in it.
    #[error("Secret {0} cannot be used: {1}")]
    Import(ObjectRef, #[source] ImportError),
    /// No authority could be made.
    #[error(transparent)]
    Make(#[from] AuthorityError),
    /// The Secret went while it was read.
    #[error("Secret {0} was deleted while it was read")]
    Gone(ObjectRef),
}

impl CaError {
    /// Whether it is worth trying again without anybody doing something.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Request(error) => error.is_transient(),
            Self::Gone(_) => true,
            Self::Import(..) | Self::Make(_) => false,
        }
    }
}

/// The authority as it was found, and who signs with it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) signer: Arc<BuiltIn>,
    stored: Stored,
}

/// The authority of the mesh. When there is no Secret it is made; of several replicas that do so at
/// once the first one's counts.
///
/// # Errors
/// See [`CaError`].
pub(crate) async fn find(
    cluster: &Cluster,
    namespace: &str,
    domain: &TrustDomain,
    clock: &Clock,
) -> Result<Found, CaError> {
    let place = place(namespace);
    let stored = match cluster.read(&place).await? {
        Some(stored) => stored,
        None => {
            let made = Authority::generate(domain, clock.now())?;
            match cluster.create(&stored::secret(&place, &made)).await? {
                Created::Yes => tracing::info!("made a certification authority: {place}"),
                Created::Exists => {}
            }
            // What is stored counts, also when it is ours.
            let stored = cluster.read(&place).await?;
            stored.ok_or_else(|| CaError::Gone(place.clone()))?
        }
    };
    let stored = parse(&place, &stored, domain, clock)?;
    if stored.is_replaced {
        tracing::warn!("{place} holds another authority than the one that was rotated to before");
    }
    Ok(Found {
        signer: Arc::new(BuiltIn::new(stored.issuers())),
        stored,
    })
}

fn parse(
    place: &ObjectRef,
    object: &AnyObject,
    domain: &TrustDomain,
    clock: &Clock,
) -> Result<Stored, CaError> {
    let AnyObject::Secret(secret) = object else {
        return Err(CaError::Gone(place.clone()));
    };
    let stored = Stored::of(secret, domain, clock.now());
    stored.map_err(|error| CaError::Import(place.clone(), error))
}

fn place(namespace: &str) -> ObjectRef {
    ObjectRef::new(Kind::Secret, ObjectKey::new(namespace, SECRET))
}
