//! Statuses of everything that is not a route we serve: Gateways, classes, and kinds not built.

use std::collections::BTreeMap;

use weft_api::{Kind, Object, ObjectRef, Route};
use weft_ir::Name;
use weft_store::Objects;

use super::Translator;
use crate::{
    Input, Output,
    context::ParentMode,
    gateway::{Plans, class},
    group::GroupKey,
    notes::Findings,
    policy::backend_tls::{self, Senders},
    refused,
    status::Status,
};

impl Translator {
    pub(super) fn state_others(&mut self, input: Input<'_>) {
        self.state_gateways(input);
        let store = input.store;
        let output = &mut self.output;
        state(output, store.gateway_classes(), |class, findings| {
            class::class_status(class, input.scope, findings).map(Status::GatewayClass)
        });
        state(output, store.meshes(), |mesh, findings| {
            class::mesh_status(mesh, input.scope, findings).map(Status::Mesh)
        });
        state_refused_routes(output, input, &self.plans, store.tls_routes());
        state_refused_routes(output, input, &self.plans, store.tcp_routes());
        state_refused_routes(output, input, &self.plans, store.udp_routes());
        state(output, store.listener_sets(), |set, findings| {
            refused::listener_set(input, &self.plans, set, findings).map(Status::ListenerSet)
        });
        state(output, store.traffic_policies(), |policy, findings| {
            refused::traffic_policy(input.scope, policy, findings).map(Status::Policy)
        });
        state(output, store.backends(), |_, findings| {
            refused::backend(findings);
            None
        });
        let senders = self.senders(input);
        let policies = store.backend_tls_policies();
        state(&mut self.output, policies, |policy, findings| {
            backend_tls::state(input, policy, &senders, findings).map(Status::Policy)
        });
    }

    /// Who sends to the targets of BackendTLSPolicies.
    fn senders(&self, input: Input<'_>) -> BTreeMap<Name, Senders> {
        let policies = input.store.backend_tls_policies().iter();
        let targets = policies.flat_map(|policy| backend_tls::targets(policy));
        let mut senders: BTreeMap<Name, Senders> =
            targets.map(|name| (name, Senders::default())).collect();
        if senders.is_empty() {
            return senders;
        }
        for memo in self.http.iter().chain(self.grpc.iter()) {
            for service in memo.services(ParentMode::Gateway) {
                if let Some(of_target) = senders.get_mut(service) {
                    of_target.gateways.extend(memo.gateways().cloned());
                }
            }
            for service in memo.services(ParentMode::Mesh) {
                if let Some(of_target) = senders.get_mut(service) {
                    of_target.mesh |= memo.acts_in_mesh();
                }
            }
        }
        senders
    }

    fn state_gateways(&mut self, input: Input<'_>) {
        for (key, plan) in &self.plans {
            let attached = |listener: &str| {
                let (gateway, listener) = (plan.name.clone(), listener.into());
                let group = self.groups.get(&GroupKey::Listener { gateway, listener });
                let count = group.map_or(0, |group| group.attached());
                i32::try_from(count).unwrap_or(i32::MAX)
            };
            let status = Status::Gateway(plan.status(input, attached));
            let object = ObjectRef::new(Kind::Gateway, key.clone());
            self.output.put(&object, Some(status), plan.notes.clone());
        }
        self.output
            .retain(Kind::Gateway, |key| self.plans.contains_key(key));
    }
}

/// States every object of a kind and forgets those that are gone.
fn state<T: Object>(
    output: &mut Output,
    objects: &Objects<T>,
    status: impl Fn(&T, &mut Findings) -> Option<Status>,
) {
    for (key, object) in objects.entries() {
        let reference = ObjectRef::new(T::KIND, key.clone());
        let mut findings = Findings::new(reference.clone());
        let status = status(object, &mut findings);
        output.put(&reference, status, findings.into_vec());
    }
    output.retain(T::KIND, |key| objects.at(key).is_some());
}

fn state_refused_routes<R: Route>(
    output: &mut Output,
    input: Input<'_>,
    plans: &Plans,
    routes: &Objects<R>,
) {
    state(output, routes, |route, findings| {
        refused::route(input, plans, route, findings).map(Status::Route)
    });
}
