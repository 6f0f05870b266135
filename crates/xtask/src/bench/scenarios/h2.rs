//! One HTTP/2 hop, HTTP/2 on both sides.

use anyhow::Result;

use crate::bench::figures::{Sample, Table, column};
use crate::bench::lab::{Lab, Proxy};
use crate::bench::load::{self, Call};
use crate::bench::peers::{Peer, Role};
use crate::bench::request::HOST;

const PEERS: &[Peer] = &[
    Peer::Direct,
    Peer::Weft,
    Peer::Envoy,
    Peer::Nginx,
    Peer::Haproxy,
];

pub(super) fn run(lab: &Lab) -> Result<Vec<Table>> {
    let table = lab.interleave("h2", PEERS, |peer| {
        measure(lab, &lab.start(peer, Role::Hop2, HOST)?)
    });
    Ok(vec![table])
}

fn measure(lab: &Lab, proxy: &Proxy<'_>) -> Result<Sample> {
    let secs = lab.plan.secs;
    let target = proxy.target(HOST);
    let message = lab.grpc_message()?;
    load::h2load(target, 1, Call::Get)?;
    let (get, get_cpu, wall) = proxy.window(|| load::h2load(target, secs, Call::Get))?;
    let call = Call::GrpcLike(&message);
    let (grpc, grpc_cpu, _) = proxy.window(|| load::h2load(target, secs, call))?;
    let mut failures = get.failures;
    failures += grpc.failures;
    Ok(vec![
        (column::RATE, get.rate),
        (column::CPU, get.cpu_us(get_cpu)?),
        (column::BUSY, get_cpu / wall),
        (column::GRPC_RATE, grpc.rate),
        (column::GRPC_CPU, grpc.cpu_us(grpc_cpu)?),
        (column::FAILED, failures.total() as f64),
    ])
}
