//! Who listens on which loopback address.
//!
//! Every Service and every Gateway gets an address of its own in 127.0.0.0/8, so that a connection
//! says by the address it was made to what it is for. Addresses follow from the state directory and
//! the owner's name alone: two runs beside each other do not meet, and the same directory gets the
//! same addresses tomorrow. Where two names fall on one address the next free one is taken; what was
//! taken is recorded in `state.yaml` and read back, so that it stays even when the neighbours change.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
};

use weft_ir::Name;

#[cfg(test)]
mod tests;

/// Somebody who listens on an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    /// A Gateway.
    Gateway(Name),
    /// A Service, for clients of the default client namespace.
    Service(Name),
    /// A Service as clients of another namespace see it, because their routes differ.
    ServiceFor {
        /// The Service.
        service: Name,
        /// Namespace of the clients.
        client_namespace: Arc<str>,
    },
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(name) => write!(f, "Gateway {name}"),
            Self::Service(name) => write!(f, "Service {name}"),
            Self::ServiceFor {
                service,
                client_namespace,
            } => write!(f, "Service {service} for clients of {client_namespace}"),
        }
    }
}

/// The addresses of one run.
#[derive(Debug)]
pub(crate) struct AddressBook {
    seed: u64,
    recorded: HashMap<Owner, Ipv4Addr>,
    address_of: HashMap<Owner, Ipv4Addr>,
    owner_of: HashMap<Ipv4Addr, Owner>,
    foreign: HashSet<Ipv4Addr>,
}

/// 127.1.0.0/16 to 127.254.0.0/16; the first and the last are for everybody else.
const BLOCKS: u32 = 254;
/// Addresses that are given out per block. The last 256 stay free, for probing.
const PER_BLOCK: u32 = 65_536 - 256 - 1;

impl AddressBook {
    /// An empty book for a state directory (its canonical path) and what an earlier run recorded
    /// there.
    pub(crate) fn new(state_dir: &Path, recorded: HashMap<Owner, Ipv4Addr>) -> Self {
        let seed = hash(FNV_OFFSET, state_dir.as_os_str().as_encoded_bytes());
        Self {
            seed,
            recorded,
            address_of: HashMap::new(),
            owner_of: HashMap::new(),
            foreign: HashSet::new(),
        }
    }

    /// The address of an owner; given on first use and kept until [`release`](Self::release).
    ///
    /// In this order: what it has; `wanted` if nobody else has it; what an earlier run recorded; the
    /// first free address from the place its name falls on.
    pub(crate) fn claim(&mut self, owner: &Owner, wanted: Option<Ipv4Addr>) -> Ipv4Addr {
        let wanted = wanted.filter(|address| self.is_open_to(*address, owner));
        if let Some(&held) = self.address_of.get(owner) {
            if wanted.is_none_or(|wanted| wanted == held) {
                return held;
            }
            self.release(owner);
        }
        let recorded = self.recorded.get(owner).copied();
        let recorded = recorded.filter(|it| self.is_ours(*it) && self.is_open_to(*it, owner));
        let address = wanted
            .or(recorded)
            .unwrap_or_else(|| self.first_free(owner));
        self.address_of.insert(owner.clone(), address);
        self.owner_of.insert(address, owner.clone());
        address
    }

    /// Gives an address back.
    pub(crate) fn release(&mut self, owner: &Owner) {
        if let Some(address) = self.address_of.remove(owner) {
            self.owner_of.remove(&address);
        }
    }

    /// Another process has the address: whoever claimed it here gets another one at the next claim.
    pub(crate) fn lose(&mut self, address: Ipv4Addr) {
        self.foreign.insert(address);
        if let Some(owner) = self.owner_of.remove(&address) {
            self.address_of.remove(&owner);
        }
    }

    /// Who has an address, of those known here.
    pub(crate) fn owner_of(&self, address: Ipv4Addr) -> Option<&Owner> {
        self.owner_of.get(&address)
    }

    /// Two addresses of this run's range that no owner ever gets.
    pub(crate) fn probes(&self) -> [Ipv4Addr; 2] {
        let [_, block, ..] = self.candidate(0, 0).octets();
        [
            Ipv4Addr::new(127, block, 255, 254),
            Ipv4Addr::new(127, block, 255, 253),
        ]
    }

    /// The range this run draws from first, in CIDR form.
    pub(crate) fn range(&self) -> String {
        let [_, block, ..] = self.candidate(0, 0).octets();
        format!("127.{block}.0.0/16")
    }

    fn is_open_to(&self, address: Ipv4Addr, owner: &Owner) -> bool {
        !self.foreign.contains(&address)
            && self
                .owner_of
                .get(&address)
                .is_none_or(|holder| holder == owner)
    }

    /// Whether an address lies in the range of this run: a copied state directory has another one.
    fn is_ours(&self, address: Ipv4Addr) -> bool {
        address.octets()[..2] == self.candidate(0, 0).octets()[..2]
    }

    fn first_free(&self, owner: &Owner) -> Ipv4Addr {
        let start = place(self.seed, owner);
        (0..BLOCKS * PER_BLOCK)
            .map(|step| self.candidate(start, step))
            .find(|address| self.is_open_to(*address, owner))
            // All of 127.0.0.0/8 in use: listening will say so.
            .unwrap_or_else(|| self.candidate(start, 0))
    }

    /// The address `step` places after `start`: around the block, then on to the next.
    fn candidate(&self, start: u64, step: u32) -> Ipv4Addr {
        let modulo =
            |value: u64, bound: u32| u32::try_from(value % u64::from(bound)).unwrap_or_default();
        let block = 1 + modulo(self.seed.wrapping_add(u64::from(step / PER_BLOCK)), BLOCKS);
        let host = 1 + modulo(start.wrapping_add(u64::from(step % PER_BLOCK)), PER_BLOCK);
        Ipv4Addr::from_bits((127 << 24) | (block << 16) | host)
    }
}

/// Where an owner's name falls. Kinds are told apart by a byte that no name has.
fn place(seed: u64, owner: &Owner) -> u64 {
    let (kind, name, client_namespace) = match owner {
        Owner::Gateway(name) => (&b"\x01"[..], name, ""),
        Owner::Service(name) => (&b"\x02"[..], name, ""),
        Owner::ServiceFor {
            service,
            client_namespace,
        } => (&b"\x03"[..], service, client_namespace.as_ref()),
    };
    let parts = [
        kind,
        name.namespace.as_bytes(),
        b"/",
        name.name.as_bytes(),
        b"/",
        client_namespace.as_bytes(),
    ];
    parts.into_iter().fold(seed, hash)
}

/// FNV-1a: its results are the same on every machine and in every release, which those of the
/// standard library are not promised to be.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    let hash = bytes.iter().fold(start, fold);
    // The low bits choose the address; FNV's own are the weakest.
    hash ^ (hash >> 32)
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
