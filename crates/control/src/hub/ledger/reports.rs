//! Reports from replica to replica: differences of ledgers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_api::{Kind, ObjectKey, ObjectRef};
use weft_ir::Name;
use weft_wire::proto::{
    config::{self, Trusts},
    replicas::{Object, Proxy as ProxyReport, Refused, ReportRequest, WorkerTrusts},
};

use super::{Ledger, Proxy, Refusals};
use crate::hub::captures::{Captures, PodOfNode};

/// The group of all objects that proxies are configured by; pods, by their UIDs, are those that are leaving
/// the mesh.
const GROUP: &str = "gateway.networking.k8s.io";

/// What another replica was told of a ledger so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// As whom the marks know it.
    reader: u64,
    objects: BTreeMap<ObjectRef, (u64, i64)>,
    proxies: BTreeMap<(Name, String), Said>,
    captures: BTreeMap<(Name, String), Arc<Captures>>,
    own: Option<Trusts>,
}

/// What a proxy has said.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    took: Option<u64>,
    refused: Refusals,
    trusts: Option<Trusts>,
}

impl Ledger {
    /// What is different from what was told, which is told with it; `None` when nothing is.
    pub(in crate::hub) fn report(
        &mut self,
        own: &Trusts,
        told: &mut Told,
    ) -> Option<ReportRequest> {
        let mut report = ReportRequest {
            bundle_version: own.bundle_version,
            issuer: own.issuer.clone(),
            ..ReportRequest::default()
        };
        self.report_objects(told, &mut report.objects);
        for (gateway, proxies) in &self.proxies {
            for (instance, proxy) in proxies {
                let key = (gateway.clone(), instance.clone());
                let said = Said {
                    took: proxy.took,
                    refused: proxy.refused.clone(),
                    trusts: proxy.trusts.clone(),
                };
                if told.proxies.get(&key) != Some(&said) {
                    report.proxies.push(proxy_report(&key, Some(&said)));
                    told.proxies.insert(key.clone(), said);
                }
                let known = told.captures.entry(key).or_default();
                if !Arc::ptr_eq(known, &proxy.captures) {
                    let words = proxy.captures.since(known, (gateway, instance));
                    report.pods.extend(words);
                    *known = Arc::clone(&proxy.captures);
                }
            }
        }
        told.proxies.retain(|key, _| {
            let is_there = self.knows(&key.0, &key.1);
            if !is_there {
                report.proxies.push(proxy_report(key, None));
                told.captures.remove(key);
            }
            is_there
        });
        let is_news = !report.objects.is_empty()
            || !report.proxies.is_empty()
            || !report.pods.is_empty()
            || told.own.as_ref() != Some(own);
        told.own = Some(own.clone());
        is_news.then_some(report)
    }

    fn report_objects(&mut self, told: &mut Told, report: &mut Vec<Object>) {
        let changed = self.marks.unread(&mut told.reader).unwrap_or_else(|| {
            let all = self.marks.objects().chain(told.objects.keys());
            BTreeSet::from_iter(all.cloned())
        });
        for object in changed {
            let last = self.marks.last(&object);
            if told.objects.get(&object) == last.as_ref() {
                continue;
            }
            report.push(object_report(&object, last.unwrap_or_default()));
            match last {
                Some(last) => told.objects.insert(object, last),
                None => told.objects.remove(&object),
            };
        }
    }

    /// Takes over a report; the pods of which something else is said than before.
    pub(in crate::hub) fn take(&mut self, report: ReportRequest) -> Vec<PodOfNode> {
        for object in report.objects {
            // A kind that is not known here is of a newer version, and nothing is made of it.
            let pod = Some(Kind::Pod).filter(|kind| kind.as_str() == object.kind);
            let Some(kind) = Kind::find(GROUP, &object.kind).or(pod) else {
                continue;
            };
            let key = ObjectKey::new(object.namespace, object.name);
            let object_ref = ObjectRef::new(kind, key);
            if object.generation == 0 {
                self.marks.forget(&object_ref);
            } else {
                self.marks
                    .mark(&object_ref, object.since, object.generation);
            }
        }
        for proxy in report.proxies {
            let gateway = Name::new(proxy.namespace, proxy.gateway);
            let proxies = self.proxies.entry(gateway).or_default();
            if proxy.gone {
                proxies.remove(&proxy.instance);
            } else {
                let refused = proxy.refused.into_iter().filter_map(refusal);
                let workers = proxy.workers.into_iter().map(|it| config::WorkerTrusts {
                    name: it.name,
                    bundle_version: it.bundle_version,
                    leaves: it.leaves,
                });
                let trusts = Trusts {
                    bundle_version: proxy.bundle_version,
                    issuer: proxy.issuer,
                    workers: workers.collect(),
                };
                let known = proxies.get(&proxy.instance);
                let taken = Proxy {
                    captures: known.map(|it| Arc::clone(&it.captures)).unwrap_or_default(),
                    session: 0,
                    took: (proxy.took > 0).then_some(proxy.took),
                    refused: refused.collect(),
                    trusts: (proxy.bundle_version > 0).then_some(trusts),
                };
                proxies.insert(proxy.instance, taken);
            }
        }
        let mut news = Vec::new();
        for word in report.pods {
            let pod = (Name::new("", word.node.as_str()), word.uid.clone());
            let proxies = self.proxies.get_mut(&pod.0);
            let proxy = proxies.and_then(|proxies| proxies.get_mut(&word.instance));
            if proxy.is_some_and(|proxy| Arc::make_mut(&mut proxy.captures).hear(word)) {
                news.push(pod);
            }
        }
        self.proxies.retain(|_, proxies| !proxies.is_empty());
        self.prune();
        news
    }
}

fn object_report(object: &ObjectRef, (since, generation): (u64, i64)) -> Object {
    Object {
        kind: object.kind.as_str().to_owned(),
        namespace: object.key.namespace().to_owned(),
        name: object.key.name().to_owned(),
        generation,
        since,
    }
}

/// `None` of one that went.
fn proxy_report((gateway, instance): &(Name, String), said: Option<&Said>) -> ProxyReport {
    let Said {
        took,
        refused,
        trusts,
    } = said.cloned().unwrap_or_default();
    let trusts = trusts.unwrap_or_default();
    let workers = trusts.workers.into_iter().map(|it| WorkerTrusts {
        name: it.name,
        bundle_version: it.bundle_version,
        leaves: it.leaves,
    });
    let refused = refused.into_iter().map(|(object, message)| Refused {
        kind: object.kind.as_str().to_owned(),
        namespace: object.key.namespace().to_owned(),
        name: object.key.name().to_owned(),
        message,
    });
    ProxyReport {
        namespace: gateway.namespace.to_string(),
        gateway: gateway.name.to_string(),
        instance: instance.clone(),
        took: took.unwrap_or_default(),
        gone: said.is_none(),
        bundle_version: trusts.bundle_version,
        issuer: trusts.issuer,
        refused: refused.collect(),
        workers: workers.collect(),
    }
}

/// A route that a proxy of another replica refuses; `None` of a kind that is not known here.
fn refusal(refused: Refused) -> Option<(ObjectRef, String)> {
    let kind = Kind::find(GROUP, &refused.kind)?;
    let key = ObjectKey::new(refused.namespace, refused.name);
    Some((ObjectRef::new(kind, key), refused.message))
}
