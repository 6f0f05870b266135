//! Objects that others refer to, one by one and by name: Secrets and ConfigMaps. Nothing is ever
//! asked about an object that nobody refers to, and no list of them is ever asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kube::core::params::GetParams;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use weft_api::ObjectRef;

use super::clock::instant;
use super::cluster::{ApiError, Cluster, Limits};
use super::item::{Item, Line, Served, Version};
use super::kind::{Deltas, watch_request};
use super::known::{Delta, unreadable};
use super::lines::Lines;
use super::pace::Backoff;
use super::settings::WatchOptions;
use super::trouble::Trouble;

/// Most bytes of an object; an API server stores no Secret or ConfigMap above 1 MiB.
const OBJECT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The objects to read, and which set of them it is.
#[derive(Clone, Debug, Default)]
pub(super) struct References {
    pub(super) objects: BTreeSet<ObjectRef>,
    /// Counts the sets.
    pub(super) set: u64,
}

/// Follows the set of references: one task per object.
pub(super) struct Referred {
    pub(super) cluster: Cluster,
    pub(super) options: Arc<WatchOptions>,
    pub(super) deltas: Deltas,
    pub(super) references: watch::Receiver<References>,
}

struct Followed {
    task: AbortHandle,
    /// Whether the object was looked up at least once.
    is_read: Arc<AtomicBool>,
}

impl Referred {
    pub(super) async fn run(mut self) {
        let mut tasks = JoinSet::new();
        let mut followed: BTreeMap<ObjectRef, Followed> = BTreeMap::new();
        let watches = Arc::new(Semaphore::new(self.options.reference_watches_max));
        let (read, mut reads) = watch::channel(());
        let mut told = 0;
        loop {
            let References { objects, set } = self.references.borrow_and_update().clone();
            let gone: Vec<_> = followed
                .extract_if(.., |object, _| !objects.contains(object))
                .collect();
            for (object, followed) in gone {
                followed.task.abort();
                if self.deltas.send(vec![Delta::Delete(object)]).await.is_err() {
                    return;
                }
            }
            for object in objects {
                followed.entry(object).or_insert_with_key(|object| {
                    let is_read = Arc::new(AtomicBool::new(false));
                    let follower = Follower {
                        cluster: self.cluster.clone(),
                        options: Arc::clone(&self.options),
                        deltas: self.deltas.clone(),
                        object: object.clone(),
                        served: Served::newest(object.kind),
                        seen: None,
                        is_read: Arc::clone(&is_read),
                        read: read.clone(),
                        watches: Arc::clone(&watches),
                    };
                    let task = tasks.spawn(follower.run());
                    Followed { task, is_read }
                });
            }
            // Wait for another set; meanwhile, tell when all of this one were read.
            loop {
                reads.mark_unchanged();
                let all = followed
                    .values()
                    .all(|one| one.is_read.load(Ordering::Acquire));
                if all && told < set {
                    told = set;
                    if self.deltas.send(vec![Delta::Referred(set)]).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    changed = self.references.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    // The sender lives as long as this function.
                    _changed = reads.changed() => {}
                    Some(_aborted) = tasks.join_next() => {}
                }
            }
        }
    }
}

/// Follows one object.
struct Follower {
    cluster: Cluster,
    options: Arc<WatchOptions>,
    deltas: Deltas,
    object: ObjectRef,
    served: Served,
    /// The version that was handed on; `None` while there is no object.
    seen: Option<Version>,
    is_read: Arc<AtomicBool>,
    read: watch::Sender<()>,
    watches: Arc<Semaphore>,
}

impl Follower {
    async fn run(mut self) {
        let mut backoff = Backoff::new(self.options.retry);
        let mut may_watch = true;
        loop {
            let result = match self.get().await {
                Ok(version) if may_watch => match self.watch_on(&version).await {
                    // Roles may allow to get objects and not to watch them.
                    Err(trouble) if trouble.is_forbidden() => {
                        may_watch = false;
                        Ok(false)
                    }
                    other => other,
                },
                other => other.map(|_| false),
            };
            let wait = match result {
                // The watch came to its end: look and go on.
                Ok(true) => {
                    backoff.worked();
                    self.options.jitter.spread(self.options.retry.first)
                }
                Ok(false) => {
                    backoff.worked();
                    self.options.jitter.spread(self.options.reference_interval)
                }
                Err(Trouble::Unwanted) => return,
                Err(trouble) => {
                    if trouble.is_forbidden() && self.forbidden(&trouble).await.is_err() {
                        return;
                    }
                    let wait = backoff.failed(
                        trouble.was_reached(),
                        trouble.retry_after(),
                        &self.options.jitter,
                    );
                    if backoff.failures() == 2 {
                        tracing::warn!("cannot read {}: {trouble}", self.object);
                    }
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Looks at the object; its resource version, empty when there is none.
    async fn get(&mut self) -> Result<String, Trouble> {
        let path = self.served.path(self.object.key.namespace());
        let request = kube::core::Request::new(path)
            .get(self.object.key.name(), &GetParams::default())
            .map_err(ApiError::from)?;
        let limits = Limits {
            time: self.options.request_timeout,
            bytes: OBJECT_MAX_BYTES,
        };
        let item = match self.cluster.json(request, limits).await {
            Ok(value) => Some(Item::read(&self.served, value)),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let version = item.as_ref().map(|item| item.version.clone());
        self.take(item).await?;
        self.looked_up();
        Ok(version.unwrap_or_default())
    }

    /// Nobody has to wait for this object any more.
    fn looked_up(&self) {
        if !self.is_read.swap(true, Ordering::AcqRel) {
            self.read.send_replace(());
        }
    }

    /// Roles do not allow to read the object, which for everybody else is as if it were missing.
    async fn forbidden(&mut self, trouble: &Trouble) -> Result<(), Trouble> {
        let finding = trouble
            .finding(Some(self.object.kind))
            .object(Some(self.object.clone()));
        if self.is_read.load(Ordering::Acquire) && self.seen.is_some() {
            return Ok(());
        }
        let bad = Delta::Bad(self.object.clone(), finding);
        self.deltas.send(vec![bad]).await?;
        self.looked_up();
        Ok(())
    }

    /// Watches the object from a version on. An API server remembers changes for minutes, so that it
    /// knows nothing of the time of an object that has not changed for longer: 410, and a watch from
    /// the present state on.
    async fn watch_on(&mut self, version: &str) -> Result<bool, Trouble> {
        match self.watch(version).await {
            Err(trouble) if trouble.is_expired() && !version.is_empty() => self.watch("").await,
            watched => watched,
        }
    }

    /// Watches the object until the watch ends; false when there are too many watches already.
    async fn watch(&mut self, version: &str) -> Result<bool, Trouble> {
        let watches = Arc::clone(&self.watches);
        let Ok(_permit) = watches.try_acquire() else {
            return Ok(false);
        };
        let options = Arc::clone(&self.options);
        let path = self.served.path(self.object.key.namespace());
        let request = watch_request(&path, Some(self.object.key.name()), version, &options)?;
        let patience = options.watch_timeout + options.watch_grace;
        let deadline = instant() + patience;
        let silent = |_| ApiError::Silent(patience);
        let opened = tokio::time::timeout_at(deadline, self.cluster.send(request)).await;
        let mut lines = Lines::new(opened.map_err(silent)??.into_body());
        loop {
            let line = tokio::time::timeout_at(deadline, lines.next()).await;
            let Some(line) = line.map_err(silent)?? else {
                return Ok(true);
            };
            if line.is_empty() {
                continue;
            }
            match Line::decode(&self.served, &line).map_err(ApiError::Unreadable)? {
                Line::Changed(item) if self.is_it(&item) => self.take(Some(item)).await?,
                Line::Deleted(item) if self.is_it(&item) => self.take(None).await?,
                Line::Error(status) => {
                    return Err(ApiError::from_status(status, None).into());
                }
                Line::Changed(_) | Line::Deleted(_) | Line::Bookmark(_) | Line::Unknown => {}
            }
        }
    }

    fn is_it(&self, item: &Item) -> bool {
        item.reference.as_ref() == Some(&self.object)
    }

    /// Hands on what is different.
    async fn take(&mut self, item: Option<Item>) -> Result<(), Trouble> {
        let version = item.as_ref().map(|item| Version::new(&item.version));
        let is_known = version == self.seen;
        // An older version than the one that is known comes late and means nothing.
        let is_late = matches!((version, self.seen), (Some(new), Some(old)) if new.is_before(old));
        if is_known || is_late {
            return Ok(());
        }
        let delta = match item.map(|item| item.object) {
            None => Delta::Delete(self.object.clone()),
            Some(Ok(object)) => Delta::Apply(object),
            Some(Err(error)) => {
                Delta::Bad(self.object.clone(), unreadable(self.object.clone(), error))
            }
        };
        let permit = self.deltas.reserve().await?;
        permit.send(vec![delta]);
        self.seen = version;
        Ok(())
    }
}
