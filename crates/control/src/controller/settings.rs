//! What a controller is told.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use weft_certs::LeafLife;
use weft_source::kube::{Access, Jitter, WatchOptions};
use weft_spiffe::TrustDomain;

use crate::deploy;

/// Port of configuration streams, unless told otherwise.
pub const CONFIG_PORT: u16 = 15010;
/// Port where certificates are asked for, unless told otherwise.
pub const IDENTITY_PORT: u16 = 15012;
/// Service account whose identity the controller shows:
/// `spiffe://<trust domain>/ns/<its namespace>/sa/weft-controller`.
pub const SERVICE_ACCOUNT: &str = "weft-controller";

/// Service account of the proxies of nodes, in the namespace of the control plane.
pub const NODE_SERVICE_ACCOUNT: &str = "weft-node";

/// What a controller is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which cluster.
    pub access: Access,
    /// The namespace of the control plane: of its identity, its Lease and its authority.
    pub namespace: String,
    /// Name of this process among the replicas, another one for each process that ever runs.
    pub replica: String,
    /// The trust domain of the mesh.
    pub trust_domain: TrustDomain,
    /// Where configuration streams are served.
    pub config: SocketAddr,
    /// The address other replicas reach this one at; `None` where that is the one of `config`.
    pub advertise: Option<IpAddr>,
    /// Where certificates are asked for.
    pub identity: SocketAddr,
    /// Where health and metrics are served.
    pub admin: SocketAddr,
    /// Life of certificates.
    pub life: LeafLife,
    /// Shortest time in a phase of a rotation of the authority: longer than nodes take to show pods
    /// another ConfigMap, which is a minute or two.
    pub rotation_dwell: Duration,
    /// Time over which the certificates of proxies and pods are renewed once another one issues, at most;
    /// a tenth of `life` where that is shorter.
    pub rotation_spread: Duration,
    /// Whether there is a mesh: pods are watched, routes attach to Services, and proxies of nodes are
    /// served.
    pub mesh: bool,
    /// How Gateways are deployed; `None` leaves that to somebody else.
    pub deploy: Option<deploy::Settings>,
    /// How patiently the cluster is watched.
    pub watch: WatchOptions,
}

impl Settings {
    /// Namespace and service account of the proxies of nodes, where there is a mesh.
    pub(super) fn nodes(&self) -> Option<(String, String)> {
        let nodes = (self.namespace.clone(), NODE_SERVICE_ACCOUNT.to_owned());
        self.mesh.then_some(nodes)
    }

    /// The jitter of a replica. Replicas do not need to be unpredictable, only different.
    #[must_use]
    pub fn jitter(replica: &str) -> Jitter {
        Jitter::seeded(seed(replica))
    }

    /// Draws from `0.0..1.0`, by splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
    /// generators, 2014).
    pub(super) fn chance(&self) -> impl FnMut() -> f64 + Send + 'static {
        let mut state = seed(&self.replica);
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            // The upper half, which a double holds exactly.
            let upper = u32::try_from(mixed >> 32).unwrap_or_default();
            f64::from(upper) / (f64::from(u32::MAX) + 1.0)
        }
    }
}

fn seed(replica: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    replica.hash(&mut hasher);
    hasher.finish()
}
