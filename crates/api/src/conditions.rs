//! Status conditions: the types and reasons Weft writes, and how new ones are merged with old.
//!
//! Texts are those of the Go constants of Gateway API v1.6.1 without their prefix. Two are ours:
//! the reason `Conflicted` of a route that loses a Service port to a higher kind (GEP-1294 names
//! it `RouteReasonConflicted`, v1.6.1 has no constant), and the type `weft.dev/Applied`.

mod permitted;
#[cfg(test)]
mod tests;

pub use permitted::{Surface, permitted};

use crate::meta::Time;
use crate::schema::{Omit, schema};

/// Controller name in the status of routes attached to a Service, and of XMesh.
pub const MESH_CONTROLLER: &str = "weft.dev/mesh-controller";
/// Controller name of GatewayClass, and in the status of whatever hangs below its Gateways.
pub const GATEWAY_CONTROLLER: &str = "weft.dev/gateway-controller";

/// Declares a closed list of names with their texts; the text is the variant's name unless given.
macro_rules! names {
    ($(#[$meta:meta])* pub enum $name:ident { $($variant:ident $(= $text:literal)?),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(
                #[doc = concat!("`", names!(@text $variant $($text)?), "`.")]
                $variant,
            )+
        }

        impl $name {
            /// Every name of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text in a status.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => names!(@text $variant $($text)?),)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
    (@text $variant:ident $text:literal) => { $text };
    (@text $variant:ident) => { stringify!($variant) };
}

names! {
    /// What a condition is about.
    pub enum ConditionType {
        Accepted,
        ResolvedRefs,
        PartiallyInvalid,
        Programmed,
        Conflicted,
        OverlappingTlsConfig = "OverlappingTLSConfig",
        InsecureFrontendValidationMode,
        SupportedVersion,
        Applied = "weft.dev/Applied",
    }
}

names! {
    /// Why a condition has its status.
    pub enum Reason {
        // Routes; some of these serve other objects too.
        Accepted,
        NoMatchingParent,
        NotAllowedByListeners,
        NoMatchingListenerHostname,
        UnsupportedValue,
        IncompatibleFilters,
        Conflicted,
        Pending,
        ResolvedRefs,
        RefNotPermitted,
        InvalidKind,
        BackendNotFound,
        UnsupportedProtocol,
        // Gateways.
        ListenersNotValid,
        Invalid,
        InvalidParameters,
        UnsupportedAddress,
        Programmed,
        NoResources,
        AddressNotAssigned,
        AddressNotUsable,
        ListenersNotResolved,
        InvalidClientCertificateRef,
        ConfigurationChanged,
        // Listeners and listener entries.
        PortUnavailable,
        NoValidCaCertificate = "NoValidCACertificate",
        HostnameConflict,
        ProtocolConflict,
        ListenerConflict,
        NoConflicts,
        InvalidCertificateRef,
        InvalidCaCertificateRef = "InvalidCACertificateRef",
        InvalidCaCertificateKind = "InvalidCACertificateKind",
        InvalidRouteKinds,
        OverlappingHostnames,
        OverlappingCertificates,
        TooManyListeners,
        // Listener sets.
        NotAllowed,
        ParentNotAccepted,
        // Policies.
        TargetNotFound,
        // Classes.
        Unsupported,
        Waiting,
        SupportedVersion,
        UnsupportedVersion,
        // weft.dev/Applied.
        Applied,
        PartiallyApplied,
    }
}

/// Status of a condition. A value outside the three of the API reads as `Unknown`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// Nobody knows yet.
    #[default]
    #[serde(other)]
    Unknown,
}

schema! {
    /// A verdict about an object, in the shape of `meta/v1` `Condition`. Type and reason are
    /// texts because other controllers' conditions pass through unchanged.
    pub struct Condition {
        /// What it is about; one condition per type.
        #[serde(rename = "type")]
        pub type_: String,
        /// The verdict.
        pub status: ConditionStatus,
        /// Generation of the object that was judged.
        pub observed_generation: Option<i64>,
        /// When `status` last changed; set by [`merge`], absent before.
        pub last_transition_time: Option<Time>,
        /// Why, as one word.
        pub reason: String,
        /// Why, for humans; at most 32,768 bytes.
        pub message: String,
    }
}

impl Omit for ConditionStatus {}

impl Condition {
    /// A new verdict, without generation, message and time.
    #[must_use]
    pub fn new(type_: ConditionType, status: ConditionStatus, reason: Reason) -> Self {
        Self {
            type_: type_.as_str().to_owned(),
            status,
            reason: reason.as_str().to_owned(),
            ..Self::default()
        }
    }

    /// With a message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// With the generation of the object that was judged.
    #[must_use]
    pub fn generation(mut self, generation: Option<i64>) -> Self {
        self.observed_generation = generation;
        self
    }

    /// Whether it is about this.
    #[must_use]
    pub fn is(&self, type_: ConditionType) -> bool {
        self.type_ == type_.as_str()
    }
}

/// The condition of a type.
#[must_use]
pub fn find(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.is(type_))
}

/// What to write, given what is there and what is wanted: exactly the wanted conditions, one per
/// type (of repeats the last counts), each with the old transition time while its status stays
/// the same and with `now` when it changes. The old order is kept, so that the answer equals
/// `old` when nothing changed and need not be written.
#[must_use]
pub fn merge(old: &[Condition], wanted: Vec<Condition>, now: &Time) -> Vec<Condition> {
    let mut merged: Vec<Condition> = Vec::with_capacity(wanted.len());
    for mut condition in wanted {
        let before = old.iter().find(|before| before.type_ == condition.type_);
        condition.last_transition_time = before
            .filter(|before| before.status == condition.status)
            .and_then(|before| before.last_transition_time.clone())
            .or_else(|| Some(now.clone()));
        match merged
            .iter_mut()
            .find(|earlier| earlier.type_ == condition.type_)
        {
            Some(earlier) => *earlier = condition,
            None => merged.push(condition),
        }
    }
    let position = |condition: &Condition| {
        old.iter()
            .position(|before| before.type_ == condition.type_)
            .unwrap_or(old.len())
    };
    merged.sort_by_key(position);
    merged
}
