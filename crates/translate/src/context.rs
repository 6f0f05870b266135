//! What the compilation of a route may look at, and the record of what it did look at.
//!
//! Rules are compiled once per (route, parent mode) and kept as long as nothing they were compiled
//! from has changed. That is only true if every look outside the route object is written down, so a
//! route never gets the store itself: it asks this context, and the context keeps the list.

use std::{collections::BTreeSet, sync::Arc};

use weft_api::{Kind, ObjectKey, ObjectRef, ReferenceGrant, Service, service::ServicePort};
use weft_ir::{BackendTls, Name, RouteId, RouteKind};

use crate::{
    Input,
    notes::{Code, Findings, Note},
    policy::backend_tls::{self, Dishonoured},
};

/// The two ways to be a parent. They differ in what a reference may reach and in what a hostname
/// means, so a route with parents of both sorts is compiled twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ParentMode {
    /// Gateway listeners: references to other namespaces need a ReferenceGrant.
    Gateway,
    /// Service ports (GEP-1294): mesh routes augment Services that exist anyway, so no reference
    /// needs a grant, and hostnames are ignored.
    Mesh,
}

/// The objects outside of the route that its rules depend on, sorted. Most routes depend on one, so
/// these are lists: a tree of one takes ten times the memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Services that were looked up, whether they exist or not. A BackendTLSPolicy, with the
    /// authorities it refers to, counts as part of the Service it targets.
    pub(crate) services: Box<[Name]>,
    /// Namespaces whose ReferenceGrants were consulted.
    pub(crate) grants: Box<[Arc<str>]>,
}

/// The surroundings of one route while its rules are compiled.
pub(crate) struct CompileContext<'a> {
    /// Which sort of parent the rules are for.
    pub(crate) parent: ParentMode,
    /// The route, as rules name it. Share it, do not copy it.
    pub(crate) route: Arc<RouteId>,
    input: Input<'a>,
    findings: Findings,
    services: BTreeSet<Name>,
    grants: BTreeSet<Arc<str>>,
}

impl<'a> CompileContext<'a> {
    /// The surroundings of `route`.
    pub(crate) fn new(input: Input<'a>, parent: ParentMode, route: Arc<RouteId>) -> Self {
        let findings = Findings::new(object_ref(&route));
        Self {
            parent,
            route,
            input,
            findings,
            services: BTreeSet::new(),
            grants: BTreeSet::new(),
        }
    }

    /// The Service of that name.
    pub(crate) fn service(&mut self, name: &Name) -> Option<&'a Arc<Service>> {
        self.services.insert(name.clone());
        self.input.store.service(&name.namespace, &name.name)
    }

    /// The ReferenceGrants that live in `namespace`, which is the namespace of the *referent*.
    pub(crate) fn grants<'n>(
        &mut self,
        namespace: &'n Arc<str>,
    ) -> impl Iterator<Item = &'n ReferenceGrant>
    where
        'a: 'n,
    {
        self.grants.insert(namespace.clone());
        let grants = self.input.store.reference_grants();
        grants.in_namespace(namespace).map(AsRef::as_ref)
    }

    /// What to speak TLS with the endpoints of the port by; `None` when no policy asks for it.
    pub(crate) fn backend_tls(
        &mut self,
        service: &Name,
        port: &ServicePort,
    ) -> Option<Result<Arc<BackendTls>, Dishonoured>> {
        self.services.insert(service.clone());
        backend_tls::of_port(self.input, service, port)
    }

    /// Adds a finding about the route. `field` is the path from the object's root, for example
    /// `spec.rules[2].filters[0]`.
    pub(crate) fn note(&mut self, code: &'static Code, field: impl Into<String>, message: String) {
        self.findings.add(code, field, message);
    }

    /// Ends the compilation: the findings and the record of what was used.
    pub(crate) fn finish(self) -> (Vec<Note>, Uses) {
        let uses = Uses {
            services: self.services.into_iter().collect(),
            grants: self.grants.into_iter().collect(),
        };
        (self.findings.into_vec(), uses)
    }
}

/// The name of an object in the tables.
pub(crate) fn name_of(key: &ObjectKey) -> Name {
    let (namespace, name) = key.clone().into();
    Name { namespace, name }
}

/// The route object as findings and statuses name it.
pub(crate) fn object_ref(route: &RouteId) -> ObjectRef {
    let kind = match route.kind {
        RouteKind::Grpc => Kind::GrpcRoute,
        _ => Kind::HttpRoute,
    };
    let Name { namespace, name } = route.name.clone();
    ObjectRef::new(kind, ObjectKey::new(namespace, name))
}
