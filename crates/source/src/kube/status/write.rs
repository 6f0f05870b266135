//! One status to the API server, or the annotations by which a Pod has one: compare, patch, and after a
//! conflict read and try again.

use std::sync::Arc;

use kube::core::params::{GetParams, Patch, PatchParams};
use serde_json::{Map, Value, json};
use weft_api::{Kind, ObjectRef};

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

/// The object as far as a write goes.
struct Facts {
    version: String,
    uid: String,
    status: Value,
    annotations: Value,
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
        let wanted = Facts::of(&wanted);
        let seen = self.job.seen.to_value().map_err(unwritable)?;
        let own = &self.shared.options.controllers;
        let mut before = Facts::of(&seen);
        // Entries of others are written back exactly as they are, so they must be known exactly.
        let mut is_exact = !plan::has_foreign_entries(&before.status, own);
        for attempt in 0..ATTEMPTS_MAX {
            let changed = self.changes(object.kind, &before, &wanted);
            if changed.is_empty() {
                let was_asked = attempt > 0;
                return Ok(Some(match was_asked {
                    true => Outcome::Overtaken,
                    false => Outcome::Unchanged,
                }));
            }
            if is_exact {
                match self.patch(object, &before, changed).await {
                    Ok(()) => return Ok(Some(Outcome::Written)),
                    Err(error) if error.is_conflict() => count(&self.shared.counters.conflicts),
                    Err(error) if object.kind == Kind::Pod => {
                        return self.of_another(object, error).await.map(Some);
                    }
                    Err(error) => return Err(error),
                }
            }
            let fresh = self.get(object).await?;
            if !self.is_judged(&fresh) {
                return Ok(Some(Outcome::Outdated));
            }
            before = Facts::of(&fresh);
            is_exact = true;
        }
        Ok(None)
    }

    /// A Pod of another UID is no conflict: its API server says that the field is immutable (422).
    async fn of_another(&self, object: &ObjectRef, error: ApiError) -> Result<Outcome, ApiError> {
        let is_judged = error.is_transient() || self.is_judged(&self.get(object).await?);
        match is_judged {
            true => Err(error),
            false => Ok(Outcome::Outdated),
        }
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

    /// What differs from what it should be: fields of the status, or annotations.
    fn changes(&self, kind: Kind, before: &Facts, wanted: &Facts) -> Map<String, Value> {
        let options = &self.shared.options;
        match kind {
            Kind::Pod => plan::annotations(&before.annotations, &wanted.annotations),
            _ => {
                let statuses = (&before.status, &wanted.status);
                plan::changes(kind, statuses, &options.controllers, &options.clock.wall())
            }
        }
    }

    async fn patch(
        &self,
        object: &ObjectRef,
        before: &Facts,
        changed: Map<String, Value>,
    ) -> Result<(), ApiError> {
        let patch = Patch::Merge(match object.kind {
            // Annotations are nobody else's, so it does not matter that the kubelet was faster, which
            // it is all the time while a Pod starts. The subresource lets them change, and nothing
            // that makes a Pod do something else.
            Kind::Pod => json!({
                "metadata": { "uid": before.uid, "annotations": changed },
            }),
            // The version makes the write fail if anybody was faster: lists of entries that several
            // controllers share are replaced as a whole.
            _ => json!({
                "metadata": { "resourceVersion": before.version },
                "status": changed,
            }),
        });
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

impl Facts {
    fn of(object: &Value) -> Self {
        let value = |path: &str| object.pointer(path).cloned().unwrap_or_default();
        let text = |path: &str| value(path).as_str().unwrap_or_default().to_owned();
        Self {
            version: text("/metadata/resourceVersion"),
            uid: text("/metadata/uid"),
            status: value("/status"),
            annotations: value("/metadata/annotations"),
        }
    }
}
