//! Asking the identity service for a certificate, with a token instead of one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tonic::{Code, Request, Status, metadata::AsciiMetadataValue};
use weft_certs::{
    BootstrapConnector, Bundles, Clock, Expected, Issuance, Issued, KeyAndRequest, SignError,
    Trust, TrustBundle,
};
use weft_spiffe::{SpiffeId, TrustDomain};
use weft_wire::proto::identity::{SignRequest, SignResponse};

use super::dial::{Address, dial};
use crate::stubs::identity::identity_client::IdentityClient;

/// The identity service, and what is needed to talk to it.
#[derive(Clone, Debug)]
pub(crate) struct IdentityService {
    pub(super) host: String,
    pub(super) port: u16,
    /// Who the service has to be.
    pub(super) controller: SpiffeId,
    pub(super) trust_domain: TrustDomain,
    /// Roots in PEM. Read at each use: they rotate.
    pub(super) root_file: PathBuf,
    pub(super) token: Token,
    pub(super) clock: Clock,
}

impl IdentityService {
    fn trust(&self) -> Result<Trust, SignError> {
        let path = self.root_file.display();
        let pem = fs::read_to_string(&self.root_file).map_err(|error| {
            let text = format!("{path}: {error}; mount the roots of the control plane there");
            SignError::Misconfigured(text)
        })?;
        let now = self.clock.now();
        let (bundle, refused) = TrustBundle::from_pem(&self.trust_domain, &pem, now);
        if bundle.is_empty() {
            let why = refused.first().map(|(_, error)| error.to_string());
            let why = why.unwrap_or_else(|| "it is empty".to_owned());
            return Err(SignError::Misconfigured(format!(
                "{path} holds no usable root: {why}"
            )));
        }
        Ok(Trust::new(Bundles::new(bundle, 0), self.clock.clone()))
    }

    /// Asks for a certificate.
    ///
    /// # Errors
    /// Why there is none, and whether asking again helps.
    pub(crate) async fn sign(&self, asked: SignRequest) -> Result<SignResponse, SignError> {
        let trust = self.trust()?;
        let retry = |error: &dyn std::fmt::Display| SignError::Retry(error.to_string());
        let connector = BootstrapConnector::new(&trust).map_err(|error| retry(&error))?;
        let expected = Expected::exactly(self.controller.clone());
        let mut address = Address::new(&self.host, self.port);
        let connection = dial(&mut address, |tcp| async move {
            let (tls, _peer) = connector.connect(tcp, &expected).await?;
            Ok(tls)
        });
        let connection = connection.await.map_err(|error| retry(&error))?;
        let mut asking = Request::new(asked);
        // Read only now that the service has proved who it is.
        let token = self.token.read()?;
        asking.metadata_mut().insert("authorization", token);
        let origin = http::Uri::from_static("https://identity.weft.dev");
        let mut client = IdentityClient::with_origin(connection, origin);
        let signed = client.sign(asking).await.map_err(|status| sort(&status))?;
        Ok(signed.into_inner())
    }
}

/// A projected token, in a file that the kubelet replaces.
#[derive(Clone, Debug)]
pub(crate) struct Token(Arc<Path>);

impl Token {
    pub(super) fn new(file: &Path) -> Self {
        Self(file.into())
    }

    /// What is in the file now, as a header.
    ///
    /// # Errors
    /// [`SignError::Misconfigured`].
    pub(super) fn read(&self) -> Result<AsciiMetadataValue, SignError> {
        let path = self.0.display();
        let misconfigured = |error: &dyn std::fmt::Display| {
            let text = format!("{path}: {error}; mount a token of audience weft-identity there");
            SignError::Misconfigured(text)
        };
        let token = fs::read_to_string(&self.0).map_err(|error| misconfigured(&error))?;
        let value = format!("Bearer {}", token.trim());
        let mut value =
            AsciiMetadataValue::try_from(value).map_err(|error| misconfigured(&error))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Issuance for IdentityService {
    async fn issue(&self, request: &KeyAndRequest) -> Result<Issued, SignError> {
        let signed = self.sign(SignRequest {
            identity: request.id().to_string(),
            csr_der: request.der().to_vec().into(),
            pod_uid: String::new(),
        });
        let signed = signed.await?;
        Ok(Issued {
            chain: signed.chain.into_iter().map(Into::into).collect(),
            roots: signed.roots.into_iter().map(Into::into).collect(),
            bundle_version: signed.bundle_version,
        })
    }
}

fn sort(status: &Status) -> SignError {
    let text = format!("{}: {}", status.code(), status.message());
    match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => SignError::Denied(text),
        Code::InvalidArgument | Code::Unimplemented => SignError::Misconfigured(text),
        _ => SignError::Retry(text),
    }
}
