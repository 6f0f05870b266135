//! Verification of a backend's certificate.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, Error as PathError, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::SubjectAltName;
use super::error::{CertificateFault, ConnectorError};
use super::roots::CaRoots;
use crate::provider::provider;

/// Checks the chain against the roots of a policy, and the names by its rules.
#[derive(Debug)]
pub(super) struct BackendVerifier {
    roots: CaRoots,
    names: Vec<Name>,
}

/// One of the names that are enough, ready to compare.
#[derive(Debug)]
enum Name {
    Dns(ServerName<'static>),
    /// In lower case, with its asterisk.
    Wildcard(String),
    Uri(String),
}

impl BackendVerifier {
    pub(super) fn new(roots: &CaRoots, names: &[SubjectAltName]) -> Result<Self, ConnectorError> {
        let names = names.iter().map(Name::new).collect::<Result<_, _>>()?;
        Ok(Self {
            roots: roots.clone(),
            names,
        })
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateFault> {
        let end_entity = EndEntityCert::try_from(leaf).map_err(|error| sort(&error))?;
        if self.roots.contains(leaf) {
            // Self-signed, or signed by somebody the policy does not name: the operator has vouched for
            // this very certificate, as OpenSSL, Go and most proxies allow. Its CA flag does not matter,
            // and `openssl req -x509` sets it.
            check_dates(leaf, now)?;
        } else {
            end_entity
                .verify_for_usage(
                    provider().signature_verification_algorithms.all,
                    self.roots.anchors(),
                    issuers,
                    now,
                    KeyUsage::server_auth(),
                    None,
                    None,
                )
                .map_err(|error| sort(&error))?;
        }
        self.check_names(&end_entity, server_name)
    }

    /// The server name, or, when there are further names, one of those and not the server name.
    fn check_names(
        &self,
        leaf: &EndEntityCert<'_>,
        server_name: &ServerName<'_>,
    ) -> Result<(), CertificateFault> {
        let proves = |name: &ServerName<'_>| leaf.verify_is_valid_for_subject_name(name).is_ok();
        let is_proved = if self.names.is_empty() {
            proves(server_name)
        } else {
            self.names.iter().any(|name| match name {
                Name::Dns(name) => proves(name),
                Name::Wildcard(wildcard) => leaf
                    .valid_dns_names()
                    .any(|name| name.eq_ignore_ascii_case(wildcard)),
                Name::Uri(uri) => leaf.valid_uri_names().any(|name| name == uri),
            })
        };
        if is_proved {
            return Ok(());
        }
        let presented = leaf.valid_dns_names().chain(leaf.valid_uri_names());
        Err(CertificateFault::Name {
            expected: self.expected(server_name),
            presented: listed(presented.map(str::to_owned).collect()),
        })
    }

    fn expected(&self, server_name: &ServerName<'_>) -> String {
        if self.names.is_empty() {
            return server_name.to_str().into_owned();
        }
        let text = |name: &Name| match name {
            Name::Dns(name) => name.to_str().into_owned(),
            Name::Wildcard(name) | Name::Uri(name) => name.clone(),
        };
        listed(self.names.iter().map(text).collect())
    }
}

impl Name {
    fn new(name: &SubjectAltName) -> Result<Self, ConnectorError> {
        match name {
            SubjectAltName::Uri(uri) => Ok(Self::Uri(uri.clone())),
            SubjectAltName::Hostname(host) if host.starts_with("*.") => {
                Ok(Self::Wildcard(host.to_ascii_lowercase()))
            }
            SubjectAltName::Hostname(host) => ServerName::try_from(host.clone())
                .map(Self::Dns)
                .map_err(|_| ConnectorError::AltName(host.clone())),
        }
    }
}

fn listed(names: Vec<String>) -> String {
    if names.is_empty() {
        "no name at all".to_owned()
    } else {
        names.join(" or ")
    }
}

fn check_dates(leaf: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateFault> {
    let invalid = |detail: String| CertificateFault::Invalid(detail);
    let (_, cert) = X509Certificate::from_der(leaf).map_err(|error| invalid(error.to_string()))?;
    let unix_s = |time: i64| u64::try_from(time).unwrap_or(0);
    let validity = cert.validity();
    let not_before = unix_s(validity.not_before.timestamp());
    let not_after = unix_s(validity.not_after.timestamp());
    if now.as_secs() > not_after {
        return Err(CertificateFault::Expired(not_after));
    }
    if now.as_secs() < not_before {
        return Err(CertificateFault::NotYetValid(not_before));
    }
    Ok(())
}

fn sort(error: &PathError) -> CertificateFault {
    match error {
        PathError::UnknownIssuer => CertificateFault::UnknownAuthority,
        PathError::CertExpired { not_after, .. } => CertificateFault::Expired(not_after.as_secs()),
        PathError::CertNotValidYet { not_before, .. } => {
            CertificateFault::NotYetValid(not_before.as_secs())
        }
        // A self-signed CA certificate shown as the server's own, and not one the policy names.
        PathError::CaUsedAsEndEntity => CertificateFault::UnknownAuthority,
        // Two CAs of one name: the signature is that of the other.
        PathError::InvalidSignatureForPublicKey => CertificateFault::UnknownAuthority,
        other => CertificateFault::Invalid(other.to_string()),
    }
}

impl ServerCertVerifier for BackendVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates, server_name, now)
            .map_err(|fault| CertificateError::Other(OtherError(Arc::new(fault))))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
