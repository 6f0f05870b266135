//! Reverse references: which objects speak about a given one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use weft_api::key::KeyParts;
use weft_api::reference::PolicyTargetReference;
use weft_api::service::SERVICE_NAME_LABEL;
use weft_api::{
    AnyObject, BackendTlsPolicy, EndpointSlice, Object, ObjectKey, Service, XBackendTrafficPolicy,
};

/// All reverse references. Each is a function of the objects alone: adding and removing an object
/// cancel out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Indexes {
    services_by_address: Index<IpAddr, Service>,
    slices_by_service: Index<ObjectKey, EndpointSlice>,
    tls_policies_by_target: Index<ObjectKey, BackendTlsPolicy>,
    traffic_policies_by_target: Index<ObjectKey, XBackendTrafficPolicy>,
}

/// Objects by something they mention. Lists are short, sorted by key and never empty: a list of
/// one costs far less than a tree of one, and most have one.
#[derive(Clone, PartialEq)]
struct Index<K, T> {
    lists: BTreeMap<K, Vec<Arc<T>>>,
}

/// What happens to the mentions of an object.
#[derive(Clone, Copy)]
enum Edit {
    Add,
    Remove,
}

// === impl Indexes ===

impl Indexes {
    /// Notes what an object mentions.
    pub(crate) fn add(&mut self, object: &AnyObject) {
        self.change(Edit::Add, object);
    }

    /// Forgets what an object mentions; the opposite of [`Indexes::add`].
    pub(crate) fn remove(&mut self, object: &AnyObject) {
        self.change(Edit::Remove, object);
    }

    /// Gives up spare room.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.services_by_address.shrink_to_fit();
        self.slices_by_service.shrink_to_fit();
        self.tls_policies_by_target.shrink_to_fit();
        self.traffic_policies_by_target.shrink_to_fit();
    }

    fn change(&mut self, edit: Edit, object: &AnyObject) {
        match object {
            AnyObject::Service(service) => {
                self.services_by_address
                    .change(edit, service.spec.addresses(), service);
            }
            AnyObject::EndpointSlice(slice) => {
                self.slices_by_service
                    .change(edit, service_of(slice), slice);
            }
            AnyObject::BackendTlsPolicy(policy) => {
                let targets = targets_of(policy.as_ref(), &policy.spec.target_refs);
                self.tls_policies_by_target.change(edit, targets, policy);
            }
            AnyObject::XBackendTrafficPolicy(policy) => {
                let targets = targets_of(policy.as_ref(), &policy.spec.target_refs);
                self.traffic_policies_by_target
                    .change(edit, targets, policy);
            }
            _ => {}
        }
    }

    pub(crate) fn services_by_address(&self, address: IpAddr) -> &[Arc<Service>] {
        self.services_by_address
            .lists
            .get(&address)
            .map_or(&[], Vec::as_slice)
    }

    pub(crate) fn slices_by_service(&self, namespace: &str, name: &str) -> &[Arc<EndpointSlice>] {
        self.slices_by_service.named(namespace, name)
    }

    /// Policies that target anything of this name, of whatever kind.
    pub(crate) fn tls_policies_by_target(
        &self,
        namespace: &str,
        name: &str,
    ) -> &[Arc<BackendTlsPolicy>] {
        self.tls_policies_by_target.named(namespace, name)
    }

    /// Policies that target anything of this name, of whatever kind.
    pub(crate) fn traffic_policies_by_target(
        &self,
        namespace: &str,
        name: &str,
    ) -> &[Arc<XBackendTrafficPolicy>] {
        self.traffic_policies_by_target.named(namespace, name)
    }
}

fn service_of(slice: &EndpointSlice) -> impl Iterator<Item = ObjectKey> {
    let name = slice
        .label(SERVICE_NAME_LABEL)
        .filter(|name| !name.is_empty());
    let namespace = || slice.metadata.namespace.clone().unwrap_or_default();
    name.map(|name| ObjectKey::new(namespace(), name))
        .into_iter()
}

fn targets_of<'a>(
    policy: &'a impl Object,
    references: &'a [PolicyTargetReference],
) -> impl Iterator<Item = ObjectKey> {
    references
        .iter()
        .map(|reference| ObjectKey::new(policy.namespace(), reference.name.as_str()))
}

// === impl Index ===

impl<K: Ord, T: Object> Index<K, T> {
    fn change(&mut self, edit: Edit, mentions: impl Iterator<Item = K>, object: &Arc<T>) {
        let key = object.key();
        for mention in mentions {
            match edit {
                Edit::Add => self.add(mention, &key, object),
                Edit::Remove => self.remove(&mention, &key),
            }
        }
    }

    /// Puts an object under a mention, once however often it mentions it.
    fn add(&mut self, mention: K, key: &ObjectKey, object: &Arc<T>) {
        let list = self.lists.entry(mention).or_default();
        if let Err(place) = list.binary_search_by_key(key, |other| other.key()) {
            // Most lists keep one entry for ever.
            list.reserve_exact(1);
            list.insert(place, Arc::clone(object));
        }
    }

    fn shrink_to_fit(&mut self) {
        self.lists = std::mem::take(&mut self.lists).into_iter().collect();
    }

    /// Takes an object away from a mention.
    fn remove(&mut self, mention: &K, key: &ObjectKey) {
        let Some(list) = self.lists.get_mut(mention) else {
            return;
        };
        list.retain(|other| other.key() != *key);
        if list.is_empty() {
            self.lists.remove(mention);
        }
    }
}

impl<T> Index<ObjectKey, T> {
    fn named(&self, namespace: &str, name: &str) -> &[Arc<T>] {
        self.lists
            .get(&(namespace, name) as &dyn KeyParts)
            .map_or(&[], Vec::as_slice)
    }
}

impl<K, T> Default for Index<K, T> {
    fn default() -> Self {
        Self {
            lists: BTreeMap::new(),
        }
    }
}

impl<K: fmt::Debug, T: Object> fmt::Debug for Index<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |list: &Vec<Arc<T>>| list.iter().map(|object| object.key()).collect::<Vec<_>>();
        f.debug_map()
            .entries(self.lists.iter().map(|(key, list)| (key, names(list))))
            .finish()
    }
}
