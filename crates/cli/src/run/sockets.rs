//! Which sockets are to be open: the addresses of Services and Gateways, their ports, and what to
//! do when the system refuses one.
//!
//! Decides only; opening is the data path's. One change of one Service costs the work of that
//! Service and a walk over pointers.

mod failure;
mod gateways;
mod services;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use weft_ir::{Name, Tables};
use weft_proxy::Bind;

pub(crate) use self::{
    gateways::GatewayPlace,
    services::{ServicePlace, asked_address},
};
use super::{addresses::AddressBook, ports::Ports};

/// Every socket of one run.
#[derive(Debug)]
pub(crate) struct Sockets {
    book: AddressBook,
    ports: Ports,
    default_client: Arc<str>,
    /// `--bind`: addresses on which Gateways listen beside their own and localhost.
    open_addresses: Vec<IpAddr>,
    gateways: BTreeMap<Name, GatewayPlace>,
    services: BTreeMap<Name, Arc<ServicePlace>>,
    /// Which Gateway has a port on the addresses that Gateways share.
    holders: BTreeMap<u16, Name>,
    /// Shared sockets that cannot be had.
    refused: BTreeSet<SocketAddr>,
    /// Ports of Gateways that cannot be opened at all, with the reason.
    unusable: BTreeMap<(Name, u16), String>,
    gateway_binds: BTreeSet<Bind>,
    /// Services whose places are to be chosen anew.
    stale: BTreeSet<Name>,
    /// Ports whose move users have been told of.
    told: BTreeSet<(u16, u16)>,
    wanted: Arc<BTreeSet<Bind>>,
    remarks: Vec<String>,
    revision: u64,
}

const LOCALHOST: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

impl Sockets {
    /// No socket yet.
    pub(crate) fn new(
        book: AddressBook,
        ports: Ports,
        default_client: Arc<str>,
        open_addresses: Vec<IpAddr>,
    ) -> Self {
        Self {
            book,
            ports,
            default_client,
            open_addresses,
            gateways: BTreeMap::new(),
            services: BTreeMap::new(),
            holders: BTreeMap::new(),
            refused: BTreeSet::new(),
            unusable: BTreeMap::new(),
            gateway_binds: BTreeSet::new(),
            stale: BTreeSet::new(),
            told: BTreeSet::new(),
            wanted: Arc::default(),
            remarks: Vec::new(),
            revision: 0,
        }
    }

    /// Brings the sockets in line with the tables; says whether they differ from the last call.
    pub(crate) fn plan(&mut self, tables: &Tables) -> bool {
        let gateways = self.plan_gateways(tables);
        let services = self.plan_services(tables);
        if gateways || services {
            self.revision += 1;
        }
        gateways || services
    }

    /// Every socket that is to be open.
    pub(crate) fn wanted(&self) -> &Arc<BTreeSet<Bind>> {
        &self.wanted
    }

    /// Where Gateways listen.
    pub(crate) fn gateways(&self) -> &BTreeMap<Name, GatewayPlace> {
        &self.gateways
    }

    /// Where Services listen.
    pub(crate) fn services(&self) -> &BTreeMap<Name, Arc<ServicePlace>> {
        &self.services
    }

    /// The range addresses are drawn from.
    pub(crate) fn range(&self) -> String {
        self.book.range()
    }

    /// Namespace of the clients that dial the plain address of a Service.
    pub(crate) fn default_client(&self) -> &Arc<str> {
        &self.default_client
    }

    /// Counts the changes of places.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The ports to listen on for the ports of one object; tells of those that move.
    fn listen_on(&mut self, ports: impl IntoIterator<Item = u16>) -> BTreeMap<u16, u16> {
        let listen_on = self.ports.listen_on(ports);
        for (&port, &place) in &listen_on {
            if port != place && self.told.insert((port, place)) {
                self.remarks.extend(self.ports.why_moved(port, place));
            }
        }
        listen_on
    }

    /// What users should know about addresses and ports since the last call.
    pub(crate) fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }
}
