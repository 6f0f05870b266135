//! Who may share a connection: those for whom everything about it is the same.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use weft_certs::{Expected, Identity, IdentityConnector, IdentityError};
use weft_spiffe::SpiffeId;

/// In whose name, and from where, connections are made: one per pod. Cheap to clone.
#[derive(Debug)]
pub struct Source<D>(Arc<Own<D>>);

#[derive(Debug)]
struct Own<D> {
    identity: Identity,
    id: SpiffeId,
    connector: IdentityConnector,
    address: Option<IpAddr>,
    /// What tells one that is alone from all others; 0 for those that are not.
    number: u64,
    dial: D,
}

/// Which endpoint, and who has to answer there. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Target {
    endpoint: SocketAddr,
    expected: Arc<Expected>,
    whom: Whom,
}

/// The set of identities in one order, so that equal sets are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whom {
    OneOf(Arc<[SpiffeId]>),
    AnyTrusted,
}

/// What a connection is kept under. Compared as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    source: SpiffeId,
    source_address: Option<IpAddr>,
    source_number: u64,
    endpoint: SocketAddr,
    whom: Whom,
}

impl<D> Source<D> {
    /// Connects as `identity` through `dial`, whose sockets leave from `address` (`None` where the
    /// system chooses).
    ///
    /// # Errors
    ///
    /// [`IdentityError::Provider`] when the TLS library lacks TLS 1.3.
    pub fn new(
        identity: &Identity,
        address: Option<IpAddr>,
        dial: D,
    ) -> Result<Self, IdentityError> {
        Self::numbered(identity, (address, 0), dial)
    }

    /// The same, for a source that shares its connections with no equal one: a pod whose address another
    /// pod of the account has had, or will have, reaches nobody with sockets of that one.
    ///
    /// # Errors
    ///
    /// As [`Source::new`].
    pub fn alone(
        identity: &Identity,
        address: Option<IpAddr>,
        dial: D,
    ) -> Result<Self, IdentityError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self::numbered(identity, (address, NEXT.fetch_add(1, Relaxed)), dial)
    }

    fn numbered(
        identity: &Identity,
        (address, number): (Option<IpAddr>, u64),
        dial: D,
    ) -> Result<Self, IdentityError> {
        Ok(Self(Arc::new(Own {
            identity: identity.clone(),
            id: identity.id(),
            connector: IdentityConnector::new(identity)?,
            address,
            number,
            dial,
        })))
    }

    /// In whose name.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    pub(crate) fn connector(&self) -> &IdentityConnector {
        &self.0.connector
    }

    pub(crate) fn dial(&self) -> &D {
        &self.0.dial
    }
}

impl<D> Clone for Source<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Target {
    /// `endpoint` is the pod's address with [`crate::wire::PORT`], `expected` what the control plane
    /// says of this very pod.
    #[must_use]
    pub fn new(endpoint: SocketAddr, expected: Expected) -> Self {
        let whom = match &expected {
            Expected::AnyTrusted => Whom::AnyTrusted,
            Expected::OneOf(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
                ids.dedup();
                Whom::OneOf(ids.into())
            }
        };
        Self {
            endpoint,
            expected: Arc::new(expected),
            whom,
        }
    }

    /// Where.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Who answers there, where that can be one only.
    #[must_use]
    pub fn peer(&self) -> Option<&SpiffeId> {
        match &self.whom {
            Whom::OneOf(ids) => match &**ids {
                [id] => Some(id),
                _ => None,
            },
            Whom::AnyTrusted => None,
        }
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.expected
    }
}

impl Key {
    pub(crate) fn new<D>(source: &Source<D>, target: &Target) -> Self {
        Self {
            source: source.0.id.clone(),
            source_address: source.0.address,
            source_number: source.0.number,
            endpoint: target.endpoint,
            whom: target.whom.clone(),
        }
    }

    /// In whose name.
    #[must_use]
    pub fn source(&self) -> &SpiffeId {
        &self.source
    }

    /// From which address; `None` where the system chooses.
    #[must_use]
    pub fn source_address(&self) -> Option<IpAddr> {
        self.source_address
    }

    /// Whether it is of connections that `source` makes and uses.
    #[must_use]
    pub fn is_of<D>(&self, source: &Source<D>) -> bool {
        let own = &source.0;
        self.source_number == own.number
            && self.source_address == own.address
            && self.source == own.id
    }

    /// To which endpoint.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }
}
