//! The public facts of roots, for people who look after them.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use weft_spiffe::SpiffeId;

use crate::bundle::RootError;
use crate::pem::fingerprint;
use crate::profile::{Parsed, Unreadable};

/// What a root says about itself. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootInfo {
    /// Subject as text.
    pub subject: String,
    /// The trust domain its SPIFFE ID names; roots that operators bring may have none.
    pub trust_domain: Option<String>,
    /// SHA-256 of the certificate in lower-case hexadecimal, as `openssl x509 -fingerprint` has it
    /// with colons.
    pub fingerprint: String,
    /// Start of validity, seconds since 1970.
    pub not_before_unix_s: i64,
    /// End of validity, inclusive, seconds since 1970.
    pub not_after_unix_s: i64,
}

impl RootInfo {
    /// Every certificate of a PEM text, in its order. They are described, not judged: whether one is
    /// trusted is what [`TrustBundle::from_pem`](crate::TrustBundle::from_pem) decides.
    ///
    /// # Errors
    /// [`RootError::Pem`] or [`RootError::Malformed`] for the first that cannot be read.
    pub fn read_all(pem: &str) -> Result<Vec<Self>, RootError> {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate();
        let read = certificates.map(|(index, der)| match der {
            Ok(der) => Self::read(&der),
            Err(_) => Err(RootError::Pem(index)),
        });
        read.collect()
    }

    fn read(der: &CertificateDer<'_>) -> Result<Self, RootError> {
        let parsed =
            Parsed::read(der).map_err(|Unreadable(detail)| RootError::Malformed(detail))?;
        let uris = parsed.uris().unwrap_or_default();
        let mut ids = uris.iter().filter_map(|uri| SpiffeId::parse(uri).ok());
        Ok(Self {
            subject: parsed.cert.subject().to_string(),
            trust_domain: ids.next().map(|id| id.domain().to_owned()),
            fingerprint: fingerprint(der),
            not_before_unix_s: parsed.not_before_unix_s(),
            not_after_unix_s: parsed.not_after_unix_s(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use weft_spiffe::TrustDomain;

    use super::RootInfo;
    use crate::{Authority, RootError, pem::encode_certificates};

    #[test]
    fn roots_say_who_they_are() {
        let domain = TrustDomain::parse("mesh.example").expect("a trust domain");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let authorities = [1, 2].map(|_| Authority::generate(&domain, now).expect("made"));
        let pem = encode_certificates(authorities.iter().map(Authority::root_der));
        let roots = RootInfo::read_all(&pem).expect("two certificates");
        assert_eq!(roots.len(), 2, "every certificate of the text");
        for (authority, root) in authorities.iter().zip(&roots) {
            assert_eq!(root.fingerprint, authority.root_fingerprint());
            assert_eq!(root.trust_domain.as_deref(), Some("mesh.example"));
            assert_eq!(root.not_after_unix_s, authority.root_not_after_unix_s());
            assert!(root.subject.contains("CN="), "{}", root.subject);
        }
        let cut = &pem[..pem.len() - 40];
        assert_eq!(
            RootInfo::read_all(cut),
            Err(RootError::Pem(1)),
            "damage is not passed over"
        );
    }
}
