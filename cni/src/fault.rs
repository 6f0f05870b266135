//! What a runtime is told when something is wrong.

use std::io;

use serde::Serialize;

/// Why an operation had no success, by the code the CNI specification (section 5) has for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The configuration is of a version this plugin does not know.
    #[error("CNI version {0} is not supported; supported are {list}", list = crate::config::VERSIONS.join(", "))]
    Version(String),
    /// The runtime did not say which container, or what to do.
    #[error("environment variable {name} {problem}")]
    Environment {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The standard input or the network namespace cannot be read.
    #[error("{0}")]
    Io(String),
    /// The standard input is no network configuration.
    #[error("the network configuration is not understood: {0}")]
    Content(String),
    /// The configuration makes no sense.
    #[error("the network configuration is wrong: {0}")]
    Config(String),
    /// The pod belongs to the mesh, and the node cannot take it yet.
    #[error("pod {pod} cannot start yet: {reason}")]
    Retry {
        /// Namespace and name.
        pod: String,
        /// What is waited for.
        reason: String,
    },
    /// The supervisor says that this pod is not right.
    #[error("pod {pod}: {reason}")]
    Refused {
        /// Namespace and name.
        pod: String,
        /// What is wrong.
        reason: String,
    },
}

/// An error as runtimes read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    cni_version: &'a str,
    code: u32,
    msg: String,
}

impl Fault {
    pub(crate) fn unreadable(error: &io::Error) -> Self {
        Self::Io(format!("the standard input cannot be read: {error}"))
    }

    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::Version(_) => 1,
            Self::Environment { .. } => 4,
            Self::Io(_) => 5,
            Self::Content(_) => 6,
            Self::Config(_) => 7,
            Self::Retry { .. } => 11,
            // Codes from 100 are a plugin's own.
            Self::Refused { .. } => 100,
        }
    }

    /// The error as one line of JSON.
    pub(crate) fn to_json(&self, cni_version: &str) -> String {
        let answer = Answer {
            cni_version,
            code: self.code(),
            msg: format!("weft-cni: {self}"),
        };
        // Texts and a number have a form in JSON whatever they are.
        serde_json::to_string(&answer).unwrap_or_default()
    }
}
