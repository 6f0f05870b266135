//! What the proxies of one replica have taken, in terms of objects. Ours is kept by the streams, that
//! of another replica by its reports.

use std::collections::{BTreeMap, BTreeSet};

use weft_api::{Kind, ObjectKey, ObjectRef};
use weft_ir::Name;
use weft_wire::proto::{
    config::Trusts,
    replicas::{Object, Proxy as ProxyReport, Refused, ReportRequest},
};

use super::marks::Marks;

/// The group of all objects that proxies are configured by.
const GROUP: &str = "gateway.networking.k8s.io";

/// Routes that a proxy cannot serve as they say, with the reason.
pub(super) type Refusals = BTreeMap<ObjectRef, String>;

/// What a proxy has of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken<'a> {
    pub(super) instance: &'a str,
    /// `None`: a configuration from before the object.
    pub(super) generation: Option<i64>,
    /// Why the proxy cannot serve it as it says.
    pub(super) refusal: Option<&'a str>,
}

/// The proxies of one replica. Configurations are counted by that replica.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    marks: Marks,
    proxies: BTreeMap<Name, BTreeMap<String, Proxy>>,
}

#[derive(Debug, Default)]
struct Proxy {
    session: u64,
    /// The configuration it has taken.
    took: Option<u64>,
    refused: Refusals,
    /// Whom it trusts, once it has said so.
    trusts: Option<Trusts>,
}

/// What another replica was told of a ledger so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// As whom the marks know it.
    reader: u64,
    objects: BTreeMap<ObjectRef, (u64, i64)>,
    proxies: BTreeMap<(Name, String), Said>,
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
    /// A configuration holds these Gateways, and no others.
    pub(super) fn publish(&mut self, configuration: u64, objects: &BTreeMap<ObjectRef, i64>) {
        self.marks
            .keep(Kind::Gateway, |object| objects.contains_key(object));
        for (object, generation) in objects {
            self.marks.mark(object, configuration, *generation);
        }
    }

    /// The configuration holds this generation of an object.
    pub(super) fn hold(&mut self, object: &ObjectRef, configuration: u64, generation: i64) {
        self.marks.mark(object, configuration, generation);
    }

    /// An object is in no configuration any more.
    pub(super) fn forget(&mut self, object: &ObjectRef) {
        self.marks.forget(object);
    }

    /// The Gateways that are there; proxies of others do not count any more.
    pub(super) fn keep(&mut self, is_there: impl Fn(&Name) -> bool) {
        self.proxies.retain(|gateway, _| is_there(gateway));
    }

    /// Whether the configuration holds an object.
    pub(super) fn holds(&self, object: &ObjectRef) -> bool {
        self.marks.holds(object)
    }

    /// How many proxies of a Gateway are connected.
    pub(super) fn len(&self, gateway: &Name) -> usize {
        self.proxies.get(gateway).map_or(0, BTreeMap::len)
    }

    /// How many proxies are connected.
    pub(super) fn total(&self) -> usize {
        self.proxies.values().map(BTreeMap::len).sum()
    }

    /// The Gateways that have proxies.
    pub(super) fn gateways(&self) -> impl Iterator<Item = &Name> {
        let all = self.proxies.iter();
        all.filter(|(_, proxies)| !proxies.is_empty())
            .map(|(gateway, _)| gateway)
    }

    pub(super) fn join(&mut self, gateway: &Name, instance: &str, session: u64) {
        // What it holds is what it says next.
        let proxy = Proxy {
            session,
            ..Proxy::default()
        };
        let proxies = self.proxies.entry(gateway.clone()).or_default();
        proxies.insert(instance.to_owned(), proxy);
    }

    /// Whether the proxy is connected by this stream.
    pub(super) fn has(&self, gateway: &Name, instance: &str, session: u64) -> bool {
        let proxy = self.proxy(gateway, instance);
        proxy.is_some_and(|proxy| proxy.session == session)
    }

    /// Whether the proxy is connected.
    pub(super) fn knows(&self, gateway: &Name, instance: &str) -> bool {
        self.proxy(gateway, instance).is_some()
    }

    fn proxy(&self, gateway: &Name, instance: &str) -> Option<&Proxy> {
        self.proxies.get(gateway)?.get(instance)
    }

    /// Whether that makes a difference. A stream that was replaced says nothing any more.
    pub(super) fn took(
        &mut self,
        (gateway, instance): (&Name, &str),
        session: u64,
        configuration: u64,
    ) -> bool {
        let proxies = self.proxies.get_mut(gateway);
        let proxy = proxies.and_then(|proxies| proxies.get_mut(instance));
        let Some(proxy) = proxy.filter(|proxy| proxy.session == session) else {
            return false;
        };
        let is_news = proxy.took != Some(configuration);
        proxy.took = Some(configuration);
        is_news
    }

    /// Whether what of it a proxy refuses makes a difference.
    pub(super) fn refuses(
        &mut self,
        (gateway, instance): (&Name, &str),
        session: u64,
        refused: Refusals,
    ) -> bool {
        let proxies = self.proxies.get_mut(gateway);
        let proxy = proxies.and_then(|proxies| proxies.get_mut(instance));
        let Some(proxy) = proxy.filter(|proxy| proxy.session == session) else {
            return false;
        };
        let is_news = proxy.refused != refused;
        proxy.refused = refused;
        is_news
    }

    /// Every route that some proxy refuses.
    pub(super) fn refused(&self) -> impl Iterator<Item = &ObjectRef> {
        let proxies = self.proxies.values().flat_map(BTreeMap::values);
        proxies.flat_map(|proxy| proxy.refused.keys())
    }

    /// Whether whom a proxy trusts makes a difference.
    pub(super) fn trusts(
        &mut self,
        (gateway, instance): (&Name, &str),
        session: u64,
        trusts: Trusts,
    ) -> bool {
        let proxies = self.proxies.get_mut(gateway);
        let proxy = proxies.and_then(|proxies| proxies.get_mut(instance));
        let Some(proxy) = proxy.filter(|proxy| proxy.session == session) else {
            return false;
        };
        let is_news = proxy.trusts.as_ref() != Some(&trusts);
        proxy.trusts = Some(trusts);
        is_news
    }

    /// Whom each proxy trusts: Gateway, instance, and what it has said.
    pub(super) fn members(&self) -> impl Iterator<Item = (&Name, &str, Option<&Trusts>)> {
        let all = self.proxies.iter();
        all.flat_map(|(gateway, proxies)| {
            proxies
                .iter()
                .map(move |(instance, proxy)| (gateway, instance.as_str(), proxy.trusts.as_ref()))
        })
    }

    /// Whether it was there, by this stream.
    pub(super) fn leave(&mut self, (gateway, instance): (&Name, &str), session: u64) -> bool {
        let is_there = self.has(gateway, instance, session);
        if is_there && let Some(proxies) = self.proxies.get_mut(gateway) {
            proxies.remove(instance);
        }
        is_there
    }

    /// What each proxy of a Gateway has of an object. A proxy that has taken nothing yet does not
    /// count: it is not ready, so no request reaches it, and a rollout is no reason to say that
    /// something is not in force.
    pub(super) fn taken<'a>(
        &'a self,
        gateway: &Name,
        object: &'a ObjectRef,
    ) -> impl Iterator<Item = Taken<'a>> {
        let proxies = self.proxies.get(gateway).into_iter().flatten();
        proxies.filter_map(move |(instance, proxy)| {
            Some(Taken {
                instance,
                generation: self.marks.generation(object, proxy.took?),
                refusal: proxy.refused.get(object).map(String::as_str),
            })
        })
    }

    /// Forgets marks that nobody can be at any more.
    pub(super) fn prune(&mut self) {
        let proxies = self.proxies.values().flat_map(BTreeMap::values);
        if let Some(least) = proxies.filter_map(|proxy| proxy.took).min() {
            self.marks.prune(least);
        }
    }
}

/// Reports from replica to replica.
impl Ledger {
    /// What is different from what was told, which is told with it; `None` when nothing is.
    pub(super) fn report(&mut self, own: &Trusts, told: &mut Told) -> Option<ReportRequest> {
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
                    told.proxies.insert(key, said);
                }
            }
        }
        told.proxies.retain(|key, _| {
            let is_there = self.knows(&key.0, &key.1);
            if !is_there {
                report.proxies.push(proxy_report(key, None));
            }
            is_there
        });
        let is_news = !report.objects.is_empty()
            || !report.proxies.is_empty()
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

    /// Takes over a report.
    pub(super) fn take(&mut self, report: ReportRequest) {
        for object in report.objects {
            // A kind that is not known here is of a newer version, and nothing is made of it.
            let Some(kind) = Kind::find(GROUP, &object.kind) else {
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
                let trusts = Trusts {
                    bundle_version: proxy.bundle_version,
                    issuer: proxy.issuer,
                };
                let taken = Proxy {
                    session: 0,
                    took: (proxy.took > 0).then_some(proxy.took),
                    refused: refused.collect(),
                    trusts: (proxy.bundle_version > 0).then_some(trusts),
                };
                proxies.insert(proxy.instance, taken);
            }
        }
        self.proxies.retain(|_, proxies| !proxies.is_empty());
        self.prune();
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
    }
}

/// A route that a proxy of another replica refuses; `None` of a kind that is not known here.
fn refusal(refused: Refused) -> Option<(ObjectRef, String)> {
    let kind = Kind::find(GROUP, &refused.kind)?;
    let key = ObjectKey::new(refused.namespace, refused.name);
    Some((ObjectRef::new(kind, key), refused.message))
}
