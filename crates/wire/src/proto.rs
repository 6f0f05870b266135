//! The messages of `proto/`, generated when the crate is built.

/// Configuration streams: `weft.config.v1`.
pub mod config {
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::doc_markdown,
        reason = "generated from weft/config/v1/config.proto, which documents its messages"
    )]

    include!(concat!(env!("OUT_DIR"), "/weft.config.v1.rs"));

    /// Without the body, which may hold a key.
    impl std::fmt::Debug for Resource {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Resource")
                .field("type", &self.r#type)
                .field("name", &self.name)
                .field("version", &self.version)
                .field("body_bytes", &self.body.len())
                .finish()
        }
    }
}

/// Certificates for workload identities: `weft.identity.v1`.
pub mod identity {
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::doc_markdown,
        reason = "generated from weft/identity/v1/identity.proto, which documents its messages"
    )]

    include!(concat!(env!("OUT_DIR"), "/weft.identity.v1.rs"));
}

/// Replicas of a control plane among themselves: `weft.replicas.v1`.
pub mod replicas {
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::doc_markdown,
        reason = "generated from weft/replicas/v1/replicas.proto, which documents its messages"
    )]

    include!(concat!(env!("OUT_DIR"), "/weft.replicas.v1.rs"));
}
