//! Verification of a peer's chain: the rules of the mesh on top of path building by `rustls-webpki`.
//!
//! The library answers whether a chain leads to a root, by signatures, dates and CA constraints. Who
//! the peer is, and whether its certificate is one that workloads have, is judged here, because the
//! library accepts far more: leaves that may sign, without purposes, with several names, roots that
//! have expired (X509-SVID sections 2 to 5).

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error as PathError, ExtendedKeyUsageValidator, KeyPurposeIdIter};
use weft_spiffe::{SpiffeId, TrustDomain};

use crate::bundle::Bundles;
use crate::crl;
use crate::peer::{PeerError, PeerIdentity};
use crate::profile::{Parsed, Unreadable};
use crate::provider::provider;

/// Most certificates a chain may have, the leaf included.
const MAX_CHAIN: usize = 4;

/// Most bytes they may have together.
const MAX_CHAIN_BYTES: usize = 16 * 1024;

/// Verifies the chain of `leaf` and `issuers` at `now` and says who the peer is.
///
/// Cheap checks come first: nothing is parsed of a chain that is too large, and no signature is
/// checked of a certificate that would be refused anyway.
pub(crate) fn verify(
    leaf: &CertificateDer<'_>,
    issuers: &[CertificateDer<'_>],
    bundles: &Bundles,
    now: UnixTime,
) -> Result<PeerIdentity, PeerError> {
    check_size(leaf, issuers)?;
    let parsed_leaf = read(leaf, 1)?;
    let parsed_issuers = issuers
        .iter()
        .enumerate()
        .map(|(index, der)| read(der, index + 2))
        .collect::<Result<Vec<_>, _>>()?;
    let id = identify(&parsed_leaf)?;
    let (domain, is_own) = domain_of(&id, bundles)?;
    check_leaf(&parsed_leaf, is_own)?;
    let now_unix_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    check_dates(&parsed_leaf, now_unix_s)?;
    for (index, issuer) in parsed_issuers.iter().enumerate() {
        check_issuer(issuer, index + 2)?;
    }
    let unknown = || PeerError::UnknownDomain(domain.to_string());
    let bundle = bundles.get(&domain).filter(|bundle| !bundle.is_empty());
    let bundle = bundle.ok_or_else(unknown)?;
    bundle
        .with_anchors(now_unix_s, |anchors| {
            build_path(leaf, issuers, anchors, bundle.crls(), now)
        })
        .ok_or_else(|| PeerError::RootsExpired(domain.to_string()))?
        .map_err(|error| match error {
            NoPath::Unknown => explain(&parsed_leaf, &parsed_issuers, &domain, bundles),
            NoPath::Found(error) => error,
        })?;
    Ok(PeerIdentity {
        id,
        serial: parsed_leaf.serial(),
        not_after_unix_s: parsed_leaf.not_after_unix_s(),
    })
}

/// The identity in a certificate that has been verified before.
pub(crate) fn identity_of(leaf: &CertificateDer<'_>) -> Result<PeerIdentity, PeerError> {
    let parsed = read(leaf, 1)?;
    Ok(PeerIdentity {
        id: identify(&parsed)?,
        serial: parsed.serial(),
        not_after_unix_s: parsed.not_after_unix_s(),
    })
}

fn check_size(leaf: &CertificateDer<'_>, issuers: &[CertificateDer<'_>]) -> Result<(), PeerError> {
    let count = issuers.len() + 1;
    if count > MAX_CHAIN {
        return Err(PeerError::ChainTooLong(count));
    }
    let bytes = leaf.len() + issuers.iter().map(|der| der.len()).sum::<usize>();
    if bytes > MAX_CHAIN_BYTES {
        return Err(PeerError::ChainTooLarge(bytes));
    }
    Ok(())
}

/// Reads a certificate and checks what holds for every one of a chain.
fn read<'a>(der: &'a CertificateDer<'_>, position: usize) -> Result<Parsed<'a>, PeerError> {
    let parsed = Parsed::read(der)
        .map_err(|Unreadable(detail)| PeerError::Malformed { position, detail })?;
    if !parsed.serial_is_short() {
        return Err(PeerError::SerialTooLong(position));
    }
    if !parsed.serial_is_positive() {
        return Err(PeerError::SerialNotPositive(position));
    }
    if let Some(kind) = parsed.refused_key() {
        return Err(PeerError::WeakKey { position, kind });
    }
    if let Some(oid) = parsed.unknown_critical() {
        return Err(PeerError::UnknownCritical { position, oid });
    }
    Ok(parsed)
}

/// Exactly one URI, and that a SPIFFE ID with a path (X509-SVID section 2). Names of other types are
/// legal and never read.
fn identify(leaf: &Parsed<'_>) -> Result<SpiffeId, PeerError> {
    let uris = leaf.uris().ok_or(PeerError::NoName)?;
    let uri = match uris.as_slice() {
        [] => return Err(PeerError::NoUri),
        [uri] => uri,
        several => return Err(PeerError::SeveralUris(several.len())),
    };
    let id = SpiffeId::parse(uri).map_err(PeerError::NotSpiffe)?;
    if id.is_domain() {
        return Err(PeerError::NotWorkload(id));
    }
    if leaf.subject_is_empty() && !leaf.san_is_critical() {
        return Err(PeerError::NameNotCritical);
    }
    Ok(id)
}

/// The trust domain whose roots decide, and whether it is our own.
fn domain_of(id: &SpiffeId, bundles: &Bundles) -> Result<(TrustDomain, bool), PeerError> {
    let own = bundles.own_domain();
    if !id.is_member_of(own) {
        // The ID has been parsed, so its domain is a valid one.
        let domain = TrustDomain::parse(id.domain()).map_err(PeerError::NotSpiffe)?;
        return Ok((domain, false));
    }
    id.workload(own).map_err(|source| PeerError::NotOurs {
        id: id.clone(),
        source,
    })?;
    Ok((own.clone(), true))
}

fn check_leaf(leaf: &Parsed<'_>, is_own: bool) -> Result<(), PeerError> {
    if leaf.is_ca() {
        return Err(PeerError::LeafIsCa);
    }
    let (usage, is_critical) = leaf.key_usage().ok_or(PeerError::NoKeyUsage)?;
    if usage.key_cert_sign() || usage.crl_sign() {
        return Err(PeerError::LeafSigns);
    }
    if !is_critical {
        return Err(PeerError::KeyUsageNotCritical);
    }
    if !usage.digital_signature() {
        return Err(PeerError::NoDigitalSignature);
    }
    match leaf.purposes() {
        // X509-SVID section 4.4 says SHOULD, which binds nobody in domains that are not ours.
        None if is_own => return Err(PeerError::NoPurpose),
        Some(purposes) if !purposes.server_and_client && purposes.any => {
            return Err(PeerError::AnyPurpose);
        }
        Some(purposes) if !purposes.server_and_client => return Err(PeerError::MissingPurpose),
        _ => {}
    }
    if leaf.has_name_constraints() {
        return Err(PeerError::LeafConstrains);
    }
    Ok(())
}

fn check_dates(leaf: &Parsed<'_>, now_unix_s: i64) -> Result<(), PeerError> {
    let position = 1;
    let (not_before_unix_s, not_after_unix_s) = (leaf.not_before_unix_s(), leaf.not_after_unix_s());
    if now_unix_s > not_after_unix_s {
        return Err(PeerError::Expired {
            position,
            not_after_unix_s,
        });
    }
    if now_unix_s < not_before_unix_s {
        return Err(PeerError::NotYetValid {
            position,
            not_before_unix_s,
        });
    }
    Ok(())
}

fn check_issuer(issuer: &Parsed<'_>, position: usize) -> Result<(), PeerError> {
    if !issuer.is_ca() {
        return Err(PeerError::IssuerNotCa(position));
    }
    if !issuer.may_sign_certificates() {
        return Err(PeerError::IssuerMayNotSign(position));
    }
    let ids = issuer.uris().unwrap_or_default();
    let names_workload = |uri: &&str| SpiffeId::parse(uri).is_ok_and(|id| !id.is_domain());
    if ids.iter().any(names_workload) {
        return Err(PeerError::IssuerNamesWorkload(position));
    }
    Ok(())
}

/// Why no path was found.
enum NoPath {
    /// To none of the anchors; the reason is looked for elsewhere.
    Unknown,
    Found(PeerError),
}

fn build_path(
    leaf: &CertificateDer<'_>,
    issuers: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'static>],
    crls: &[crl::Crl],
    now: UnixTime,
) -> Result<(), NoPath> {
    let end_entity = EndEntityCert::try_from(leaf).map_err(sort)?;
    let algorithms = provider().signature_verification_algorithms.all;
    let path = end_entity
        .verify_for_usage(algorithms, anchors, issuers, now, BothPurposes, None, None)
        .map_err(sort)?;
    crl::check(&path, crls).map_err(|position| NoPath::Found(PeerError::Revoked(position)))
}

/// Both purposes wherever an extended key usage is present, in leaves and, as a restriction on what
/// they may issue, in intermediates.
struct BothPurposes;

impl ExtendedKeyUsageValidator for BothPurposes {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), PathError> {
        const SERVER_AUTH: [usize; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 1];
        const CLIENT_AUTH: [usize; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 2];
        let present = purposes
            .map(|purpose| purpose.map(|purpose| purpose.to_decoded_oid()))
            .collect::<Result<Vec<_>, _>>()?;
        let has = |oid: &[usize]| present.iter().any(|purpose| purpose == oid);
        if present.is_empty() || (has(&SERVER_AUTH) && has(&CLIENT_AUTH)) {
            Ok(())
        } else {
            Err(PathError::EmptyEkuExtension)
        }
    }
}

/// The finding of the path library in our words.
fn sort(error: PathError) -> NoPath {
    let secs = |time: UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    NoPath::Found(match error {
        PathError::UnknownIssuer => return NoPath::Unknown,
        PathError::CertExpired { not_after, .. } => PeerError::Expired {
            position: 0,
            not_after_unix_s: secs(not_after),
        },
        PathError::CertNotValidYet { not_before, .. } => PeerError::NotYetValid {
            position: 0,
            not_before_unix_s: secs(not_before),
        },
        PathError::PathLenConstraintViolated => PeerError::PathLength,
        PathError::NameConstraintViolation => PeerError::Excluded,
        PathError::InvalidSignatureForPublicKey => PeerError::Signature,
        PathError::EmptyEkuExtension => PeerError::MissingPurpose,
        other => PeerError::Path(other.to_string()),
    })
}

/// Why a chain leads to no root of `domain`. Compares names only; that a name is claimed proves
/// nothing, and the answer is a refusal in any case.
fn explain(
    leaf: &Parsed<'_>,
    issuers: &[Parsed<'_>],
    domain: &TrustDomain,
    bundles: &Bundles,
) -> PeerError {
    if issuers.is_empty() && leaf.cert.subject().as_raw() == leaf.cert.issuer().as_raw() {
        return PeerError::SelfSigned;
    }
    let foreign = std::iter::once(leaf)
        .chain(issuers)
        .find_map(|cert| bundles.domain_of_subject(cert.cert.issuer().as_raw(), domain));
    match foreign {
        Some(actual) => PeerError::ForeignIssuer {
            claimed: domain.to_string(),
            actual: actual.to_owned(),
        },
        None => PeerError::UnknownIssuer(domain.to_string()),
    }
}

#[cfg(test)]
mod tests;
