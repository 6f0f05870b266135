//! Events on pods: what has happened to the capture of each, where `kubectl describe pod` shows it. Written
//! by the replica that leads, from what the proxies of nodes say.
//!
//! What stands at a pod already, in its annotations, is no news, and what happens again adds to the Event
//! that there is: neither another leader nor a node that says everything once more repeats any.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use weft_api::{
    Object, Pod,
    workload::{CAPTURED, CAPTURED_REASON},
};
use weft_certs::sha256;
use weft_source::kube::{Cluster, Place, RequestError};
use weft_telemetry::{metrics::ProcessMetrics, rfc3339};
use weft_wire::proto::config::Capture;

use crate::hub::Word;

/// Events that may wait to be written; a namespace of that many pods may join at once.
const WAITING: usize = 1024;
/// Between two Events, so that they take no share of the API server that anybody notices.
const PACE: Duration = Duration::from_millis(50);
/// What happened longer ago is no news: an API server forgets Events after an hour.
const OLD: Duration = Duration::from_secs(3600);
/// Longest message of an Event (events.k8s.io/v1 `note`).
const MESSAGE_BYTES: usize = 1024;
/// Longest part of a pod's name in that of its Event; names have 253 bytes.
const NAME_BYTES: usize = 230;

/// What has happened to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    namespace: String,
    pod: String,
    uid: String,
    /// The `reason` of the Event: a word for machines.
    reason: &'static str,
    /// Whether somebody should look at it.
    is_warning: bool,
    message: String,
    at: SystemTime,
}

/// Turns words about pods into Events.
#[derive(Debug)]
pub(crate) struct Events {
    /// What was last heard of each pod, by UID.
    heard: BTreeMap<String, Word>,
    writer: mpsc::Sender<News>,
    process: Arc<ProcessMetrics>,
}

/// Starts what writes, while this replica leads; it ends with `tasks`.
pub(crate) fn start(
    cluster: Cluster,
    leads: watch::Receiver<bool>,
    process: Arc<ProcessMetrics>,
    tasks: &mut JoinSet<()>,
) -> Events {
    let (writer, news) = mpsc::channel(WAITING);
    tasks.spawn(write_all(cluster, leads, news));
    Events {
        heard: BTreeMap::new(),
        writer,
        process,
    }
}

impl Events {
    /// A node says this of a pod, which stands there as it was last seen.
    pub(crate) fn hear(&mut self, pod: &Pod, word: &Word, now: SystemTime) {
        let Some(uid) = &pod.metadata.uid else { return };
        let news = news(pod, self.heard.get(&**uid), word, now);
        if word.captured == Capture::Ended {
            self.heard.remove(&**uid);
        } else if self.heard.get(&**uid) != Some(word) {
            self.heard.insert(uid.to_string(), word.clone());
        }
        for news in news {
            if self.writer.try_send(news).is_err() {
                self.process.channel_full("events");
            }
        }
    }

    /// Forgets pods that nobody speaks of any more.
    pub(crate) fn keep(&mut self, is_spoken_of: impl Fn(&str) -> bool) {
        self.heard.retain(|uid, _| is_spoken_of(uid));
    }
}

/// What a word says that was not known before.
fn news(pod: &Pod, before: Option<&Word>, word: &Word, now: SystemTime) -> Vec<News> {
    let metadata = &pod.metadata;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let event = |reason, is_warning, message: String, at| News {
        namespace: text(metadata.namespace.as_deref()),
        pod: text(metadata.name.as_deref()),
        uid: text(metadata.uid.as_deref()),
        reason,
        is_warning,
        message,
        at,
    };
    let stands = (pod.annotation(CAPTURED), pod.annotation(CAPTURED_REASON));
    let is_other =
        before.is_none_or(|it| (it.captured, &it.reason) != (word.captured, &word.reason));
    let mut news = Vec::new();
    match word.captured {
        Capture::Done if is_other && stands.0 != Some("true") => {
            let message =
                "The pod is a member of the mesh: what it dials and what dials it is captured";
            news.push(event("Captured", false, message.to_owned(), now));
        }
        Capture::Failed if is_other && stands != (Some("error"), Some(&*word.reason)) => {
            let message = format!("The pod is not captured as it should be: {}", word.reason);
            news.push(event("CaptureFailed", true, message, now));
        }
        _ => {}
    }
    let repaired = UNIX_EPOCH + Duration::from_secs(word.repaired_unix_s);
    let is_news = before.is_none_or(|it| it.repaired_unix_s < word.repaired_unix_s);
    let age = now.duration_since(repaired).unwrap_or_default();
    if word.repaired_unix_s > 0 && is_news && age < OLD {
        let damage = &word.damage;
        let message =
            format!("The capture of the pod was damaged from outside ({damage}); repaired");
        news.push(event("CaptureRepaired", true, message, repaired));
    }
    if word.is_crashing && !before.is_some_and(|it| it.is_crashing) {
        let message = "The worker that carries the traffic of the pod's namespace on this node ends again \
                       and again; the log of the node's proxy says why";
        news.push(event("WorkerCrashLoop", true, message.to_owned(), now));
    }
    news
}

/// Writes until nobody says anything any more.
async fn write_all(
    cluster: Cluster,
    leads: watch::Receiver<bool>,
    mut waiting: mpsc::Receiver<News>,
) {
    while let Some(news) = waiting.recv().await {
        // Another replica hears the same.
        if !*leads.borrow() {
            continue;
        }
        if let Err(error) = write(&cluster, &news).await {
            let News {
                namespace,
                pod,
                reason,
                ..
            } = &news;
            tracing::warn!("no Event {reason} at pod {namespace}/{pod}: {error}");
        }
        tokio::time::sleep(PACE).await;
    }
}

async fn write(cluster: &Cluster, news: &News) -> Result<(), RequestError> {
    let name = news.name();
    let place = Place {
        api_version: "v1",
        plural: "events",
        namespace: &news.namespace,
        name: &name,
    };
    let known = cluster.look_at(&place).await?;
    match news.event(known.as_ref()) {
        Some(event) => cluster.apply(&place, &event).await,
        None => Ok(()),
    }
}

impl News {
    /// One Event for each thing that can happen to a pod.
    fn name(&self) -> String {
        let what = format!("{} {} {}", self.uid, self.reason, self.message);
        let digest = data_encoding::HEXLOWER.encode(&sha256(what.as_bytes())[..8]);
        let pod = &self.pod[..self.pod.floor_char_boundary(NAME_BYTES)];
        format!("{}.{digest}", pod.trim_end_matches(['.', '-']))
    }

    /// The Event, once more than the one that there is; `None` when that one says it.
    fn event(&self, known: Option<&Value>) -> Option<Value> {
        let at = rfc3339(self.at);
        let known = known.filter(|it| it["involvedObject"]["uid"] == self.uid.as_str());
        let field = |name: &str| known.and_then(|it| it[name].as_str());
        // Of one length and form, so that texts are in the order of what they say.
        if field("lastTimestamp").is_some_and(|last| last >= at.as_str()) {
            return None;
        }
        let count = known.and_then(|it| it["count"].as_u64()).unwrap_or(0) + 1;
        let message = &self.message[..self.message.floor_char_boundary(MESSAGE_BYTES)];
        Some(json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": self.name(), "namespace": self.namespace },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": self.namespace,
                "name": self.pod,
                "uid": self.uid,
            },
            "type": if self.is_warning { "Warning" } else { "Normal" },
            "reason": self.reason,
            "message": message,
            "source": { "component": "weft-controller" },
            "firstTimestamp": field("firstTimestamp").unwrap_or(&at),
            "lastTimestamp": at,
            "count": count,
        }))
    }
}

#[cfg(test)]
mod tests;
