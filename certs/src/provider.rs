//! The one cryptographic provider of the process, handed to every TLS configuration explicitly.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// aws-lc-rs with the hybrid post-quantum group X25519MLKEM768 first, then X25519, P-256, P-384;
/// TLS 1.2 keeps to the AEAD suites with ephemeral keys.
///
/// Not installed as the process default: a library that silently relied on that default would
/// work here and fail in the next binary.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    &PROVIDER
}
