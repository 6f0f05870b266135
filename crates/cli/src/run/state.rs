//! `state.yaml` and `hosts`: where everything listens, for `weft resolve`, for the next run and for
//! people.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs, io,
    net::Ipv4Addr,
    path::Path,
};

use serde::{Deserialize, Serialize};
use weft_ir::Name;

use super::{addresses::Owner, sockets::Sockets};

#[cfg(test)]
mod tests;

/// Version of the form of `state.yaml`; it only grows.
const VERSION: u32 = 1;

/// Name of the file in the state directory.
pub(crate) const FILE: &str = "state.yaml";
/// Names in the form of `/etc/hosts`.
pub(crate) const HOSTS: &str = "hosts";

/// What `state.yaml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// The range addresses are drawn from.
    pub(crate) range: String,
    /// Namespace of the clients that dial the plain address of a Service.
    pub(crate) client_namespace: String,
    /// Gateways by `namespace/name`.
    #[serde(default)]
    pub(crate) gateways: BTreeMap<String, GatewayEntry>,
    /// Services by `namespace/name`.
    #[serde(default)]
    pub(crate) services: BTreeMap<String, ServiceEntry>,
}

/// Where a Gateway listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GatewayEntry {
    /// Its own address.
    pub(crate) address: Ipv4Addr,
    /// Port of the Gateway to port listened on.
    #[serde(default)]
    pub(crate) ports: BTreeMap<u16, u16>,
    /// Those of the ports listened on that are also open on 127.0.0.1.
    #[serde(default)]
    pub(crate) localhost: Vec<u16>,
}

/// Where a Service listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceEntry {
    /// Its ClusterIP.
    pub(crate) address: Ipv4Addr,
    /// Port of the Service to port listened on.
    #[serde(default)]
    pub(crate) ports: BTreeMap<u16, u16>,
    /// Addresses for clients of namespaces with routes of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) clients: BTreeMap<String, Ipv4Addr>,
    /// Address for clients of all other namespaces, if it is not the ClusterIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) others: Option<Ipv4Addr>,
}

impl State {
    /// Where things listen now.
    pub(crate) fn of(sockets: &Sockets) -> Self {
        let gateways = sockets.gateways().iter().map(|(name, place)| {
            let entry = GatewayEntry {
                address: place.address,
                ports: place.ports.clone(),
                localhost: place.localhost.iter().copied().collect(),
            };
            (name.to_string(), entry)
        });
        let services = sockets.services().iter().map(|(name, place)| {
            let clients = place.clients.iter();
            let entry = ServiceEntry {
                address: place.address,
                ports: place.ports.clone(),
                clients: clients
                    .map(|(it, address)| (it.to_string(), *address))
                    .collect(),
                others: place.others,
            };
            (name.to_string(), entry)
        });
        Self {
            version: VERSION,
            range: sockets.range(),
            client_namespace: sockets.default_client().to_string(),
            gateways: gateways.collect(),
            services: services.collect(),
        }
    }

    /// Reads the file of a state directory; `None` when there is none yet.
    ///
    /// # Errors
    /// The file cannot be read, or was not written by `weft run`.
    pub(crate) fn read(state_dir: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(state_dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        serde_saphyr::from_str(&text)
            .map(Some)
            .map_err(io::Error::other)
    }

    /// The addresses of an earlier run, by owner.
    pub(crate) fn recorded(&self) -> HashMap<Owner, Ipv4Addr> {
        let mut recorded = HashMap::new();
        for (name, entry) in &self.gateways {
            if let Some(name) = parse_name(name) {
                recorded.insert(Owner::Gateway(name), entry.address);
            }
        }
        for (name, entry) in &self.services {
            let Some(service) = parse_name(name) else {
                continue;
            };
            let others = entry.others.map(|it| (service.namespace.to_string(), it));
            let clients = entry.clients.clone().into_iter().chain(others);
            recorded.extend(clients.map(|(client_namespace, address)| {
                let owner = Owner::ServiceFor {
                    service: service.clone(),
                    client_namespace: client_namespace.into(),
                };
                (owner, address)
            }));
            recorded.insert(Owner::Service(service), entry.address);
        }
        recorded
    }

    /// The file.
    ///
    /// # Errors
    /// Never for a state made by [`of`](Self::of).
    pub(crate) fn to_yaml(&self) -> io::Result<String> {
        let body = serde_saphyr::to_string(self).map_err(io::Error::other)?;
        let head = "# Written by `weft run`, read by `weft resolve` and by the next run: \
                    which addresses Services and Gateways have.\n";
        Ok(format!("{head}{body}"))
    }

    /// The Services in the form of `/etc/hosts`: the names that a cluster's DNS would know.
    pub(crate) fn to_hosts(&self) -> String {
        let mut text = "# Written by `weft run`.\n".to_owned();
        for (name, entry) in &self.services {
            let Some(Name { namespace, name }) = parse_name(name) else {
                continue;
            };
            let address = entry.address;
            // Writing to a String does not fail.
            let _ = write!(
                text,
                "{address} {name}.{namespace}.svc.cluster.local {name}.{namespace}.svc \
                 {name}.{namespace}"
            );
            if *namespace == *self.client_namespace {
                let _ = write!(text, " {name}");
            }
            text.push('\n');
        }
        text
    }
}

fn parse_name(text: &str) -> Option<Name> {
    let (namespace, name) = text.split_once('/')?;
    Some(Name::new(namespace, name))
}
