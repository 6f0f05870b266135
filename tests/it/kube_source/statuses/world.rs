//! A reader and a writer of one scripted API server, and statuses of every kind that has one.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use weft_api::conditions::GATEWAY_CONTROLLER;
use weft_api::{AnyObject, Kind, ObjectKey, ObjectRef};
use weft_source::kube::{Jitter, StatusOptions, StatusWriter, WATCHED_KINDS};
use weft_tests::fakeapi::FakeApi;
use weft_tests::wait::soon;

use super::super::{Reader, clock, connect, namespace_of, object, options, retry};

/// Kinds that have a status of ours.
pub(super) const WITH_STATUS: &[Kind] = &[
    Kind::GatewayClass,
    Kind::Gateway,
    Kind::ListenerSet,
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::TlsRoute,
    Kind::TcpRoute,
    Kind::UdpRoute,
    Kind::BackendTlsPolicy,
    Kind::XMesh,
    Kind::XBackendTrafficPolicy,
];

/// A reader, a writer, and whether this replica leads.
pub(super) struct World {
    pub(super) api: FakeApi,
    pub(super) reader: Reader,
    pub(super) writer: StatusWriter,
    pub(super) leads: watch::Sender<bool>,
}

impl World {
    pub(super) async fn start(api: FakeApi, leads: bool) -> Self {
        let mut reader = Reader::start(&api, options()).await;
        reader.synced().await;
        let (leads, leading) = watch::channel(leads);
        let options = StatusOptions {
            object_interval: Duration::from_millis(1),
            request_timeout: Duration::from_millis(300),
            retry: retry(),
            ..StatusOptions::new(clock(), Jitter::seeded(2))
        };
        let versions = reader.watches.versions();
        let writer = StatusWriter::start(connect(&api).await, versions, options, leading);
        Self {
            api,
            reader,
            writer,
            leads,
        }
    }

    /// Asks for a status of an object as it was last seen.
    pub(super) fn put(&self, kind: Kind, name: &str, verdict: &str) {
        let reference = ObjectRef::new(kind, ObjectKey::new(namespace_of(kind), name));
        let seen = self
            .reader
            .store
            .get(&reference)
            .expect("the object was seen");
        let generation = seen.metadata().generation;
        let mut wanted = seen.to_value().expect("an object can be written");
        wanted["status"] = status(kind, verdict, generation);
        let wanted = AnyObject::parse(wanted).expect("a good object");
        assert!(self.writer.put(&seen, wanted), "there is room");
    }

    pub(super) async fn flush(&self, what: &str) {
        soon(what, self.writer.flush()).await;
    }

    pub(super) fn stored(&self, kind: Kind, name: &str) -> Value {
        let object = self.api.object(kind, namespace_of(kind), name);
        object.expect("the object is stored")["status"].clone()
    }
}

fn condition(verdict: &str, generation: Option<i64>) -> Value {
    json!({
        "type": "Accepted", "status": verdict, "reason": "Accepted", "message": "as the test says",
        "observedGeneration": generation,
    })
}

fn entry(verdict: &str, generation: Option<i64>) -> Value {
    json!({
        "parentRef": { "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge" },
        "controllerName": GATEWAY_CONTROLLER,
        "conditions": [condition(verdict, generation)],
    })
}

fn status(kind: Kind, verdict: &str, generation: Option<i64>) -> Value {
    match kind {
        Kind::GatewayClass | Kind::XMesh | Kind::Gateway | Kind::ListenerSet => {
            json!({ "conditions": [condition(verdict, generation)] })
        }
        Kind::BackendTlsPolicy | Kind::XBackendTrafficPolicy => {
            let mut entry = entry(verdict, generation);
            entry["ancestorRef"] = entry["parentRef"].take();
            json!({ "ancestors": [entry] })
        }
        _ => json!({ "parents": [entry(verdict, generation)] }),
    }
}

/// The verdict in a stored status.
pub(super) fn verdict(kind: Kind, status: &Value) -> Value {
    let conditions = match kind {
        Kind::GatewayClass | Kind::XMesh | Kind::Gateway | Kind::ListenerSet => {
            &status["conditions"]
        }
        Kind::BackendTlsPolicy | Kind::XBackendTrafficPolicy => {
            &status["ancestors"][0]["conditions"]
        }
        _ => &status["parents"][0]["conditions"],
    };
    conditions[0]["status"].clone()
}

pub(super) async fn every_kind() -> FakeApi {
    let api = FakeApi::start(WATCHED_KINDS).await;
    for kind in WITH_STATUS {
        api.apply(object(*kind, "a", "first"));
    }
    api
}
