//! Throw-away server certificates for the demo and for tests.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use thiserror::Error;

use crate::secret::SecretPem;

/// How long a self-signed certificate lasts: long enough for any demo, short enough that nobody
/// keeps it.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Clock difference between the maker and the clients that is tolerated.
const SKEW: Duration = Duration::from_secs(600);

/// A self-signed certificate and its key, as they go into a Secret of type `kubernetes.io/tls`.
#[derive(Debug)]
pub struct SelfSigned {
    /// `tls.crt`: one certificate, which clients have to be given as their trust anchor.
    pub cert_pem: String,
    /// `tls.key` in PKCS#8.
    pub key_pem: SecretPem,
}

/// No certificate could be made.
#[derive(Debug, Error)]
#[error("cannot make a self-signed certificate for {names}: {source}")]
pub struct SelfSignedError {
    names: String,
    source: rcgen::Error,
}

/// Makes a certificate for `names` (DNS names, wildcards, IP addresses) with a new ECDSA P-256
/// key, valid from ten minutes before `now` for 30 days.
///
/// # Errors
///
/// Fails when a name is not ASCII or the system has no randomness.
pub fn self_signed(names: &[&str], now: SystemTime) -> Result<SelfSigned, SelfSignedError> {
    make(names, now).map_err(|source| SelfSignedError {
        names: names.join(", "),
        source,
    })
}

fn make(names: &[&str], now: SystemTime) -> Result<SelfSigned, rcgen::Error> {
    let key = KeyPair::generate()?;
    let names = names
        .iter()
        .map(|name| (*name).to_owned())
        .collect::<Vec<_>>();
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Weft self-signed certificate");
    params.not_before = (now - SKEW).into();
    params.not_after = (now + LIFETIME).into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let cert_pem = params.self_signed(&key)?.pem();
    Ok(SelfSigned {
        cert_pem,
        key_pem: SecretPem::new(key.serialize_pem()),
    })
}
