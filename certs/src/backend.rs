//! TLS to backends: what a BackendTLSPolicy asks for (Gateway API, `BackendTLSPolicyValidation`).
//!
//! The rules are those of the web PKI, not of the mesh: TLS 1.2 and 1.3, certificates of any public or
//! private CA, names instead of identities. Neither ever stands in for the other.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::cert::ServerCert;
use crate::clock::Clock;
use crate::handshake::{Alpn, Handshake};
use crate::provider::provider;
use crate::stream::TlsStream;

mod error;
mod roots;
mod verifier;

pub use self::error::{ConnectError, ConnectorError};
pub use self::roots::{CaRoots, RootsError};
use self::verifier::BackendVerifier;

/// Sessions kept for resumption, per connector: all endpoints of one Service share a name, so a few
/// tickets serve them all.
const SESSIONS: usize = 32;

/// A name a backend may prove instead of the server name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubjectAltName {
    /// A DNS name, compared as the server name would be; a wildcard `*.example.com` matches the same
    /// wildcard in the certificate.
    Hostname(String),
    /// A URI such as a SPIFFE ID, compared byte by byte.
    Uri(String),
}

/// How to speak TLS with the endpoints of a backend.
#[derive(Clone, Debug)]
pub struct BackendTls {
    /// `hostname` of the policy: always the server name sent (RFC 6066), and the name to prove unless there
    /// are `subject_alt_names`.
    pub server_name: String,
    /// Who may vouch for the backend.
    pub roots: CaRoots,
    /// When not empty, the backend has to prove one of these, and the server name counts for nothing.
    pub subject_alt_names: Vec<SubjectAltName>,
    /// Shown when the backend asks for a certificate.
    pub client_cert: Option<ServerCert>,
    /// Application protocols to offer, best first; empty to offer none.
    pub alpn: Vec<Alpn>,
}

/// The client side of TLS with the endpoints of one backend. Cheap to clone. A changed policy makes another
/// connector; no session of the old one is resumed.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    server_name: ServerName<'static>,
    sni: Arc<str>,
}

impl Connector {
    /// A connector for `settings`, which tells the time by `clock`.
    ///
    /// # Errors
    ///
    /// A name that can never be proved, see [`ConnectorError`]. Requests to the backend have to be answered
    /// with an error then, never sent in plaintext.
    pub fn new(settings: &BackendTls, clock: Clock) -> Result<Self, ConnectorError> {
        let bad_name = |_| ConnectorError::ServerName(settings.server_name.clone());
        let server_name = ServerName::try_from(settings.server_name.clone()).map_err(bad_name)?;
        let verifier = BackendVerifier::new(&settings.roots, &settings.subject_alt_names)?;
        let builder = ClientConfig::builder_with_details(provider().clone(), Arc::new(clock))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(|error| ConnectorError::Provider(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &settings.client_cert {
            Some(cert) => {
                let certified = rustls::sign::CertifiedKey::clone(cert.certified());
                let resolver = SingleCertAndKey::from(certified);
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
            None => builder.with_no_client_auth(),
        };
        let alpn = settings.alpn.iter();
        config.alpn_protocols = alpn.map(|alpn| alpn.as_str().as_bytes().to_vec()).collect();
        config.enable_early_data = false;
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            server_name,
            sni: settings.server_name.as_str().into(),
        })
    }

    /// Runs the client side of a handshake on `io`.
    ///
    /// Takes as long as the backend lets it: put a timeout around it and drop the future to give up. That
    /// the backend refuses our certificate is known, in TLS 1.3, only from the first read.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]; `io` is closed by being dropped.
    pub async fn connect<IO>(&self, io: IO) -> Result<(TlsStream<IO>, Handshake), ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let connecting = self.tls.connect(self.server_name.clone(), io);
        let stream = Box::pin(connecting).await.map_err(ConnectError::sort)?;
        let stream = TlsStream::new(stream);
        let handshake = Handshake::of_common(stream.connection(), Some(&self.sni));
        Ok((stream, handshake))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("server_name", &self.sni)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
