//! ztunnel on both sides: the node proxy of Istio's ambient mode, as the proxy of one pod each. The first
//! one gets what the application dials by a redirect; to the second it speaks HBONE, which is `CONNECT` in
//! HTTP/2 in mutual TLS.
//!
//! It has no control plane here: workloads and services are in a file, and a certificate authority for
//! tests is built into it. It logs no accesses and does not keep the source address of clients.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::sockets::{self, Socket};
use super::{APPLICATION_PORT, Layer, Place, Proxies, weft};
use crate::bench::client::Connection;
use crate::bench::machine::PROXY_CORE;
use crate::bench::namespaces::{Cable, Namespace};
use crate::bench::peers::fill;
use crate::bench::process::Running;
use crate::bench::request::{self, HOST, Keep};

/// Where it takes what its pod dials.
const OUTBOUND: u16 = 15_001;
/// Where it takes what another one has for its pod.
const HBONE: u16 = 15_008;

const STATE: &str = "workloads:
- uid: bench//v1/Pod/shop/client
  name: client
  namespace: shop
  serviceAccount: client
  workloadIps: [\"${client}\"]
  protocol: HBONE
  services: {}
- uid: bench//v1/Pod/shop/server
  name: server
  namespace: shop
  serviceAccount: server
  workloadIps: [\"${server}\"]
  protocol: HBONE
  services:
    shop/opaque.shop.svc.cluster.local: {${port}: ${target}}
services:
- name: opaque
  namespace: shop
  hostname: opaque.shop.svc.cluster.local
  vips: [\"/${vip}\"]
  ports: {${port}: ${target}}
";

/// Of the namespace of the application that calls. What ztunnel itself dials is no Service.
const REDIRECT: &str = "table ip weft_bench {
  chain dialled {
    type nat hook output priority -100; policy accept;
    ip daddr ${vip} tcp dport ${port} redirect to :${outbound}
  }
}
";

/// What the application dials: the Service that Weft has for bytes too.
pub(super) fn service_address() -> SocketAddr {
    weft::service_address(Layer::Tcp)
}

/// Redirects what the application dials, and starts both.
pub(super) fn start(place: &Place<'_>, cable: &Cable) -> Result<Proxies> {
    let rules = place.directory.join("redirect.nft");
    fs::write(&rules, redirect()).with_context(|| format!("cannot write {}", rules.display()))?;
    let rules = rules.display().to_string();
    run_inside(&cable.client, &["nft", "-f", &rules])?;
    let [client, server] = configure(place)?;
    let log = |name: &str| place.directory.join(name);
    let server = cable.server.command(server);
    let server = Running::start(&server, PROXY_CORE, &log("server.log"))?;
    let client = cable.client.command(client);
    let client = Running::start(&client, PROXY_CORE, &log("client.log"))?;
    Ok(Proxies {
        client,
        server,
        _other: None,
    })
}

/// The command of each side, the client's first.
pub(super) fn configure(place: &Place<'_>) -> Result<[Vec<String>; 2]> {
    let program = place.programs.ztunnel.as_ref();
    let program = program.context("no ztunnel is named")?;
    let file = place.directory.join("state.yaml");
    fs::write(&file, state(place)).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(["client", "server"].map(|name| {
        let settings = [
            ("FAKE_CA", "true".to_owned()),
            ("XDS_ADDRESS", String::new()),
            ("LOCAL_XDS_PATH", file.display().to_string()),
            ("PROXY_MODE", "dedicated".to_owned()),
            ("PROXY_WORKLOAD_INFO", format!("shop/{name}/{name}")),
            ("ZTUNNEL_WORKER_THREADS", "1".to_owned()),
            ("ENABLE_ORIG_SRC", "false".to_owned()),
            ("RUST_LOG", "error".to_owned()),
        ];
        let settings = settings.map(|(name, value)| format!("{name}={value}"));
        let mut argv = vec!["env".to_owned()];
        argv.extend(settings);
        argv.push(program.display().to_string());
        argv
    }))
}

pub(super) fn state(place: &Place<'_>) -> String {
    let service = service_address();
    fill(
        STATE,
        &[
            ("client", &place.client.to_string()),
            ("server", &place.server.to_string()),
            ("vip", &service.ip().to_string()),
            ("port", &service.port().to_string()),
            ("target", &APPLICATION_PORT.to_string()),
        ],
    )
}

pub(super) fn redirect() -> String {
    let service = service_address();
    fill(
        REDIRECT,
        &[
            ("vip", &service.ip().to_string()),
            ("port", &service.port().to_string()),
            ("outbound", &OUTBOUND.to_string()),
        ],
    )
}

/// Fails unless all that passes between the namespaces is HBONE in mutual TLS: a redirect that is wrong
/// must not become a figure.
///
/// # Errors
/// When anything passes to another port than that of HBONE while a connection of the application is open,
/// or when there somebody without a certificate is not refused.
pub(super) fn check(cable: &Cable) -> Result<()> {
    let asked = || {
        let mut connection = Connection::open(service_address())?;
        let answer = connection.exchange(&request::get(HOST, Keep::Open))?;
        Ok::<_, std::io::Error>((connection, answer.status))
    };
    let (connection, status) = cable.client.within(asked)??;
    let open = cable.server.within(sockets::established)??;
    drop(connection);
    if status != 200 {
        bail!("ztunnel is asked for its check and answers {status}");
    }
    is_all_hbone(cable.client.address, &open)?;
    let address = SocketAddr::new(cable.server.address, HBONE).to_string();
    let words = ["timeout", "5", "openssl", "s_client", "-ign_eof"];
    let more = ["-alpn", "h2", "-connect", &address];
    refuses_strangers(&say_inside(&cable.client, &[&words[..], &more].concat())?.1)
}

/// Fails unless the client has connections to the port of HBONE, and to no other one.
pub(super) fn is_all_hbone(client: IpAddr, open: &[Socket]) -> Result<()> {
    let crossing = || open.iter().filter(|socket| socket.remote.ip() == client);
    if let Some(other) = crossing().find(|socket| socket.local.port() != HBONE) {
        bail!("not all is HBONE: a connection passes to {}", other.local);
    }
    if crossing().next().is_none() {
        bail!("nothing passes between the namespaces, yet the application is answered");
    }
    Ok(())
}

/// Fails unless `said` by `openssl s_client` is that HTTP/2 is agreed on and a certificate is missing.
pub(super) fn refuses_strangers(said: &str) -> Result<()> {
    for wanted in ["ALPN protocol: h2", "alert certificate required"] {
        if !said.contains(wanted) {
            bail!("port {HBONE} is no HBONE in mutual TLS, without `{wanted}`: {said}");
        }
    }
    Ok(())
}

fn run_inside(namespace: &Namespace, words: &[&str]) -> Result<()> {
    let (succeeded, said) = say_inside(namespace, words)?;
    if !succeeded {
        bail!("`{}`: {}", words.join(" "), said.trim());
    }
    Ok(())
}

/// Runs a command there; whether it succeeds, and what it says.
fn say_inside(namespace: &Namespace, words: &[&str]) -> Result<(bool, String)> {
    let argv = namespace.command(words.iter().map(|&word| word.to_owned()).collect());
    let (program, args) = argv.split_first().context("an empty command")?;
    let output = Command::new(program).args(args).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok((output.status.success(), said))
}
