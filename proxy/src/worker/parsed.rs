//! What a worker has made of texts that came with the configuration. It is kept as long as its text is
//! the same, so that connections which use it are too.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    sync::Arc,
};

use weft_ir::Name;
use weft_wire::{Kind, proto::config::ResourceError};

#[cfg(test)]
mod tests;

/// Values of type `T`, each made of a resource of type `R`.
pub(crate) struct Parsed<R, T> {
    kind: Kind,
    seen: Arc<BTreeMap<Name, Arc<R>>>,
    made: HashMap<Name, Option<T>>,
}

impl<R, T: Clone> Parsed<R, T> {
    /// Nothing yet, of resources of that kind.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            seen: Arc::default(),
            made: HashMap::new(),
        }
    }

    /// Takes over resources and reads those that are new or different; says which of these cannot be
    /// used. `None` means that all are as they were.
    pub(crate) fn update<E: Display>(
        &mut self,
        resources: Arc<BTreeMap<Name, Arc<R>>>,
        parse: impl Fn(&R) -> Result<T, E>,
    ) -> Option<Vec<ResourceError>> {
        if Arc::ptr_eq(&self.seen, &resources) {
            return None;
        }
        self.made.retain(|name, _| resources.contains_key(name));
        let mut refused = Vec::new();
        for (name, resource) in &*resources {
            let known = self.seen.get(name);
            if known.is_some_and(|known| Arc::ptr_eq(known, resource)) {
                continue;
            }
            let parsed = parse(resource);
            if let Err(error) = &parsed {
                refused.push(ResourceError {
                    r#type: self.kind.as_str().to_owned(),
                    name: name.to_string(),
                    message: error.to_string(),
                });
            }
            self.made.insert(name.clone(), parsed.ok());
        }
        self.seen = resources;
        Some(refused)
    }

    /// Those that can be used.
    pub(crate) fn usable(&self) -> HashMap<Name, T> {
        let made = self.made.iter();
        made.filter_map(|(name, made)| Some((name.clone(), made.clone()?)))
            .collect()
    }
}
