//! The cluster half of `source` against a scripted API server that goes wrong in every way a real
//! one can: watches converge, statuses arrive, one replica leads.

mod connect;
mod crds;
mod faults;
mod lease;
mod named;
mod statuses;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weft_api::{AnyObject, Kind, Scope};
use weft_source::kube::{
    Access, Cluster, Jitter, Retry, SystemClock, Update, WATCHED_KINDS, WatchOptions, Watches,
};
use weft_source::{Event, Finding};
use weft_store::Store;
use weft_tests::fakeapi::FakeApi;
use weft_tests::wait::{Expected, PATIENCE};

/// The namespace of everything that has one.
const NAMESPACE: &str = "shop";

/// Connects as the kubeconfig of the server says.
async fn connect(api: &FakeApi) -> Cluster {
    let access = Access {
        kubeconfig: Some(api.kubeconfig()),
        context: None,
    };
    Cluster::connect(access)
        .await
        .expected("connect to the scripted API server")
}

fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock::default())
}

/// Short waits, so that what takes a minute takes a second.
fn retry() -> Retry {
    Retry {
        first: Duration::from_millis(5),
        longest_unreachable: Duration::from_millis(40),
        longest_refused: Duration::from_millis(80),
    }
}

fn options() -> WatchOptions {
    WatchOptions {
        request_timeout: Duration::from_millis(400),
        watch_timeout: Duration::from_secs(1),
        watch_grace: Duration::from_millis(200),
        discovery_interval: Duration::from_millis(40),
        reference_interval: Duration::from_millis(40),
        relist_spread: Duration::from_millis(10),
        retry: retry(),
        ..WatchOptions::new(Jitter::seeded(1))
    }
}

/// An object of any kind. What is about it stands in a label.
fn object(kind: Kind, name: &str, edition: &str) -> Value {
    let mut object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.as_str(),
        "metadata": { "name": name, "labels": { "edition": edition } },
    });
    if kind.scope() == Scope::Namespaced {
        object["metadata"]["namespace"] = NAMESPACE.into();
    }
    if !matches!(kind, Kind::Secret | Kind::ConfigMap | Kind::EndpointSlice) {
        object["spec"] = json!({});
    }
    object
}

fn namespace_of(kind: Kind) -> &'static str {
    match kind.scope() {
        Scope::Namespaced => NAMESPACE,
        Scope::Cluster => "",
    }
}

/// Somebody behind the watches: a store, as in a controller.
#[derive(Debug)]
struct Reader {
    watches: Watches,
    store: Store,
    findings: Arc<[Finding]>,
    synced: bool,
    referred: u64,
}

impl Reader {
    async fn start(api: &FakeApi, options: WatchOptions) -> Self {
        Self {
            watches: Watches::start(connect(api).await, options),
            store: Store::default(),
            findings: Arc::default(),
            synced: false,
            referred: 0,
        }
    }

    async fn next(&mut self) {
        let Update {
            events,
            findings,
            synced,
            referred,
        } = self.watches.next().await.expect("watches go on");
        for event in events {
            match event {
                Event::Apply(object) => drop(self.store.apply(object)),
                Event::Delete(reference) => drop(self.store.delete(&reference)),
            }
        }
        assert!(synced >= self.synced, "synced stays true");
        self.findings = findings;
        self.synced = synced;
        self.referred = referred;
    }

    /// Reads until something holds.
    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let reading = async {
            while !holds(self) {
                self.next().await;
            }
        };
        if tokio::time::timeout(PATIENCE, reading).await.is_err() {
            panic!(
                "not within {PATIENCE:?}: {what}; findings: {:#?}",
                self.findings
            );
        }
    }

    async fn synced(&mut self) {
        self.until("every kind is listed", |reader| reader.synced)
            .await;
    }

    /// Waits until watches of a kind are open.
    async fn watched(&mut self, api: &FakeApi, kind: Kind) {
        let watches = format!("/{}?&watch=true", kind.plural());
        let is_watch = |request: &String| request.contains(&watches);
        while !api.requests().iter().any(is_watch) {
            tokio::select! {
                () = self.next() => {}
                () = tokio::time::sleep(Duration::from_millis(2)) => {}
            }
        }
    }

    /// Reads until the store is what the server has.
    async fn converged(&mut self, api: &FakeApi, what: &str) {
        self.until(what, |reader| reader.differences(api).is_empty())
            .await;
    }

    /// Kinds of which the store does not hold what the server has.
    fn differences(&self, api: &FakeApi) -> Vec<Kind> {
        let differs = |kind: &Kind| {
            let there: Vec<_> = api
                .objects(*kind)
                .into_iter()
                .map(|object| AnyObject::parse(object).expect("a good object"))
                .collect();
            let here: Vec<_> = self
                .store
                .iter()
                .filter(|object| object.kind() == *kind)
                .collect();
            let same = |object: &AnyObject| here.contains(object);
            here.len() != there.len() || !there.iter().all(same)
        };
        WATCHED_KINDS.iter().copied().filter(differs).collect()
    }

    fn holds(&self, kind: Kind, name: &str, edition: &str) -> bool {
        let is_it = |object: &AnyObject| {
            let metadata = object.metadata();
            object.kind() == kind
                && metadata.name.as_deref() == Some(name)
                && metadata.labels.get("edition") == Some(edition)
        };
        self.store.iter().any(|object| is_it(&object))
    }
}
