//! Which reasons may stand under which condition: the tables of the v1.6.1 type comments, as data
//! for the tests that judge every status Weft writes.

use super::{ConditionStatus, ConditionType, Reason};

/// What carries a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Surface {
    /// `status.parents[]` of a route.
    Route,
    /// `status` of a Gateway.
    Gateway,
    /// `status.listeners[]` of a Gateway.
    Listener,
    /// `status` of a ListenerSet.
    ListenerSet,
    /// `status.listeners[]` of a ListenerSet.
    ListenerEntry,
    /// `status.ancestors[]` of a policy.
    Policy,
    /// `status` of a GatewayClass.
    GatewayClass,
    /// `status` of an XMesh.
    Mesh,
}

/// The reasons a condition may give; empty when the condition does not belong there.
#[must_use]
pub fn permitted(
    surface: Surface,
    type_: ConditionType,
    status: ConditionStatus,
) -> &'static [Reason] {
    match surface {
        Surface::Route => route(type_, status),
        Surface::Gateway => gateway(type_, status),
        Surface::Listener => listener(type_, status),
        Surface::ListenerSet => listener_set(type_, status),
        Surface::ListenerEntry => listener_entry(type_, status),
        Surface::Policy => policy(type_, status),
        Surface::GatewayClass | Surface::Mesh => class(surface, type_, status),
    }
}

use ConditionStatus::{False, True, Unknown};
use ConditionType as Type;

fn applied(status: ConditionStatus) -> &'static [Reason] {
    match status {
        True => &[Reason::Applied],
        False => &[Reason::PartiallyApplied],
        Unknown => &[Reason::Pending],
    }
}

fn route(type_: Type, status: ConditionStatus) -> &'static [Reason] {
    match (type_, status) {
        (Type::Accepted, True) => &[Reason::Accepted],
        (Type::Accepted, False) => &[
            Reason::NoMatchingParent,
            Reason::NotAllowedByListeners,
            Reason::NoMatchingListenerHostname,
            Reason::UnsupportedValue,
            Reason::IncompatibleFilters,
            Reason::Conflicted,
        ],
        (Type::Accepted, Unknown) => &[Reason::Pending],
        (Type::ResolvedRefs, True) => &[Reason::ResolvedRefs],
        (Type::ResolvedRefs, False) => &[
            Reason::RefNotPermitted,
            Reason::InvalidKind,
            Reason::BackendNotFound,
            Reason::UnsupportedProtocol,
        ],
        // Never written as False: the condition is removed instead.
        (Type::PartiallyInvalid, True) => &[Reason::UnsupportedValue, Reason::IncompatibleFilters],
        (Type::Applied, _) => applied(status),
        _ => &[],
    }
}

fn gateway(type_: Type, status: ConditionStatus) -> &'static [Reason] {
    match (type_, status) {
        (Type::Accepted, True) => &[Reason::Accepted, Reason::ListenersNotValid],
        (Type::Accepted, False) => &[
            Reason::ListenersNotValid,
            Reason::Invalid,
            Reason::InvalidParameters,
            Reason::UnsupportedAddress,
        ],
        (Type::Accepted | Type::Programmed, Unknown) => &[Reason::Pending],
        (Type::Programmed, True) => &[Reason::Programmed],
        (Type::Programmed, False) => &[
            Reason::Pending,
            Reason::Invalid,
            Reason::NoResources,
            Reason::AddressNotAssigned,
            Reason::AddressNotUsable,
        ],
        (Type::ResolvedRefs, True) => &[Reason::ResolvedRefs],
        (Type::ResolvedRefs, False) => &[
            Reason::ListenersNotResolved,
            Reason::RefNotPermitted,
            Reason::InvalidClientCertificateRef,
        ],
        (Type::InsecureFrontendValidationMode, True) => &[Reason::ConfigurationChanged],
        (Type::Applied, _) => applied(status),
        _ => &[],
    }
}

fn listener(type_: Type, status: ConditionStatus) -> &'static [Reason] {
    match (type_, status) {
        (Type::Accepted, True) => &[Reason::Accepted],
        (Type::Accepted, False) => &[
            Reason::PortUnavailable,
            Reason::UnsupportedProtocol,
            Reason::UnsupportedValue,
            Reason::NoValidCaCertificate,
            Reason::HostnameConflict,
            Reason::ProtocolConflict,
        ],
        (Type::Accepted, Unknown) => &[Reason::Pending],
        (Type::Conflicted, True) => &[Reason::HostnameConflict, Reason::ProtocolConflict],
        (Type::Conflicted, False) => &[Reason::NoConflicts],
        (Type::ResolvedRefs, True) => &[Reason::ResolvedRefs],
        (Type::ResolvedRefs, False) => &[
            Reason::InvalidCertificateRef,
            Reason::InvalidCaCertificateRef,
            Reason::InvalidCaCertificateKind,
            Reason::InvalidRouteKinds,
            Reason::RefNotPermitted,
        ],
        (Type::Programmed, True) => &[Reason::Programmed],
        (Type::Programmed, False) => &[Reason::Invalid, Reason::Pending],
        (Type::Programmed, Unknown) => &[Reason::Pending],
        (Type::OverlappingTlsConfig, True) => &[
            Reason::OverlappingHostnames,
            Reason::OverlappingCertificates,
        ],
        _ => &[],
    }
}

fn listener_set(type_: Type, status: ConditionStatus) -> &'static [Reason] {
    match (type_, status) {
        (Type::Accepted, True) => &[Reason::Accepted, Reason::ListenersNotValid],
        (Type::Accepted, False) => &[
            Reason::NotAllowed,
            Reason::ParentNotAccepted,
            Reason::ListenersNotValid,
            Reason::Invalid,
        ],
        (Type::Programmed, True) => &[Reason::Programmed],
        (Type::Programmed, False) => &[
            Reason::NotAllowed,
            Reason::ParentNotAccepted,
            Reason::ListenersNotValid,
            Reason::Invalid,
            Reason::Pending,
        ],
        (Type::Accepted | Type::Programmed, Unknown) => &[Reason::Pending],
        (Type::Applied, _) => applied(status),
        _ => &[],
    }
}

fn listener_entry(type_: Type, status: ConditionStatus) -> &'static [Reason] {
    match (type_, status) {
        (Type::Conflicted, True) => &[
            Reason::HostnameConflict,
            Reason::ProtocolConflict,
            Reason::ListenerConflict,
        ],
        (Type::Accepted, False) => &[
            Reason::PortUnavailable,
            Reason::UnsupportedProtocol,
            Reason::UnsupportedValue,
            Reason::NoValidCaCertificate,
            Reason::HostnameConflict,
            Reason::ProtocolConflict,
            Reason::ListenerConflict,
            Reason::TooManyListeners,
        ],
        _ => listener(type_, status),
    }
}

fn policy(type_: Type, status: ConditionStatus) -> &'static [Reason] {
    match (type_, status) {
        (Type::Accepted, True) => &[Reason::Accepted],
        (Type::Accepted, False) => &[
            Reason::Conflicted,
            Reason::Invalid,
            Reason::TargetNotFound,
            Reason::NoValidCaCertificate,
            Reason::UnsupportedValue,
        ],
        (Type::ResolvedRefs, True) => &[Reason::ResolvedRefs],
        (Type::ResolvedRefs, False) => &[
            Reason::InvalidCaCertificateRef,
            Reason::InvalidKind,
            Reason::RefNotPermitted,
        ],
        (Type::Applied, _) => applied(status),
        _ => &[],
    }
}

fn class(surface: Surface, type_: Type, status: ConditionStatus) -> &'static [Reason] {
    match (type_, status) {
        (Type::Accepted, True) => &[Reason::Accepted],
        (Type::Accepted, False) if surface == Surface::Mesh => &[Reason::InvalidParameters],
        (Type::Accepted, False) => &[Reason::InvalidParameters, Reason::Unsupported],
        (Type::Accepted, Unknown) => &[Reason::Pending, Reason::Waiting],
        (Type::SupportedVersion, True) if surface == Surface::GatewayClass => {
            &[Reason::SupportedVersion]
        }
        (Type::SupportedVersion, False) if surface == Surface::GatewayClass => {
            &[Reason::UnsupportedVersion]
        }
        _ => &[],
    }
}
