//! Memory of endpoints that nobody asks: they are behind a route of their own.

use anyhow::Result;

use crate::bench::figures::{Table, column};
use crate::bench::lab::Lab;
use crate::bench::peers::{Peer, Role};
use crate::bench::request::HOST;

const COUNT: usize = 10_000;

/// nginx and haproxy keep their servers in fixed tables that do not compare.
const PEERS: &[Peer] = &[Peer::Weft, Peer::Envoy];

pub(super) fn run(lab: &Lab) -> Result<Vec<Table>> {
    let table = lab.interleave("endpoints", PEERS, |peer| {
        let rss_mib = |count| lab.start(peer, Role::Endpoints(count), HOST)?.rss_mib();
        let (none, all) = (rss_mib(0)?, rss_mib(COUNT)?);
        let each_thousand = (all - none) / (COUNT / 1_000) as f64;
        Ok(vec![
            (column::BASE_RSS, none),
            (column::RSS, all),
            (column::ENDPOINT_MIB, each_thousand),
        ])
    });
    Ok(vec![table])
}
