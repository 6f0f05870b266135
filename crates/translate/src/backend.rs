//! Backends: from a reference to a target, or to the reason why there is none.
//!
//! A broken reference never breaks its rule: it keeps its weight and answers 500 for its share
//! (HTTPRouteRule.backendRefs), and `ResolvedRefs` says why.

use std::sync::Arc;

use weft_api::{
    GATEWAY_GROUP, Service,
    reference::BackendRef,
    service::{ServicePort, ServiceType, Transport},
};
use weft_ir::{Backend, BackendFault, BackendTls, Filters, Name, Target};

use crate::{
    context::ParentMode,
    field::{Field, Quoted},
    filter,
    grants::Reference,
    notes::{self, Code},
    policy::backend_tls::Dishonoured,
    service_protocol,
    verdict::{Judge, Refusal, Unresolved},
};

/// Largest weight (BackendRef.weight).
const MAX_WEIGHT: u32 = 1_000_000;

/// Compiles the `backendRefs` of a rule. `prefix` is what ReplacePrefixMatch in the backends'
/// filters replaces.
pub(crate) fn compile(
    judge: &mut Judge<'_, '_>,
    references: &[BackendRef],
    prefix: Option<&str>,
    at: &Field<'_>,
) -> Vec<Backend> {
    let mut backends = Vec::with_capacity(references.len());
    for (index, reference) in references.iter().enumerate() {
        let at = at.index(index);
        let weight = weight(judge, reference, &at.key("weight"));
        let compiled = filter::compile(judge, &reference.filters, prefix, &at.key("filters"));
        let target = match resolve(judge, reference, &at) {
            // Never without its filter. What the filter lacks is reported where it stands.
            Ok(_) if compiled.unresolved => fault(judge, reference, BackendFault::InvalidFilter),
            Ok(target) => target,
            Err(broken) => {
                let fault = fault(judge, reference, broken.fault);
                broken.report(judge, &at);
                fault
            }
        };
        let filters = match target {
            Target::Service { .. } => Filters::from(compiled.filters),
            Target::Fault { .. } => Filters::default(),
        };
        backends.push(Backend {
            weight,
            filters,
            target,
        });
    }
    backends
}

/// The target of a mirror, or `None` if the mirror has to be dropped.
pub(crate) fn mirror_target(
    judge: &mut Judge<'_, '_>,
    reference: &BackendRef,
    at: &Field<'_>,
) -> Option<Target> {
    match resolve(judge, reference, at) {
        Ok(target) => Some(target),
        Err(broken) => {
            let message = format!("{}; nothing is mirrored", broken.message);
            Broken {
                code: &notes::MIRROR_TARGET,
                message,
                ..broken
            }
            .report(judge, at);
            None
        }
    }
}

/// Why a reference cannot be used.
struct Broken {
    fault: BackendFault,
    code: &'static Code,
    /// The field of the reference that is to blame.
    key: &'static str,
    message: String,
}

impl Broken {
    fn report(&self, judge: &mut Judge<'_, '_>, at: &Field<'_>) {
        let reason = match self.fault {
            BackendFault::RefNotPermitted => Unresolved::RefNotPermitted,
            BackendFault::InvalidKind => Unresolved::InvalidKind,
            BackendFault::BackendNotFound => Unresolved::BackendNotFound,
            // A backend is invalid, and ResolvedRefs False, when the "implementation is unable to
            // meet the requirement" of a BackendTLSPolicy (HTTPBackendRef); no reason is reserved
            // for it, and TLS is the protocol that cannot be spoken.
            BackendFault::UnsupportedProtocol
            | BackendFault::BackendTls
            | BackendFault::InvalidFilter => Unresolved::UnsupportedProtocol,
        };
        judge.unresolved(reason, self.code, &at.key(self.key), &self.message);
    }
}

fn resolve(
    judge: &mut Judge<'_, '_>,
    reference: &BackendRef,
    at: &Field<'_>,
) -> Result<Target, Broken> {
    check_kind(judge, reference, at)?;
    let name = name(judge, reference);
    // Before any look at the Service: whether it exists is nobody's business without a grant.
    check_grant(judge, &name)?;
    let service = judge.context().service(&name).ok_or_else(|| Broken {
        fault: BackendFault::BackendNotFound,
        code: &notes::BACKEND_NOT_FOUND,
        key: "name",
        message: format!("Service {name} does not exist"),
    })?;
    let port = port(service, reference, &name)?;
    let tls = tls(judge, &name, port)?;
    let (kind, parent) = (judge.kind(), judge.context().parent);
    let app_protocol = port.app_protocol.as_deref();
    match (
        service_protocol::backend(app_protocol, tls.is_some(), kind, parent),
        u16::try_from(port.port),
    ) {
        (Some(protocol), Ok(port)) => {
            let port = weft_ir::ServicePort {
                service: name,
                port,
            };
            Ok(Target::Service {
                port,
                protocol,
                tls,
            })
        }
        _ => Err(Broken {
            fault: BackendFault::UnsupportedProtocol,
            code: &notes::BACKEND_PROTOCOL,
            key: "port",
            message: format!(
                "Service {name} port {} has appProtocol {}, to which no {kind} can send",
                port.port,
                Quoted(app_protocol.unwrap_or_default())
            ),
        }),
    }
}

/// Services are all there is. `group: core` is what people write for the core group, whose name is
/// empty.
fn check_kind(
    judge: &mut Judge<'_, '_>,
    reference: &BackendRef,
    at: &Field<'_>,
) -> Result<(), Broken> {
    let (group, kind) = (reference.group(), reference.kind());
    if group == "core" {
        judge.hint(
            &notes::CORE_GROUP_ALIAS,
            &at.key("group"),
            "\"core\" is read as \"\"",
        );
    } else if !group.is_empty() {
        let message = format!("{} of group {} is no backend", Quoted(kind), Quoted(group));
        return Err(Broken::kind("group", message));
    }
    if kind != "Service" {
        return Err(Broken::kind(
            "kind",
            format!("{} is no backend", Quoted(kind)),
        ));
    }
    Ok(())
}

/// Only at a gateway: routes of a mesh reach Services that their clients reach anyway (GEP-1294).
fn check_grant(judge: &mut Judge<'_, '_>, name: &Name) -> Result<(), Broken> {
    let kind = judge.kind();
    let context = judge.context();
    let route = Arc::clone(&context.route);
    let reference = Reference {
        from_group: GATEWAY_GROUP,
        from_kind: kind.as_str(),
        from_namespace: &route.name.namespace,
        to_group: "",
        to_kind: "Service",
        to_namespace: &name.namespace,
        to_name: &name.name,
    };
    if context.parent == ParentMode::Mesh
        || !reference.crosses_namespaces()
        || reference.permitted_by(context.grants(&name.namespace))
    {
        return Ok(());
    }
    let from = &route.name.namespace;
    let message = format!(
        "no ReferenceGrant in namespace {} permits {kind} of namespace {from} to refer to Service \
         {name}",
        name.namespace
    );
    Err(Broken {
        fault: BackendFault::RefNotPermitted,
        code: &notes::REF_NOT_PERMITTED,
        key: "namespace",
        message,
    })
}

/// The TCP port of the Service that the reference names.
fn port<'s>(
    service: &'s Service,
    reference: &BackendRef,
    name: &Name,
) -> Result<&'s ServicePort, Broken> {
    if *service.spec.type_() == ServiceType::ExternalName {
        // CVE-2021-25740: "Implementations SHOULD NOT support ExternalName Services".
        return Err(Broken {
            code: &notes::EXTERNAL_NAME_BACKEND,
            ..Broken::kind("name", format!("Service {name} is of type ExternalName"))
        });
    }
    let not_found = |message| Broken {
        fault: BackendFault::BackendNotFound,
        code: &notes::BACKEND_PORT,
        key: "port",
        message,
    };
    let Some(number) = reference.port else {
        return Err(not_found(format!(
            "a reference to Service {name} needs a port"
        )));
    };
    let ports = || {
        service
            .spec
            .ports
            .iter()
            .filter(move |port| port.port == number)
    };
    if let Some(port) = ports().find(|port| *port.protocol() == Transport::Tcp) {
        return Ok(port);
    }
    match ports().next() {
        Some(other) => Err(Broken {
            fault: BackendFault::UnsupportedProtocol,
            code: &notes::BACKEND_PROTOCOL,
            key: "port",
            message: format!(
                "Service {name} port {number} is {}, not TCP",
                other.protocol()
            ),
        }),
        None => {
            let known = known_ports(service);
            Err(not_found(format!(
                "Service {name} has no port {number} (it has {known})"
            )))
        }
    }
}

/// For people who named another.
fn known_ports(service: &Service) -> String {
    let ports = service.spec.ports.iter();
    let known: Vec<_> = ports.map(|port| port.port.to_string()).collect();
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

/// The TLS that a BackendTLSPolicy asks for. "Requests to its target answer 5xx; plaintext never" when
/// the policy cannot be honoured.
fn tls(
    judge: &mut Judge<'_, '_>,
    name: &Name,
    port: &ServicePort,
) -> Result<Option<Arc<BackendTls>>, Broken> {
    match judge.context().backend_tls(name, port) {
        None => Ok(None),
        Some(Ok(tls)) => Ok(Some(tls)),
        Some(Err(Dishonoured { policy, why })) => Err(Broken {
            fault: BackendFault::BackendTls,
            code: &notes::BACKEND_TLS,
            key: "name",
            message: format!(
                "BackendTLSPolicy {policy} asks for TLS to Service {name} and cannot be honoured: {why}"
            ),
        }),
    }
}

/// Strings are shared: one rule more is not one namespace more.
fn name(judge: &mut Judge<'_, '_>, reference: &BackendRef) -> Name {
    let own = &judge.context().route.name.namespace;
    let namespace = match &reference.namespace {
        Some(other) if **other != **own => Arc::from(other.as_str()),
        _ => Arc::clone(own),
    };
    Name::new(namespace, reference.name.as_str())
}

fn fault(judge: &mut Judge<'_, '_>, reference: &BackendRef, fault: BackendFault) -> Target {
    let namespace = reference.namespace(&judge.context().route.name.namespace);
    let (kind, name) = (reference.kind(), &reference.name);
    let reference = match reference.port {
        Some(port) => format!("{kind} {namespace}/{name}:{port}"),
        None => format!("{kind} {namespace}/{name}"),
    };
    Target::Fault { fault, reference }
}

fn weight(judge: &mut Judge<'_, '_>, reference: &BackendRef, at: &Field<'_>) -> u32 {
    match u32::try_from(reference.weight()) {
        Ok(weight @ 0..=MAX_WEIGHT) => weight,
        _ => {
            let message = format!("{} is not 0 to {MAX_WEIGHT}", reference.weight());
            judge.drop_rule(Refusal::UnsupportedValue, &notes::OUT_OF_RANGE, at, message);
            0
        }
    }
}

impl Broken {
    fn kind(key: &'static str, message: String) -> Self {
        let (fault, code) = (BackendFault::InvalidKind, &notes::REFERENCE_KIND);
        Self {
            fault,
            code,
            key,
            message,
        }
    }
}
