//! One status to the API server: compare, patch, and after a conflict read and try again.

use std::sync::Arc;

use kube::core::params::{GetParams, Patch, PatchParams};
use serde_json::{Map, Value, json};
use weft_api::ObjectRef;

use super::super::cluster::{ApiError, Limits};
use super::super::item::Served;
use super::{Job, Shared, count, plan};

/// Who we are in `metadata.managedFields`.
pub(in crate::kube) const FIELD_MANAGER: &str = "weft";
/// Attempts after which an object somebody else keeps changing is left alone for a while.
const ATTEMPTS_MAX: u32 = 4;
/// Most bytes of an object.
const OBJECT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// What became of a job.
#[derive(Debug)]
pub(super) enum Outcome {
    Written,
    /// It was as it should be, as the watch had shown, so that nobody was asked.
    Unchanged,
    /// It was as it should be by now, as the API server was asked.
    Overtaken,
    /// The object is gone, or another version of it is to be judged first.
    Outdated,
    /// The API server will not have it.
    Refused(ApiError),
    /// Somebody else was faster each time.
    Contended(Job),
    /// The API server was not up to it.
    Failed(Job, ApiError),
}

/// A job under way.
pub(super) struct Attempt {
    shared: Arc<Shared>,
    job: Job,
    served: Served,
}

/// The object as far as a write goes: its version and its status.
struct Before {
    version: String,
    status: Value,
}

impl Attempt {
    pub(super) fn new(shared: Arc<Shared>, job: Job) -> Self {
        let served = shared.versions.served(job.seen.kind());
        Self {
            shared,
            job,
            served,
        }
    }

    pub(super) async fn run(self) -> (ObjectRef, Outcome) {
        let object = self.job.seen.reference();
        let outcome = match self.attempts(&object).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Outcome::Contended(self.job),
            Err(error) if error.is_not_found() => Outcome::Outdated,
            Err(error) if error.is_transient() => Outcome::Failed(self.job, error),
            Err(error) => Outcome::Refused(error),
        };
        (object, outcome)
    }

    /// `None` when every attempt ended in a conflict.
    async fn attempts(&self, object: &ObjectRef) -> Result<Option<Outcome>, ApiError> {
        let unwritable = ApiError::Unreadable;
        let wanted = self.job.wanted.to_value().map_err(unwritable)?;
        let wanted = wanted.get("status").cloned().unwrap_or(Value::Null);
        let seen = self.job.seen.to_value().map_err(unwritable)?;
        let own = &self.shared.options.controllers;
        let mut before = Before::of(&seen);
        // Entries of others are written back exactly as they are, so they must be known exactly.
        let mut is_exact = !plan::has_foreign_entries(&before.status, own);
        for attempt in 0..ATTEMPTS_MAX {
            let now = self.shared.options.clock.wall();
            let changed = plan::changes(object.kind, (&before.status, &wanted), own, &now);
            if changed.is_empty() {
                let was_asked = attempt > 0;
                return Ok(Some(match was_asked {
                    true => Outcome::Overtaken,
                    false => Outcome::Unchanged,
                }));
            }
            if is_exact {
                match self.patch(object, &before.version, changed).await {
                    Ok(()) => return Ok(Some(Outcome::Written)),
                    Err(error) if error.is_conflict() => count(&self.shared.counters.conflicts),
                    Err(error) => return Err(error),
                }
            }
            let fresh = self.get(object).await?;
            if !self.is_judged(&fresh) {
                return Ok(Some(Outcome::Outdated));
            }
            before = Before::of(&fresh);
            is_exact = true;
        }
        Ok(None)
    }

    /// Whether the verdict is about this object, not about a later one of the same name or with
    /// another spec.
    fn is_judged(&self, fresh: &Value) -> bool {
        let metadata = self.job.seen.metadata();
        let uid = fresh.pointer("/metadata/uid").and_then(Value::as_str);
        let generation = fresh
            .pointer("/metadata/generation")
            .and_then(Value::as_i64);
        uid == metadata.uid.as_deref() && generation == metadata.generation
    }

    async fn patch(
        &self,
        object: &ObjectRef,
        version: &str,
        changed: Map<String, Value>,
    ) -> Result<(), ApiError> {
        // The version makes the write fail if anybody was faster: lists of entries that several
        // controllers share are replaced as a whole.
        let patch = Patch::Merge(json!({
            "metadata": { "resourceVersion": version },
            "status": changed,
        }));
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let path = self.served.path(object.key.namespace());
        let request = kube::core::Request::new(path).patch_subresource(
            "status",
            object.key.name(),
            &parameters,
            &patch,
        )?;
        self.shared.cluster.fetch(request, self.limits()).await?;
        Ok(())
    }

    async fn get(&self, object: &ObjectRef) -> Result<Value, ApiError> {
        let path = self.served.path(object.key.namespace());
        let request =
            kube::core::Request::new(path).get(object.key.name(), &GetParams::default())?;
        self.shared.cluster.json(request, self.limits()).await
    }

    fn limits(&self) -> Limits {
        Limits {
            time: self.shared.options.request_timeout,
            bytes: OBJECT_MAX_BYTES,
        }
    }
}

impl Before {
    fn of(object: &Value) -> Self {
        let version = object.pointer("/metadata/resourceVersion");
        Self {
            version: version
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            status: object.get("status").cloned().unwrap_or(Value::Null),
        }
    }
}
