//! The one cryptographic provider of the process, handed to every TLS configuration explicitly.

use std::sync::{Arc, LazyLock};

use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
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

/// What members of the mesh speak among themselves: the suites of TLS 1.3, and one group fewer
/// than [`provider`], because both ends are ours.
pub(crate) fn mesh_provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                cipher_suite::TLS13_AES_256_GCM_SHA384,
                cipher_suite::TLS13_AES_128_GCM_SHA256,
                cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            ],
            kx_groups: vec![
                kx_group::X25519MLKEM768,
                kx_group::X25519,
                kx_group::SECP256R1,
            ],
            ..aws_lc_rs::default_provider()
        })
    });
    &PROVIDER
}

/// Fills `buffer` with random bytes fit for serial numbers and secrets.
pub(crate) fn fill_random(buffer: &mut [u8]) -> Result<(), rustls::Error> {
    provider()
        .secure_random
        .fill(buffer)
        .map_err(rustls::Error::from)
}

/// Gathers the entropy that the first random number of a process takes, in a thread of its own. The
/// provider measures the jitter of the processor for it (`jitterentropy`), which is 25 to 60 ms of
/// computing: who calls this when the process begins, and has other things to do before it makes keys,
/// does not wait for that. Does not block; later calls find nothing left to do.
pub fn gather_entropy() {
    let gathering = || {
        // A system without randomness is an error of the first key, which says what it is for.
        let _gathered = fill_random(&mut [0]);
    };
    let thread = std::thread::Builder::new().name("entropy".to_owned());
    // Without a thread the first key gathers it.
    drop(thread.spawn(gathering));
}
