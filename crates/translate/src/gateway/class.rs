//! GatewayClasses, the XMesh, and whose Gateway a Gateway is.

use weft_api::{
    Condition, ConditionStatus, ConditionType, GatewayClass, Object, Reason, XMesh,
    gateway::{ClassSpec, ClassStatus},
};

use crate::{
    Input,
    features::{self, Speaker},
    notes::{self, Findings},
    route::Rejection,
    scope::{ClassPolicy, Scope},
    status::{keep_foreign, verdict, with_rejection},
};

/// The `bundle-version` of CRDs that is known to work, as a prefix that ends with a dot.
const SUPPORTED_BUNDLE: &str = "v1.6.";

/// What the class of a Gateway says about who serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Ours.
    Ours,
    /// Ours, but its class is not accepted, so that it has to wait.
    Waiting(String),
    /// Somebody else's: neither served nor judged.
    Foreign,
}

/// Whose Gateways of the class `name` are.
pub(crate) fn ownership(input: Input<'_>, name: &str, findings: &mut Findings) -> Ownership {
    let class = input.store.gateway_classes().get("", name);
    let ours = class.filter(|class| class.spec.controller_name == input.scope.gateway_controller);
    if let Some(class) = ours {
        return match parameters(input.scope, class) {
            Ok(()) => Ownership::Ours,
            Err(rejection) => {
                let message = format!("GatewayClass {name} is not accepted: {}", rejection.message);
                findings.add(
                    &notes::GATEWAY_CLASS,
                    "spec.gatewayClassName",
                    message.as_str(),
                );
                Ownership::Waiting(message)
            }
        };
    }
    if input.scope.classes == ClassPolicy::Ours {
        return Ownership::Foreign;
    }
    // The class that an installation creates is missed by nobody where there is no installation.
    if class.is_none() && name == Scope::GATEWAY_CLASS {
        return Ownership::Ours;
    }
    let message = match class {
        None => format!("GatewayClass {name:?} does not exist; the Gateway is served all the same"),
        Some(class) => format!(
            "GatewayClass {name:?} belongs to controller {:?}; the Gateway is served here because \
             no other controller can be",
            class.spec.controller_name
        ),
    };
    findings.add(&notes::GATEWAY_CLASS, "spec.gatewayClassName", message);
    Ownership::Ours
}

/// The status of a GatewayClass, if it is ours.
pub(crate) fn class_status(
    class: &GatewayClass,
    scope: &Scope,
    findings: &mut Findings,
) -> Option<ClassStatus> {
    if class.spec.controller_name != scope.gateway_controller {
        return None;
    }
    let parameters = parameters(scope, class);
    let message = "Gateways of this class are served";
    let mut conditions = vec![accepted(class, parameters, message, findings)];
    conditions.push(supported_version(scope, class.generation()));
    Some(ClassStatus {
        conditions: keep_foreign(conditions, &class.status.conditions),
        supported_features: features::status_list(scope.channel, Speaker::GatewayClass),
    })
}

/// The status of an XMesh, if it is ours (GEP-3949).
pub(crate) fn mesh_status(
    mesh: &XMesh,
    scope: &Scope,
    findings: &mut Findings,
) -> Option<ClassStatus> {
    if mesh.spec.controller_name != scope.mesh_controller {
        if mesh.name() == scope.mesh_name {
            let message = format!(
                "the XMesh {:?} belongs to controller {:?} and is left alone",
                scope.mesh_name, mesh.spec.controller_name
            );
            findings.add(&notes::FOREIGN_MESH, "spec.controllerName", message);
        }
        return None;
    }
    if !scope.has_mesh {
        return Some(no_mesh(mesh, findings));
    }
    let message = format!("Weft serves the mesh {}", mesh.name());
    let conditions = vec![accepted(mesh, unsupported(&mesh.spec), &message, findings)];
    Some(ClassStatus {
        conditions: keep_foreign(conditions, &mesh.status.conditions),
        supported_features: features::status_list(scope.channel, Speaker::Mesh),
    })
}

/// Of an XMesh of ours where nobody serves a mesh: it waits for one, and has no features.
fn no_mesh(mesh: &XMesh, findings: &mut Findings) -> ClassStatus {
    let message = "no mesh runs in this cluster";
    findings.add(&notes::NO_MESH, "spec.controllerName", message);
    let pending = Rejection::new(Reason::Pending.as_str(), message);
    let accepted = with_rejection(
        ConditionType::Accepted,
        ConditionStatus::Unknown,
        &pending,
        mesh.generation(),
    );
    ClassStatus {
        conditions: keep_foreign(vec![accepted], &mesh.status.conditions),
        supported_features: Vec::new(),
    }
}

/// `Accepted`, which depends on the parameters alone.
fn accepted(
    object: &impl Object,
    parameters: Result<(), Rejection>,
    message: &str,
    findings: &mut Findings,
) -> Condition {
    let result = parameters.as_ref().map(|()| message);
    if let Err(rejection) = &parameters {
        let (field, message) = ("spec.parametersRef", rejection.message.as_str());
        findings.add(&notes::PARAMETERS_REF, field, message);
    }
    verdict(
        ConditionType::Accepted,
        Reason::Accepted,
        result,
        object.generation(),
    )
}

/// Whether the deployer can use the parameters of a class, if there is a deployer.
fn parameters(scope: &Scope, class: &GatewayClass) -> Result<(), Rejection> {
    let Some(unusable) = &scope.unusable_parameters else {
        return unsupported(&class.spec);
    };
    let refused = |why: &String| {
        let message = format!("spec.parametersRef: {why}");
        Err(Rejection::new(Reason::InvalidParameters.as_str(), message))
    };
    unusable.classes.get(class.name()).map_or(Ok(()), refused)
}

/// No kind holds parameters where nobody uses them, so that a reference to any is to an unsupported
/// kind.
fn unsupported(spec: &ClassSpec) -> Result<(), Rejection> {
    match &spec.parameters_ref {
        None => Ok(()),
        Some(reference) => Err(Rejection::new(
            Reason::InvalidParameters.as_str(),
            format!(
                "spec.parametersRef: {} {:?} cannot hold parameters; no kind is supported",
                reference.kind, reference.name
            ),
        )),
    }
}

/// CRDs of another version are served as well as possible, and it is said.
fn supported_version(scope: &Scope, generation: Option<i64>) -> Condition {
    let supported = |version: &str| version.starts_with(SUPPORTED_BUNDLE);
    let (status, reason, message) = match scope.bundle_version.as_deref() {
        None => (
            ConditionStatus::True,
            Reason::SupportedVersion,
            format!("objects are read as of Gateway API {SUPPORTED_BUNDLE}x"),
        ),
        Some(version) if supported(version) => (
            ConditionStatus::True,
            Reason::SupportedVersion,
            format!(
                "the CRDs have bundle version {version} of the {} channel",
                scope.channel.name()
            ),
        ),
        Some(version) => (
            ConditionStatus::False,
            Reason::UnsupportedVersion,
            format!(
                "the CRDs have bundle version {version}, supported is {SUPPORTED_BUNDLE}x; Gateways \
                 are served as well as possible"
            ),
        ),
    };
    Condition::new(ConditionType::SupportedVersion, status, reason)
        .message(message)
        .generation(generation)
}
