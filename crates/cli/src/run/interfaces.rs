//! What `--bind 0.0.0.0` and `--bind ::` stand for: every address of this machine.
//!
//! A socket on the wildcard address would shut out every other socket on its port, those of our own
//! Services included, so the addresses are listed instead.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

#[cfg(test)]
mod tests;

/// The addresses that `--bind` names, wildcards spelled out, without repeats.
///
/// # Errors
/// When a wildcard is given and the system does not tell its addresses (only Linux does).
pub(crate) fn expand(asked: &[IpAddr]) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for address in asked {
        match address {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
                let table = fs::read_to_string("/proc/net/fib_trie")?;
                addresses.extend(v4_addresses(&table).into_iter().map(IpAddr::V4));
            }
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                let table = fs::read_to_string("/proc/net/if_inet6")?;
                addresses.extend(v6_addresses(&table).into_iter().map(IpAddr::V6));
            }
            address => addresses.push(*address),
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Local addresses in the routing trie: a leaf line `|-- 10.0.0.5` followed by `/32 host LOCAL`.
fn v4_addresses(trie: &str) -> Vec<Ipv4Addr> {
    let mut addresses = Vec::new();
    let mut leaf = None;
    for line in trie.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("|-- ") {
            leaf = text.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            addresses.extend(leaf.filter(|address| !address.is_loopback()));
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Addresses of interfaces; each line starts with 32 hexadecimal digits. Link-local addresses need
/// an interface to be dialled and are left out.
fn v6_addresses(table: &str) -> Vec<Ipv6Addr> {
    let parse = |line: &str| {
        let digits = line.split_whitespace().next()?;
        let bits = u128::from_str_radix(digits, 16).ok()?;
        Some(Ipv6Addr::from_bits(bits))
    };
    let addresses = table.lines().filter_map(parse);
    let global =
        addresses.filter(|address| !address.is_loopback() && !address.is_unicast_link_local());
    global.collect()
}
