//! The ports that belong to the mesh in every pod, and who may not go there.

use std::net::{IpAddr, SocketAddr};

/// Where captured connections of the pod's applications arrive, on loopback.
pub const OUTBOUND: u16 = 15001;
/// Where captured plaintext connections to the pod arrive, on every address.
pub const INBOUND: u16 = 15006;
/// Where the tunnels of other nodes arrive, on every address; dialled directly and never captured.
pub const TUNNEL: u16 = 15008;
/// Where captured DNS arrives when that is on, on loopback.
pub const DNS: u16 = 15053;

/// All of them.
pub const OWN: [u16; 4] = [OUTBOUND, INBOUND, TUNNEL, DNS];

/// How a destination became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The original destination of what an application of the pod dialled ([`OUTBOUND`]).
    Outbound,
    /// The original destination of what was dialled from outside ([`INBOUND`]).
    Inbound,
    /// The authority of a tunnelled stream ([`TUNNEL`]).
    Tunnel,
}

/// Why a destination is refused (with a reset, or 400 inside a tunnel). Each would lead back into the
/// mesh: round in a circle, or past what the other end checks on the way it expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Illegal {
    /// A port of the mesh in the pod itself, as in a direct dial of `127.0.0.1:15001`.
    OwnPort,
    /// A port of the mesh in another pod, dialled by an application.
    PortOfPod,
}

impl Illegal {
    /// The stable word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OwnPort => "illegal_own_port",
            Self::PortOfPod => "illegal_port_of_pod",
        }
    }
}

/// Whether a destination must be refused. `local` are the addresses of the pod, loopback apart;
/// `is_pod` says whether an address is that of a pod anywhere in the mesh.
///
/// What arrives from outside is for the pod, whatever its address is thought to be: a neighbour that
/// dials port 15001 of a pod arrives on 15006 with 15001 as its original port.
#[must_use]
pub fn illegal(
    path: Path,
    destination: SocketAddr,
    local: &[IpAddr],
    is_pod: impl Fn(IpAddr) -> bool,
) -> Option<Illegal> {
    if !OWN.contains(&destination.port()) {
        return None;
    }
    let address = destination.ip().to_canonical();
    let is_here = path != Path::Outbound || address.is_loopback() || local.contains(&address);
    if is_here || address.is_unspecified() {
        Some(Illegal::OwnPort)
    } else if is_pod(address) {
        Some(Illegal::PortOfPod)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Illegal, OWN, Path, illegal};

    fn check(row: &str, path: Path, destination: &str, expected: Option<Illegal>) {
        let parse = |text: &str| text.parse().expect("an address");
        let local = [parse("10.1.0.2"), parse("fd00::2")];
        let pods = [parse("10.1.0.3"), parse("fd00::3")];
        let destination = destination.parse().expect("address and port");
        let found = illegal(path, destination, &local, |it| pods.contains(&it));
        assert_eq!(found, expected, "{row}: {path:?} to {destination}");
    }

    #[test]
    fn ports_of_the_mesh_are_refused() {
        for port in OWN {
            let own = Some(Illegal::OwnPort);
            let of_pod = Some(Illegal::PortOfPod);
            let at = |address: &str| format!("{address}:{port}");
            check("loopback", Path::Outbound, &at("127.0.0.1"), own);
            check("the rest of 127/8", Path::Outbound, &at("127.9.9.9"), own);
            check("loopback, v6", Path::Outbound, &at("[::1]"), own);
            check("mapped", Path::Outbound, &at("[::ffff:127.0.0.1]"), own);
            check("this host", Path::Outbound, &at("0.0.0.0"), own);
            check("own address", Path::Outbound, &at("10.1.0.2"), own);
            check("own address, v6", Path::Outbound, &at("[fd00::2]"), own);
            check("another pod", Path::Outbound, &at("10.1.0.3"), of_pod);
            check("another pod, v6", Path::Outbound, &at("[fd00::3]"), of_pod);
            check("elsewhere", Path::Outbound, &at("192.0.2.1"), None);
            check("from outside", Path::Inbound, &at("10.1.0.2"), own);
            check("by a new address", Path::Inbound, &at("10.1.0.9"), own);
            check("in a tunnel", Path::Tunnel, &at("10.1.0.2"), own);
        }
    }

    #[test]
    fn other_ports_are_not() {
        for path in [Path::Outbound, Path::Inbound, Path::Tunnel] {
            for destination in ["10.1.0.2:80", "10.1.0.3:15000", "[fd00::3]:15007"] {
                check("another port", path, destination, None);
            }
        }
    }
}
