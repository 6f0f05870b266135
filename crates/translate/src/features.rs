//! The features of the Gateway API, in one slice.
//!
//! Whatever says what Weft supports reads this list: the statuses of GatewayClass and XMesh, the
//! table of the README, the flags of the conformance run. Names and channels are those of
//! `pkg/features` of Gateway API v1.6.1.

use weft_api::gateway::SupportedFeature;

#[cfg(test)]
mod tests;

/// Release channel of the CRDs that a feature needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Fields and kinds of the standard channel.
    Standard,
    /// Fields or kinds that only the experimental channel has.
    Experimental,
}

impl Channel {
    /// As the annotation of the CRDs spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Experimental => "experimental",
        }
    }
}

/// One feature of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Name as in the conformance suite.
    pub name: &'static str,
    /// Resource it belongs to; `Mesh` for what Services as parents bring.
    pub resource: &'static str,
    /// Channel it needs.
    pub channel: Channel,
    /// Whether it is core for its resource, not extended.
    pub core: bool,
    /// Whether Weft implements it completely.
    pub implemented: bool,
}

macro_rules! features {
    ($($resource:ident: $($name:ident $channel:ident $level:ident $state:ident),+;)+) => {
        /// Every feature, by resource and name.
        pub static ALL: &[Feature] = &[$($(Feature {
            name: stringify!($name),
            resource: stringify!($resource),
            channel: Channel::$channel,
            core: features!(@core $level),
            implemented: features!(@built $state),
        }),+),+];
    };
    (@core core) => { true };
    (@core extended) => { false };
    (@built yes) => { true };
    (@built no) => { false };
}

features! {
    BackendTLSPolicy:
        BackendTLSPolicy Standard extended yes,
        BackendTLSPolicySANValidation Standard extended yes;
    GRPCRoute:
        GRPCRoute Standard core yes,
        GRPCRouteNamedRouteRule Standard extended yes;
    Gateway:
        Gateway Standard core yes,
        GatewayAddressEmpty Standard extended yes,
        GatewayBackendClientCertificate Standard extended yes,
        GatewayFrontendClientCertificateValidation Standard extended no,
        GatewayFrontendClientCertificateValidationInsecureFallback Standard extended no,
        GatewayHTTPListenerIsolation Standard extended yes,
        GatewayHTTPSListenerDetectMisdirectedRequests Standard extended yes,
        GatewayInfrastructurePropagation Standard extended yes,
        GatewayPort8080 Standard extended yes,
        GatewayStaticAddresses Standard extended yes,
        ListenerSet Standard extended no;
    HTTPRoute:
        HTTPRoute Standard core yes,
        HTTPRoute303RedirectStatusCode Standard extended yes,
        HTTPRoute307RedirectStatusCode Standard extended yes,
        HTTPRoute308RedirectStatusCode Standard extended yes,
        HTTPRouteBackendProtocolH2C Standard extended yes,
        HTTPRouteBackendProtocolWebSocket Standard extended yes,
        HTTPRouteBackendRequestHeaderModification Standard extended yes,
        HTTPRouteBackendTimeout Standard extended yes,
        HTTPRouteCORS Standard extended yes,
        HTTPRouteDestinationPortMatching Experimental extended yes,
        HTTPRouteHostRewrite Standard extended yes,
        HTTPRouteMethodMatching Standard extended yes,
        HTTPRouteNamedRouteRule Standard extended yes,
        HTTPRouteParentRefPort Standard extended yes,
        HTTPRoutePathRedirect Standard extended yes,
        HTTPRoutePathRewrite Standard extended yes,
        HTTPRoutePortRedirect Standard extended yes,
        HTTPRouteQueryParamMatching Standard extended yes,
        HTTPRouteRequestMirror Standard extended yes,
        HTTPRouteRequestMultipleMirrors Standard extended yes,
        HTTPRouteRequestPercentageMirror Standard extended yes,
        HTTPRouteRequestTimeout Standard extended yes,
        HTTPRouteResponseHeaderModification Standard extended yes,
        HTTPRouteRetry Experimental extended yes,
        HTTPRouteRetryBackendTimeout Experimental extended yes,
        HTTPRouteRetryConnectionError Experimental extended yes,
        HTTPRouteSchemeRedirect Standard extended yes;
    Mesh:
        Mesh Standard core yes,
        MeshClusterIPMatching Standard extended yes,
        MeshConsumerRoute Standard extended yes,
        MeshHTTPRouteBackendRequestHeaderModification Standard extended yes,
        MeshHTTPRouteNamedRouteRule Standard extended yes,
        MeshHTTPRouteQueryParamMatching Standard extended yes,
        MeshHTTPRouteRedirectPath Standard extended yes,
        MeshHTTPRouteRedirectPort Standard extended yes,
        MeshHTTPRouteRewritePath Standard extended yes,
        MeshHTTPRouteSchemeRedirect Standard extended yes;
    ReferenceGrant:
        ReferenceGrant Standard core yes;
    TCPRoute:
        TCPRoute Standard core no;
    TLSRoute:
        TLSRoute Standard core no,
        TLSRouteModeMixed Experimental extended no,
        TLSRouteModeTerminate Standard extended no;
    UDPRoute:
        UDPRoute Standard core no;
}

/// The implemented features that CRDs of `channel` can express, in ascending order of their names.
pub fn supported(channel: Channel) -> impl Iterator<Item = &'static Feature> {
    let mut features: Vec<_> = ALL
        .iter()
        .filter(|feature| feature.implemented && feature.channel <= channel)
        .collect();
    features.sort_by_key(|feature| feature.name);
    features.into_iter()
}

/// Who states features. Both lists are of the one slice; what is left out of one stands in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// A GatewayClass: nothing of what Services as parents bring.
    GatewayClass,
    /// An XMesh: nothing of what Gateways bring.
    Mesh,
}

impl Speaker {
    /// Whether a feature is its to state. A client that reads the other's from it is told to warn
    /// (GEP-2162, GEP-3949; `fetchGatewayClassSupportedFeatures` of the conformance suite does).
    fn states(self, feature: &Feature) -> bool {
        let others = match self {
            Self::GatewayClass => "Mesh",
            Self::Mesh => "Gateway",
        };
        feature.resource != others
    }
}

/// The list as a status carries it (sorted by name, as both kinds require).
pub(crate) fn status_list(channel: Channel, speaker: Speaker) -> Vec<SupportedFeature> {
    supported(channel)
        .filter(|feature| speaker.states(feature))
        .map(|feature| SupportedFeature {
            name: feature.name.to_owned(),
        })
        .collect()
}
