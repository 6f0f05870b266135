//! Certificates of Gateways, towards clients and backends: from a reference to a Secret that can be
//! used, and the form of PEM.
//!
//! The form is judged here: type, keys, PEM. Whether key and certificate belong together is known to
//! a TLS stack only; what it found comes in through the scope.

use weft_api::{GATEWAY_GROUP, Gateway, Object, Reason, reference::SecretReference};
use weft_ir::Name;

use crate::{Input, grants::Reference, route::Rejection};

#[cfg(test)]
mod tests;

const TLS_SECRET: &str = "kubernetes.io/tls";
const CERTIFICATE_LABELS: &[&str] = &["CERTIFICATE"];
/// PKCS #8, PKCS #1 and SEC1 (RFC 7468 section 10, RFC 5915 section 4).
const KEY_LABELS: &[&str] = &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

/// The Secret that a reference of the Gateway names, if there is a certificate to use in it.
pub(crate) fn resolve(
    input: Input<'_>,
    gateway: &Gateway,
    reference: &SecretReference,
) -> Result<Name, Rejection> {
    let namespace = reference.namespace(gateway.namespace());
    let crossing = Reference {
        from_group: GATEWAY_GROUP,
        from_kind: "Gateway",
        from_namespace: gateway.namespace(),
        to_group: reference.group(),
        to_kind: reference.kind(),
        to_namespace: namespace,
        to_name: &reference.name,
    };
    // Permission comes first: whether the Secret exists is none of the business of a namespace
    // that may not refer to it.
    let grants = input
        .store
        .reference_grants()
        .in_namespace(namespace)
        .map(AsRef::as_ref);
    if crossing.crosses_namespaces() && !crossing.permitted_by(grants) {
        let message = format!(
            "no ReferenceGrant in namespace {namespace} lets Gateways of namespace {} refer to {} {}",
            gateway.namespace(),
            reference.kind(),
            reference.name,
        );
        return Err(Rejection::new(Reason::RefNotPermitted.as_str(), message));
    }
    let name = Name::new(namespace, reference.name.as_str());
    match usable(input, reference, &name) {
        Ok(()) => Ok(name),
        Err(message) => Err(Rejection::new(
            Reason::InvalidCertificateRef.as_str(),
            message,
        )),
    }
}

/// Of several problems the one that the condition shows: what somebody else has to permit first,
/// then certificates, then kinds; the message has all of them.
pub(super) fn worst(mut problems: Vec<Rejection>) -> Result<(), Rejection> {
    let rank = |problem: &Rejection| match problem.reason {
        "RefNotPermitted" => 0,
        "InvalidCertificateRef" => 1,
        _ => 2,
    };
    problems.sort_by_key(rank);
    let Some(first) = problems.first() else {
        return Ok(());
    };
    let messages: Vec<_> = problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    Err(Rejection::new(first.reason, messages.join("; ")))
}

fn usable(input: Input<'_>, reference: &SecretReference, name: &Name) -> Result<(), String> {
    if (reference.group(), reference.kind()) != ("", "Secret") {
        return Err(format!(
            "{} of group {:?} cannot hold a certificate; refer to a Secret",
            reference.kind(),
            reference.group()
        ));
    }
    let Some(secret) = input.store.secrets().get(&name.namespace, &name.name) else {
        return Err(format!("Secret {name} does not exist"));
    };
    let type_ = secret.type_.as_deref().unwrap_or("Opaque");
    if type_ != TLS_SECRET {
        return Err(format!(
            "Secret {name} has type {type_:?}, not {TLS_SECRET:?}"
        ));
    }
    for (key, labels) in [("tls.crt", CERTIFICATE_LABELS), ("tls.key", KEY_LABELS)] {
        match secret.get(key) {
            None => return Err(format!("Secret {name} has no key {key:?}")),
            Some(data) if !has_pem_block(data, labels) => {
                return Err(format!(
                    "{key:?} of Secret {name} holds no PEM block {labels:?}"
                ));
            }
            Some(_) => {}
        }
    }
    match input.scope.unusable_certificates.get(name) {
        Some(why) => Err(format!("Secret {name} cannot be used: {why}")),
        None => Ok(()),
    }
}

/// Whether the data has a certificate, by its form.
pub(crate) fn has_certificate(data: &[u8]) -> bool {
    has_pem_block(data, CERTIFICATE_LABELS)
}

/// Whether the data has a PEM block (RFC 7468) with one of the labels whose content is base64 of
/// something that begins as a DER SEQUENCE.
fn has_pem_block(data: &[u8], labels: &[&str]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    labels.iter().any(|label| {
        let (begin, end) = (
            format!("-----BEGIN {label}-----"),
            format!("-----END {label}-----"),
        );
        let body = text
            .split_once(&begin)
            .and_then(|(_, rest)| rest.split_once(&end));
        body.is_some_and(|(body, _)| is_base64_of_a_sequence(body))
    })
}

fn is_base64_of_a_sequence(body: &str) -> bool {
    let content: Vec<u8> = body
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let padding = content
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    let (digits, _) = content.split_at(content.len() - padding);
    let alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // 0x30, the tag of a SEQUENCE, makes the first digit 'M' (0x30 >> 2 = 12).
    !digits.is_empty()
        && content.len().is_multiple_of(4)
        && padding <= 2
        && digits.iter().all(alphabet)
        && digits.first() == Some(&b'M')
}
