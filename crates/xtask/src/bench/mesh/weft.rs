//! Weft on both sides: `weft-proxy node` as on two nodes of a cluster, each with one pod, configured by
//! Kubernetes objects through the translator of its control plane.
//!
//! The processes of a node are files that say which network a pod has; everything after that is as on a
//! node: the supervisor finds the pod, captures it, gets its certificate, and starts its worker.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use super::{APPLICATION_PORT, Layer, Place, Proxies, START_LIMIT};
use crate::bench::machine::{LOAD_CORE, PROXY_CORE};
use crate::bench::namespaces::{Cable, Namespace};
use crate::bench::peers::{argv, fill};
use crate::bench::process::Running;
use crate::bench::request::HEADER;

/// Services with a route each; load goes to the first.
const ROUTES: u8 = 10;
/// The last number of the address of the Service without a route.
const OPAQUE: u8 = 200;
/// Of the Services.
const PORT: u16 = 80;

const NAMESPACE: &str = "apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {weft.dev/mesh: enabled}}
";

const POD: &str = "---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, uid: ${uid}, annotations: {weft.dev/captured: \"true\"}}
spec: {nodeName: ${name}, serviceAccountName: ${name}, containers: [{name: application}]}
status: {phase: Running, podIP: ${ip}, podIPs: [{ip: ${ip}}]}
";

const SERVICE: &str = "---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop}
spec: {clusterIP: ${vip}, clusterIPs: [${vip}], ports: [{name: main, port: ${port}, targetPort: ${target}${protocol}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}-0, namespace: shop, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: main, port: ${target}, protocol: TCP}]
endpoints: [{addresses: [${ip}], conditions: {ready: true}, nodeName: server, targetRef: {kind: Pod, namespace: shop, name: server}}]
";

const ROUTE: &str = "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: shop}
spec:
  parentRefs: [{group: \"\", kind: Service, name: ${name}, port: ${port}}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v1}, headers: [{name: ${header}, value: \"${value}\"}]}]
    backendRefs: [{name: ${name}, port: ${port}}]
";

/// What an application dials: a Service with a route, or one without.
pub(super) fn service_address(layer: Layer) -> SocketAddr {
    let number = match layer {
        Layer::Http => 0,
        Layer::Tcp => OPAQUE,
    };
    SocketAddr::new(vip(number), PORT)
}

fn vip(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 96, 0, number + 1).into()
}

/// Starts a control plane, and what runs on either node.
pub(super) fn start(place: &Place<'_>, cable: &Cable) -> Result<Proxies> {
    for (name, namespace) in [("client", &cable.client), ("server", &cable.server)] {
        node(&place.directory.join(name), namespace, uid(name))?;
    }
    let file = place.directory.join("objects.yaml");
    fs::write(&file, objects(place)).with_context(|| format!("cannot write {}", file.display()))?;
    let directory = place.directory.display().to_string();
    let control = argv(
        &place.programs.mesh_control,
        &[&directory, "client", "server"],
    );
    let log = |name: &str| place.directory.join(name);
    let mut control = Running::start(&control, LOAD_CORE, &log("control.log"))?;
    let ports = |name: &str| place.directory.join(name).join("ports");
    let is_up = || ports("client").exists() && ports("server").exists();
    control.wait_until(START_LIMIT, is_up)?;
    let run = |name: &str| {
        Running::start(
            &command(place, name)?,
            PROXY_CORE,
            &log(&format!("{name}.log")),
        )
    };
    Ok(Proxies {
        server: run("server")?,
        client: run("client")?,
        _other: Some(control),
    })
}

/// The UID of a node's pod, which has the name of the node.
fn uid(node: &str) -> &'static str {
    match node {
        "client" => "0c5a1f6e-8d3b-4b0e-9a57-000000000001",
        _ => "0c5a1f6e-8d3b-4b0e-9a57-000000000002",
    }
}

/// The files of a node: itself as process 1, and its pod.
fn node(directory: &Path, pod: &Namespace, uid: &str) -> Result<()> {
    let process = |number: &str, cgroup: &str, netns: &Path| {
        let directory = directory.join("proc").join(number);
        fs::create_dir_all(directory.join("ns"))?;
        fs::write(directory.join("cgroup"), cgroup)?;
        symlink("/", directory.join("root"))?;
        symlink(netns, directory.join("ns/net"))
    };
    let cgroup = format!("0::/kubepods/besteffort/pod{uid}/application");
    let own = format!("/proc/{}/ns/net", std::process::id());
    process("1", "0::/init.scope", Path::new(&own))
        .and_then(|()| process("100", &cgroup, &pod.path()))
        .with_context(|| format!("cannot write {}", directory.display()))
}

/// The command of a node's supervisor.
fn command(place: &Place<'_>, node: &str) -> Result<Vec<String>> {
    let program = place.programs.weft_proxy.as_ref();
    let program = program.context("weft-proxy is not built")?;
    let directory = place.directory.join(node);
    let ports = fs::read_to_string(directory.join("ports"))?;
    let (config, signing) = ports.trim().split_once(' ').context("two ports")?;
    let path = |name: &str| directory.join(name).display().to_string();
    let settings = [
        ("name", node.to_owned()),
        ("instance", "bench".to_owned()),
        ("service-account", "weft-node".to_owned()),
        ("control-plane", "127.0.0.1".to_owned()),
        ("config-port", config.to_owned()),
        ("identity-port", signing.to_owned()),
        ("root-file", path("root.pem")),
        ("token-file", path("token")),
        ("state-dir", path("state")),
        ("cni-socket", path("run/cni.sock")),
        ("namespaces-file", path("cni/namespaces.json")),
        ("proc", path("proc")),
        ("host-process", "1".to_owned()),
        ("admin", "127.0.0.1:0".to_owned()),
        ("drain-limit", "1".to_owned()),
        ("log-format", "text".to_owned()),
    ];
    let settings: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("--{name}={value}"))
        .collect();
    // As `weft-proxy init` starts it.
    let program = program.display().to_string();
    let mut args = vec!["_RJEM_MALLOC_CONF=narenas:1", &program, "node"];
    args.extend(settings.iter().map(String::as_str));
    Ok(argv(Path::new("env"), &args))
}

pub(super) fn objects(place: &Place<'_>) -> String {
    let pods = [("client", place.client), ("server", place.server)].map(|(name, ip)| {
        let values = [("name", name), ("uid", uid(name)), ("ip", &ip.to_string())];
        fill(POD, &values)
    });
    let routed = (0..ROUTES).map(|number| {
        let name = format!("routed-{number}");
        service(place, &name, number, ", appProtocol: http") + &route(&name)
    });
    let opaque = service(place, "opaque", OPAQUE, "");
    NAMESPACE.to_owned() + &pods.concat() + &routed.collect::<String>() + &opaque
}

fn service(place: &Place<'_>, name: &str, number: u8, protocol: &str) -> String {
    let values = [
        ("name", name),
        ("vip", &vip(number).to_string()),
        ("port", &PORT.to_string()),
        ("target", &APPLICATION_PORT.to_string()),
        ("protocol", protocol),
        ("ip", &place.server.to_string()),
    ];
    fill(SERVICE, &values)
}

fn route(name: &str) -> String {
    let (header, value) = HEADER;
    let port = PORT.to_string();
    let values = [
        ("name", name),
        ("port", port.as_str()),
        ("header", header),
        ("value", value),
    ];
    fill(ROUTE, &values)
}
