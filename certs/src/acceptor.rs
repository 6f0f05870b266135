//! TLS termination of a gateway port.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;

use crate::cert::ServerCert;
use crate::handshake::{Alpn, Handshake, HandshakeError};
use crate::hosts::{HostMap, HostPattern};
use crate::provider::provider;
use crate::stream::TlsStream;

/// Session tickets sent after a full TLS 1.3 handshake. Each costs a key derivation, an
/// encryption and 200 bytes; one is enough for a client that reconnects now and then.
const TICKETS: usize = 1;

/// Tickets a client may ask for instead (RFC 9149), to open several connections at once.
const MAX_TICKETS: usize = 4;

/// A fatal `unrecognized_name` alert (RFC 6066 section 3) in a record of its own: content type
/// alert, version 3.3, length 2 (RFC 8446 section 5.1).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// The certificates of a listener.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `hostname` of the listener.
    pub host: HostPattern,
    /// The usable ones of its `certificateRefs`, in that order. Without any the listener still claims
    /// its server names: they are refused with `unrecognized_name` (RFC 6066 section 3), because the
    /// certificate and the routes of a less specific listener are not theirs.
    pub certs: Vec<ServerCert>,
}

/// The process cannot start to accept TLS connections.
#[derive(Debug, Error)]
pub enum AcceptorError {
    /// No keys for session tickets could be made.
    #[error("the system's random number generator failed: {0}")]
    Randomness(String),
    /// The provider supports none of the versions asked for.
    #[error("the TLS provider does not support TLS 1.2 and 1.3: {0}")]
    Provider(String),
}

/// The TLS side of one gateway port, shared by all its connections.
///
/// TLS 1.2 and 1.3; no early data (0-RTT), whose requests could be replayed; sessions resume by
/// stateless tickets whose keys live and rotate with this value, so that a replaced certificate
/// set does not send every client through a full handshake. A ticket is honoured only for the
/// server name it was issued for, and only while that name still has a certificate.
pub struct Acceptor {
    /// What every certificate's configuration starts from.
    base: ServerConfig,
    certs: ArcSwap<HostMap<Candidates>>,
}

/// The certificates of one host pattern, in the order of the listener's `certificateRefs`. Possibly
/// none.
#[derive(Default)]
struct Candidates(Vec<Candidate>);

struct Candidate {
    cert: ServerCert,
    config: Arc<ServerConfig>,
}

impl Acceptor {
    /// An acceptor for HTTPS: offers `h2`, then `http/1.1`. A client that offers protocols but
    /// none of these is refused (RFC 7301 section 3.2); one that offers none is served.
    ///
    /// # Errors
    ///
    /// Fails only when the system has no randomness or the provider lacks a TLS version.
    pub fn https(entries: impl IntoIterator<Item = Entry>) -> Result<Self, AcceptorError> {
        let mut base = ServerConfig::builder_with_provider(provider().clone())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(|error| AcceptorError::Provider(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(NoCert));
        base.alpn_protocols = [Alpn::Http2, Alpn::Http11]
            .map(|alpn| alpn.as_str().as_bytes().to_vec())
            .into();
        base.max_early_data_size = 0;
        base.ticketer =
            Ticketer::new().map_err(|error| AcceptorError::Randomness(error.to_string()))?;
        // The default, a cache behind a mutex, would only serve clients without tickets.
        base.session_storage = Arc::new(NoServerSessionStorage {});
        base.send_tls13_tickets = TICKETS;
        base.max_tls13_tickets = MAX_TICKETS;
        let certs = ArcSwap::from_pointee(compile(&base, entries));
        Ok(Self { base, certs })
    }

    /// Serves another set of certificates from the next ClientHello on. Connections, and
    /// handshakes that have chosen their certificate, are not disturbed.
    ///
    /// Of several certificates of a listener the one that names the server name best is taken, among
    /// equals the first whose key the client can verify (ECDSA or RSA). Patterns are distinct; what
    /// has the same one counts as one listener.
    pub fn replace(&self, entries: impl IntoIterator<Item = Entry>) {
        self.certs.store(Arc::new(compile(&self.base, entries)));
    }

    /// Runs the server side of a TLS handshake on `io`.
    ///
    /// Takes as long as the client lets it: put a timeout around it (10 s is the rule) and drop
    /// the future to give up. The future holds a pointer and `io`; the handshake's state is on
    /// the heap until it is over.
    ///
    /// # Errors
    ///
    /// See [`HandshakeError`]; `io` is closed by being dropped.
    pub async fn accept<IO>(&self, io: IO) -> Result<(TlsStream<IO>, Handshake), HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        Box::pin(self.handshake(io)).await
    }

    async fn handshake<IO>(&self, io: IO) -> Result<(TlsStream<IO>, Handshake), HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), io)
            .await
            .map_err(|error| HandshakeError::sort(error, false))?;
        let Some(config) = self.choose(&start.client_hello()) else {
            let sni = start.client_hello().server_name().map(str::to_owned);
            // The connection ends here whether or not the client learns the reason.
            let _ = start.io.write_all(&UNRECOGNIZED_NAME).await;
            let _ = start.io.shutdown().await;
            return Err(HandshakeError::UnknownName { sni });
        };
        let stream = start
            .into_stream(config)
            .await
            .map_err(|error| HandshakeError::sort(error, true))?;
        let handshake = Handshake::of(stream.get_ref().1);
        Ok((TlsStream::new(stream), handshake))
    }

    /// The configuration with the certificate for `hello`, if there is one.
    fn choose(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let certs = self.certs.load();
        let candidate = certs.find(hello.server_name())?.best(hello)?;
        Some(candidate.config.clone())
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl Candidates {
    fn best(&self, hello: &ClientHello<'_>) -> Option<&Candidate> {
        if let [only] = self.0.as_slice() {
            return Some(only);
        }
        let rank = |candidate: &Candidate| {
            let name = hello.server_name().unwrap_or_default();
            let key = &candidate.cert.certified().key;
            let usable = key.choose_scheme(hello.signature_schemes()).is_some();
            (candidate.cert.info().coverage(name), usable)
        };
        // The last maximum of the reversed order is the first of the listener's.
        self.0.iter().rev().max_by_key(|candidate| rank(candidate))
    }
}

fn compile(base: &ServerConfig, entries: impl IntoIterator<Item = Entry>) -> HostMap<Candidates> {
    let mut map = HostMap::<Candidates>::new();
    for Entry { host, certs } in entries {
        // Also for a listener without certificate: the pattern is taken.
        let candidates = &mut map.entry(host).0;
        candidates.extend(certs.into_iter().map(|cert| {
            let mut config = base.clone();
            config.cert_resolver = Arc::new(OneCert(cert.certified().clone()));
            let config = Arc::new(config);
            Candidate { cert, config }
        }));
    }
    map
}

/// The resolver of a configuration made for one certificate: the choice is made before.
#[derive(Debug)]
struct OneCert(Arc<CertifiedKey>);

impl ResolvesServerCert for OneCert {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// The resolver of the base configuration, which never meets a client.
#[derive(Debug)]
struct NoCert;

impl ResolvesServerCert for NoCert {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[cfg(test)]
mod tests;
