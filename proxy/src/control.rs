//! A proxy and its control plane: the certificate of the process, the stream of its configuration, and
//! what of it is kept on disk. The same for a gateway and for the proxy of a node, which differ in who
//! they say they are.
//!
//! A control plane that is away is no error: everything here tries again, for ever, and says why it does.

mod conversation;
mod dial;
mod link;
mod member;
mod saved;
mod sign;
mod signing;
mod trust;

use std::{io, path::PathBuf};

use tokio::sync::watch;
use weft_spiffe::SpiffeIdError;

pub(crate) use self::{
    conversation::Conversation,
    link::{Happened, Stream},
    member::{Member, Proof},
    saved::{keep, kept, resume},
    signing::{Owner, Signings, denied, nobody},
    trust::{follow, time_of},
};
pub use self::{
    signing::{Signer, Signing},
    trust::Trusted,
};

/// How a proxy reaches its control plane, and as whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of the proxy's own pod.
    pub namespace: String,
    /// Service account of the pod.
    pub service_account: String,
    /// Host of the control plane.
    pub host: String,
    /// Port of its configuration streams.
    pub config_port: u16,
    /// Port of its identity service.
    pub identity_port: u16,
    /// Namespace of the control plane.
    pub control_namespace: String,
    /// Trust domain of both.
    pub trust_domain: String,
    /// Roots of the control plane, in PEM.
    pub root_file: PathBuf,
    /// Projected token for the identity service.
    pub token_file: PathBuf,
    /// Start of the random numbers that spread attempts in time.
    pub seed: u64,
}

impl Settings {
    /// The SPIFFE ID of the proxy, for people; whether it is one shows when a member is made of it.
    #[must_use]
    pub fn identity(&self) -> String {
        let Self {
            trust_domain,
            namespace,
            service_account,
            ..
        } = self;
        format!("spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}")
    }
}

/// Names that make no identity.
#[derive(Debug, thiserror::Error)]
#[error("{what} does not make an identity: {source}")]
pub struct NameError {
    /// Which names.
    what: &'static str,
    /// What is wrong.
    source: SpiffeIdError,
}

/// A directory for what is saved cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the state directory {path}: {source}; mount a writable directory there")]
pub struct StateDirError {
    /// The directory.
    path: PathBuf,
    /// What the system said.
    source: io::Error,
}

/// Says something else to whoever watches; who watches hears nothing of what is the same.
pub(crate) fn say<T: PartialEq>(watched: &watch::Sender<T>, now: T) {
    watched.send_if_modified(|known| {
        let is_new = *known != now;
        *known = now;
        is_new
    });
}

/// Makes the directory for what is saved, if it is not there.
///
/// # Errors
/// [`StateDirError`].
pub(crate) fn make_state_dir(path: &PathBuf) -> Result<(), StateDirError> {
    std::fs::create_dir_all(path).map_err(|source| StateDirError {
        path: path.clone(),
        source,
    })
}
