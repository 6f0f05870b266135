//! Certificates, private keys, identities and TLS: the only room that holds key material.
//!
//! **Gateways**
//! - [`check_pair`] judges a `tls.crt`/`tls.key` pair and says what is wrong with it
//!   ([`CertError`]) or what it is good for ([`CertInfo`]).
//! - [`ServerCert`] is a checked pair, ready to serve; the key cannot be taken out again.
//! - [`Acceptor`] terminates TLS on a gateway port: longest SNI match among its certificates,
//!   which can be replaced while connections live ([`Acceptor::replace`]).
//! - [`Connector`] speaks TLS with a backend by the rules of a BackendTLSPolicy.
//! - [`self_signed`] makes a throw-away certificate for the demo and for tests.
//!
//! **Issuing identities**
//! - [`Authority`] is the built-in CA, [`Signer`] the interface all signers have, [`BuiltIn`] the
//!   signer around an authority; [`Rotation`] decides when roots and issuers change.
//! - [`CheckedRequest`] is a certificate request that may be signed.
//!
//! **Having an identity**
//! - [`KeyAndRequest`] makes a key and asks; [`Leaf`] is the checked answer; [`Renewer`] repeats
//!   it in time; [`Identity`] is what handshakes use, replaceable at any moment. [`gather_entropy`]
//!   prepares the first key of a process.
//! - [`Bundles`] say whom to trust, per trust domain; [`Trust`] is what handshakes read of them.
//! - [`IdentityAcceptor`] and [`IdentityConnector`] speak mutual TLS between members of the mesh,
//!   [`BootstrapAcceptor`] and [`BootstrapConnector`] one-sided TLS with the service that makes
//!   members.
//!
//! Callers see no rustls type: what they get are opaque handles and plain facts ([`Handshake`],
//! [`PeerIdentity`]). The cryptographic provider is aws-lc-rs, passed explicitly; the
//! process-wide default of rustls is neither set nor read.
//!
//! Key types print a placeholder instead of their content, and the PEM and DER copies made here
//! are wiped when they are dropped; parsed keys are owned, and wiped, by aws-lc-rs.

mod acceptor;
mod authority;
mod backend;
mod bundle;
mod cert;
mod clock;
mod crl;
mod digest;
mod error;
mod follow;
mod handshake;
mod hosts;
mod identity;
mod info;
mod key;
mod leaf;
mod mesh;
mod peer;
mod pem;
mod profile;
mod provider;
mod renewal;
mod renewer;
mod request;
mod root;
mod rotation;
mod secret;
mod self_signed;
mod signer;
mod stream;
mod verify;

#[cfg(test)]
mod leaks;
#[cfg(test)]
mod mint;
#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, AcceptorError, Entry};
pub use authority::{
    Authority, AuthorityError, AuthorityPem, ImportError, LeafLife, LeafLifeError, SignedChain,
};
pub use backend::{
    BackendTls, CaRoots, ConnectError, Connector, ConnectorError, RootsError, SubjectAltName,
};
pub use bundle::{Bundles, MAX_ROOTS, RootError, TrustBundle};
pub use cert::{ServerCert, check_pair};
pub use clock::{Clock, Reading};
pub use crl::{Crl, CrlError, MAX_CRL_BYTES};
pub use digest::sha256;
pub use error::CertError;
pub use follow::{Followed, NoRoot, Renewal};
pub use handshake::{Alpn, Handshake, HandshakeError, Version};
pub use hosts::HostPattern;
pub use identity::{Identity, OtherIdentity, Trust};
pub use info::{CertInfo, Validity};
pub use leaf::{Leaf, LeafError, LeafInfo};
pub use mesh::{
    BootstrapAcceptor, BootstrapConnector, IdentityAcceptor, IdentityConnector, IdentityError,
};
pub use peer::{Expected, PeerError, PeerIdentity};
pub use provider::gather_entropy;
pub use renewal::{Backoff, Due};
pub use renewer::{InProcess, Issuance, Issued, RENEW_WITHIN, RenewSoon, RenewalStatus, Renewer};
pub use request::{CheckedRequest, CsrError, KeyAndRequest, MAX_REQUEST_BYTES, RequestError};
pub use root::RootInfo;
pub use rotation::{
    IssuerRef, Lag, Laggard, NodeReport, Rotation, Step, StepInput, is_rotation_due,
};
pub use secret::SecretPem;
pub use self_signed::{SelfSigned, SelfSignedError, self_signed};
pub use signer::{BuiltIn, Issuers, SignError, Signer, SignerInfo, SignerRoots, Signing};
pub use stream::TlsStream;
