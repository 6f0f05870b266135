//! The data path under test: manifests in, listening sockets on loopback out, all in one process.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use weft_api::{AnyObject, ObjectRef};
use weft_forward::{Configuration, InletKey, Members, Sender};
use weft_ir::{Name, ServicePort};
use weft_proxy::{
    Bind,
    loopback::Loopback,
    standalone::{Config, DataPath, Update},
};
use weft_store::Store;
use weft_telemetry::{
    access_log::AccessLog,
    metrics::{BuildInfo, LabelGroups, Registry},
};
use weft_translate::{EndpointTable, GatewayFacts, Scope, Status, Translator};

use crate::{
    mesh::Family,
    trust::{Trust, authority},
    wait::Expected,
    world::World,
};

/// First port of the sockets that stand for ClusterIPs.
const MESH_PORTS: u16 = 20_000;

/// A data path that serves a [`World`]. Dropping it ends it.
pub struct Weft {
    data_path: DataPath,
    /// Ends after the data path.
    mesh: Loopback,
    between: Option<Box<Between>>,
    registry: Registry,
    address: IpAddr,
    state: Mutex<State>,
}

/// What a test does to what the data path knows of the mesh.
pub type Between = dyn Fn(&mut Members) + Send + Sync;

struct State {
    translator: Translator,
    endpoints: EndpointTable,
    trust: Trust,
    generation: u64,
    binds: BTreeSet<Bind>,
    configuration: Configuration,
    statuses: Statuses,
}

/// What is said of objects.
pub(crate) type Statuses = Arc<BTreeMap<ObjectRef, Arc<Status>>>;

impl Weft {
    /// Starts a data path with two workers on a loopback address of its own.
    ///
    /// # Panics
    /// When the world is no valid YAML or a socket cannot be opened.
    #[must_use]
    pub fn start(world: &World) -> Self {
        Self::start_with(world, 2)
    }

    /// Starts a data path with that many workers.
    ///
    /// # Panics
    /// As [`Weft::start`].
    #[must_use]
    pub fn start_with(world: &World, workers: usize) -> Self {
        Self::start_on(world, workers, own_address())
    }

    /// Starts a data path that listens on `address`.
    ///
    /// # Panics
    /// As [`Weft::start`].
    #[must_use]
    pub fn start_on(world: &World, workers: usize, address: IpAddr) -> Self {
        Self::assemble(world, (workers, address), (AccessLog::off(), None))
    }

    /// Starts a data path that is told something else of the mesh than is true.
    ///
    /// # Panics
    /// As [`Weft::start`].
    #[must_use]
    pub fn start_with_mesh(
        world: &World,
        between: impl Fn(&mut Members) + Send + Sync + 'static,
    ) -> Self {
        let between: Box<Between> = Box::new(between);
        Self::assemble(world, (2, own_address()), (AccessLog::off(), Some(between)))
    }

    /// Starts a data path that logs its requests.
    ///
    /// # Panics
    /// As [`Weft::start`].
    #[must_use]
    pub fn start_with_log(world: &World, access_log: AccessLog) -> Self {
        Self::assemble(world, (2, own_address()), (access_log, None))
    }

    fn assemble(
        world: &World,
        (workers, address): (usize, IpAddr),
        (access_log, between): (AccessLog, Option<Box<Between>>),
    ) -> Self {
        let registry = Registry::new(
            BuildInfo {
                version: "test",
                commit: "",
            },
            LabelGroups::default(),
        );
        let config = Config {
            workers,
            registry: registry.clone(),
            access_log,
            seed: 7,
        };
        let state = State {
            translator: Translator::default(),
            endpoints: EndpointTable::new(Scope::standalone().enrolment),
            trust: Trust::default(),
            generation: 0,
            binds: BTreeSet::new(),
            configuration: Configuration::default(),
            statuses: Statuses::default(),
        };
        let weft = Self {
            data_path: DataPath::start(config).expected("worker threads start"),
            mesh: Loopback::new(Box::new(|| Ok(authority()))),
            between,
            registry,
            address,
            state: Mutex::new(state),
        };
        weft.update(world);
        weft
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the whole world, as an edit of the directory would.
    ///
    /// # Panics
    /// As [`Weft::start`].
    pub fn update(&self, world: &World) {
        let store = store(world);
        let mut state = self.lock();
        let output = state.translator.translate(&store, &scope(&store));
        state.endpoints.update(&store);
        state.statuses = Arc::clone(&output.statuses);
        state.configuration = Configuration {
            tables: Arc::clone(&output.tables),
            endpoints: Arc::clone(state.endpoints.table()),
            certificates: Arc::new(state.trust.certificates(&store)),
            roots: Arc::new(state.trust.roots(&store)),
            members: self.members(&store, state.endpoints.table()),
        };
        state
            .binds
            .retain(|bind| matches!(*bind.key, InletKey::Mesh { .. }));
        for (name, gateway) in &output.tables.gateways {
            let binds = gateway.ports.iter().map(|port| Bind {
                key: Arc::new(InletKey::Gateway {
                    gateway: name.clone(),
                    port: port.port,
                }),
                address: SocketAddr::new(self.address, port.port),
            });
            state.binds.extend(binds);
        }
        self.apply(&mut state);
    }

    /// The mesh: every Gateway sends in its own name, clients in that of their namespace.
    fn members(&self, store: &Store, endpoints: &weft_ir::Endpoints) -> Arc<Members> {
        let id = |namespace: &str, account: &str| {
            Arc::from(format!(
                "spiffe://cluster.local/ns/{namespace}/sa/{account}"
            ))
        };
        let gateways = store.gateways().entries().map(|(key, _)| {
            let name = Name::new(key.namespace(), key.name());
            (Sender::Gateway(name), id(key.namespace(), key.name()))
        });
        let namespaces = store.namespaces().entries().map(|(key, _)| {
            let sender = Sender::Namespace(key.name().into());
            (sender, id(key.name(), "default"))
        });
        let settled = self
            .mesh
            .settle(endpoints, &gateways.chain(namespaces).collect());
        assert!(settled.problems.is_empty(), "mesh: {:?}", settled.problems);
        let Some(between) = &self.between else {
            return settled.members;
        };
        let mut members = Members {
            callers: settled.members.callers.clone(),
            answering: settled.members.answering.clone(),
        };
        between(&mut members);
        Arc::new(members)
    }

    fn apply(&self, state: &mut State) {
        state.generation += 1;
        let applied = self.data_path.apply(&Update {
            generation: state.generation,
            configuration: state.configuration.clone(),
            binds: Arc::new(state.binds.clone()),
        });
        assert!(applied.failed.is_empty(), "sockets: {:?}", applied.failed);
        assert!(applied.tls.is_none(), "TLS: {:?}", applied.tls);
    }

    /// Where the Gateways listen for `port`.
    #[must_use]
    pub fn gateway(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    /// Where clients of a namespace find port 80 of a Service.
    ///
    /// # Panics
    /// When the socket cannot be opened.
    #[must_use]
    pub fn mesh(&self, client_namespace: &str, service: &str) -> SocketAddr {
        let (namespace, name) = service.split_once('/').expect("`namespace/name`");
        let service = ServicePort {
            service: Name::new(namespace, name),
            port: 80,
        };
        self.mesh_port(client_namespace, service, Family::IPv4)
    }

    /// Where clients of a namespace find a port of a Service, in that address family.
    ///
    /// # Panics
    /// When the socket cannot be opened.
    #[must_use]
    pub fn mesh_port(
        &self,
        client_namespace: &str,
        service: ServicePort,
        family: Family,
    ) -> SocketAddr {
        let key = Arc::new(InletKey::Mesh {
            service,
            client_namespace: Arc::from(client_namespace),
        });
        let mut state = self.lock();
        let mut known = state.binds.iter();
        let is_it = |bind: &&Bind| bind.key == key && Family::of(bind.address) == family;
        if let Some(bind) = known.find(is_it) {
            return bind.address;
        }
        let address = match family {
            Family::IPv4 => {
                let used = u16::try_from(state.binds.len()).expected("few sockets");
                SocketAddr::new(self.address, MESH_PORTS + used)
            }
            Family::IPv6 => own_port(),
        };
        state.binds.insert(Bind { key, address });
        self.apply(&mut state);
        address
    }

    /// What is said of a route, by its reference (`HTTPRoute namespace/name`).
    ///
    /// # Panics
    /// Never; a status has a form in JSON.
    #[must_use]
    pub fn route_status(&self, route: &str) -> Option<Value> {
        route_status(&self.lock().statuses, route)
    }

    /// Drains for at most `limit`; returns what was cut.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.data_path.drain(limit).await
    }

    /// Sum of a metric's samples whose line has all of `labels` in it.
    ///
    /// # Panics
    /// When a sample is no number.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.registry.encode();
        let samples = text.lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| line.contains(label))
        });
        let value = |line: &str| {
            line.rsplit(' ')
                .next()
                .and_then(|value| value.parse::<f64>().ok())
        };
        samples
            .map(|line| value(line).expect("a sample ends in a number"))
            .sum()
    }
}

/// What is said of a route, by its reference (`HTTPRoute namespace/name`).
pub(crate) fn route_status(statuses: &Statuses, route: &str) -> Option<Value> {
    let (_, status) = statuses
        .iter()
        .find(|(object, _)| object.to_string() == route)?;
    match &**status {
        Status::Route(route) => Some(serde_json::to_value(route).expect("JSON")),
        _ => None,
    }
}

/// A loopback address that no other test of this machine uses, so that every Gateway can have the
/// ports it asks for.
pub(crate) fn own_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    let number = ((std::process::id() % 0x2000) << 10) | ((count + 1) % 0x400);
    let [_, b, c, d] = number.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, b | 0x80, c, d))
}

/// A port of `::1`, of which there is but one, that no other test of this machine is likely to use.
fn own_port() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    let number = 10_000 + std::process::id() % 400 * 20 + count % 20;
    let port = u16::try_from(number).expected("below 18,000");
    (Ipv6Addr::LOCALHOST, port).into()
}

fn store(world: &World) -> Store {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(world.yaml()).expected("the world is YAML");
    let mut store = Store::default();
    for document in documents {
        store.apply(AnyObject::parse(document).expected("an object of the world"));
    }
    store
}

fn scope(store: &Store) -> Scope {
    let mut scope = Scope::standalone();
    scope.gateways = store
        .gateways()
        .entries()
        .map(|(key, _)| {
            let addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
            let facts = GatewayFacts {
                addresses,
                ..GatewayFacts::default()
            };
            (Name::new(key.namespace(), key.name()), facts)
        })
        .collect::<BTreeMap<_, _>>();
    scope
}
