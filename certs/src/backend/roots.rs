//! Who may vouch for backends: CAs of ConfigMaps, or those of the platform.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use thiserror::Error;

use crate::pem::read_certificates;

/// Why a set of CAs cannot be used. The condition on the policy is `ResolvedRefs=False` with reason
/// `InvalidCACertificateRef`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RootsError {
    /// Damaged PEM.
    #[error("ca.crt is not well-formed PEM; store it again, complete")]
    Pem,
    /// No certificate at all.
    #[error("ca.crt contains no certificate; expected a \"BEGIN CERTIFICATE\" PEM block")]
    Empty,
    /// Something else than a certificate.
    #[error("certificate {position} of ca.crt cannot be read: {detail}")]
    Malformed {
        /// Counted from 1.
        position: usize,
        /// What is wrong.
        detail: String,
    },
    /// The platform has none.
    #[error(
        "the platform has no CA certificates ({0}); install the ca-certificates package or set \
         SSL_CERT_FILE"
    )]
    System(String),
}

/// A set of CAs, checked. Cheap to clone.
#[derive(Clone)]
pub struct CaRoots(Arc<Inner>);

struct Inner {
    certs: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl CaRoots {
    /// The certificates of one `ca.crt`.
    ///
    /// Their dates and constraints are not judged, as no TLS client does: an operator put them there. What
    /// is no certificate makes the whole text invalid, so that half a bundle does not pass for one.
    ///
    /// # Errors
    ///
    /// See [`RootsError`].
    pub fn from_pem(pem: &str) -> Result<Self, RootsError> {
        let certs = read_certificates(pem.as_bytes()).ok_or(RootsError::Pem)?;
        if certs.is_empty() {
            return Err(RootsError::Empty);
        }
        let anchors = certs
            .iter()
            .enumerate()
            .map(|(index, der)| {
                let anchor = webpki::anchor_from_trusted_cert(der);
                let anchor = anchor.map_err(|error| RootsError::Malformed {
                    position: index + 1,
                    detail: error.to_string(),
                })?;
                Ok(anchor.to_owned())
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Arc::new(Inner { certs, anchors })))
    }

    /// The union of several sets, for a policy with several references.
    #[must_use]
    pub fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut certs, mut anchors) = (Vec::new(), Vec::new());
        for set in sets {
            certs.extend(set.0.certs.iter().cloned());
            anchors.extend(set.0.anchors.iter().cloned());
        }
        Self(Arc::new(Inner { certs, anchors }))
    }

    /// The CAs of the platform (`wellKnownCACertificates: System`): the files of OpenSSL's usual places, or
    /// of `SSL_CERT_FILE` and `SSL_CERT_DIR`. Reads files; call it once, outside of async code.
    ///
    /// Certificates the path library cannot use are left out, as there are old ones everywhere.
    ///
    /// # Errors
    ///
    /// [`RootsError::System`] when none are left.
    pub fn system() -> Result<Self, RootsError> {
        let found = rustls_native_certs::load_native_certs();
        let (mut certs, mut anchors) = (Vec::new(), Vec::new());
        for der in found.certs {
            if let Ok(anchor) = webpki::anchor_from_trusted_cert(&der) {
                anchors.push(anchor.to_owned());
                certs.push(der);
            }
        }
        if anchors.is_empty() {
            let why = found.errors.first().map(ToString::to_string);
            return Err(RootsError::System(
                why.unwrap_or_else(|| "none found".to_owned()),
            ));
        }
        Ok(Self(Arc::new(Inner { certs, anchors })))
    }

    /// Number of CAs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.anchors.len()
    }

    /// Whether nobody can be verified; only a union of nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.anchors.is_empty()
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.0.anchors
    }

    /// Whether the very certificate is one of the set.
    pub(super) fn contains(&self, der: &CertificateDer<'_>) -> bool {
        self.0.certs.iter().any(|cert| cert == der)
    }
}

impl fmt::Debug for CaRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaRoots").field("len", &self.len()).finish()
    }
}
