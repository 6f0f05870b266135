//! The certificate profile of the mesh: what its certificates contain, and how the parts that rules
//! speak of are read from certificates of others.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{
    GeneralName, KeyUsage, ParsedExtension, SubjectAlternativeName, X509Extension,
};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE, OID_X509_EXT_NAME_CONSTRAINTS,
    OID_X509_EXT_SUBJECT_ALT_NAME, OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use crate::info::{KeyKind, modulus_bits};

/// How far validity begins before issuance, for peers whose clocks are behind.
pub(crate) const BACKDATED: Duration = Duration::from_secs(10 * 60);

/// Life of a root.
pub(crate) const ROOT_LIFE: Duration = Duration::from_secs(3_650 * 24 * 3600);

/// Life of an intermediate.
pub(crate) const ISSUER_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Bytes of a serial number: 128 bits, of which one is spent on the sign and one on being long.
pub(crate) const SERIAL_BYTES: usize = 16;

/// Longest serial number (RFC 5280 section 4.1.2.2).
const MAX_SERIAL_BYTES: usize = 20;

/// A certificate of somebody else, parsed, with the parts the rules ask for.
pub(crate) struct Parsed<'a> {
    pub(crate) cert: X509Certificate<'a>,
}

/// Why a certificate could not be read; the text is for people.
pub(crate) struct Unreadable(pub(crate) String);

/// What the extended key usage says.
pub(crate) struct Purposes {
    pub(crate) server_and_client: bool,
    pub(crate) any: bool,
}

impl<'a> Parsed<'a> {
    /// Reads a certificate: version 3, nothing after its end, every extension well-formed and
    /// present once (RFC 5280 section 4.2).
    pub(crate) fn read(der: &'a CertificateDer<'_>) -> Result<Self, Unreadable> {
        let (rest, cert) =
            X509Certificate::from_der(der).map_err(|error| Unreadable(error.to_string()))?;
        if !rest.is_empty() {
            return Err(Unreadable(format!("{} bytes after its end", rest.len())));
        }
        if cert.version() != X509Version::V3 {
            return Err(Unreadable("it is not version 3".to_owned()));
        }
        if cert.extensions_map().is_err() {
            return Err(Unreadable("an extension is repeated".to_owned()));
        }
        let broken = |extension: &&X509Extension<'_>| {
            matches!(
                extension.parsed_extension(),
                ParsedExtension::ParseError { .. }
            )
        };
        if let Some(extension) = cert.iter_extensions().find(broken) {
            return Err(Unreadable(format!(
                "extension {} is malformed",
                extension.oid
            )));
        }
        Ok(Self { cert })
    }

    /// Neither zero nor negative (RFC 5280 section 4.1.2.2).
    pub(crate) fn serial_is_positive(&self) -> bool {
        let raw = self.cert.raw_serial();
        let is_negative = raw.first().is_some_and(|first| first & 0x80 != 0);
        !is_negative && raw.iter().any(|byte| *byte != 0)
    }

    /// At most 20 bytes (RFC 5280 section 4.1.2.2).
    pub(crate) fn serial_is_short(&self) -> bool {
        self.cert.raw_serial().len() <= MAX_SERIAL_BYTES
    }

    /// The serial number in lower-case hexadecimal.
    pub(crate) fn serial(&self) -> String {
        self.cert.tbs_certificate.serial.to_str_radix(16)
    }

    /// The URIs of the subject alternative name; `None` when there is no such extension.
    pub(crate) fn uris(&self) -> Option<Vec<&'a str>> {
        let extension = self.extension(&OID_X509_EXT_SUBJECT_ALT_NAME)?;
        let (_, names) = SubjectAlternativeName::from_der(extension.value).ok()?;
        let uris = names
            .general_names
            .into_iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(uri),
                _ => None,
            });
        Some(uris.collect())
    }

    /// Whether the subject alternative name is marked critical.
    pub(crate) fn san_is_critical(&self) -> bool {
        self.extension_is_critical(&OID_X509_EXT_SUBJECT_ALT_NAME)
    }

    pub(crate) fn subject_is_empty(&self) -> bool {
        self.cert.subject().iter_rdn().next().is_none()
    }

    /// CA:true in the basic constraints.
    pub(crate) fn is_ca(&self) -> bool {
        let constraints = self.cert.basic_constraints().ok().flatten();
        constraints.is_some_and(|constraints| constraints.value.ca)
    }

    /// CA:true, and marked critical as a CA has to (RFC 5280 section 4.2.1.9).
    pub(crate) fn is_critically_ca(&self) -> bool {
        self.is_ca() && self.extension_is_critical(&OID_X509_EXT_BASIC_CONSTRAINTS)
    }

    /// The key usage and whether it is marked critical.
    pub(crate) fn key_usage(&self) -> Option<(&KeyUsage, bool)> {
        let usage = self.cert.key_usage().ok().flatten()?;
        Some((usage.value, usage.critical))
    }

    /// Whether the key may sign certificates.
    pub(crate) fn may_sign_certificates(&self) -> bool {
        self.key_usage()
            .is_some_and(|(usage, _)| usage.key_cert_sign())
    }

    pub(crate) fn purposes(&self) -> Option<Purposes> {
        let usage = self.cert.extended_key_usage().ok().flatten()?.value;
        Some(Purposes {
            server_and_client: usage.server_auth && usage.client_auth,
            any: usage.any,
        })
    }

    pub(crate) fn has_name_constraints(&self) -> bool {
        self.extension(&OID_X509_EXT_NAME_CONSTRAINTS).is_some()
    }

    /// The first critical extension that is not understood here (RFC 5280 section 4.2: reject).
    pub(crate) fn unknown_critical(&self) -> Option<String> {
        let known = [
            OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
            OID_X509_EXT_KEY_USAGE,
            OID_X509_EXT_SUBJECT_ALT_NAME,
            OID_X509_EXT_BASIC_CONSTRAINTS,
            OID_X509_EXT_NAME_CONSTRAINTS,
            OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
            OID_X509_EXT_EXTENDED_KEY_USAGE,
        ];
        let unknown =
            |extension: &&X509Extension<'_>| extension.critical && !known.contains(&extension.oid);
        let found = self.cert.iter_extensions().find(unknown)?;
        Some(found.oid.to_id_string())
    }

    /// The name of the key's kind when the mesh does not admit it.
    pub(crate) fn refused_key(&self) -> Option<String> {
        let key = self.cert.public_key();
        (!is_admitted(key)).then(|| KeyKind::of(key).name)
    }

    pub(crate) fn not_before_unix_s(&self) -> i64 {
        self.cert.validity().not_before.timestamp()
    }

    /// The last second of validity.
    pub(crate) fn not_after_unix_s(&self) -> i64 {
        self.cert.validity().not_after.timestamp()
    }

    fn extension_is_critical(&self, oid: &Oid<'_>) -> bool {
        self.extension(oid)
            .is_some_and(|extension| extension.critical)
    }

    fn extension(&self, oid: &Oid<'_>) -> Option<&X509Extension<'a>> {
        let mut extensions = self.cert.iter_extensions();
        extensions.find(|extension| extension.oid == *oid)
    }
}

/// Keys that may occur in a chain: ECDSA P-256 and P-384, Ed25519, RSA of 2048 bits or more in whole
/// bytes.
fn is_admitted(key: &SubjectPublicKeyInfo<'_>) -> bool {
    let algorithm = &key.algorithm.algorithm;
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) if *algorithm == OID_PKCS1_RSAENCRYPTION => {
            let bits = modulus_bits(rsa.modulus);
            (2048..=8192).contains(&bits) && bits.is_multiple_of(8)
        }
        Ok(PublicKey::EC(_)) => {
            let parameters = key.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
            curve.is_some_and(|curve| curve == OID_EC_P256 || curve == OID_NIST_EC_P384)
        }
        _ => *algorithm == OID_SIG_ED25519,
    }
}

/// Whether a key is ECDSA on P-256, the only kind leaves are issued for.
pub(crate) fn is_p256(key: &SubjectPublicKeyInfo<'_>) -> bool {
    let parameters = key.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
    matches!(key.parsed(), Ok(PublicKey::EC(_))) && curve.is_some_and(|curve| curve == OID_EC_P256)
}
