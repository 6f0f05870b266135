//! Objects with the statuses they should have, for those who write them.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::{AnyObject, Kind, ObjectRef};
use weft_translate::Status;

use super::World;

type Statuses = BTreeMap<ObjectRef, Arc<Status>>;

impl World {
    /// Every object that has a status of ours, as it was seen and as it should be.
    pub(crate) fn all_statuses(&self) -> impl Iterator<Item = (AnyObject, AnyObject)> {
        self.output
            .statuses
            .keys()
            .filter_map(|object| self.stated(object))
    }

    /// An object that has a status of ours, as it was seen and as it should be.
    pub(crate) fn stated(&self, object: &ObjectRef) -> Option<(AnyObject, AnyObject)> {
        let Some(status) = self.output.statuses.get(object) else {
            return self
                .unstated(object)
                .filter(|(seen, wanted)| seen != wanted);
        };
        let seen = self.store.get(object)?;
        let wanted = status.of(seen.clone())?;
        Some((seen, wanted))
    }

    /// An object of which nothing is to be said any more, as it was seen and without what we said.
    /// It may have been seen without: what we said of it can still be on its way to the API server,
    /// which translation, that looks at no status, does not know.
    pub(super) fn unstated(&self, object: &ObjectRef) -> Option<(AnyObject, AnyObject)> {
        let seen = self.store.get(object)?;
        let scope = &self.scope;
        let ours = [&scope.gateway_controller, &scope.mesh_controller];
        let wanted = Status::withdrawn(&seen, &ours.map(String::as_str))?.of(seen.clone())?;
        Some((seen, wanted))
    }
}

/// Objects whose status is new or different (by pointer).
pub(super) fn changed(old: &Statuses, new: &Statuses) -> Vec<ObjectRef> {
    let is_same = |object: &ObjectRef, status: &Arc<Status>| {
        old.get(object)
            .is_some_and(|before| Arc::ptr_eq(before, status))
    };
    let different = new
        .iter()
        .filter(|(object, status)| !is_same(object, status));
    different.map(|(object, _)| object.clone()).collect()
}

/// Objects that had a status and have none.
pub(super) fn gone_from(old: &Statuses, new: &Statuses) -> Vec<ObjectRef> {
    let gone = old.keys().filter(|object| !new.contains_key(*object));
    gone.cloned().collect()
}

/// Whether an object of the kind can hold a status of ours.
pub(crate) fn has_status(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::GatewayClass
            | Kind::XMesh
            | Kind::Gateway
            | Kind::ListenerSet
            | Kind::HttpRoute
            | Kind::GrpcRoute
            | Kind::TlsRoute
            | Kind::TcpRoute
            | Kind::UdpRoute
            | Kind::BackendTlsPolicy
            | Kind::XBackendTrafficPolicy
    )
}
