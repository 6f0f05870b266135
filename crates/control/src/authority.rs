//! The certification authority of the mesh: one Secret of the control namespace, made at first start.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::{AnyObject, ByteString, Kind, ObjectKey, ObjectRef, Secret, meta::ObjectMeta};
use weft_certs::{Authority, AuthorityError, AuthorityPem, BuiltIn, Clock, ImportError, Issuers};
use weft_source::kube::{Cluster, Created, RequestError};
use weft_spiffe::TrustDomain;

/// Name of the Secret.
const SECRET: &str = "weft-ca";
/// Its type: keys with names of their own.
const SECRET_TYPE: &str = "Opaque";
/// The first version of the set of roots.
const FIRST_BUNDLE: u64 = 1;

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

/// The signer of the mesh. When there is no Secret it is made; of several replicas that do so at once
/// the first one's counts.
///
/// # Errors
/// See [`CaError`].
pub(crate) async fn signer(
    cluster: &Cluster,
    namespace: &str,
    domain: &TrustDomain,
    clock: &Clock,
) -> Result<Arc<BuiltIn>, CaError> {
    let place = ObjectRef::new(Kind::Secret, ObjectKey::new(namespace, SECRET));
    let stored = match cluster.read(&place).await? {
        Some(stored) => stored,
        None => {
            let made = Authority::generate(domain, clock.now())?;
            match cluster.create(&secret(&place, &made.export())).await? {
                Created::Yes => tracing::info!("made a certification authority: {place}"),
                Created::Exists => {}
            }
            // What is stored counts, also when it is ours.
            let stored = cluster.read(&place).await?;
            stored.ok_or_else(|| CaError::Gone(place.clone()))?
        }
    };
    let item = |name: &str| {
        let AnyObject::Secret(secret) = &stored else {
            return None;
        };
        let text = std::str::from_utf8(secret.get(name)?).ok()?;
        Some(text.to_owned())
    };
    let imported =
        AuthorityPem::from_items(item).and_then(|pem| Authority::import(domain, &pem, clock.now()));
    let authority = imported.map_err(|error| CaError::Import(place, error))?;
    Ok(Arc::new(BuiltIn::new(Issuers {
        signing: Arc::new(authority),
        also_trusted: Vec::new(),
        bundle_version: FIRST_BUNDLE,
    })))
}

fn secret(place: &ObjectRef, pem: &AuthorityPem) -> AnyObject {
    let items = pem.items();
    let data: BTreeMap<_, _> = items
        .map(|(name, text)| (name.to_owned(), ByteString(text.as_bytes().to_vec())))
        .collect();
    AnyObject::from(Secret {
        metadata: ObjectMeta {
            namespace: Some(place.key.namespace().into()),
            name: Some(place.key.name().into()),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.to_owned()),
        data,
        ..Secret::default()
    })
}
