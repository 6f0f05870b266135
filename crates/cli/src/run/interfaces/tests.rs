//! Tests of `interfaces`.

use std::net::IpAddr;

use super::{expand, v4_addresses, v6_addresses};

const TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.0
           /24 link UNICAST
        |-- 10.0.0.5
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
";

const INTERFACES: &str = "\
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000021122fffe334455 02 40 20 80     eth0
fd000000000000000000000000000005 02 40 00 80     eth0
";

#[test]
fn the_addresses_of_a_machine() {
    assert_eq!(
        v4_addresses(TRIE),
        ["10.0.0.5".parse::<std::net::Ipv4Addr>().expect("v4")]
    );
    assert_eq!(
        v6_addresses(INTERFACES),
        ["fd00::5".parse::<std::net::Ipv6Addr>().expect("v6")]
    );
}

#[test]
fn plain_addresses_stay_as_they_are() {
    let plain: [IpAddr; 2] = ["10.0.0.5", "::1"].map(|text| text.parse().expect("an address"));
    let twice = [plain, plain].concat();
    assert_eq!(expand(&twice).expect("nothing to read"), plain);
}
