//! The conditions of a Gateway and of its listeners.

use weft_api::{Condition, ConditionStatus, ConditionType, Object, Reason};

use super::{GatewayPlan, GatewayState};
use crate::{
    listener::ListenerPlan,
    route::Rejection,
    scope::{GatewayFacts, Programming},
    status::{negative, verdict, with_rejection},
};

/// The conditions of a Gateway and its listeners.
pub(super) struct Judge<'a> {
    pub(super) plan: &'a GatewayPlan,
    pub(super) facts: &'a GatewayFacts,
    pub(super) programming: Programming,
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

    pub(super) fn accepted(&self) -> Condition {
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

    pub(super) fn programmed(&self) -> Condition {
        let type_ = ConditionType::Programmed;
        if let GatewayState::Waiting(message) = &self.plan.state {
            return self.waiting(type_, message);
        }
        let result = match &self.plan.state {
            GatewayState::Refused(why) => {
                let message = format!("the Gateway is not accepted: {}", why.message);
                Err(Rejection::new(Reason::Invalid.as_str(), message))
            }
            _ => self.reachable().and_then(|()| self.acknowledged()),
        };
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
        let addresses = &self.plan.object.spec.addresses;
        if let Some(value) = addresses
            .iter()
            .find_map(|address| self.facts.missing(address))
        {
            let message = format!("the Gateway cannot have address {value}");
            return Err(Rejection::new(Reason::AddressNotUsable.as_str(), message));
        }
        if let Some(why) = &self.facts.undeployed {
            let message = format!("the Gateway cannot be deployed as it asks: {why}");
            return Err(Rejection::new(Reason::Pending.as_str(), message));
        }
        if self.facts.addresses.is_empty() && self.facts.hostnames.is_empty() {
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

    pub(super) fn resolved_refs(&self) -> Condition {
        let type_ = ConditionType::ResolvedRefs;
        let unresolved: Vec<_> = self
            .plan
            .listeners
            .iter()
            .filter(|listener| listener.resolved_refs.is_err())
            .map(|listener| format!("{:?}", listener.name))
            .collect();
        let result = if let Some(Err(problem)) = &self.plan.client_certificate {
            Err(problem.clone())
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

    pub(super) fn listener(&self, listener: &ListenerPlan) -> Vec<Condition> {
        let generation = self.generation();
        let accepted = self.listener_accepted(listener);
        let programmed = self.listener_programmed(listener, accepted.is_ok());
        let accepted = accepted.as_ref().map(|()| "the listener is valid");
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
