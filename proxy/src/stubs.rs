//! Clients of the control plane's services, generated when the crate is built.

/// Configuration streams: `weft.config.v1`.
pub(crate) mod config {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::wildcard_imports,
        reason = "generated from weft/config/v1/config.proto"
    )]

    include!(concat!(env!("OUT_DIR"), "/weft.config.v1.rs"));
}

/// Certificates for workload identities: `weft.identity.v1`.
pub(crate) mod identity {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::wildcard_imports,
        reason = "generated from weft/identity/v1/identity.proto"
    )]

    include!(concat!(env!("OUT_DIR"), "/weft.identity.v1.rs"));
}
