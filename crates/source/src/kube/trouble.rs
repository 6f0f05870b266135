//! What can keep a kind from being read, and how it is told.

use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc::error::SendError;
use weft_api::Kind;

use super::cluster::ApiError;
use super::known::{Disorder, Stale};
use crate::finding::{Finding, UNWATCHED};

/// Why a list or a watch did not go on.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("the API server's watch went back in time")]
    Disorder,
    #[error("the API server's list is older than what it said before")]
    Stale,
    #[error("the API server's list has no resource version")]
    NoVersion,
    #[error("the API server closed the watch at once")]
    ClosedAtOnce,
    /// Nobody takes changes any more.
    #[error("nobody listens")]
    Unwanted,
}

impl Trouble {
    /// Whether the API server has forgotten the version that was asked for, as it may at any time.
    pub(super) fn is_expired(&self) -> bool {
        matches!(self, Self::Api(error) if error.is_gone())
    }

    /// Whether everything has to be listed again.
    pub(super) fn needs_list(&self) -> bool {
        match self {
            Self::Api(_) => self.is_expired(),
            Self::Disorder | Self::Stale | Self::NoVersion => true,
            Self::ClosedAtOnce | Self::Unwanted => false,
        }
    }

    pub(super) fn was_reached(&self) -> bool {
        match self {
            Self::Api(error) => error.was_reached(),
            _ => true,
        }
    }

    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api(error) if error.is_forbidden())
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The trouble as people read it: of a kind, or of asking which there are.
    pub(super) fn finding(&self, kind: Option<Kind>) -> Finding {
        let Some(kind) = kind else {
            return Finding::new(&UNWATCHED, format!("which kinds are served: {self}"));
        };
        let finding = Finding::new(&UNWATCHED, format!("{kind}: {self}"));
        if self.is_forbidden() {
            let plural = kind.plural();
            let group = kind.group();
            let dot = if group.is_empty() { "" } else { "." };
            return finding.cure(format!(
                "allow get, list and watch of {plural}{dot}{group} to this service account"
            ));
        }
        finding
    }
}

impl From<Disorder> for Trouble {
    fn from(_: Disorder) -> Self {
        Self::Disorder
    }
}

impl From<Stale> for Trouble {
    fn from(_: Stale) -> Self {
        Self::Stale
    }
}

impl<T> From<SendError<T>> for Trouble {
    fn from(_: SendError<T>) -> Self {
        Self::Unwanted
    }
}
