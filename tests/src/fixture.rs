//! Fixtures: Kubernetes manifests, and requests in comment lines.
//!
//! A line `# request: …` or `# explain: …` asks what becomes of a request ([`Ask`]); `# scope:
//! cluster` translates as a controller in a cluster does. Everything else is YAML as users write it.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use weft_api::{AnyObject, Kind, ObjectRef};
use weft_ir::Name;
use weft_store::Store;
use weft_translate::{GatewayFacts, Scope, features::Channel};

use crate::ask::Ask;

/// A fixture on top of the world all fixtures share.
#[derive(Debug)]
pub struct Fixture {
    /// Objects of the shared world, then the fixture's own, in file order.
    pub objects: Vec<AnyObject>,
    /// The objects of the fixture itself.
    pub own: BTreeSet<ObjectRef>,
    /// What is asked, in file order.
    pub asks: Vec<Ask>,
    /// The surroundings of the translation.
    pub scope: Scope,
}

impl Fixture {
    /// Reads the manifests of `base` and those of the fixture.
    ///
    /// # Errors
    /// A file cannot be read, holds an object that cannot be parsed, or a directive that is none.
    pub fn load(base: &Path, path: &Path) -> Result<Self> {
        let mut objects = manifests(&read(base)?).with_context(|| base.display().to_string())?;
        let mut fixture = Self {
            own: BTreeSet::new(),
            asks: Vec::new(),
            scope: Scope::standalone(),
            objects: Vec::new(),
        };
        if path != base {
            let text = read(path)?;
            let own = manifests(&text).with_context(|| path.display().to_string())?;
            fixture
                .directives(&text)
                .with_context(|| path.display().to_string())?;
            fixture.own = own.iter().map(AnyObject::reference).collect();
            objects.extend(own);
        } else {
            fixture.own = objects.iter().map(AnyObject::reference).collect();
        }
        let gateways = objects
            .iter()
            .filter(|object| object.kind() == Kind::Gateway);
        fixture.scope.gateways = gateways.map(|gateway| (name(gateway), facts())).collect();
        fixture.objects = objects;
        Ok(fixture)
    }

    /// The objects in a store, applied in file order.
    pub fn store(&self) -> Store {
        store_of(self.objects.iter())
    }

    /// The same objects, applied in the opposite order.
    pub fn store_reversed(&self) -> Store {
        store_of(self.objects.iter().rev())
    }

    fn directives(&mut self, text: &str) -> Result<()> {
        for line in text.lines().filter_map(|line| line.strip_prefix("# ")) {
            match line.split_once(": ") {
                Some((kind @ ("request" | "explain"), ask)) => {
                    let ask = Ask::parse(ask, kind == "explain");
                    self.asks.push(ask.with_context(|| line.to_owned())?);
                }
                Some(("scope", "cluster")) => {
                    self.scope = Scope::cluster(Channel::Experimental, "v1.6.1");
                }
                Some(("scope", other)) => bail!("scope {other:?} is none; write \"cluster\""),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Every Gateway has this address, and its proxies have seen everything.
fn facts() -> GatewayFacts {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
    GatewayFacts {
        addresses: vec![address],
        acknowledged: Some(i64::MAX),
        ..Default::default()
    }
}

fn name(object: &AnyObject) -> Name {
    let key = object.reference().key;
    Name::new(key.namespace(), key.name())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn manifests(text: &str) -> Result<Vec<AnyObject>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    documents
        .into_iter()
        .map(|document| Ok(AnyObject::parse(document)?))
        .collect()
}

fn store_of<'a>(objects: impl Iterator<Item = &'a AnyObject>) -> Store {
    let mut store = Store::default();
    for object in objects {
        store.apply(object.clone());
    }
    store
}
