//! The public facts of a certificate, for statuses, findings and the dashboard.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED448,
    OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::error::CertError;

/// What a server certificate says about itself. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertInfo {
    /// DNS names of the subject alternative name, lower case, wildcards as `*.example.com`, in
    /// the order of the certificate. The subject's common name is not one of them: no client
    /// has read it for years (RFC 9525 section 2).
    pub dns_names: Vec<String>,
    /// IP addresses of the subject alternative name.
    pub ip_addresses: Vec<IpAddr>,
    /// Subject as text, often empty.
    pub subject: String,
    /// Issuer as text.
    pub issuer: String,
    /// Serial number in lower-case hexadecimal.
    pub serial: String,
    /// Algorithm and size or curve of the key, such as `ECDSA P-256` or `RSA 2048`.
    pub key_algorithm: String,
    /// Start of validity, seconds since 1970.
    pub not_before_unix_s: i64,
    /// End of validity, inclusive, seconds since 1970.
    pub not_after_unix_s: i64,
    /// Number of certificates that are sent, the server's own included.
    pub chain_length: usize,
}

/// Whether a certificate is within its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// The validity begins in the future.
    NotYet,
    /// Clients that check dates accept it.
    Valid,
    /// The validity is over. Such a certificate is served all the same: refusing it would turn
    /// a warning that some clients skip into an outage for all.
    Expired,
}

impl CertInfo {
    /// Judges the dates at `now_unix_s`, both ends included (RFC 5280 section 4.1.2.5).
    #[must_use]
    pub fn validity(&self, now_unix_s: i64) -> Validity {
        if now_unix_s < self.not_before_unix_s {
            Validity::NotYet
        } else if now_unix_s > self.not_after_unix_s {
            Validity::Expired
        } else {
            Validity::Valid
        }
    }

    /// How well the certificate covers `host` (lower case): 2 by its very name, 1 by a wildcard
    /// for exactly one label (RFC 9525 section 6.3), 0 not at all.
    pub(crate) fn coverage(&self, host: &str) -> u8 {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        let by_wildcard = |name: &String| name.strip_prefix("*.") == parent && parent.is_some();
        if self.dns_names.iter().any(|name| name == host) {
            2
        } else {
            u8::from(self.dns_names.iter().any(by_wildcard))
        }
    }

    /// Reads the facts of the first certificate of `chain` and checks that every one parses.
    pub(crate) fn read(chain: &[CertificateDer<'_>]) -> Result<Self, CertError> {
        let mut leaf = None;
        for (index, der) in chain.iter().enumerate() {
            let malformed = |detail: String| CertError::MalformedCertificate {
                position: index + 1,
                detail,
            };
            let (rest, cert) =
                X509Certificate::from_der(der).map_err(|error| malformed(error.to_string()))?;
            if !rest.is_empty() {
                return Err(malformed(format!("{} bytes after its end", rest.len())));
            }
            leaf.get_or_insert(cert);
        }
        let leaf = leaf.ok_or(CertError::NoCertificate)?;
        let (dns_names, ip_addresses) = alternative_names(&leaf);
        Ok(Self {
            dns_names,
            ip_addresses,
            subject: leaf.subject().to_string(),
            issuer: leaf.issuer().to_string(),
            serial: leaf.tbs_certificate.serial.to_str_radix(16),
            key_algorithm: KeyKind::of(leaf.public_key()).name,
            not_before_unix_s: leaf.validity().not_before.timestamp(),
            not_after_unix_s: leaf.validity().not_after.timestamp(),
            chain_length: chain.len(),
        })
    }
}

fn alternative_names(cert: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>) {
    // A certificate with a broken or repeated extension is still served: clients judge it.
    let Ok(Some(extension)) = cert.subject_alternative_name() else {
        return (Vec::new(), Vec::new());
    };
    let mut dns_names = Vec::new();
    let mut ip_addresses = Vec::new();
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(dns) => dns_names.push(dns.to_ascii_lowercase()),
            GeneralName::IPAddress(octets) => ip_addresses.extend(ip_address(octets)),
            _ => {}
        }
    }
    (dns_names, ip_addresses)
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
    let v6 = <[u8; 16]>::try_from(octets).map(|octets| IpAddr::from(Ipv6Addr::from(octets)));
    v4.or(v6).ok()
}

/// The kind of a public key, read from the certificate.
pub(crate) struct KeyKind {
    /// Algorithm and size or curve.
    pub(crate) name: String,
    /// Whether the provider signs with such keys; `None` when it is a kind not known here.
    pub(crate) supported: Option<bool>,
}

impl KeyKind {
    pub(crate) fn of(spki: &SubjectPublicKeyInfo<'_>) -> Self {
        let algorithm = &spki.algorithm.algorithm;
        let kind = |name: &str, supported| Self {
            name: name.to_owned(),
            supported,
        };
        match spki.parsed() {
            Ok(PublicKey::RSA(key)) if *algorithm == OID_PKCS1_RSAENCRYPTION => {
                let bits = modulus_bits(key.modulus);
                kind(&format!("RSA {bits}"), Some((2048..=8192).contains(&bits)))
            }
            Ok(PublicKey::EC(_)) => {
                let curve = spki
                    .algorithm
                    .parameters
                    .as_ref()
                    .and_then(|any| any.as_oid().ok());
                match curve {
                    Some(oid) if oid == OID_EC_P256 => kind("ECDSA P-256", Some(true)),
                    Some(oid) if oid == OID_NIST_EC_P384 => kind("ECDSA P-384", Some(true)),
                    Some(oid) if oid == OID_NIST_EC_P521 => kind("ECDSA P-521", Some(true)),
                    Some(oid) => kind(&format!("ECDSA on curve {oid}"), Some(false)),
                    None => kind("ECDSA without a named curve", Some(false)),
                }
            }
            Ok(PublicKey::DSA(_)) => kind("DSA", Some(false)),
            _ if *algorithm == OID_SIG_ED25519 => kind("Ed25519", Some(true)),
            _ if *algorithm == OID_SIG_ED448 => kind("Ed448", Some(false)),
            _ => kind(&format!("{algorithm}"), None),
        }
    }

    /// The kind of key the certificate in `der` carries; `None` when it does not parse.
    pub(crate) fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, cert) = X509Certificate::from_der(der).ok()?;
        Some(Self::of(cert.public_key()))
    }
}

/// The size of an RSA key: the length of its modulus without leading zeros.
pub(crate) fn modulus_bits(modulus: &[u8]) -> usize {
    let significant = modulus.iter().skip_while(|byte| **byte == 0).copied();
    let mut bytes = significant.peekable();
    let leading = bytes.peek().map_or(0, |byte| byte.leading_zeros() as usize);
    bytes.count() * 8 - leading
}

#[cfg(test)]
mod tests;
