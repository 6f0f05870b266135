//! Gateways whose namespace is being deleted. They count as gone from that moment on, and what was made
//! for them goes at once.
//!
//! Nothing brings such a namespace back. Kubernetes first looks at it after seconds, deletes its pods, and
//! everything else only once they are gone; and where pods outlast its second look it waits for half of
//! their grace period. Proxies that leave in the ordinary way outlast it: they go on for clients that have
//! yet to hear of it. Where the Gateway and its Service end as well, there is nothing such clients could
//! turn to instead.
//!
//! A Gateway that is deleted alone is none of these: its proxies serve until they are asked to end, and
//! leave in the ordinary way.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::{AnyObject, Gateway, Kind, Object, ObjectKey, ObjectRef};
use weft_store::Store;

/// See the file.
#[derive(Debug, Default)]
pub(super) struct Ending {
    gateways: BTreeMap<ObjectKey, Arc<Gateway>>,
}

impl Ending {
    /// By name.
    pub(super) fn gateways(&self) -> impl Iterator<Item = &Arc<Gateway>> {
        self.gateways.values()
    }

    /// An object is gone, or another one by now.
    pub(super) fn forget(&mut self, object: &ObjectRef) {
        if object.kind == Kind::Gateway {
            self.gateways.remove(&object.key);
        }
    }

    /// Takes Gateways of namespaces that end out of the store, and returns which. Whatever order namespaces
    /// and Gateways come in, what is in the store afterwards is the same.
    pub(super) fn settle(&mut self, store: &mut Store) -> Vec<ObjectRef> {
        // Seen before the namespace it is in, which took the place of the one that is gone.
        let back = self.gateways.extract_if(.., |key, _| {
            is_ending(store, key.namespace()) == Some(false)
        });
        for (_, gateway) in back.collect::<Vec<_>>() {
            store.apply(AnyObject::from(gateway));
        }
        let gateways = store.gateways().iter();
        let ended = gateways.filter(|it| is_ending(store, it.namespace()) == Some(true));
        let ended: Vec<_> = ended.cloned().collect();
        let out = |gateway: Arc<Gateway>| {
            let reference = ObjectRef::new(Kind::Gateway, gateway.key());
            store.delete(&reference);
            self.gateways.insert(gateway.key(), gateway);
            reference
        };
        ended.into_iter().map(out).collect()
    }
}

/// Whether a namespace is being deleted; `None` of one that is not known.
fn is_ending(store: &Store, namespace: &str) -> Option<bool> {
    let namespace = store.namespaces().get("", namespace)?;
    Some(namespace.metadata.deletion_timestamp.is_some())
}
