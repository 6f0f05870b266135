//! Certificates, private keys and TLS: the only room that holds key material.
//!
//! - [`check_pair`] judges a `tls.crt`/`tls.key` pair and says what is wrong with it
//!   ([`CertError`]) or what it is good for ([`CertInfo`]).
//! - [`ServerCert`] is a checked pair, ready to serve; the key cannot be taken out again.
//! - [`Acceptor`] terminates TLS on a gateway port: longest SNI match among its certificates,
//!   which can be replaced while connections live ([`Acceptor::replace`]).
//! - [`self_signed`] makes a throw-away certificate for the demo and for tests.
//!
//! Callers see no rustls type: what they get are opaque handles and plain facts ([`Handshake`],
//! [`HandshakeError`]). The cryptographic provider is aws-lc-rs, passed explicitly; the
//! process-wide default of rustls is neither set nor read.
//!
//! Key types print a placeholder instead of their content, and the PEM and DER copies made here
//! are wiped when they are dropped; parsed keys are owned, and wiped, by aws-lc-rs.

mod acceptor;
mod cert;
mod error;
mod handshake;
mod hosts;
mod info;
mod provider;
mod self_signed;
mod stream;

#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, AcceptorError, Entry};
pub use cert::{ServerCert, check_pair};
pub use error::CertError;
pub use handshake::{Alpn, Handshake, HandshakeError, Version};
pub use hosts::HostPattern;
pub use info::{CertInfo, Validity};
pub use self_signed::{SecretPem, SelfSigned, SelfSignedError, self_signed};
pub use stream::TlsStream;
