//! Why there is no connection, and why a request was not answered as hoped.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use http::response::Parts;
use kube::config::{InClusterError, KubeconfigError};
use kube::core::Status;

/// Why no cluster can be talked to, before anything is sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A kubeconfig cannot be used.
    #[error(
        "kubeconfig {file} cannot be used: {source}; correct it, or name another one with KUBECONFIG"
    )]
    Kubeconfig {
        /// The file or files.
        file: String,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// A context was asked for and there is no file to have it.
    #[error("a context was named, but there is no kubeconfig; set KUBECONFIG")]
    NoKubeconfig,
    /// There is neither a kubeconfig nor a pod around this process.
    #[error(
        "no cluster found: neither KUBECONFIG nor ~/.kube/config exists, and this is no pod with a \
         service account ({0}); set KUBECONFIG, or mount the token of a service account"
    )]
    Nowhere(#[source] InClusterError),
    /// Certificates, keys, tokens or a proxy cannot be used.
    #[error("the credentials for {url} cannot be used: {source}; correct the user or cluster{}",
        file.as_ref().map(|file| format!(" in {}", file.display())).unwrap_or_default())]
    Credentials {
        /// Address of the API server.
        url: String,
        /// The kubeconfig, when one was named.
        file: Option<PathBuf>,
        /// What is wrong.
        source: Box<kube::Error>,
    },
}

/// Why a request was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// There was no connection, or it broke; with every reason below the first one.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// There was no answer, or no end of it, within this time.
    #[error("the API server did not answer within {0:?}")]
    Silent(Duration),
    /// The answer is longer than this.
    #[error("the API server's answer has more than {0} bytes")]
    TooLarge(usize),
    /// The answer is not what the API promises.
    #[error("the API server's answer is not readable: {0}")]
    Unreadable(#[source] serde_json::Error),
    /// No program can be run in a pod.
    #[error("the API server runs no program in a pod over a WebSocket: it sent {0}")]
    NoSocket(String),
    /// A request that cannot be written.
    #[error("the request cannot be written: {0}")]
    Request(#[from] kube::core::request::Error),
    /// The server said no.
    #[error("the API server answered {code} {reason}: {message}")]
    Refused {
        code: u16,
        reason: String,
        message: String,
        retry_after: Option<Duration>,
    },
}

impl ApiError {
    pub(crate) fn unreachable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error: Box<dyn Error + Send + Sync> = error.into();
        let mut text = String::new();
        let mut next: Option<&(dyn Error + 'static)> = Some(&*error);
        while let Some(reason) = next {
            let reason_text = reason.to_string();
            next = reason.source();
            // Wrappers repeat what they wrap.
            let is_repeated = next.is_some_and(|inner| reason_text.contains(&inner.to_string()));
            if is_repeated || text.ends_with(&reason_text) {
                continue;
            }
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&reason_text);
        }
        Self::Unreachable(text)
    }

    /// From the head and body of an answer that is not a good one.
    pub(super) fn refused(parts: &Parts, body: &[u8]) -> Self {
        let header = parts.headers.get(http::header::RETRY_AFTER);
        let seconds = header
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let mut status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| {
            // Something between us and the API server answered.
            let text = String::from_utf8_lossy(body);
            let line = text.lines().next().unwrap_or_default();
            Status::failure(&line.chars().take(200).collect::<String>(), "")
        });
        status.code = parts.status.as_u16();
        Self::from_status(status, seconds)
    }

    /// From a status that came as an event of a watch, or with an answer.
    pub(crate) fn from_status(status: Status, retry_after_seconds: Option<u64>) -> Self {
        let details = status.details.as_ref();
        let asked = details.map(|details| u64::from(details.retry_after_seconds));
        let seconds = retry_after_seconds.or(asked.filter(|seconds| *seconds > 0));
        Self::Refused {
            code: status.code,
            reason: status.reason,
            message: status.message,
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    /// Whether an API server, or something that speaks for it, was there at all.
    pub(crate) fn was_reached(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }

    fn code(&self) -> u16 {
        match self {
            Self::Refused { code, .. } => *code,
            _ => 0,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Refused { reason, .. } => reason,
            _ => "",
        }
    }

    /// The state asked about is no longer known: of a watch, or of a list whose pages went on too
    /// long.
    pub(crate) fn is_gone(&self) -> bool {
        self.code() == 410 || matches!(self.reason(), "Expired" | "Gone")
    }

    /// The object, or the whole kind, does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// Somebody else was faster.
    pub(crate) fn is_conflict(&self) -> bool {
        self.code() == 409
    }

    /// Roles do not allow it.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.code() == 403
    }

    /// Trying the same again can work: everything but what was judged and found wrong.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Refused { code, .. } => !matches!(*code, 400 | 404 | 405 | 413 | 415 | 422),
            Self::Request(_) => false,
            _ => true,
        }
    }

    /// How long the server asks us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
