//! The services of `wire` as they are served here, generated when the crate is built.

/// Configuration streams.
pub(crate) mod config {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::doc_markdown,
        clippy::too_many_lines,
        clippy::wildcard_imports,
        reason = "generated from weft/config/v1/config.proto, which documents its services"
    )]

    include!(concat!(env!("OUT_DIR"), "/weft.config.v1.rs"));
}

/// Certificates.
pub(crate) mod identity {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::doc_markdown,
        clippy::too_many_lines,
        clippy::wildcard_imports,
        reason = "generated from weft/identity/v1/identity.proto, which documents its services"
    )]

    include!(concat!(env!("OUT_DIR"), "/weft.identity.v1.rs"));
}

/// Replicas among themselves: server and client.
pub(crate) mod replicas {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::doc_markdown,
        clippy::too_many_lines,
        clippy::wildcard_imports,
        reason = "generated from weft/replicas/v1/replicas.proto, which documents its services"
    )]

    include!(concat!(env!("OUT_DIR"), "/weft.replicas.v1.rs"));
}
