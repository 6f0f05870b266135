//! SPIFFE IDs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Component, SpiffeIdError};
use crate::trust_domain::{self, TrustDomain};

/// Longest SPIFFE ID (§2.3).
pub const MAX_ID_BYTES: usize = 2048;

const SCHEME: &str = "spiffe://";

/// A valid SPIFFE ID. Cheap to clone; equal exactly if the bytes are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SpiffeId {
    /// The whole ID; the parts are views of it, so that equality cannot depend on the reading.
    uri: Arc<str>,
    domain_bytes: u8,
}

impl SpiffeId {
    /// Reads an ID.
    ///
    /// # Errors
    /// The rule of SPIFFE-ID §2 that `uri` breaks.
    pub fn parse(uri: &str) -> Result<Self, SpiffeIdError> {
        // First, so that no later step works on unbounded input.
        if uri.len() > MAX_ID_BYTES {
            return Err(SpiffeIdError::TooLong(uri.len()));
        }
        let rest = uri.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        trust_domain::validate(domain)?;
        validate_path(path)?;
        let too_long = |_| SpiffeIdError::TrustDomainTooLong(domain.len());
        let domain_bytes = u8::try_from(domain.len()).map_err(too_long)?;
        Ok(Self {
            uri: uri.into(),
            domain_bytes,
        })
    }

    /// The ID of a trust domain itself, without a path. Signing authorities carry it; a workload
    /// never does.
    #[must_use]
    pub fn of_domain(domain: &TrustDomain) -> Self {
        let name = domain.as_str();
        // The type of `domain` bounds it at 255 bytes.
        let domain_bytes = u8::try_from(name.len()).unwrap_or(u8::MAX);
        Self {
            uri: format!("{SCHEME}{name}").into(),
            domain_bytes,
        }
    }

    /// The whole ID.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The name of the trust domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.uri[SCHEME.len()..self.path_start()]
    }

    /// The path with its leading `/`; empty for the ID of a domain.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.uri[self.path_start()..]
    }

    /// Whether `domain` vouches for this ID.
    #[must_use]
    pub fn is_member_of(&self, domain: &TrustDomain) -> bool {
        self.domain() == domain.as_str()
    }

    /// Whether this names a trust domain and no workload: never acceptable in a leaf certificate.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        self.path().is_empty()
    }

    fn path_start(&self) -> usize {
        SCHEME.len() + usize::from(self.domain_bytes)
    }
}

/// SPIFFE-ID §2.2: absent, or `/`-separated segments that are not empty, not `.` or `..`, and made
/// of letters, digits, `.`, `-`, `_`; so neither a query, a fragment nor percent-encoding.
fn validate_path(path: &str) -> Result<(), SpiffeIdError> {
    let Some(segments) = path.strip_prefix('/') else {
        return Ok(());
    };
    segments.split('/').try_for_each(validate_segment)
}

pub(crate) fn validate_segment(segment: &str) -> Result<(), SpiffeIdError> {
    if segment.is_empty() {
        return Err(SpiffeIdError::EmptySegment);
    }
    if matches!(segment, "." | "..") {
        return Err(SpiffeIdError::DotSegment);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match segment.chars().find(|&c| !allowed(c)) {
        Some(character) => Err(SpiffeIdError::Character {
            component: Component::Path,
            character,
        }),
        None => Ok(()),
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(uri: &str) -> Result<Self, SpiffeIdError> {
        Self::parse(uri)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.uri)
    }
}
