//! The pods of nodes, as the proxy of their node has to know them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::Name;

/// One pod that has a network of its own: what its node does with it, if it is of the mesh.
///
/// Its identity is that of its service account in the trust domain of the mesh, which both sides know.
/// Lists are ascending and without repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// The pod.
    pub name: Name,
    /// Its UID: another one for every pod that ever had the name.
    pub uid: Arc<str>,
    /// The node it runs on.
    pub node: Arc<str>,
    /// Its service account, of the namespace of the pod.
    pub service_account: Arc<str>,
    /// Its addresses, first family first; none before its network is there. An index, and no proof of
    /// anything (an address is never an identity).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Whether it is to be of the mesh. One that is not and was is to be let go.
    #[serde(default)]
    pub is_member: bool,
    /// Whether it is to be let go and its node has not done so yet: what it dials still goes to Services.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_leaving: bool,
    /// Whether it takes plaintext from peers without identity. Absent means that it does not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_permissive: bool,
    /// Ports that its node connects to itself, by probes and by hooks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probe_ports: Vec<u16>,
    /// Ports whose incoming connections are not captured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_inbound_ports: Vec<u16>,
    /// Ports to which connections are not captured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_outbound_ports: Vec<u16>,
    /// Networks to which connections are not captured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_outbound_cidrs: Vec<Cidr>,
    /// Ports of the pod whose bytes are never parsed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opaque_ports: Vec<u16>,
    /// How long its connections may take to end when it leaves, in seconds; `None` leaves that to the
    /// proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_seconds: Option<u32>,
}

/// The pods of one node.
pub type NodeWorkloads = BTreeMap<Name, Arc<Workload>>;

/// The pods of all nodes, by node. A node without pods has no entry.
pub type Workloads = BTreeMap<Arc<str>, Arc<NodeWorkloads>>;

/// The members of the mesh on one node that can be reached through the tunnel: the SPIFFE ID that has
/// to answer, by each of their addresses.
pub type NodePeers = BTreeMap<IpAddr, Arc<str>>;

/// The members of the mesh on all nodes, by node. A node without one has no entry.
///
/// An index for those who connect to the address of a pod. It says who has to be met there, and proves
/// nothing: whoever answers proves by a certificate that it is that one.
pub type Peers = BTreeMap<Arc<str>, Arc<NodePeers>>;

/// Namespaces whose pods are to be of the mesh unless they say otherwise themselves.
pub type Namespaces = BTreeSet<Arc<str>>;

/// A network: its first address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    network: IpAddr,
    prefix_bits: u8,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `fd00::/8`, or an address, which is a network of one. Bits behind the
    /// prefix are cleared. `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix_bits = match prefix {
            Some(text) => Some(text).filter(is_number)?.parse().ok()?,
            None => most,
        };
        let network = match address {
            _ if prefix_bits > most => return None,
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(u32::from(most - prefix_bits));
                IpAddr::V4((address.to_bits() & mask.unwrap_or_default()).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(u32::from(most - prefix_bits));
                IpAddr::V6((address.to_bits() & mask.unwrap_or_default()).into())
            }
        };
        Some(Self {
            network,
            prefix_bits,
        })
    }

    /// The first address of the network.
    pub fn network(self) -> IpAddr {
        self.network
    }

    /// How many bits all of its addresses share, from 0 to 32 or 128.
    pub fn prefix_bits(self) -> u8 {
        self.prefix_bits
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix_bits)
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("\"{text}\" is no network"))
    }
}

impl From<Cidr> for String {
    fn from(network: Cidr) -> Self {
        network.to_string()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_written_in_kubernetes() {
        let rows = [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("fd00:1::7/32", Some("fd00:1::/32")),
            ("::/0", Some("::/0")),
            ("fd00::1", Some("fd00::1/128")),
            ("10.0.0.0/33", None),
            ("fd00::/129", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/+8", None),
            ("10.0.0/8", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let read = Cidr::parse(text).map(|network| network.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_an_older_sender_left_out_captures_more_and_admits_less() {
        let text = r#"{"name":{"namespace":"shop","name":"web-0"},"uid":"u","node":"n","serviceAccount":"web","later":1}"#;
        let workload: Workload = serde_json::from_str(text).unwrap();
        assert!(!workload.is_permissive, "plaintext is refused");
        assert!(!workload.is_member, "nobody said it is of the mesh");
        assert!(!workload.is_leaving, "nor that it was");
        assert_eq!(workload.exclude_outbound_cidrs, []);
        let network = Cidr::parse("10.0.0.0/8");
        let workload = Workload {
            exclude_outbound_cidrs: network.into_iter().collect(),
            is_permissive: true,
            ..workload
        };
        let written = serde_json::to_string(&workload).unwrap();
        assert!(written.contains(r#"["10.0.0.0/8"]"#), "{written}");
        assert_eq!(
            serde_json::from_str::<Workload>(&written).unwrap(),
            workload
        );
    }
}
