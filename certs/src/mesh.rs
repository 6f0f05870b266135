//! Mutual TLS between members of the mesh, and the one-sided TLS by which they become members.
//!
//! TLS 1.3 only, `h2` only, no resumption, no tickets, no early data, no server name: every connection
//! proves afresh who both ends are.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, CommonState, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::clock::Clock;
use crate::identity::{Identity, ShowLeaf, Trust};
use crate::peer::{Expected, PeerError, PeerIdentity};
use crate::provider::mesh_provider;
use crate::stream::TlsStream;
use crate::verify;

mod error;
mod verifier;

pub use self::error::IdentityError;
use self::verifier::{ClientVerifier, ServerVerifier};

/// The one application protocol of the mesh (RFC 7301).
const ALPN: &[u8] = b"h2";

/// The server side of mutual TLS: lets in whoever proves an identity of a trusted domain.
///
/// What that identity may do is decided by whoever accepts.
#[derive(Clone)]
pub struct IdentityAcceptor {
    identity: Identity,
    tls: TlsAcceptor,
}

impl IdentityAcceptor {
    /// Accepts as `identity`.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Provider`] when the TLS library lacks TLS 1.3.
    pub fn new(identity: &Identity) -> Result<Self, IdentityError> {
        let verifier = ClientVerifier::new(identity.trust().clone());
        let builder = ServerConfig::builder_with_details(
            mesh_provider().clone(),
            Arc::new(identity.trust().clock.clone()),
        );
        let config = builder
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| IdentityError::Provider(error.to_string()))?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(ShowLeaf(identity.clone())));
        Ok(Self::of(identity, config))
    }

    fn of(identity: &Identity, mut config: ServerConfig) -> Self {
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.max_early_data_size = 0;
        config.send_tls13_tickets = 0;
        config.max_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Self {
            identity: identity.clone(),
            tls: TlsAcceptor::from(Arc::new(config)),
        }
    }

    /// Runs the server side of a handshake on `io` and says who the client is.
    ///
    /// Takes as long as the client lets it: put a timeout around it and drop the future to give up.
    ///
    /// # Errors
    ///
    /// See [`IdentityError`]; `io` is closed by being dropped.
    pub async fn accept<IO>(&self, io: IO) -> Result<(TlsStream<IO>, PeerIdentity), IdentityError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = self.handshake(io).await?;
        let peer = peer_of(stream.connection())?;
        Ok((stream, peer))
    }

    async fn handshake<IO>(&self, io: IO) -> Result<TlsStream<IO>, IdentityError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        check_own(&self.identity)?;
        let stream = Box::pin(self.tls.accept(io))
            .await
            .map_err(IdentityError::sort)?;
        let stream = TlsStream::new(stream);
        check_alpn(stream.connection())?;
        Ok(stream)
    }
}

/// The server side of TLS for those who have no certificate yet: the server proves its identity, the
/// client nothing. Only the service that hands out identities is behind it; it asks for a token.
#[derive(Clone)]
pub struct BootstrapAcceptor(IdentityAcceptor);

impl BootstrapAcceptor {
    /// Accepts as `identity`.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Provider`] when the TLS library lacks TLS 1.3.
    pub fn new(identity: &Identity) -> Result<Self, IdentityError> {
        let builder = ServerConfig::builder_with_details(
            mesh_provider().clone(),
            Arc::new(identity.trust().clock.clone()),
        );
        let config = builder
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| IdentityError::Provider(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ShowLeaf(identity.clone())));
        Ok(Self(IdentityAcceptor::of(identity, config)))
    }

    /// Runs the server side of a handshake on `io`. The client is nobody in particular.
    ///
    /// # Errors
    ///
    /// See [`IdentityError`]; `io` is closed by being dropped.
    pub async fn accept<IO>(&self, io: IO) -> Result<TlsStream<IO>, IdentityError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.0.handshake(io).await
    }
}

/// The client side of mutual TLS.
#[derive(Clone)]
pub struct IdentityConnector {
    identity: Identity,
    base: ClientConfig,
}

impl IdentityConnector {
    /// Connects as `identity`.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Provider`] when the TLS library lacks TLS 1.3.
    pub fn new(identity: &Identity) -> Result<Self, IdentityError> {
        let mut base = client_config(identity.trust())?;
        base.client_auth_cert_resolver = Arc::new(ShowLeaf(identity.clone()));
        Ok(Self {
            identity: identity.clone(),
            base,
        })
    }

    /// Runs the client side of a handshake on `io` with somebody who has to be `expected`.
    ///
    /// That the server refuses *our* certificate is known only later: in TLS 1.3 the client is done first,
    /// and the refusal is an error of the first read.
    ///
    /// # Errors
    ///
    /// See [`IdentityError`]; `io` is closed by being dropped.
    pub async fn connect<IO>(
        &self,
        io: IO,
        expected: &Expected,
    ) -> Result<(TlsStream<IO>, PeerIdentity), IdentityError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        check_own(&self.identity)?;
        connect(&self.base, self.identity.trust(), io, expected).await
    }
}

/// The client side of [`BootstrapAcceptor`]: verifies the server against roots read from a file, and shows
/// nothing.
#[derive(Clone)]
pub struct BootstrapConnector {
    trust: Trust,
    base: ClientConfig,
}

impl BootstrapConnector {
    /// Trusts `trust`, usually the mounted root file.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Provider`] when the TLS library lacks TLS 1.3.
    pub fn new(trust: &Trust) -> Result<Self, IdentityError> {
        Ok(Self {
            trust: trust.clone(),
            base: client_config(trust)?,
        })
    }

    /// Runs the client side of a handshake on `io` with somebody who has to be `expected`. Only after it may
    /// a token be sent.
    ///
    /// # Errors
    ///
    /// See [`IdentityError`]; `io` is closed by being dropped.
    pub async fn connect<IO>(
        &self,
        io: IO,
        expected: &Expected,
    ) -> Result<(TlsStream<IO>, PeerIdentity), IdentityError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        connect(&self.base, &self.trust, io, expected).await
    }
}

fn client_config(trust: &Trust) -> Result<ClientConfig, IdentityError> {
    let clock: Clock = trust.clock.clone();
    // Replaced by each connection, which knows whom it expects; until then nobody is let through.
    let nobody = ServerVerifier::new(trust.clone(), Expected::OneOf(Vec::new()));
    let builder = ClientConfig::builder_with_details(mesh_provider().clone(), Arc::new(clock));
    let mut config = builder
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| IdentityError::Provider(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(nobody))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.enable_early_data = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

async fn connect<IO>(
    base: &ClientConfig,
    trust: &Trust,
    io: IO,
    expected: &Expected,
) -> Result<(TlsStream<IO>, PeerIdentity), IdentityError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut config = base.clone();
    let verifier = ServerVerifier::new(trust.clone(), expected.clone());
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(verifier));
    // The library wants a name. It is neither sent nor compared.
    let unused = ServerName::from(std::net::Ipv4Addr::UNSPECIFIED);
    let connecting = TlsConnector::from(Arc::new(config)).connect(unused, io);
    let stream = Box::pin(connecting).await.map_err(IdentityError::sort)?;
    let stream = TlsStream::new(stream);
    check_alpn(stream.connection())?;
    let peer = peer_of(stream.connection())?;
    Ok((stream, peer))
}

fn check_own(identity: &Identity) -> Result<(), IdentityError> {
    match identity.expired_at(identity.trust().clock.now()) {
        Some(not_after_unix_s) => Err(IdentityError::OwnExpired {
            id: identity.id(),
            not_after_unix_s,
        }),
        None => Ok(()),
    }
}

/// A peer without ALPN is not refused by the library; it might speak anything.
fn check_alpn(connection: &CommonState) -> Result<(), IdentityError> {
    if connection.alpn_protocol() == Some(ALPN) {
        Ok(())
    } else {
        Err(IdentityError::NoHttp2)
    }
}

fn peer_of(connection: &CommonState) -> Result<PeerIdentity, IdentityError> {
    let certificates = connection.peer_certificates().unwrap_or_default();
    let leaf = certificates.first().ok_or(PeerError::NoCertificate)?;
    Ok(verify::identity_of(leaf)?)
}

impl fmt::Debug for IdentityAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IdentityAcceptor")
            .field(&self.identity)
            .finish()
    }
}

impl fmt::Debug for BootstrapAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BootstrapAcceptor")
            .field(&self.0.identity)
            .finish()
    }
}

impl fmt::Debug for IdentityConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IdentityConnector")
            .field(&self.identity)
            .finish()
    }
}

impl fmt::Debug for BootstrapConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BootstrapConnector")
            .field(&self.trust)
            .finish()
    }
}

#[cfg(test)]
pub(crate) mod tests;
