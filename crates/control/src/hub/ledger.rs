//! What the proxies of one replica have taken, in terms of objects. Ours is kept by the streams, that
//! of another replica by its reports.

mod reports;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_api::{Kind, ObjectKey, ObjectRef};
use weft_ir::Name;
use weft_wire::proto::config::{PodReport, Trusts};

pub(crate) use self::reports::Told;
use super::{
    captures::{Captures, PodOfNode, Word},
    marks::Marks,
};

/// What stands for the generation of a pod in configurations in which nobody reaches it.
const DEPARTED: i64 = 1;

/// Routes and Gateways that a proxy cannot serve as they say, with the reason.
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
    /// What it says about the pods of its node.
    captures: Arc<Captures>,
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

    /// The pods that are leaving the mesh, by UID, each with the first configuration in which nobody reaches
    /// it. That is kept as what any configuration holds: in one from before, the pod has no generation.
    /// Whether it makes a difference.
    pub(super) fn depart(&mut self, pods: &BTreeMap<Arc<str>, u64>) -> bool {
        let known: BTreeSet<_> = self.departing().cloned().collect();
        let pods = pods.iter().map(|(uid, at)| (of_uid(uid), *at));
        let pods: BTreeMap<ObjectRef, u64> = pods.collect();
        self.marks.keep(Kind::Pod, |pod| pods.contains_key(pod));
        for (pod, configuration) in &pods {
            self.marks.mark(pod, *configuration, DEPARTED);
        }
        !known.iter().eq(pods.keys())
    }

    /// The pods that are leaving the mesh.
    pub(super) fn departing(&self) -> impl Iterator<Item = &ObjectRef> {
        self.marks.of_kind(Kind::Pod)
    }

    /// Proxies with a configuration from before an object, by Gateway or node and instance. Who has taken
    /// none yet serves nobody.
    pub(super) fn laggards<'a>(
        &'a self,
        object: &'a ObjectRef,
    ) -> impl Iterator<Item = (&'a Name, &'a str)> {
        let all = self.proxies.iter();
        let all = all.flat_map(|(name, proxies)| proxies.iter().map(move |it| (name, it)));
        all.filter_map(|(name, (instance, proxy))| {
            let generation = self.marks.generation(object, proxy.took?);
            generation.is_none().then_some((name, instance.as_str()))
        })
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

    /// Everything that some proxy refuses.
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

    /// Whom a proxy trusts, once it has said so.
    pub(super) fn trusted(&self, gateway: &Name, instance: &str) -> Option<&Trusts> {
        self.proxy(gateway, instance)?.trusts.as_ref()
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

    /// What a proxy says about pods of its node; those of which it is something else than before.
    pub(super) fn reports(
        &mut self,
        (node, instance): (&Name, &str),
        session: u64,
        report: PodReport,
    ) -> Vec<String> {
        let proxies = self.proxies.get_mut(node);
        let proxy = proxies.and_then(|proxies| proxies.get_mut(instance));
        match proxy.filter(|proxy| proxy.session == session) {
            Some(proxy) => Arc::make_mut(&mut proxy.captures).take(report),
            None => Vec::new(),
        }
    }

    /// What each proxy of a node says about a pod.
    pub(super) fn words(&self, node: &Name, uid: &str) -> impl Iterator<Item = &Word> {
        let proxies = self.proxies.get(node).into_iter();
        let proxies = proxies.flat_map(BTreeMap::values);
        proxies.filter_map(move |proxy| proxy.captures.get(uid))
    }

    /// Every pod of which something is said.
    pub(super) fn spoken_of(&self) -> impl Iterator<Item = PodOfNode> {
        let proxies = self.proxies.iter();
        let proxies = proxies.flat_map(|(node, all)| all.values().map(move |it| (node, it)));
        proxies.flat_map(|(node, proxy)| {
            let uids = proxy.captures.uids();
            uids.map(move |uid| (node.clone(), uid.clone()))
        })
    }

    /// The oldest configuration that a proxy is at which has taken any; `None` when there is none.
    pub(super) fn least(&self) -> Option<u64> {
        let proxies = self.proxies.values().flat_map(BTreeMap::values);
        proxies.filter_map(|proxy| proxy.took).min()
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
        if let Some(least) = self.least() {
            self.marks.prune(least);
        }
    }
}

/// A pod by its UID: another one may have its name by now.
fn of_uid(uid: &Arc<str>) -> ObjectRef {
    ObjectRef::new(Kind::Pod, ObjectKey::new("", Arc::clone(uid)))
}
