//! One Gateway: whether it is ours, what of it is served, and its status.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use weft_api::{
    Condition, ConditionStatus, ConditionType, Gateway, Kind, Object, ObjectKey, ObjectRef, Reason,
    gateway::{AddressType, GatewayAddress, GatewayStatus, ListenerStatus},
    route::DefaultScope,
};
use weft_ir::Name;

use crate::{
    Input,
    conflict::{mark_conflicts, mark_overlaps},
    listener::{self, ListenerPlan},
    notes::{self, Findings, Note},
    route::Rejection,
    scope::{GatewayFacts, Programming},
    status::{keep_foreign, negative, verdict, with_rejection},
};

pub(crate) mod class;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use self::class::Ownership;

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
    /// Its listeners, in list order and with distinct names.
    pub(crate) listeners: Vec<ListenerPlan>,
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
        let class = object.spec.gateway_class_name.as_str();
        let state = match class::ownership(input, class, &mut findings) {
            Ownership::Foreign => return None,
            Ownership::Waiting(message) => GatewayState::Waiting(message),
            Ownership::Ours => {
                refusal(object, &mut findings).map_or(GatewayState::Accepted, GatewayState::Refused)
            }
        };
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
        mark_conflicts(&mut listeners, &mut findings);
        mark_overlaps(&mut listeners, &mut findings);
        note_client_certificate(object, &mut findings);
        let name = Name::new(key.namespace(), key.name());
        Some(Self {
            name,
            object: object.clone(),
            state,
            listeners,
            notes: findings.into_vec(),
        })
    }

    /// Whether routes attach to both plans in the same way.
    pub(crate) fn attaches_like(&self, other: &Self) -> bool {
        self.state == other.state && self.listeners == other.listeners
    }

    /// The listeners that stand in the tables.
    pub(crate) fn in_tables(&self) -> impl Iterator<Item = &ListenerPlan> {
        let served = self.state == GatewayState::Accepted;
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
        let address = |address: &IpAddr| GatewayAddress {
            type_: Some(AddressType::IpAddress),
            value: Some(address.to_string()),
        };
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
            addresses: facts.addresses.iter().map(address).collect(),
            conditions: keep_foreign(conditions, &old.conditions),
            listeners: self.listeners.iter().map(listener).collect(),
            attached_listener_sets: None,
        }
    }
}

/// Why the Gateway as a whole cannot be served.
fn refusal(gateway: &Gateway, findings: &mut Findings) -> Option<Rejection> {
    let spec = &gateway.spec;
    let mut refusals = Vec::new();
    let infrastructure = spec.infrastructure.as_deref();
    if let Some(parameters) = infrastructure.and_then(|it| it.parameters_ref.as_ref()) {
        let message = format!(
            "{} {:?} cannot hold parameters; no kind is supported",
            parameters.kind, parameters.name
        );
        let field = "spec.infrastructure.parametersRef";
        refusals.push((Reason::InvalidParameters, format!("{field}: {message}")));
        findings.add(&notes::PARAMETERS_REF, field, message);
    }
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

/// The certificate would only be shown to backends under a BackendTLSPolicy, and those are refused.
fn note_client_certificate(gateway: &Gateway, findings: &mut Findings) {
    if client_certificate(gateway) {
        let field = "spec.tls.backend.clientCertificateRef";
        findings.add(&notes::CLIENT_VALIDATION, field, CLIENT_CERTIFICATE);
    }
}

const CLIENT_CERTIFICATE: &str = "client certificates towards backends are not supported by this \
                                  version; no backend is called that needs one";

fn client_certificate(gateway: &Gateway) -> bool {
    let tls = gateway
        .spec
        .tls
        .as_deref()
        .and_then(|tls| tls.backend.as_ref());
    tls.is_some_and(|backend| backend.client_certificate_ref.is_some())
}

/// The conditions of a Gateway and its listeners.
struct Judge<'a> {
    plan: &'a GatewayPlan,
    facts: &'a GatewayFacts,
    programming: Programming,
}

impl Judge<'_> {
    fn generation(&self) -> Option<i64> {
        self.plan.object.generation()
    }

    /// Listener is accepted, conflicts and the state of its port included.
    fn listener_accepted(&self, listener: &ListenerPlan) -> Result<(), Rejection> {
        listener.accepted.clone()?;
        if let Some(conflict) = &listener.conflict {
            return Err(conflict.clone());
        }
        match self.facts.unusable_ports.get(&listener.port) {
            None => Ok(()),
            Some(why) => {
                let message = format!("port {} cannot be opened: {why}", listener.port);
                Err(Rejection::new(Reason::PortUnavailable.as_str(), message))
            }
        }
    }

    fn accepted(&self) -> Condition {
        let type_ = ConditionType::Accepted;
        match &self.plan.state {
            GatewayState::Refused(rejection) => {
                return negative(type_, rejection, self.generation());
            }
            GatewayState::Waiting(message) => return self.waiting(type_, message),
            GatewayState::Accepted => {}
        }
        let mut good = 0_usize;
        let mut bad = Vec::new();
        for listener in &self.plan.listeners {
            match self.listener_accepted(listener) {
                Ok(()) if listener.serves() => good += 1,
                Ok(()) => {
                    good += 1;
                    bad.push(format!(
                        "listener {:?} has no usable certificate",
                        listener.name
                    ));
                }
                Err(why) => bad.push(format!("listener {:?}: {}", listener.name, why.message)),
            }
        }
        let reason = Reason::ListenersNotValid.as_str();
        match (good, bad.is_empty()) {
            (0, true) => {
                let rejection = Rejection::new(reason, "the Gateway has no listener");
                negative(type_, &rejection, self.generation())
            }
            (0, false) => {
                let message = format!("no listener can be served: {}", bad.join("; "));
                negative(type_, &Rejection::new(reason, message), self.generation())
            }
            (_, true) => {
                let message = "the Gateway is served";
                verdict(type_, Reason::Accepted, Ok(message), self.generation())
            }
            (_, false) => {
                let message = format!("some listeners are not served: {}", bad.join("; "));
                let rejection = Rejection::new(reason, message);
                with_rejection(type_, ConditionStatus::True, &rejection, self.generation())
            }
        }
    }

    fn programmed(&self) -> Condition {
        let type_ = ConditionType::Programmed;
        if let GatewayState::Waiting(message) = &self.plan.state {
            return self.waiting(type_, message);
        }
        let result = self.reachable().and_then(|()| self.acknowledged());
        let result = result.as_ref().map(|()| "the listeners are open");
        verdict(type_, Reason::Programmed, result, self.generation())
    }

    /// Something is served, and there are addresses to reach it at.
    fn reachable(&self) -> Result<(), Rejection> {
        let open = |listener: &&ListenerPlan| {
            listener.serves() && !self.facts.unusable_ports.contains_key(&listener.port)
        };
        if self.plan.in_tables().filter(open).count() == 0 {
            let message = "no listener can be served; see the conditions of the listeners";
            return Err(Rejection::new(Reason::Invalid.as_str(), message));
        }
        let has = |value: &str| {
            let wanted = value.parse::<IpAddr>();
            wanted.is_ok_and(|wanted| self.facts.addresses.contains(&wanted))
        };
        for address in &self.plan.object.spec.addresses {
            let value = address.value.as_deref().unwrap_or_default();
            if !value.is_empty() && !has(value) {
                let message = format!("the Gateway cannot have address {value}");
                return Err(Rejection::new(Reason::AddressNotUsable.as_str(), message));
            }
        }
        if self.facts.addresses.is_empty() {
            let message = "the Gateway has no address yet";
            return Err(Rejection::new(Reason::AddressNotAssigned.as_str(), message));
        }
        Ok(())
    }

    fn acknowledged(&self) -> Result<(), Rejection> {
        let wanted = self.generation().unwrap_or_default();
        let done = match self.programming {
            Programming::Immediate => true,
            Programming::Acknowledged => self.facts.acknowledged.is_some_and(|it| it >= wanted),
        };
        if done {
            return Ok(());
        }
        let message = format!("not every proxy has acknowledged generation {wanted}");
        Err(Rejection::new(Reason::Pending.as_str(), message))
    }

    fn resolved_refs(&self) -> Condition {
        let type_ = ConditionType::ResolvedRefs;
        let unresolved: Vec<_> = self
            .plan
            .listeners
            .iter()
            .filter(|listener| listener.resolved_refs.is_err())
            .map(|listener| format!("{:?}", listener.name))
            .collect();
        let result = if client_certificate(&self.plan.object) {
            let reason = Reason::InvalidClientCertificateRef.as_str();
            let at = "spec.tls.backend.clientCertificateRef";
            Err(Rejection::new(
                reason,
                format!("{at}: {CLIENT_CERTIFICATE}"),
            ))
        } else if unresolved.is_empty() {
            Ok(())
        } else {
            let message = format!(
                "references of listeners {} cannot be used",
                unresolved.join(", ")
            );
            Err(Rejection::new(
                Reason::ListenersNotResolved.as_str(),
                message,
            ))
        };
        let result = result.as_ref().map(|()| "every reference can be used");
        verdict(type_, Reason::ResolvedRefs, result, self.generation())
    }

    fn listener(&self, listener: &ListenerPlan) -> Vec<Condition> {
        let generation = self.generation();
        let accepted = self.listener_accepted(listener);
        let programmed = self.listener_programmed(listener, accepted.is_ok());
        let accepted = accepted.as_ref().map(|()| "the listener is served");
        let resolved = listener
            .resolved_refs
            .as_ref()
            .map(|()| "every reference can be used");
        let conflicted = match &listener.conflict {
            Some(conflict) => {
                let type_ = ConditionType::Conflicted;
                with_rejection(type_, ConditionStatus::True, conflict, generation)
            }
            None => {
                let none = Rejection::new(Reason::NoConflicts.as_str(), "the listener is distinct");
                negative(ConditionType::Conflicted, &none, generation)
            }
        };
        let mut conditions = vec![
            verdict(
                ConditionType::Accepted,
                Reason::Accepted,
                accepted,
                generation,
            ),
            programmed,
            verdict(
                ConditionType::ResolvedRefs,
                Reason::ResolvedRefs,
                resolved,
                generation,
            ),
            conflicted,
        ];
        // Negative polarity: present only when true (ListenerConditionOverlappingTLSConfig).
        if let Some(overlap) = &listener.overlap {
            let type_ = ConditionType::OverlappingTlsConfig;
            conditions.push(with_rejection(
                type_,
                ConditionStatus::True,
                overlap,
                generation,
            ));
        }
        conditions
    }

    fn listener_programmed(&self, listener: &ListenerPlan, accepted: bool) -> Condition {
        let type_ = ConditionType::Programmed;
        let invalid = |message: &str| Rejection::new(Reason::Invalid.as_str(), message);
        let result = match &self.plan.state {
            GatewayState::Waiting(message) => return self.waiting(type_, message),
            GatewayState::Refused(_) => Err(invalid("the Gateway is not accepted")),
            GatewayState::Accepted if !accepted => Err(invalid("the listener is not accepted")),
            GatewayState::Accepted if !listener.serves() => {
                Err(invalid("the listener has no usable certificate"))
            }
            GatewayState::Accepted => self
                .reachable()
                .map_err(|why| Rejection::new(Reason::Pending.as_str(), why.message))
                .and_then(|()| self.acknowledged()),
        };
        let result = result.as_ref().map(|()| "the listener is open");
        verdict(type_, Reason::Programmed, result, self.generation())
    }

    fn waiting(&self, type_: ConditionType, message: &str) -> Condition {
        let pending = Rejection::new(Reason::Pending.as_str(), message);
        with_rejection(type_, ConditionStatus::Unknown, &pending, self.generation())
    }
}
