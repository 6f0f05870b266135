//! What a [`World`](super::World) is told beside objects, and what it says came of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use weft_api::{AnyObject, ObjectRef};
use weft_ir::Name;
use weft_translate::features::Channel;

/// What is installed, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Channel of the Gateway API.
    pub(crate) channel: Channel,
    /// Version of its CRDs; `None` while nobody knows.
    pub(crate) bundle_version: Option<String>,
}

/// A Gateway of ours, as far as streams and acknowledgements are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The service account of its proxies, which is also the name of its Service and Deployment
    /// (GEP-1762): `<gateway>-<class>` where that is a name.
    pub(crate) workload: String,
    /// `metadata.generation`.
    pub(crate) generation: i64,
    /// The generation of which the object says that it is programmed.
    pub(crate) programmed: Option<i64>,
    /// Its namespace is being deleted. Its proxies alone still have to hear of it.
    pub(crate) is_ending: bool,
}

/// Gateways of ours.
pub(crate) type Gateways = BTreeMap<Name, Served>;

/// Objects that were applied, and objects that are gone.
pub(crate) type Changes = (Vec<ObjectRef>, Vec<ObjectRef>);

/// What proxies say, as far as it is asked.
pub(crate) struct Heard<F> {
    /// What they have of each Gateway.
    pub(crate) acknowledged: F,
    /// The UIDs of pods that none of them reaches through the tunnel, of those that were asked about.
    pub(crate) departed: BTreeSet<Arc<str>>,
    pub(crate) now: Duration,
}

/// What came of some changes.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Statuses to have written: those that are new or different, and those of objects that changed.
    pub(crate) statuses: Vec<(AnyObject, AnyObject)>,
    /// Objects that are gone.
    pub(crate) gone: Vec<ObjectRef>,
    /// Whether the configuration is another one than before.
    pub(crate) is_new: bool,
    /// Whether anything was translated to find out.
    pub(crate) is_translated: bool,
}
