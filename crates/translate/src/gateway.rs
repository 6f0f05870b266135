//! One Gateway: whether it is ours, what of it is served, and its status.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::{
    Gateway, Kind, Object, ObjectKey, ObjectRef, Reason,
    gateway::{AddressType, GatewayAddress, GatewayStatus, ListenerStatus},
    route::DefaultScope,
};
use weft_ir::{Name, PortProtocol};

use crate::{
    Input,
    conflict::{mark_conflicts, mark_overlaps},
    context::name_of,
    listener::{self, ListenerPlan, certificate},
    notes::{self, Findings, Note},
    route::Rejection,
    scope::{GatewayFacts, Scope},
    status::keep_foreign,
};

pub(crate) mod class;
mod conditions;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use self::{class::Ownership, conditions::Judge};

/// Most entries of `status.addresses` (GatewayStatus.addresses).
const MAX_ADDRESSES: usize = 16;

/// The Gateways that are ours.
pub(crate) type Plans = BTreeMap<ObjectKey, GatewayPlan>;

/// A Gateway of ours, judged.
#[derive(Debug)]
pub(crate) struct GatewayPlan {
    /// Namespace and name.
    pub(crate) name: Name,
    /// The object.
    pub(crate) object: Arc<Gateway>,
    /// Whether the Gateway itself can be served, its listeners aside.
    pub(crate) state: GatewayState,
    /// Whether proxies that there are go on serving although the Gateway is not accepted. Parameters
    /// say how proxies are deployed, not what they serve, so a mistake in them stops no traffic.
    pub(crate) goes_on: bool,
    /// Its listeners, in list order and with distinct names.
    pub(crate) listeners: Vec<ListenerPlan>,
    /// The Secret with the certificate that backends are shown, or why the one named is none.
    pub(crate) client_certificate: Option<Result<Name, Rejection>>,
    /// Findings about the Gateway.
    pub(crate) notes: Vec<Note>,
}

/// Whether a Gateway can be served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum GatewayState {
    /// It can.
    Accepted,
    /// It cannot, for what it says.
    Refused(Rejection),
    /// Its class is not accepted yet.
    Waiting(String),
}

impl GatewayPlan {
    /// Judges a Gateway; `None` when it is somebody else's.
    pub(crate) fn new(input: Input<'_>, object: &Arc<Gateway>) -> Option<Self> {
        let key = object.key();
        let mut findings = Findings::new(ObjectRef::new(Kind::Gateway, key.clone()));
        let (state, goes_on) = state(input, object, &mut findings)?;
        let mut listeners: Vec<ListenerPlan> = Vec::with_capacity(object.spec.listeners.len());
        for (index, listener) in object.spec.listeners.iter().enumerate() {
            if listeners
                .iter()
                .any(|earlier| *earlier.name == *listener.name)
            {
                let field = format!("spec.listeners[{index}].name");
                let message = format!(
                    "the name {:?} is taken by an earlier listener",
                    listener.name
                );
                findings.add(&notes::INVALID_OBJECT, field, message);
                continue;
            }
            listeners.push(listener::plan(input, object, index, &mut findings));
        }
        if listeners.is_empty() {
            let message = "the Gateway has no listener";
            findings.add(&notes::NO_LISTENER, "spec.listeners", message);
        }
        mark_conflicts(&mut listeners, &mut findings);
        mark_overlaps(&mut listeners, &mut findings);
        let client_certificate = client_certificate(input, object, &mut findings);
        note_client_validation(object, &listeners, &mut findings);
        let name = name_of(&key);
        if let Some(facts) = input.scope.gateways.get(&name) {
            note_facts(object, &listeners, facts, &mut findings);
        }
        Some(Self {
            name,
            object: object.clone(),
            state,
            goes_on,
            listeners,
            client_certificate,
            notes: findings.into_vec(),
        })
    }

    /// Whether routes attach to both plans in the same way.
    pub(crate) fn attaches_like(&self, other: &Self) -> bool {
        self.state == other.state
            && self.goes_on == other.goes_on
            && self.listeners == other.listeners
    }

    /// Whether anything of it is served.
    pub(crate) fn is_served(&self) -> bool {
        self.state == GatewayState::Accepted || self.goes_on
    }

    /// The listeners that stand in the tables.
    pub(crate) fn in_tables(&self) -> impl Iterator<Item = &ListenerPlan> {
        let served = self.is_served();
        self.listeners
            .iter()
            .filter(move |listener| served && listener.in_tables())
    }

    /// The status, given the number of routes attached to each listener.
    pub(crate) fn status(&self, input: Input<'_>, attached: impl Fn(&str) -> i32) -> GatewayStatus {
        let no_facts = GatewayFacts::default();
        let facts = input.scope.gateways.get(&self.name).unwrap_or(&no_facts);
        let old = &self.object.status;
        let judge = Judge {
            plan: self,
            facts,
            programming: input.scope.programming,
        };
        let conditions = vec![judge.accepted(), judge.programmed(), judge.resolved_refs()];
        let listener = |listener: &ListenerPlan| {
            let before = old
                .listeners
                .iter()
                .find(|before| *before.name == *listener.name);
            let before = before
                .map(|before| before.conditions.as_slice())
                .unwrap_or_default();
            ListenerStatus {
                name: listener.name.to_string(),
                supported_kinds: listener.supported_kinds(),
                attached_routes: attached(&listener.name),
                conditions: keep_foreign(judge.listener(listener), before),
            }
        };
        GatewayStatus {
            addresses: addresses(facts),
            conditions: keep_foreign(conditions, &old.conditions),
            listeners: self.listeners.iter().map(listener).collect(),
            attached_listener_sets: None,
        }
    }
}

/// The state of a Gateway, and whether it goes on being served in spite of it; `None` when it is
/// somebody else's.
fn state(
    input: Input<'_>,
    gateway: &Gateway,
    findings: &mut Findings,
) -> Option<(GatewayState, bool)> {
    let is_deployed = input.scope.unusable_parameters.is_some();
    let class = gateway.spec.gateway_class_name.as_str();
    let ownership = class::ownership(input, class, findings);
    if ownership == Ownership::Foreign {
        return None;
    }
    let refused = refusal(gateway, findings);
    let parameters = parameters(input.scope, gateway, findings);
    Some(match (ownership, refused, parameters) {
        (Ownership::Waiting(message), refused, _) => (
            GatewayState::Waiting(message),
            is_deployed && refused.is_none(),
        ),
        (_, Some(why), _) => (GatewayState::Refused(why), false),
        (_, None, Some(why)) => (GatewayState::Refused(why), is_deployed),
        (_, None, None) => (GatewayState::Accepted, false),
    })
}

/// Why the Gateway cannot be deployed as its parameters ask.
fn parameters(scope: &Scope, gateway: &Gateway, findings: &mut Findings) -> Option<Rejection> {
    let message = match &scope.unusable_parameters {
        Some(unusable) => unusable.gateways.get(&name_of(&gateway.key()))?.clone(),
        None => {
            let infrastructure = gateway.spec.infrastructure.as_deref();
            let reference = infrastructure.and_then(|it| it.parameters_ref.as_ref())?;
            let (kind, name) = (&reference.kind, &reference.name);
            format!("{kind} {name:?} cannot hold parameters; no kind is supported")
        }
    };
    let field = "spec.infrastructure.parametersRef";
    let reason = Reason::InvalidParameters.as_str();
    let rejection = Rejection::new(reason, format!("{field}: {message}"));
    findings.add(&notes::PARAMETERS_REF, field, message);
    Some(rejection)
}

/// `status.addresses`: IP addresses, then names, as many as there is room for.
fn addresses(facts: &GatewayFacts) -> Vec<GatewayAddress> {
    let address = |type_, value| GatewayAddress {
        type_: Some(type_),
        value: Some(value),
    };
    let ips = facts.addresses.iter();
    let ips = ips.map(|ip| address(AddressType::IpAddress, ip.to_string()));
    let names = facts.hostnames.iter();
    let names = names.map(|name| address(AddressType::Hostname, name.clone()));
    ips.chain(names).take(MAX_ADDRESSES).collect()
}

/// Why the Gateway as a whole cannot be served.
fn refusal(gateway: &Gateway, findings: &mut Findings) -> Option<Rejection> {
    let spec = &gateway.spec;
    let mut refusals = Vec::new();
    for (at, address) in spec.addresses.iter().enumerate() {
        if *address.type_() != AddressType::IpAddress {
            let field = format!("spec.addresses[{at}].type");
            let message = format!("type {:?} is not supported", address.type_().as_str());
            refusals.push((Reason::UnsupportedAddress, format!("{field}: {message}")));
            findings.add(&notes::GATEWAY_ADDRESS, field, message);
        }
    }
    if let Some(scope) = &spec.default_scope
        && *scope != DefaultScope::None
    {
        let message = format!("default Gateways ({scope}) are not supported by this version");
        refusals.push((Reason::Invalid, format!("spec.defaultScope: {message}")));
        findings.add(&notes::UNSUPPORTED_FIELD, "spec.defaultScope", message);
    }
    let (reason, message) = refusals.into_iter().next()?;
    Some(Rejection::new(reason.as_str(), message))
}

/// What of the Gateway the outside world refuses.
fn note_facts(
    gateway: &Gateway,
    listeners: &[ListenerPlan],
    facts: &GatewayFacts,
    findings: &mut Findings,
) {
    for listener in listeners {
        if let Some(why) = facts.unusable_ports.get(&listener.port) {
            let field = format!("spec.listeners[{}].port", listener.index);
            let message = format!("port {} cannot be opened: {why}", listener.port);
            findings.add(&notes::PORT_UNAVAILABLE, field, message);
        }
    }
    for (at, address) in gateway.spec.addresses.iter().enumerate() {
        if let Some(value) = facts.missing(address) {
            let field = format!("spec.addresses[{at}].value");
            let message = format!("the Gateway cannot have address {value}");
            findings.add(&notes::GATEWAY_ADDRESS, field, message);
        }
    }
}

/// The certificate that is shown to backends under a BackendTLSPolicy
/// (GatewayBackendTLS.clientCertificateRef). Without a usable one none is shown, and a backend that
/// asks for one refuses.
fn client_certificate(
    input: Input<'_>,
    gateway: &Gateway,
    findings: &mut Findings,
) -> Option<Result<Name, Rejection>> {
    let tls = gateway.spec.tls.as_deref();
    let backend = tls.and_then(|tls| tls.backend.as_ref())?;
    let reference = backend.client_certificate_ref.as_ref()?;
    let resolved = certificate::resolve(input, gateway, reference).map_err(|problem| {
        let field = "spec.tls.backend.clientCertificateRef";
        findings.add(&notes::CLIENT_CERTIFICATE, field, problem.message.as_str());
        let reason = match problem.reason {
            "RefNotPermitted" => Reason::RefNotPermitted,
            _ => Reason::InvalidClientCertificateRef,
        };
        let message = format!("{field}: {}", problem.message);
        Rejection::new(reason.as_str(), message)
    });
    Some(resolved)
}

/// Listeners that were to check client certificates say so themselves. Where there is none, the
/// field is still not one to be accepted and ignored.
fn note_client_validation(gateway: &Gateway, listeners: &[ListenerPlan], findings: &mut Findings) {
    let tls = gateway.spec.tls.as_deref();
    let Some(frontend) = tls.and_then(|tls| tls.frontend.as_ref()) else {
        return;
    };
    let concerns = |listener: &ListenerPlan, port: Option<i32>| {
        let https = listener.protocol == Some(PortProtocol::Https);
        let own = |number: i32| i32::from(listener.port) == number;
        https
            && match port {
                Some(port) => own(port),
                None => !frontend.per_port.iter().any(|entry| own(entry.port)),
            }
    };
    let ports = frontend.per_port.iter().enumerate();
    let ports =
        ports.map(|(at, entry)| (format!("perPort[{at}].tls"), &entry.tls, Some(entry.port)));
    let all = std::iter::once(("default".to_owned(), &frontend.default, None));
    for (at, config, port) in all.chain(ports) {
        let concerned = listeners.iter().any(|listener| concerns(listener, port));
        if config.validation.is_some() && !concerned {
            let message = "client certificates are not checked by this version, and there is no \
                           HTTPS listener that this could concern";
            let field = format!("spec.tls.frontend.{at}.validation");
            findings.add(&notes::CLIENT_VALIDATION, field, message);
        }
    }
}
