//! What a scripted API server stores: objects, and the changes that led to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustls::ServerConfig;
use serde_json::{Value, json};
use weft_api::Kind;

use super::fault::Fault;

/// Page of a list, and where the next one begins.
type Listed = (Vec<Value>, Option<String>);

/// Objects by their place.
type Objects = BTreeMap<(String, String, String), Value>;

/// A kind in a version, as it stands in paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// Group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural.
    pub plural: String,
    /// Kind.
    pub kind: String,
}

impl Resource {
    /// A kind in its newest version.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self {
            group: kind.group().to_owned(),
            version: kind
                .versions()
                .first()
                .copied()
                .unwrap_or_default()
                .to_owned(),
            plural: kind.plural().to_owned(),
            kind: kind.as_str().to_owned(),
        }
    }

    /// Leases.
    #[must_use]
    pub fn lease() -> Self {
        Self {
            group: "coordination.k8s.io".to_owned(),
            version: "v1".to_owned(),
            plural: "leases".to_owned(),
            kind: "Lease".to_owned(),
        }
    }

    /// Deployments.
    #[must_use]
    pub fn deployment() -> Self {
        Self {
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            plural: "deployments".to_owned(),
            kind: "Deployment".to_owned(),
        }
    }

    /// A kind that Weft does not read, with its group and version.
    #[must_use]
    pub fn other(api_version: &str, kind: &str, plural: &str) -> Self {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
        }
    }

    /// The same in another version.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Group and plural, which objects are stored by.
    fn stem(&self) -> String {
        format!("{}/{}", self.group, self.plural)
    }

    pub(super) fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Whether it is built in; the others need a CRD.
    pub(super) fn is_built_in(&self) -> bool {
        !self.group.starts_with("gateway.networking")
    }
}

/// A change of an object.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    stem: String,
    pub(super) type_: &'static str,
    pub(super) object: Value,
}

#[derive(Debug, Default)]
pub(super) struct State {
    objects: Objects,
    /// What [`Fault::StaleList`] shows, with its version.
    snapshot: Option<(u64, Objects)>,
    changes: Vec<Change>,
    version: u64,
    /// Changes up to here are forgotten.
    compacted: u64,
    pub(super) served: BTreeSet<Resource>,
    pub(super) are_crds_forgotten: bool,
    pub(super) faults: Vec<Fault>,
    pub(super) requests: Vec<String>,
    pub(super) token: Option<String>,
    /// Users by the tokens they may present to others.
    pub(super) users: BTreeMap<String, Value>,
    /// What is said at paths that are about no object.
    pub(super) said: BTreeMap<String, String>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    uids: u64,
}

impl State {
    /// The newest version.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.changes.clear();
    }

    pub(super) fn apply(&mut self, mut object: Value) {
        let text = |path| {
            let text: Option<&str> = object.pointer(path).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let (api_version, kind) = (text("/apiVersion"), text("/kind"));
        let (group, _) = api_version.rsplit_once('/').unwrap_or(("", ""));
        let resource = match Kind::find(group, &kind) {
            Some(kind) => Resource::of(kind),
            None if kind == "Deployment" => Resource::deployment(),
            None => {
                let mut others = self.served.iter();
                let other = others.find(|other| other.group == group && other.kind == kind);
                other.cloned().unwrap_or_else(Resource::lease)
            }
        };
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let place = (resource.stem(), namespace, name);
        let before = self.objects.get(&place);
        let metadata = |path| before.and_then(|before| before.pointer(path)).cloned();
        let said = object.pointer("/metadata/uid").cloned();
        let uid = metadata("/metadata/uid").or(said).unwrap_or_else(|| {
            self.uids += 1;
            format!("uid-{}", self.uids).into()
        });
        let generation = metadata("/metadata/generation").and_then(|value| value.as_i64());
        let has_same_spec = before.is_some_and(|before| before.get("spec") == object.get("spec"));
        let generation = generation.map_or(1, |before| before + i64::from(!has_same_spec));
        object["metadata"]["uid"] = uid;
        object["metadata"]["generation"] = generation.into();
        object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        object["metadata"]["managedFields"] = json!([{ "manager": "somebody" }]);
        let type_ = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.store(place, object, type_);
    }

    fn store(&mut self, place: (String, String, String), mut object: Value, type_: &'static str) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.changes.push(Change {
            version: self.version,
            stem: place.0.clone(),
            type_,
            object: object.clone(),
        });
        if type_ == "DELETED" {
            self.objects.remove(&place);
        } else {
            self.objects.insert(place, object);
        }
    }

    pub(super) fn delete(&mut self, resource: &Resource, namespace: &str, name: &str) -> bool {
        let place = (resource.stem(), namespace.to_owned(), name.to_owned());
        let Some(object) = self.objects.get(&place).cloned() else {
            return false;
        };
        self.store(place, object, "DELETED");
        true
    }

    pub(super) fn edit(
        &mut self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        edit: impl FnOnce(&mut Value),
    ) {
        let place = (resource.stem(), namespace.to_owned(), name.to_owned());
        if let Some(mut object) = self.objects.get(&place).cloned() {
            edit(&mut object);
            self.store(place, object, "MODIFIED");
        }
    }

    pub(super) fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<&Value> {
        let place = (resource.stem(), namespace.to_owned(), name.to_owned());
        self.objects.get(&place)
    }

    pub(super) fn everything(&self) -> Vec<Value> {
        self.objects.values().cloned().collect()
    }

    pub(super) fn objects(&self, resource: &Resource) -> Vec<Value> {
        Self::of(&self.objects, resource)
    }

    fn of(objects: &Objects, resource: &Resource) -> Vec<Value> {
        let stem = resource.stem();
        let same = objects.iter().filter(|((other, _, _), _)| *other == stem);
        same.map(|(_, object)| object.clone()).collect()
    }

    pub(super) fn withdraw(&mut self, resource: &Resource) {
        let stem = resource.stem();
        self.served.retain(|served| served.stem() != stem);
        let places: Vec<_> = self
            .objects
            .keys()
            .filter(|(other, _, _)| *other == stem)
            .cloned()
            .collect();
        for (_, namespace, name) in places {
            self.delete(resource, &namespace, &name);
        }
    }

    /// Whether requests for a resource find anything.
    pub(super) fn serves(&self, resource: &Resource) -> bool {
        let is_forgotten = self.are_crds_forgotten && !resource.is_built_in();
        let always = [Resource::lease(), Resource::deployment()];
        !is_forgotten && (self.served.contains(resource) || always.contains(resource))
    }

    /// A page of a list from an offset, and the version it shows.
    pub(super) fn page(
        &mut self,
        resource: &Resource,
        (offset, limit): (usize, usize),
        is_selected: impl Fn(&Value) -> bool,
    ) -> (Listed, u64) {
        let is_stale = self.take(|fault| match fault {
            Fault::StaleList(times) => Some(times),
            _ => None,
        });
        let (version, mut all) = match &self.snapshot {
            Some((version, objects)) if is_stale => (*version, Self::of(objects, resource)),
            _ => (self.version, self.objects(resource)),
        };
        all.retain(is_selected);
        let total = all.len();
        let items: Vec<_> = all.into_iter().skip(offset).take(limit).collect();
        let end = offset + items.len();
        let next = (end < total).then(|| format!("{end}"));
        ((items, next), version)
    }

    /// Remembers what a replica that lags would show.
    pub(super) fn snapshot(&mut self) {
        self.snapshot = Some((self.version, self.objects.clone()));
    }

    /// Changes of a resource after a version.
    pub(super) fn changes_after(&self, resource: &Resource, version: u64) -> Vec<Change> {
        let stem = resource.stem();
        let after = |change: &&Change| change.version > version && change.stem == stem;
        self.changes.iter().filter(after).cloned().collect()
    }

    /// Whether a fault that counts applies once more; the count goes down.
    pub(super) fn take(&mut self, counter: impl Fn(&mut Fault) -> Option<&mut usize>) -> bool {
        for fault in &mut self.faults {
            if let Some(times) = counter(fault).filter(|times| **times > 0) {
                *times -= 1;
                return true;
            }
        }
        false
    }

    pub(super) fn has(&self, is_it: impl Fn(&Fault) -> bool) -> bool {
        self.faults.iter().any(is_it)
    }
}
