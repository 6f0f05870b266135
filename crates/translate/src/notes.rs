//! Findings: what a user should know about an object, with the place and a cure.
//!
//! Every code stands once, here, with its severity, its subject and its cure; `analyze`, the
//! documentation and the JSON output are made from [`CODES`]. Codes are never reused.

use std::fmt;

use weft_api::ObjectRef;

#[cfg(test)]
mod tests;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Works, but probably not as intended.
    Warning,
    /// Something that was written has no effect or fails requests.
    Error,
}

impl Severity {
    /// The word used in text and JSON output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind of finding.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code {
    /// `WA###`
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, as a heading.
    pub subject: &'static str,
    /// What to do, in one line.
    pub cure: &'static str,
}

/// One finding about one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The object it is about.
    pub object: ObjectRef,
    /// Path from the object's root, for example `spec.rules[2].filters[0]`.
    pub field: String,
    /// Which kind of finding.
    pub code: &'static Code,
    /// What is wrong, with the names involved.
    pub message: String,
}

impl Note {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity
    }

    /// What to do.
    pub fn cure(&self) -> &'static str {
        self.code.cure
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            object,
            field,
            code,
            message,
        } = self;
        write!(
            f,
            "{} {} {object} {field}: {message} → {}",
            code.severity, code.id, code.cure
        )
    }
}

macro_rules! codes {
    ($($name:ident = $id:literal, $severity:ident, $subject:literal, $cure:literal;)+) => {
        $(
            #[doc = concat!("`", $id, "`: ", $subject, ".")]
            pub static $name: Code = Code {
                id: $id,
                severity: Severity::$severity,
                subject: $subject,
                cure: $cure,
            };
        )+

        /// Every code, in ascending order.
        pub static CODES: &[&Code] = &[$(&$name),+];
    };
}

codes! {
    // WA1xx: structure and references.
    INVALID_OBJECT = "WA100", Error, "the object does not satisfy its schema", "correct the field; until then the object is refused, as an API server would";
    UNKNOWN_FIELD = "WA101", Error, "unknown field", "remove the field or correct its spelling";
    BACKEND_NOT_FOUND = "WA102", Error, "backend does not exist", "create the Service or correct the name; its share of requests fails until then";
    BACKEND_PORT = "WA103", Error, "backend port missing or not a port of the Service", "name a port of the Service's spec.ports; its share of requests fails until then";
    REFERENCE_KIND = "WA104", Error, "reference to a group or kind that cannot be used here", "refer to a supported kind";
    REF_NOT_PERMITTED = "WA105", Error, "reference to another namespace without ReferenceGrant", "create a ReferenceGrant in the namespace of the referent; nothing follows the reference until then";
    PARENT_NOT_FOUND = "WA106", Error, "parent does not exist", "create the parent or correct the parentRef";
    PARENT_SECTION = "WA107", Error, "parent has no such section or port", "name a listener of the Gateway or a port of the Service";
    PARENT_WITHOUT_CLUSTER_IP = "WA108", Error, "parent Service has no ClusterIP", "attach the route to a Service with a ClusterIP";
    CORE_GROUP_ALIAS = "WA109", Warning, "group \"core\" read as \"\"", "write group: \"\"";
    EXTERNAL_NAME_BACKEND = "WA110", Error, "ExternalName Service as backend", "use a Service with endpoints; its share of requests fails until then";
    FOREIGN_PARENT = "WA111", Info, "parent of a kind that is not served here", "nothing, if another controller serves it";
    BACKEND_PROTOCOL = "WA112", Error, "appProtocol of the backend cannot be served", "correct appProtocol of the Service port; its share of requests fails until then";
    GATEWAY_CLASS = "WA113", Warning, "GatewayClass missing or of another controller", "create a GatewayClass with controllerName weft.dev/gateway-controller";
    CERTIFICATE_REF = "WA114", Error, "certificate cannot be used", "refer to a Secret of type kubernetes.io/tls with tls.crt and tls.key in PEM; no TLS is served with it until then";
    PARAMETERS_REF = "WA115", Error, "parametersRef cannot be used", "correct what it refers to, or remove it";
    MIRROR_TARGET = "WA116", Error, "mirror target cannot be used", "refer to an existing Service port";
    FOREIGN_MESH = "WA117", Warning, "XMesh of another controller", "rename one of the meshes";
    PARENT_NOT_SERVED = "WA118", Error, "parent is not served", "see the status of the parent";
    NO_MESH = "WA119", Warning, "mesh where none runs", "nothing, if another mesh serves it; Weft serves Gateways only in a cluster, as yet";
    // WA2xx: acceptance.
    UNSUPPORTED_VALUE = "WA201", Error, "value that is not supported", "use a supported value or remove the field";
    UNSUPPORTED_FIELD = "WA202", Error, "field that is not built yet", "remove the field";
    INVALID_MATCH = "WA203", Error, "match that cannot be used", "correct the match";
    UNSUPPORTED_FILTER = "WA204", Error, "filter that is not supported", "remove the filter or use a supported type";
    INVALID_FILTER = "WA205", Error, "filter that is not valid", "correct the filter";
    INCOMPATIBLE_FILTERS = "WA206", Error, "filters that exclude each other", "keep one of the filters";
    BAD_REGEX = "WA207", Error, "regular expression that does not compile", "correct or shorten the expression";
    BAD_DURATION = "WA208", Error, "duration that is not valid", "write a GEP-2257 duration such as 500ms or 1m30s";
    KIND_CONFLICT = "WA209", Error, "several kinds of route on one Service port", "keep one kind of route per Service port and namespace";
    HOSTNAME_MISMATCH = "WA210", Error, "no hostname in common with the listener", "add a hostname that a listener of the parent serves; the route gets none of its requests until then";
    NOT_ALLOWED = "WA211", Error, "route not allowed by the listener", "extend allowedRoutes of the listener";
    PARENT_GROUP_DEFAULTED = "WA212", Error, "parent kind Service without group: \"\"", "write group: \"\" in the parentRef";
    LISTENER_PROTOCOL = "WA213", Error, "listener protocol that is not served", "use HTTP or HTTPS";
    LISTENER_CONFLICT = "WA214", Error, "listeners that cannot be told apart", "give each listener of a port its own hostname and one protocol per port; none of them is served until then";
    LISTENER_ROUTE_KINDS = "WA215", Error, "route kind that the listener cannot serve", "list HTTPRoute or GRPCRoute in allowedRoutes.kinds";
    KIND_NOT_BUILT = "WA216", Error, "kind that is not built yet", "remove the object or serve it with another implementation";
    GATEWAY_ADDRESS = "WA217", Error, "address that cannot be given", "remove the address or use type IPAddress with an assigned value";
    FORBIDDEN_HEADER = "WA218", Error, "header that a filter may not touch", "remove the header from the filter";
    RULE_DROPPED = "WA219", Error, "rule dropped", "correct the fields named by the other findings of the rule";
    TOO_MANY = "WA220", Error, "list longer than the specification allows", "split the route";
    REPEATED_NAME = "WA221", Warning, "repeated name, of which only the first counts", "remove or rename the repeated entry";
    OUT_OF_RANGE = "WA222", Error, "number or duration outside its range", "use a value inside the range";
    BAD_HOSTNAME = "WA223", Error, "text that is not a hostname", "write an RFC 1123 hostname, with *. in front for a wildcard";
    PORT_UNAVAILABLE = "WA224", Error, "listener port that cannot be opened", "free the port or use another";
    NO_LISTENER = "WA225", Error, "Gateway without listener", "add a listener";
    UNROUTED = "WA226", Warning, "mesh traffic that passes unrouted", "correct the route, or remove it if its clients are to reach the Service itself";
    ANNOTATION = "WA227", Error, "annotation with a value that means nothing", "write \"true\" or \"false\", in quotes; it counts as absent until then";
    // WA3xx: precedence.
    SHADOWED = "WA301", Warning, "rule that never wins", "remove the rule or make its match more specific";
    TIE_BY_AGE = "WA302", Info, "equal matches, decided by age or name", "make the matches differ if the order matters";
    CONSUMER_OVERRIDES = "WA303", Info, "consumer routes replace the producer's here", "nothing, if clients of that namespace are meant to use their own routes";
    // WA4xx: policy and TLS.
    BACKEND_TLS = "WA401", Error, "BackendTLSPolicy that cannot be honoured", "correct the policy; until then requests to its target are refused, because plaintext is no substitute";
    OVERLAPPING_TLS = "WA402", Warning, "listeners with overlapping hostnames behind TLS", "give overlapping hostnames one certificate, or separate ports";
    CLIENT_VALIDATION = "WA403", Error, "client certificates, which are not built yet", "remove the tls field of the Gateway";
    CLIENT_CERTIFICATE = "WA404", Error, "client certificate of a Gateway that cannot be used", "refer to a Secret of type kubernetes.io/tls with tls.crt and tls.key in PEM; backends are shown no certificate until then";
    POLICY_CONFLICT = "WA405", Warning, "policy whose target another policy decides for", "remove one of the policies, or name a port each by sectionName";
    POLICY_TARGET = "WA406", Warning, "policy target that does not exist", "name a Service of the namespace of the policy, and one of its ports in sectionName";
    CA_REF = "WA407", Error, "certification authorities that cannot be used, beside others that can", "refer to ConfigMaps with certificates in PEM under ca.crt; backends that need these are refused until then";
    // WA5xx: mesh enrolment.
    PROTOCOL_UNDECLARED = "WA501", Info, "routed Service port without appProtocol", "declare appProtocol so that no detection is needed";
    OPAQUE_ROUTED = "WA502", Warning, "route on a Service port that is declared opaque", "correct appProtocol of the Service port";
    MESH_LABEL = "WA503", Error, "mesh label with a value that means nothing", "write enabled or disabled for weft.dev/mesh, strict or permissive for weft.dev/policy; it counts as absent until then";
    MESH_ANNOTATION = "WA504", Error, "mesh annotation with a value that means nothing", "write ports as numbers and networks as CIDRs, separated by commas; what cannot be read counts as absent until then";
    NEVER_ENROLLED = "WA505", Warning, "pod that cannot be of the mesh", "remove the label, or what keeps the pod out";
    // WA6xx: roll-outs.
    ALL_WEIGHTS_ZERO = "WA601", Warning, "every weight of the rule is 0", "give one backend a weight";
    NO_BACKENDS = "WA602", Warning, "rule without backends", "add backendRefs or a redirect";
    // WA7xx: capacity.
    REGEX_SIZE = "WA701", Error, "regular expression above the size limit", "shorten the expression";
}

/// The findings about one object while they are collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Findings {
    object: ObjectRef,
    list: Vec<Note>,
}

impl Findings {
    /// No finding about the object yet.
    pub(crate) fn new(object: ObjectRef) -> Self {
        Self {
            object,
            list: Vec::new(),
        }
    }

    /// Adds a finding. `field` is the path from the object's root.
    pub(crate) fn add(
        &mut self,
        code: &'static Code,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        let (object, field, message) = (self.object.clone(), field.into(), message.into());
        self.list.push(Note {
            object,
            field,
            code,
            message,
        });
    }

    /// The findings in the order they were added.
    pub(crate) fn into_vec(self) -> Vec<Note> {
        self.list
    }
}
