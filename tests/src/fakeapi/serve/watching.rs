//! Watches of a scripted API server: the changes after a version, as lines, as they come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::Shared;
use super::super::fault::Fault;
use super::super::state::{Change, Resource, State};
use super::{as_served, pace, status, status_object};
use crate::body::{Body, Feed, fed};

/// Answers a watch from a version, or from the state there is when none is named.
pub(super) fn watch(
    shared: Arc<Shared>,
    resource: Resource,
    query: &BTreeMap<String, String>,
) -> Response<Body> {
    let number = |name: &str| query.get(name).and_then(|value| value.parse::<u64>().ok());
    let selector = query.get("fieldSelector");
    let name = selector.and_then(|selector| selector.strip_prefix("metadata.name="));
    let from = number("resourceVersion");
    let mut state = shared.state();
    let is_compacted = from.is_some_and(|from| from < state.compacted());
    let is_gone = state.take(|fault| match fault {
        Fault::GoneOnResume(times) => Some(times),
        _ => None,
    });
    if is_gone {
        return status(StatusCode::GONE, "Expired", "too old resource version");
    }
    drop(state);
    let (feed, body) = fed();
    let stream = Stream {
        seconds: number("timeoutSeconds").unwrap_or(60),
        name: name.map(str::to_owned),
        version: from.unwrap_or(0),
        has_start: from.is_some(),
        resource,
        shared,
        feed,
    };
    tokio::spawn(async move {
        if is_compacted {
            stream.gone().await;
        } else {
            stream.run().await;
        }
    });
    Response::new(body)
}

struct Stream {
    shared: Arc<Shared>,
    resource: Resource,
    /// Only objects of this name.
    name: Option<String>,
    version: u64,
    /// Whether the client named a version, and so knows what was before.
    has_start: bool,
    seconds: u64,
    feed: Feed,
}

impl Stream {
    async fn run(mut self) {
        let end = tokio::time::sleep(Duration::from_secs(self.seconds));
        tokio::pin!(end);
        let mut changed = self.shared.changed.subscribe();
        let mut sent = 0;
        if !self.has_start && !self.start().await {
            return;
        }
        loop {
            changed.mark_unchanged();
            if self.faults_end_it(sent).await {
                return;
            }
            let (is_silent, changes) = {
                let state = self.shared.state();
                let is_silent = state.has(|fault| *fault == Fault::WatchSilent);
                (is_silent, self.waiting(&state))
            };
            for change in changes.into_iter().filter(|_| !is_silent) {
                if !self.send(&change).await {
                    return;
                }
                self.version = self.version.max(change.version);
                sent += 1;
                if self.closes_after(sent) {
                    return;
                }
            }
            tokio::select! {
                _changed = changed.changed() => {}
                () = &mut end, if !is_silent => {
                    self.bookmark().await;
                    return;
                }
            }
        }
    }

    /// Everything there is, as a watch without a version begins.
    async fn start(&mut self) -> bool {
        let (objects, version) = {
            let state = self.shared.state();
            (state.objects(&self.resource), state.version())
        };
        self.version = version;
        for object in objects {
            if self.is_meant(&object) && !self.line("ADDED", object).await {
                return false;
            }
        }
        true
    }

    /// Changes that were not sent yet, in the order they will be.
    fn waiting(&self, state: &State) -> Vec<Change> {
        let mut changes = state.changes_after(&self.resource, self.version);
        changes.retain(|change| self.is_meant(&change.object));
        if state.has(|fault| *fault == Fault::OutOfOrder) {
            changes.reverse();
        }
        if state.has(|fault| *fault == Fault::Duplicates) {
            changes = changes
                .into_iter()
                .flat_map(|change| [change.clone(), change])
                .collect();
        }
        changes
    }

    fn is_meant(&self, object: &Value) -> bool {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        self.name.is_none() || self.name.as_deref() == name
    }

    fn closes_after(&self, sent: usize) -> bool {
        let closes =
            |fault: &Fault| matches!(fault, Fault::WatchClosesAfter(events) if sent >= *events);
        self.shared.state().has(closes)
    }

    /// Faults that end a watch once something was sent, or before.
    async fn faults_end_it(&self, sent: usize) -> bool {
        let (is_gone, is_error, only_bookmarks, is_closed) = {
            let mut state = self.shared.state();
            let is_gone = state.take(|fault| match fault {
                Fault::GoneMidStream(times) => Some(times),
                _ => None,
            });
            let is_error = state.take(|fault| match fault {
                Fault::ErrorEvent(times) => Some(times),
                _ => None,
            });
            let only_bookmarks = state.has(|fault| *fault == Fault::BookmarksOnly);
            let closes = |fault: &Fault| matches!(fault, Fault::WatchClosesAfter(0)) && sent == 0;
            (is_gone, is_error, only_bookmarks, state.has(closes))
        };
        if is_gone {
            self.gone().await;
        } else if is_error {
            let error = status_object(500, "InternalError", "etcdserver: leader changed");
            self.write(&json!({ "type": "ERROR", "object": error }))
                .await;
        } else if only_bookmarks {
            let waits = !self.waiting(&self.shared.state()).is_empty();
            if waits {
                return false;
            }
            self.bookmark().await;
        }
        is_gone || is_error || only_bookmarks || is_closed
    }

    async fn gone(&self) {
        let error = status_object(410, "Expired", "too old resource version");
        self.write(&json!({ "type": "ERROR", "object": error }))
            .await;
    }

    async fn bookmark(&self) {
        let version = {
            let state = self.shared.state();
            // Only what was sent is behind a bookmark.
            if self.waiting(&state).is_empty() {
                state.version()
            } else {
                self.version
            }
        };
        let object = json!({
            "apiVersion": self.resource.api_version(),
            "kind": self.resource.kind,
            "metadata": { "resourceVersion": version.to_string() },
        });
        self.write(&json!({ "type": "BOOKMARK", "object": object }))
            .await;
    }

    async fn send(&self, change: &Change) -> bool {
        self.line(change.type_, change.object.clone()).await
    }

    async fn line(&self, type_: &str, mut object: Value) -> bool {
        as_served(&mut object, &self.resource);
        self.write(&json!({ "type": type_, "object": object }))
            .await
    }

    async fn write(&self, line: &Value) -> bool {
        let bytes = format!("{line}\n").into_bytes();
        let (pace, is_cut) = {
            let state = self.shared.state();
            (pace(&state), state.has(|fault| *fault == Fault::Cut))
        };
        if is_cut {
            let _half = self.feed.data(bytes[..bytes.len() / 2].to_vec()).await;
            self.feed.cut().await;
            return false;
        }
        match pace {
            None => self.feed.data(bytes).await,
            Some(pace) => {
                for byte in bytes {
                    tokio::time::sleep(pace).await;
                    if !self.feed.data(vec![byte]).await {
                        return false;
                    }
                }
                true
            }
        }
    }
}
