//! The rules of the mesh as verifiers of the TLS library.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::identity::Trust;
use crate::peer::{Expected, PeerError};
use crate::provider::mesh_provider;
use crate::verify;

/// Verifies clients: anybody of a trusted domain, but always somebody.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    trust: Trust,
}

impl ClientVerifier {
    pub(super) fn new(trust: Trust) -> Self {
        Self { trust }
    }
}

impl ClientCertVerifier for ClientVerifier {
    /// None: names of CAs tell strangers what the mesh is made of, and members have one certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        verify::verify(end_entity, intermediates, &self.trust.bundles(), now).map_err(refused)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

/// Verifies servers: a trusted domain, and one of the identities that are expected.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    trust: Trust,
    expected: Expected,
}

impl ServerVerifier {
    pub(super) fn new(trust: Trust, expected: Expected) -> Self {
        Self { trust, expected }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let peer = verify::verify(end_entity, intermediates, &self.trust.bundles(), now)
            .map_err(refused)?;
        self.expected.check(&peer.id).map_err(refused)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

/// Carries our reason through the TLS library; [`super::IdentityError`] takes it out again.
fn refused(error: PeerError) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// Cannot happen, because no configuration enables TLS 1.2; refused in case one ever does.
fn only_tls13() -> Error {
    Error::General("TLS 1.2 is not enabled between members of the mesh".to_owned())
}

fn verify_signature(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = &mesh_provider().signature_verification_algorithms;
    rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
}

fn schemes() -> Vec<SignatureScheme> {
    let algorithms = &mesh_provider().signature_verification_algorithms;
    algorithms.supported_schemes()
}
