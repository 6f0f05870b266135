//! Certificates of every kind: good ones, and those that only attackers make.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::{
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};
use weft_certs::Clock;

pub(super) const OWN: &str = "cluster.local";
/// Whom attackers take themselves for.
pub(super) const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Changes to a certificate before it is signed.
pub(super) type Tune = fn(&mut CertificateParams);

/// An authority.
pub(super) struct Ca {
    params: CertificateParams,
    key: KeyPair,
    pub(super) der: CertificateDer<'static>,
}

/// A certificate with its key.
pub(super) struct Minted {
    pub(super) der: CertificateDer<'static>,
    key: KeyPair,
}

/// What a peer shows in a handshake.
pub(super) type Shown = Arc<CertifiedKey>;

pub(super) fn now() -> SystemTime {
    Clock::system().now()
}

/// Over for a second.
pub(super) fn over(params: &mut CertificateParams) {
    params.not_before = (now() - DAY).into();
    params.not_after = (now() - SECOND).into();
}

/// To come in a minute.
pub(super) fn to_come(params: &mut CertificateParams) {
    params.not_before = (now() + 60 * SECOND).into();
}

impl Ca {
    /// A root of its own.
    pub(super) fn root(name: &str, tune: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        tune(&mut params);
        let key = KeyPair::generate().expect("randomness");
        let der = params.self_signed(&key).expect("a root").der().clone();
        Self { params, key, der }
    }

    /// An intermediate; without further ones below it.
    pub(super) fn issuer(&self, tune: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params("issuer");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        tune(&mut params);
        let key = KeyPair::generate().expect("randomness");
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    pub(super) fn leaf(&self, id: &str, tune: impl FnOnce(&mut CertificateParams)) -> Minted {
        let mut params = leaf_params(id);
        tune(&mut params);
        let key = KeyPair::generate().expect("randomness");
        let der = self.sign(&params, &key);
        Minted { der, key }
    }

    /// An intermediate for a key that somebody else has.
    pub(super) fn issuer_of(&self, key: &impl PublicKeyData) -> CertificateDer<'static> {
        self.sign(&ca_params("issuer"), key)
    }

    /// The authority in the place of a workload.
    pub(super) fn shown(&self) -> Shown {
        certified(vec![self.der.clone()], &self.key)
    }

    fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> CertificateDer<'static> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let cert = params.signed_by(key, &issuer).expect("a certificate");
        cert.der().clone()
    }
}

impl Minted {
    /// A leaf that nobody vouches for but itself.
    pub(super) fn self_signed(id: &str) -> Self {
        let key = KeyPair::generate().expect("randomness");
        let cert = leaf_params(id).self_signed(&key).expect("a leaf");
        Self {
            der: cert.der().clone(),
            key,
        }
    }

    /// The leaf and its issuers.
    pub(super) fn under(&self, issuers: &[&CertificateDer<'static>]) -> Shown {
        self.as_if(&self.der, issuers)
    }

    /// Another certificate in the place of the leaf, which this key does not belong to.
    pub(super) fn as_if(
        &self,
        leaf: &CertificateDer<'static>,
        issuers: &[&CertificateDer<'static>],
    ) -> Shown {
        let chain = std::iter::once(leaf).chain(issuers.iter().copied());
        certified(chain.cloned().collect(), &self.key)
    }
}

/// Nobody checks here whether the two belong together.
fn certified(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Shown {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let key = any_supported_type(&key).expect("a key of ours");
    Arc::new(CertifiedKey::new(chain, key))
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![uri(&format!("spiffe://{OWN}"))];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now() - 30 * DAY).into();
    params.not_after = (now() + 365 * DAY).into();
    params
}

fn leaf_params(id: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![uri(id)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now() - 600 * SECOND).into();
    params.not_after = (now() + DAY).into();
    params
}

pub(super) fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().expect("ASCII"))
}

pub(super) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("ASCII"))
}

/// An extension written by hand.
pub(super) fn extension(oid: &[u64], is_critical: bool, content: Vec<u8>) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content);
    extension.set_criticality(is_critical);
    extension
}

/// A subject alternative name with one URI, in DER (RFC 5280 section 4.2.1.6).
pub(super) fn san_of(id: &str) -> Vec<u8> {
    let length = u8::try_from(id.len()).expect("a short ID");
    assert!(length < 0x7e, "short form of lengths");
    let mut der = vec![0x30, length + 2, 0x86, length];
    der.extend(id.as_bytes());
    der
}
