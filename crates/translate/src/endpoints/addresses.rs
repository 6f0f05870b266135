//! Who answers at an address that no endpoint names a Pod for.

use std::{cell::OnceCell, collections::BTreeMap, net::IpAddr, sync::Arc};

use weft_store::Store;

use crate::enrolment::Enrolment;

#[cfg(test)]
mod tests;

/// The members by their addresses, gathered when one is first asked for: few slices are written by hand.
pub(super) struct Addresses<'s> {
    store: &'s Store,
    enrolment: &'s Enrolment,
    members: OnceCell<BTreeMap<IpAddr, Arc<str>>>,
}

impl<'s> Addresses<'s> {
    pub(super) fn of(store: &'s Store, enrolment: &'s Enrolment) -> Self {
        Self {
            store,
            enrolment,
            members: OnceCell::new(),
        }
    }

    /// Whom clients meet at an address, wherever the slice is that says it: they dial an address, which is
    /// one Pod's. Nobody where Pods have no network of their own, because an address says nothing there.
    pub(super) fn member(&self, address: IpAddr) -> Option<&Arc<str>> {
        let are_captured = matches!(self.enrolment, Enrolment::Captured(..));
        let members = are_captured.then(|| self.members.get_or_init(|| self.gather()));
        members?.get(&address)
    }

    /// As in the list of peers: of members that say the same address, of which one has lost it, the last by
    /// name counts. Pods on the network of their node are none.
    fn gather(&self) -> BTreeMap<IpAddr, Arc<str>> {
        let (store, namespaces) = (self.store, self.store.namespaces());
        let running = store.pods().entries().filter(|(_, pod)| !pod.is_finished());
        let members = running.filter_map(|(key, pod)| {
            let of = namespaces.get("", key.namespace()).map(AsRef::as_ref);
            let id = self.enrolment.member(key.namespace(), of, Some(pod))?;
            let addresses = pod.addresses().into_iter();
            Some(addresses.map(move |it| (it, Arc::clone(&id))))
        });
        members.flatten().collect()
    }
}
