//! The CRDs of Gateway API v1.6.1 as upstream released them, by channel. They validate and
//! default documents where no API server does it, and are what the types of this room are
//! compared with.

#[cfg(test)]
mod tests;

/// Declares a list of CRDs from files of one channel.
macro_rules! crds {
    ($channel:literal: $($group:literal $plural:literal),+ $(,)?) => {
        &[$((
            concat!($plural, ".", $group),
            include_str!(concat!("../crds/", $channel, "/", $group, "_", $plural, ".yaml")),
        )),+]
    };
}

/// The standard channel: CRD name and YAML, sorted by name within the group.
pub const STANDARD: &[(&str, &str)] = crds! {
    "standard":
    "gateway.networking.k8s.io" "backendtlspolicies",
    "gateway.networking.k8s.io" "gatewayclasses",
    "gateway.networking.k8s.io" "gateways",
    "gateway.networking.k8s.io" "grpcroutes",
    "gateway.networking.k8s.io" "httproutes",
    "gateway.networking.k8s.io" "listenersets",
    "gateway.networking.k8s.io" "referencegrants",
    "gateway.networking.k8s.io" "tcproutes",
    "gateway.networking.k8s.io" "tlsroutes",
    "gateway.networking.k8s.io" "udproutes",
};

/// The experimental channel: CRD name and YAML, sorted by name within the group.
pub const EXPERIMENTAL: &[(&str, &str)] = crds! {
    "experimental":
    "gateway.networking.k8s.io" "backendtlspolicies",
    "gateway.networking.k8s.io" "gatewayclasses",
    "gateway.networking.k8s.io" "gateways",
    "gateway.networking.k8s.io" "grpcroutes",
    "gateway.networking.k8s.io" "httproutes",
    "gateway.networking.k8s.io" "listenersets",
    "gateway.networking.k8s.io" "referencegrants",
    "gateway.networking.k8s.io" "tcproutes",
    "gateway.networking.k8s.io" "tlsroutes",
    "gateway.networking.k8s.io" "udproutes",
    "gateway.networking.x-k8s.io" "xbackends",
    "gateway.networking.x-k8s.io" "xbackendtrafficpolicies",
    "gateway.networking.x-k8s.io" "xmeshes",
};
