//! The configuration of a worker: received, put in force, answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    sync::Arc,
    time::Duration,
};

use weft_certs::{CaRoots, ServerCert};
use weft_forward::{Caller, Clock, Configuration, InletKey, Roots, Sender};
use weft_telemetry::metrics::ConfigMetrics;
use weft_wire::{
    Applied, Assembler, CaBundle, Certificate, Identity, Kind, PublisherError, Received, Session,
    Subscriber,
    proto::config::{ClientMessage, ResourceError, Role, ServerMessage},
};

use super::{parsed::Parsed, platform};
use crate::{
    answer,
    answering::Answers,
    listen::Bind,
    standalone::{DataPath, Update},
};

/// What a parent said that makes no sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServingError {
    /// A socket without address or an address without socket.
    #[error("socket `{0}` cannot be taken over: {1}")]
    Socket(String, String),
    /// A change against the protocol.
    #[error(transparent)]
    Change(#[from] PublisherError),
}

/// What a worker serves.
pub(super) struct Serving {
    data_path: Arc<DataPath>,
    subscriber: Subscriber,
    session: Option<Session>,
    update: Update,
    certificates: Parsed<Certificate, ServerCert>,
    ca_bundles: Parsed<CaBundle, Arc<CaRoots>>,
    /// In whose name members of the mesh are reached.
    caller: Arc<Caller>,
    answers: Answers,
    /// Sockets that were given, by port.
    given: BTreeMap<u16, SocketAddr>,
    metrics: Arc<ConfigMetrics>,
    clock: Clock,
    /// When the first piece of the change under way arrived.
    arrived_ns: Option<u64>,
}

impl Serving {
    /// Nothing yet. `platform` are the authorities of the platform, if it has any; as `caller` members
    /// of the mesh are reached.
    pub(super) fn new(
        data_path: Arc<DataPath>,
        metrics: Arc<ConfigMetrics>,
        (platform, caller): (Option<Arc<CaRoots>>, Arc<Caller>),
    ) -> Self {
        let identity = Identity {
            role: Role::Gateway,
            name: "worker".to_owned(),
            namespace: String::new(),
            instance: std::process::id().to_string(),
        };
        Self {
            data_path,
            subscriber: Subscriber::new(identity, Assembler::default()).with_tunnels(),
            session: None,
            update: Update {
                generation: 0,
                configuration: Configuration {
                    roots: Arc::new(Roots {
                        platform,
                        ..Roots::default()
                    }),
                    ..Configuration::default()
                },
                binds: Arc::default(),
            },
            certificates: Parsed::new(Kind::Certificate),
            ca_bundles: Parsed::new(Kind::CaBundle),
            caller,
            answers: Answers::default(),
            given: BTreeMap::new(),
            metrics,
            clock: Clock::start(),
            arrived_ns: None,
        }
    }

    pub(super) fn data_path(&self) -> &Arc<DataPath> {
        &self.data_path
    }

    /// Asks for everything.
    pub(super) fn connect(&mut self) -> ClientMessage {
        let (session, hello) = self.subscriber.connect();
        self.session = Some(session);
        hello
    }

    /// Takes over listening sockets; those of ports that are served already are served at once.
    pub(super) fn take(
        &mut self,
        addresses: &[String],
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), ServingError> {
        let missing = addresses.get(descriptors.len());
        if let Some(address) = missing {
            let why = "its descriptor has not come".to_owned();
            return Err(ServingError::Socket(address.clone(), why));
        }
        for (text, descriptor) in addresses.iter().zip(descriptors) {
            let bad = |why: String| ServingError::Socket(text.clone(), why);
            let parsed = text.parse::<SocketAddr>();
            let address = parsed.map_err(|error| bad(error.to_string()))?;
            let given = self.data_path.give(address, TcpListener::from(descriptor));
            given.map_err(|error| bad(error.to_string()))?;
            self.given.insert(address.port(), address);
        }
        let binds = self.binds();
        if binds != *self.update.binds {
            self.update.binds = Arc::new(binds);
            self.apply();
        }
        Ok(())
    }

    /// Takes a change, or a piece of one; the answer says what of it is not in force.
    pub(super) fn change(&mut self, change: ServerMessage) -> Result<ClientMessage, ServingError> {
        let Some(session) = self.session else {
            return Err(PublisherError::Unknown.into());
        };
        let now_ns = self.clock.now_ns();
        self.arrived_ns.get_or_insert(now_ns);
        match self.subscriber.receive(session, change)? {
            // There is one stream in the life of a worker.
            Received::Stale => Err(PublisherError::Unknown.into()),
            Received::Gathered(answer) => Ok(answer),
            Received::Applied { answer, applied } => {
                let problems = self.adopt(applied);
                Ok(answer::with(answer, problems))
            }
        }
    }

    fn adopt(&mut self, applied: Applied) -> Vec<ResourceError> {
        let weft_wire::Configuration {
            tables,
            endpoints,
            certificates,
            ca_bundles,
            // A Gateway has none.
            workloads: _,
            peers: _,
            namespaces: _,
        } = applied.configuration;
        self.update.generation = self.subscriber.generation().unwrap_or_default();
        let mut problems = Vec::new();
        let senders = tables.gateways.keys().cloned().map(Sender::Gateway);
        self.answers.call(senders, &self.caller);
        let configuration = &mut self.update.configuration;
        configuration.members = self.answers.of(&endpoints);
        configuration.tables = tables;
        configuration.endpoints = endpoints;
        let parse = |it: &Certificate| ServerCert::from_pem(&it.chain_pem, &it.key_pem);
        if let Some(refused) = self.certificates.update(certificates, parse) {
            problems.extend(refused);
            configuration.certificates = Arc::new(self.certificates.usable());
        }
        let parse = |it: &CaBundle| CaRoots::from_pem(&it.pem).map(Arc::new);
        if let Some(refused) = self.ca_bundles.update(ca_bundles, parse) {
            problems.extend(refused);
            configuration.roots = Arc::new(Roots {
                config_maps: self.ca_bundles.usable(),
                platform: configuration.roots.platform.clone(),
            });
        }
        if configuration.roots.platform.is_none() {
            problems.extend(platform::lacking(&configuration.tables));
        }
        let binds = self.binds();
        if binds != *self.update.binds {
            self.update.binds = Arc::new(binds);
        }
        problems.extend(self.apply());
        let arrived_ns = self.arrived_ns.take().unwrap_or_default();
        let took = Duration::from_nanos(self.clock.now_ns().saturating_sub(arrived_ns));
        self.metrics.applied(self.update.generation, took);
        self.let_go();
        problems
    }

    /// Puts the update in force; says which Gateways have ports that are not served.
    fn apply(&self) -> Vec<ResourceError> {
        let applied = self.data_path.apply(&self.update);
        let gateway = |name: String, message: String| ResourceError {
            r#type: Kind::Gateway.as_str().to_owned(),
            name,
            message,
        };
        let mut problems = Vec::new();
        for failed in &applied.failed {
            if let InletKey::Gateway { gateway: name, .. } = &*failed.bind.key {
                problems.push(gateway(name.to_string(), failed.to_string()));
            }
        }
        if let Some(error) = applied.tls {
            let all = self.update.configuration.tables.gateways.keys();
            problems.extend(all.map(|name| gateway(name.to_string(), error.to_string())));
        }
        problems
    }

    /// A socket for each port of the tables that one was given for.
    fn binds(&self) -> BTreeSet<Bind> {
        let mut binds = BTreeSet::new();
        for (name, gateway) in &self.update.configuration.tables.gateways {
            for port in &gateway.ports {
                if let Some(address) = self.given.get(&port.port) {
                    let key = InletKey::Gateway {
                        gateway: name.clone(),
                        port: port.port,
                    };
                    binds.insert(Bind {
                        key: Arc::new(key),
                        address: *address,
                    });
                }
            }
        }
        binds
    }

    /// Closes given sockets of ports that are no more, so that the parent is the last to have them.
    fn let_go(&mut self) {
        let wanted: BTreeSet<u16> = self
            .update
            .binds
            .iter()
            .map(|it| it.address.port())
            .collect();
        let gone = self.given.extract_if(.., |port, _| !wanted.contains(port));
        for (_, address) in gone {
            self.data_path.let_go(address);
        }
    }
}
