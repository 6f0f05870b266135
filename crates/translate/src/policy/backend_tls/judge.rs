//! What a BackendTLSPolicy says, its targets aside: the settings for the data path, or why there are
//! none.

use weft_api::{
    BackendTlsPolicy, Object, Reason,
    policy::{SubjectAltName, SubjectAltNameType, WellKnownCaCertificates},
    reference::ObjectReference,
};
use weft_ir::{Authorities, BackendTls, Hostname, Name};

use super::name_of;
use crate::{Input, listener::certificate, route::Rejection};

/// Key of a ConfigMap that holds certification authorities.
const CA_KEY: &str = "ca.crt";

/// A policy, judged.
pub(crate) struct Judgement {
    /// What to speak TLS by, or why the policy cannot be honoured (`Accepted`).
    pub(crate) settings: Result<BackendTls, Rejection>,
    /// `ResolvedRefs`: with some good reference left the policy is honoured all the same.
    pub(crate) resolved_refs: Result<(), Rejection>,
    /// Everything that is wrong, with its field.
    pub(crate) faults: Vec<Fault>,
}

/// Something wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Path from the object's root.
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) message: String,
    reason: Reason,
}

impl Fault {
    fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            reason: Reason::Invalid,
        }
    }

    fn sentence(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }
}

/// Judges what a policy says.
pub(crate) fn judge(input: Input<'_>, policy: &BackendTlsPolicy) -> Judgement {
    let mut invalid = Vec::new();
    let hostname = hostname(policy, &mut invalid);
    let subject_alt_names = alt_names(policy, &mut invalid);
    for name in policy.spec.options.keys() {
        // A setting that narrows must not be ignored, and what this one does is not known.
        let message = format!("no option is known, and {name:?} may be one that protects");
        invalid.push(Fault::invalid("spec.options", message));
    }
    let mut unresolved = Vec::new();
    let authorities = authorities(input, policy, &mut invalid, &mut unresolved);
    let settings = match (invalid.first(), hostname, authorities) {
        (None, Some(hostname), Some(authorities)) => Ok(BackendTls {
            policy: name_of(policy),
            hostname,
            authorities,
            subject_alt_names,
        }),
        (None, ..) => Err(Rejection::new(
            Reason::NoValidCaCertificate.as_str(),
            format!("no reference is valid: {}", sentences(&unresolved)),
        )),
        (Some(_), ..) => Err(Rejection::new(
            Reason::Invalid.as_str(),
            sentences(&invalid),
        )),
    };
    let resolved_refs = match unresolved.first() {
        None => Ok(()),
        Some(first) => Err(Rejection::new(
            first.reason.as_str(),
            sentences(&unresolved),
        )),
    };
    invalid.append(&mut unresolved);
    Judgement {
        settings,
        resolved_refs,
        faults: invalid,
    }
}

fn sentences(faults: &[Fault]) -> String {
    let sentences: Vec<_> = faults.iter().map(Fault::sentence).collect();
    sentences.join("; ")
}

/// A PreciseHostname: the name is sent as SNI, which has room neither for an address (RFC 6066
/// section 3) nor for a wildcard.
fn hostname(policy: &BackendTlsPolicy, invalid: &mut Vec<Fault>) -> Option<std::sync::Arc<str>> {
    let text = &policy.spec.validation.hostname;
    match Hostname::parse(text) {
        Some(Hostname::Exact(name)) => Some(name.into()),
        _ => {
            let message = format!("{text:?} is no hostname that could be sent as server name");
            invalid.push(Fault::invalid("spec.validation.hostname", message));
            None
        }
    }
}

fn alt_names(policy: &BackendTlsPolicy, invalid: &mut Vec<Fault>) -> Vec<weft_ir::SubjectAltName> {
    let names = policy.spec.validation.subject_alt_names.iter().enumerate();
    let names = names.filter_map(|(at, name)| match alt_name(name) {
        Ok(name) => Some(name),
        Err((key, message)) => {
            let field = format!("spec.validation.subjectAltNames[{at}].{key}");
            invalid.push(Fault::invalid(field, message));
            None
        }
    });
    names.collect()
}

/// The name, or the key at fault and what is wrong.
fn alt_name(name: &SubjectAltName) -> Result<weft_ir::SubjectAltName, (&'static str, String)> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (&name.type_, given(&name.hostname), given(&name.uri)) {
        (SubjectAltNameType::Hostname, Some(host), None) => match Hostname::parse(&host) {
            Some(parsed) => Ok(weft_ir::SubjectAltName::Hostname(parsed.to_string().into())),
            None => Err(("hostname", format!("{host:?} is no hostname"))),
        },
        (SubjectAltNameType::Uri, None, Some(uri)) if is_absolute(&uri) => {
            Ok(weft_ir::SubjectAltName::Uri(uri.into()))
        }
        (SubjectAltNameType::Uri, None, Some(uri)) => Err((
            "uri",
            format!("{uri:?} is no absolute URI such as spiffe://domain/path"),
        )),
        (SubjectAltNameType::Hostname, ..) => {
            Err(("hostname", "type Hostname needs this and no uri".to_owned()))
        }
        (SubjectAltNameType::Uri, ..) => {
            Err(("uri", "type URI needs this and no hostname".to_owned()))
        }
        (SubjectAltNameType::Unknown(other), ..) => {
            Err(("type", format!("{other:?} is not Hostname or URI")))
        }
    }
}

/// "MUST include both a scheme and a scheme-specific-part" (AbsoluteURI; RFC 3986 section 3.1).
fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(of_scheme)
        && !rest.trim_start_matches('/').is_empty()
        && uri.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Exactly one of `caCertificateRefs` and `wellKnownCACertificates`. `None` when nobody could vouch
/// for the backend; why is in one of the lists.
fn authorities(
    input: Input<'_>,
    policy: &BackendTlsPolicy,
    invalid: &mut Vec<Fault>,
    unresolved: &mut Vec<Fault>,
) -> Option<Authorities> {
    let at = "spec.validation";
    let validation = &policy.spec.validation;
    let references = &validation.ca_certificate_refs;
    let known = validation.well_known_ca_certificates.as_ref();
    let fault = match (
        references.is_empty(),
        known.filter(|it| !it.as_str().is_empty()),
    ) {
        (false, None) => return config_maps(input, policy, unresolved),
        (true, Some(WellKnownCaCertificates::System)) => {
            let Some(why) = &input.scope.unusable_authorities.platform else {
                return Some(Authorities::System);
            };
            Fault::invalid(format!("{at}.wellKnownCACertificates"), why)
        }
        (true, Some(other)) => {
            let message = format!("{:?} is not System, the one set known here", other.as_str());
            Fault::invalid(format!("{at}.wellKnownCACertificates"), message)
        }
        (true, None) => Fault::invalid(
            at,
            "either caCertificateRefs or wellKnownCACertificates is needed",
        ),
        (false, Some(_)) => Fault::invalid(
            at,
            "caCertificateRefs and wellKnownCACertificates exclude each other",
        ),
    };
    invalid.push(fault);
    None
}

/// The ConfigMaps that are valid, unless none is.
fn config_maps(
    input: Input<'_>,
    policy: &BackendTlsPolicy,
    unresolved: &mut Vec<Fault>,
) -> Option<Authorities> {
    let references = policy.spec.validation.ca_certificate_refs.iter();
    let mut valid = Vec::new();
    for (at, reference) in references.enumerate() {
        match config_map(input, policy, reference) {
            Ok(name) => valid.push(name),
            Err((reason, message)) => unresolved.push(Fault {
                field: format!("spec.validation.caCertificateRefs[{at}]"),
                message,
                reason,
            }),
        }
    }
    (!valid.is_empty()).then_some(Authorities::ConfigMaps(valid))
}

/// The ConfigMap that a reference names, if it can be used. The form is judged here; what a TLS stack
/// says to its content comes in through the scope.
fn config_map(
    input: Input<'_>,
    policy: &BackendTlsPolicy,
    reference: &ObjectReference,
) -> Result<Name, (Reason, String)> {
    let ObjectReference { group, kind, .. } = reference;
    if (group.as_str(), kind.as_str()) != ("", "ConfigMap") {
        let message = format!(
            "{kind} of group {group:?} cannot hold certification authorities; refer to a ConfigMap"
        );
        return Err((Reason::InvalidKind, message));
    }
    let invalid = |message| Err((Reason::InvalidCaCertificateRef, message));
    let name = Name::new(policy.namespace(), reference.name.as_str());
    let elsewhere = reference.namespace.as_deref();
    if elsewhere.is_some_and(|namespace| namespace != policy.namespace()) {
        return invalid("a ConfigMap of another namespace cannot be referred to".to_owned());
    }
    let Some(map) = input.store.config_maps().get(&name.namespace, &name.name) else {
        return invalid(format!("ConfigMap {name} does not exist"));
    };
    match map.get(CA_KEY) {
        None => invalid(format!("ConfigMap {name} has no key {CA_KEY:?}")),
        Some(data) if !certificate::has_certificate(data) => invalid(format!(
            "{CA_KEY:?} of ConfigMap {name} holds no PEM block \"CERTIFICATE\""
        )),
        Some(_) => match input.scope.unusable_authorities.config_maps.get(&name) {
            Some(why) => invalid(format!("ConfigMap {name} cannot be used: {why}")),
            None => Ok(name),
        },
    }
}

/// Whether the policy takes authorities from the ConfigMap of that name.
pub(crate) fn refers_to(policy: &BackendTlsPolicy, config_map: &Name) -> bool {
    let references = &policy.spec.validation.ca_certificate_refs;
    policy.namespace() == &*config_map.namespace
        && references.iter().any(|it| it.name == *config_map.name)
}
