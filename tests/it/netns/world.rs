//! What the control plane says in a test: which Services there are, and which pods are members of the
//! mesh. Pods that are captured are served by it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio::sync::{mpsc, watch};
use weft_ir::{
    Endpoint, EndpointSet, EndpointState, Frontend, FrontendProtocol, Name, NodePeers, RouteSet,
    Service, ServicePort, Tables, UpstreamProtocol,
};
use weft_proxy::{
    control::Trusted,
    node::{Fed, Revision, Signer, Supply},
};
use weft_tests::netns::{Node, Pod};
use weft_wire::Configuration;

use super::{
    authority::MeshAuthority,
    running::{Running, roster},
};

/// What the control plane says, apart from who the pods are.
#[derive(Default)]
pub(super) struct World {
    services: BTreeMap<Name, Arc<Service>>,
    endpoints: BTreeMap<ServicePort, Arc<EndpointSet>>,
    members: BTreeMap<IpAddr, Arc<str>>,
}

/// Port 80 of a Service.
pub(super) fn port(name: &str) -> ServicePort {
    ServicePort {
        service: Name::new("shop", name),
        port: 80,
    }
}

/// The ClusterIP and port of a Service, by its number.
pub(super) fn vip(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 96, 0, number], 80))
}

impl World {
    /// One in which these pods can be reached through the tunnel.
    pub(super) fn of(members: &[&Pod]) -> Self {
        let member = |pod: &&Pod| {
            let id: Arc<str> = pod.identity.as_str().into();
            pod.ips().map(|ip| (ip, Arc::clone(&id)))
        };
        Self {
            members: members.iter().flat_map(member).collect(),
            ..Self::default()
        }
    }

    /// A Service on [`vip`]`(number)` with these endpoints. Those that are members are known to be.
    pub(super) fn service(
        mut self,
        (name, number): (&str, u8),
        endpoints: &[SocketAddr],
        routes: Option<RouteSet>,
    ) -> Self {
        let frontend = Frontend {
            port: 80,
            protocol: match &routes {
                Some(_) => FrontendProtocol::Http,
                None => FrontendProtocol::Opaque,
            },
            upstream: UpstreamProtocol::Http1,
            tls: None,
            fault: None,
            producer: routes.map(Arc::new),
            consumers: BTreeMap::new(),
        };
        let named = port(name);
        let service = Service {
            name: named.service.clone(),
            cluster_ips: vec![vip(number).ip()],
            ports: vec![Arc::new(frontend)],
        };
        let endpoint = |address: &SocketAddr| Endpoint {
            address: *address,
            state: EndpointState::Ready,
            pod: None,
            zone: None,
            member: self.members.get(&address.ip()).cloned(),
        };
        let endpoints = EndpointSet::new(endpoints.iter().map(endpoint).collect());
        self.services
            .insert(named.service.clone(), Arc::new(service));
        self.endpoints.insert(named, Arc::new(endpoints));
        self
    }

    pub(super) fn configuration(self) -> Configuration {
        let members: NodePeers = self.members;
        let tables = Tables {
            services: self.services,
            ..Tables::default()
        };
        Configuration {
            tables: Arc::new(tables),
            endpoints: Arc::new(self.endpoints),
            peers: Arc::new(BTreeMap::from([("node".into(), Arc::new(members))])),
            ..Configuration::default()
        }
    }

    fn revision(self, number: u64) -> Arc<Revision> {
        Arc::new(Revision {
            number,
            configuration: self.configuration(),
        })
    }
}

/// Pods that are captured and served.
pub(super) struct Served {
    _running: Running,
    configuration: watch::Sender<Option<Arc<Revision>>>,
    // Whoever tells is heard, and may be, as long as there are pods.
    _trusts: watch::Sender<Option<Arc<Trusted>>>,
    _fed: mpsc::Receiver<Fed>,
}

impl Served {
    /// Serves these pods by `world`: each in a worker of its own name, and none takes plaintext.
    pub(super) fn start(node: &Node, pods: &[(&Pod, &str)], world: World) -> Self {
        let (configuration, configured) = watch::channel(Some(world.revision(1)));
        let (fed, heard) = mpsc::channel(1024);
        let (trusts, trusted) = watch::channel(None);
        let supply = Supply {
            configuration: configured,
            trusted,
            signer: MeshAuthority::new("cluster.local") as Arc<dyn Signer>,
            fed,
        };
        let members: Vec<_> = pods.iter().map(|(pod, of)| (*pod, *of, true)).collect();
        let mut running = Running::supplied(node, roster(&members), supply);
        running.captures(pods.len());
        Self {
            _running: running,
            configuration,
            _trusts: trusts,
            _fed: heard,
        }
    }

    /// Says something else from now on; workers hear of it soon.
    pub(super) fn say(&self, world: World) {
        self.configuration.send_modify(|said| {
            let number = said.as_ref().map_or(0, |it| it.number) + 1;
            *said = Some(world.revision(number));
        });
    }
}
