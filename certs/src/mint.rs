//! Test support: certificates of every kind, good ones and those only attackers make.
//!
//! Written apart from the authority under test, so that both have to agree with the profile.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use weft_spiffe::{SpiffeId, TrustDomain};

use crate::tests::now;
use crate::{
    Authority, Bundles, CheckedRequest, Clock, Identity, KeyAndRequest, LeafLife, Reading, Trust,
    TrustBundle,
};

pub(crate) const OWN: &str = "cluster.local";
pub(crate) const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";
pub(crate) const DB: &str = "spiffe://cluster.local/ns/shop/sa/db";

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Object identifiers of extensions that are written by hand.
pub(crate) const OID_SAN: [u64; 4] = [2, 5, 29, 17];
pub(crate) const OID_KEY_USAGE: [u64; 4] = [2, 5, 29, 15];
pub(crate) const OID_UNKNOWN: [u64; 4] = [1, 2, 3, 4];

pub(crate) fn domain(name: &str) -> TrustDomain {
    TrustDomain::parse(name).expect("a trust domain")
}

pub(crate) fn id(uri: &str) -> SpiffeId {
    SpiffeId::parse(uri).expect("a SPIFFE ID")
}

/// Both clocks stand still at the moment of the tests.
pub(crate) fn clock() -> Clock {
    Clock::from_fn(|| Reading {
        wall: now(),
        monotonic: Duration::ZERO,
    })
}

/// Changes made to a certificate before it is signed.
pub(crate) type Tune = fn(&mut CertificateParams);

/// A CA for tests.
pub(crate) struct Ca {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) der: CertificateDer<'static>,
}

/// A leaf for tests.
pub(crate) struct Minted {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Ca {
    pub(crate) fn root(domain: &str) -> Self {
        Self::root_with(domain, |_| ())
    }

    pub(crate) fn root_with(domain: &str, tune: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(&format!("root of {domain}"), domain);
        tune(&mut params);
        let key = KeyPair::generate().expect("randomness");
        let der = params.self_signed(&key).expect("a root").der().clone();
        Self { params, key, der }
    }

    /// An intermediate; without further ones below it.
    pub(crate) fn issuer(&self) -> Self {
        self.issuer_with("issuer", |_| ())
    }

    pub(crate) fn issuer_with(
        &self,
        name: &str,
        tune: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = ca_params(name, OWN);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        tune(&mut params);
        let key = KeyPair::generate().expect("randomness");
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    pub(crate) fn leaf(&self, id: &str) -> Minted {
        self.leaf_with(id, |_| ())
    }

    pub(crate) fn leaf_with(&self, id: &str, tune: impl FnOnce(&mut CertificateParams)) -> Minted {
        let mut params = leaf_params(id);
        tune(&mut params);
        let key = KeyPair::generate().expect("randomness");
        Minted {
            der: self.sign(&params, &key),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }

    pub(crate) fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> CertificateDer<'static> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let cert = params.signed_by(key, &issuer).expect("a certificate");
        cert.der().clone()
    }

    pub(crate) fn key(&self) -> &KeyPair {
        &self.key
    }

    pub(crate) fn rcgen_issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

pub(crate) fn ca_params(name: &str, domain: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![uri(&format!("spiffe://{domain}"))];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now() - DAY).into();
    params.not_after = (now() + 3650 * DAY).into();
    params
}

pub(crate) fn leaf_params(id: &str) -> CertificateParams {
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
    params.not_before = (now() - Duration::from_secs(600)).into();
    params.not_after = (now() + DAY).into();
    params
}

pub(crate) fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().expect("ASCII"))
}

pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("ASCII"))
}

/// An extension written by hand.
pub(crate) fn extension(oid: &[u64], is_critical: bool, content: Vec<u8>) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content);
    extension.set_criticality(is_critical);
    extension
}

/// A subject alternative name with one URI, in DER (RFC 5280 section 4.2.1.6).
pub(crate) fn san_of(id: &str) -> Vec<u8> {
    let length = u8::try_from(id.len()).expect("a short ID");
    assert!(length < 0x7e, "short form of lengths");
    let mut der = vec![0x30, length + 2, 0x86, length];
    der.extend(id.as_bytes());
    der
}

/// Bundles that trust `root` for our own domain.
pub(crate) fn trusting(root: &Ca) -> Bundles {
    Bundles::new(bundle(OWN, &[&root.der]), 1)
}

pub(crate) fn bundle(name: &str, roots: &[&[u8]]) -> TrustBundle {
    let ders = roots.iter().map(|root| root.to_vec());
    let (bundle, refused) = TrustBundle::from_der(&domain(name), ders, now());
    assert!(refused.is_empty(), "roots of {name} refused: {refused:?}");
    bundle
}

pub(crate) fn authority() -> Authority {
    Authority::generate(&domain(OWN), now()).expect("randomness")
}

/// Bundles that trust the root of `authority`.
pub(crate) fn bundles_of(authority: &Authority) -> Bundles {
    Bundles::new(bundle(OWN, &[authority.root_der()]), 1)
}

/// A member of the mesh with a certificate of `authority`.
pub(crate) fn member(authority: &Authority, uri: &str) -> Identity {
    let trust = Trust::new(bundles_of(authority), clock());
    Identity::new(leaf_of(authority, uri), trust)
}

pub(crate) fn leaf_of(authority: &Authority, uri: &str) -> crate::Leaf {
    let request = KeyAndRequest::new(&id(uri)).expect("randomness");
    let checked = CheckedRequest::parse(request.der(), &id(uri)).expect("our own request");
    let signed = authority
        .issue(&checked, LeafLife::default(), now())
        .expect("a good request");
    request
        .into_leaf(&signed.chain, &bundles_of(authority), now())
        .expect("a good answer")
}
