//! Objects that qualify others: BackendTLSPolicy, ReferenceGrant, XBackendTrafficPolicy.

use std::collections::BTreeMap;

use crate::conditions::Condition;
use crate::object::kind_struct;
use crate::reference::{ObjectReference, ParentReference, PolicyTargetReference};
use crate::route::SessionPersistence;
use crate::schema::{open_enum, schema};

kind_struct! {
    /// How connections to backends are secured (GEP-1897). A target under a policy that cannot be
    /// honoured must never be reached in plaintext.
    pub struct BackendTlsPolicy { spec: BackendTlsPolicySpec, status: PolicyStatus }

    /// Permission for references into its own namespace (GEP-709). Has no status.
    pub struct ReferenceGrant { spec: ReferenceGrantSpec }

    /// Retry budget and session persistence of Services (experimental, GEP-3388).
    pub struct XBackendTrafficPolicy { spec: BackendTrafficPolicySpec, status: PolicyStatus }
}

open_enum! {
    /// Sets of certification authorities known by name.
    pub enum WellKnownCaCertificates {
        System = "System",
    }

    /// What a subject alternative name is.
    pub enum SubjectAltNameType {
        Hostname = "Hostname",
        Uri = "URI",
    }
}

schema! {
    /// Spec of a BackendTLSPolicy.
    pub struct BackendTlsPolicySpec {
        /// Services, or parts of them, of the policy's namespace.
        pub target_refs: Vec<PolicyTargetReference>,
        /// How the backend is verified.
        pub validation: BackendTlsValidation,
        /// Implementation-specific settings.
        pub options: BTreeMap<String, String>,
    }

    /// How the certificate of a backend is verified.
    pub struct BackendTlsValidation {
        /// Objects of the same namespace with `ca.crt`; excludes the next field.
        pub ca_certificate_refs: Vec<ObjectReference>,
        /// A named set of authorities.
        #[serde(rename = "wellKnownCACertificates")]
        pub well_known_ca_certificates: Option<WellKnownCaCertificates>,
        /// Server name sent, and verified when there are no `subject_alt_names`.
        pub hostname: String,
        /// Names of which the certificate must have one.
        pub subject_alt_names: Vec<SubjectAltName>,
    }

    /// A name a certificate may have.
    pub struct SubjectAltName {
        /// Which of the following fields applies.
        #[serde(rename = "type")]
        pub type_: SubjectAltNameType,
        /// Host name, `*.` allowed in front.
        pub hostname: Option<String>,
        /// Absolute URI, for example a SPIFFE ID.
        pub uri: Option<String>,
    }

    /// Spec of a ReferenceGrant: any of `from` may refer to any of `to`.
    pub struct ReferenceGrantSpec {
        /// Trusted referents.
        pub from: Vec<ReferenceGrantFrom>,
        /// What they may refer to.
        pub to: Vec<ReferenceGrantTo>,
    }

    /// Objects that may refer.
    pub struct ReferenceGrantFrom {
        /// API group; empty means the core group.
        pub group: String,
        /// Kind.
        pub kind: String,
        /// Namespace of the referring object.
        pub namespace: String,
    }

    /// Objects that may be referred to, in the grant's own namespace.
    pub struct ReferenceGrantTo {
        /// API group; empty means the core group.
        pub group: String,
        /// Kind.
        pub kind: String,
        /// Name; absent means every object of the kind.
        pub name: Option<String>,
    }

    /// Spec of an XBackendTrafficPolicy.
    pub struct BackendTrafficPolicySpec {
        /// Services of the policy's namespace.
        pub target_refs: Vec<PolicyTargetReference>,
        /// Limits of retries.
        pub retry_constraint: Option<RetryConstraint>,
        /// Session persistence.
        pub session_persistence: Option<SessionPersistence>,
    }

    /// How many retries a backend may get.
    pub struct RetryConstraint {
        /// Share of retries; absent means 20 % over 10 s.
        pub budget: Option<RetryBudget>,
        /// Retries that are always allowed; absent means 10 per second.
        pub min_retry_rate: Option<RequestRate>,
    }

    /// A share of requests that may be retries.
    pub struct RetryBudget {
        /// Percent, 0 to 100; absent means 20.
        pub percent: Option<i32>,
        /// GEP-2257 duration over which requests are counted; absent means `10s`.
        pub interval: Option<String>,
    }

    /// A number of requests in some time.
    pub struct RequestRate {
        /// Requests, 1 to 1,000,000.
        pub count: Option<i32>,
        /// GEP-2257 duration.
        pub interval: Option<String>,
    }

    /// What one controller says about a policy under one ancestor of its target.
    pub struct AncestorStatus {
        /// The ancestor: a Gateway, or the target itself.
        pub ancestor_ref: ParentReference,
        /// The controller that owns this entry.
        pub controller_name: String,
        /// Its verdicts.
        pub conditions: Vec<Condition>,
    }
}

/// Status of every policy kind.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct PolicyStatus {
    /// One entry per ancestor and controller, 16 at most. Written even when empty: the schema
    /// requires it.
    pub ancestors: Vec<AncestorStatus>,
}
