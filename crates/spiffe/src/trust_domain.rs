//! Trust domains: who vouches for an identity.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Component, SpiffeIdError};

/// Longest trust domain, from the length of a URI host (SPIFFE-ID §2.3).
pub const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// A valid trust domain name, such as `cluster.local`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// Reads a bare name (no scheme).
    ///
    /// # Errors
    /// The rule of SPIFFE-ID §2.1 that `name` breaks.
    pub fn parse(name: &str) -> Result<Self, SpiffeIdError> {
        validate(name)?;
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `cluster.local`, which a mesh has unless its installation says otherwise.
impl Default for TrustDomain {
    fn default() -> Self {
        Self("cluster.local".into())
    }
}

/// SPIFFE-ID §2.1: not empty, ≤ 255 bytes, lower-case letters, digits, `.`, `-`, `_`. This leaves
/// no room for userinfo (`@`), a port (`:`), an IPv6 literal or percent-encoding.
pub(crate) fn validate(name: &str) -> Result<(), SpiffeIdError> {
    let component = Component::TrustDomain;
    if name.is_empty() {
        return Err(SpiffeIdError::Empty(component));
    }
    if name.len() > MAX_TRUST_DOMAIN_BYTES {
        return Err(SpiffeIdError::TrustDomainTooLong(name.len()));
    }
    let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_');
    match name.chars().find(|&c| !allowed(c)) {
        Some(character) => Err(SpiffeIdError::Character {
            component,
            character,
        }),
        None => Ok(()),
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(name: &str) -> Result<Self, SpiffeIdError> {
        Self::parse(name)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustDomain({})", self.0)
    }
}
