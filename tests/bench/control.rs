//! `mesh-control DIRECTORY NODE...`: the control plane of the proxies that `cargo x bench` measures in
//! pairs.
//!
//! It translates `DIRECTORY/objects.yaml` as the controller of a cluster does, and serves each node what
//! is for it, on ports of loopback. What a proxy needs to call it lies in `DIRECTORY/NODE` afterwards:
//! `root.pem`, `token`, and last of all `ports`, with the ports of configurations and of certificates.
//! It goes on until it is killed.

use std::{
    env, fs,
    future::pending,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use weft_api::AnyObject;
use weft_spiffe::TrustDomain;
use weft_store::Store;
use weft_tests::control_plane::{ControlPlane, TOKEN};
use weft_translate::{EndpointTable, Enrolment, Scope, Translator};
use weft_wire::Configuration;

fn main() -> Result<()> {
    let mut words = env::args().skip(1);
    let directory = words.next().map(PathBuf::from);
    let directory = directory.context("usage: mesh-control DIRECTORY NODE...")?;
    let nodes: Vec<String> = words.collect();
    let configuration = configuration(&directory.join("objects.yaml"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        let mut serving: Vec<ControlPlane> = Vec::new();
        for node in &nodes {
            let control_plane = match serving.first() {
                Some(first) => first.beside().await,
                None => ControlPlane::start_of_node().await,
            };
            control_plane.publish_to_node(node, &configuration);
            introduce(&control_plane, &directory.join(node))?;
            serving.push(control_plane);
        }
        pending::<Result<()>>().await
    })
}

/// What the objects say to nodes, as if all was captured that says so.
fn configuration(file: &Path) -> Result<Configuration> {
    let yaml = fs::read_to_string(file).with_context(|| format!("no {}", file.display()))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).context("the objects")?;
    let mut store = Store::default();
    for document in documents {
        store.apply(AnyObject::parse(document).context("an object")?);
    }
    let enrolment = Enrolment::captured(TrustDomain::default());
    let mut endpoints = EndpointTable::new(enrolment.clone());
    endpoints.update(&store);
    let scope = Scope {
        enrolment,
        ..Scope::standalone()
    };
    let output = Translator::default().translate(&store, &scope);
    if output.peers.is_empty() {
        bail!("no pod of the objects is a member of the mesh");
    }
    Ok(Configuration {
        tables: output.tables,
        endpoints: Arc::clone(endpoints.table()),
        workloads: output.workloads,
        peers: output.peers,
        namespaces: output.namespaces,
        ..Configuration::default()
    })
}

/// Leaves what the proxy of a node needs in its directory.
fn introduce(control_plane: &ControlPlane, node: &Path) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = node.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write("root.pem", &control_plane.root_pem())?;
    write("token", TOKEN)?;
    let (config, signing) = (control_plane.config.port(), control_plane.signing.port());
    // Whoever waits for it may read it at once.
    write("ports.new", &format!("{config} {signing}\n"))?;
    fs::rename(node.join("ports.new"), node.join("ports")).context("cannot name the ports")
}
