//! `weft identity`: who the pods of the mesh are, by which roots they are known, and how those are
//! replaced. Keys are never read: of the authority's Secret only the metadata is asked for.

mod members;
mod roots;
mod rotate;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::Value;
use weft_control::{deploy::ROOTS_NAME, orders};
use weft_source::kube::{Cluster, Place, Resource, Selection};

use self::{
    members::{Identities, Members, Shown},
    roots::{Authority, Rotation},
};
use crate::{
    args::{Global, dns_label},
    clock, cluster,
    exit::{Exit, Failure, Outcome},
    output::{self, Format, table},
};

const CONFIG_MAPS: Resource = core("configmaps");
const NAMESPACES: Resource = core("namespaces");
const PODS: Resource = core("pods");
const SECRETS: Resource = core("secrets");

/// A kind of the core group.
const fn core(plural: &'static str) -> Resource {
    Resource {
        api_version: "v1",
        plural,
    }
}

/// Options of `weft identity`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft identity list -n shop
  weft identity show shop/web-0
  weft identity roots -o json
  weft identity rotate --dry-run
  weft identity rotate issuer --wait

An identity is a service account of a namespace: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT. Which
certificate a proxy has for it right now is what `weft proxy identities` says.")]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the identities of the mesh with the pods that have them
    List(List),
    /// Show who a pod is, and who else is that
    Show(Show),
    /// Show the roots of the mesh: until when, published where, and how a rotation stands
    Roots(Whose),
    /// Replace the root or the issuer while everything runs
    Rotate(rotate::Options),
}

/// Which mesh.
#[derive(Clone, Debug, Args)]
struct Whose {
    #[command(flatten)]
    cluster: cluster::ClusterOptions,
    /// Namespace of the control plane
    #[arg(long, default_value = "weft-system", value_parser = dns_label, value_name = "NS", help_heading = "Cluster")]
    control_namespace: String,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    whose: Whose,
    /// Only those of this namespace
    #[arg(short = 'n', long = "namespace", value_parser = dns_label, value_name = "NS")]
    namespace: Option<String>,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    whose: Whose,
    /// The pod
    #[arg(value_name = "[NS/]POD")]
    pod: String,
    /// Its namespace; by default that of the kubeconfig's context
    #[arg(short = 'n', long = "namespace", value_parser = dns_label, value_name = "NS")]
    namespace: Option<String>,
}

/// Runs the command.
pub(crate) fn run(options: &Options, global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    cluster::block_on(async {
        match &options.action {
            Action::List(options) => list(options, global, format).await,
            Action::Show(options) => show(options, format).await,
            Action::Roots(whose) => {
                let cluster = whose.cluster.connect().await?;
                let authority = authority(&cluster, &whose.control_namespace).await?;
                authority.print(format)?;
                Ok(authority.verdict())
            }
            Action::Rotate(options) => rotate::run(options, global, format).await,
        }
    })
}

async fn list(options: &List, global: Global, format: Format) -> Outcome {
    let cluster = options.whose.cluster.connect().await?;
    let members = members(&cluster, options.namespace.as_deref()).await?;
    let domain = trust_domain(&cluster, &options.whose.control_namespace).await;
    if let (Err(why), false) = (&domain, global.quiet) {
        output::tell(format_args!("the trust domain is not known: {why}"));
    }
    let identities = Identities::of(members, domain.ok());
    if format == Format::Json {
        output::print_json(&identities)?;
        return Ok(Exit::Good);
    }
    if identities.identities.is_empty() {
        output::print(
            "no pod is in the mesh; `weft namespace enable NAME` takes a namespace in\n",
        )?;
        return Ok(Exit::Good);
    }
    let rows = identities.identities.iter().map(members::Identity::row);
    let text = table::whole(["IDENTITY", "CAPTURED", "NODES"], rows);
    output::print(&format!("{text}\n"))?;
    Ok(Exit::Good)
}

async fn show(options: &Show, format: Format) -> Outcome {
    let cluster = options.whose.cluster.connect().await?;
    let (namespace, pod) = match (options.pod.split_once('/'), &options.namespace) {
        (Some((namespace, pod)), None) => (namespace, pod),
        (Some(_), Some(_)) => {
            return Err(Failure::usage("write NS/POD, or POD with -n NS, not both"));
        }
        (None, namespace) => (
            namespace.as_deref().unwrap_or(cluster.namespace()),
            options.pod.as_str(),
        ),
    };
    let members = members(&cluster, Some(namespace)).await?;
    let authority = authority(&cluster, &options.whose.control_namespace).await?;
    let shown = Shown::of(members, (namespace, pod), &authority)?;
    match format {
        Format::Json => output::print_json(&shown)?,
        _ => output::print(&shown.text())?,
    }
    Ok(Exit::Good)
}

/// The pods that are members, of one namespace or of all.
async fn members(cluster: &Cluster, namespace: Option<&str>) -> Result<Members, Failure> {
    let name = namespace.map(|name| format!("metadata.name={name}"));
    let named = Selection {
        fields: name.as_deref().unwrap_or_default(),
        ..Selection::default()
    };
    let within = Selection {
        namespace: namespace.unwrap_or_default(),
        ..Selection::default()
    };
    let namespaces = cluster.find(NAMESPACES, named).await;
    let pods = cluster.find(PODS, within).await;
    Members::of(
        namespaces.map_err(cluster::failure)?,
        pods.map_err(cluster::failure)?,
    )
}

/// The domain that the roots name.
async fn trust_domain(cluster: &Cluster, control_namespace: &str) -> Result<String, Failure> {
    let roots = published(cluster, control_namespace).await?;
    let authority = Authority::of(&roots, Rotation::Hidden, clock::today())?;
    let none = || Failure::errors("the roots name none");
    authority.trust_domain.ok_or_else(none)
}

/// The roots, and how a rotation stands.
async fn authority(cluster: &Cluster, control_namespace: &str) -> Result<Authority, Failure> {
    let roots = published(cluster, control_namespace).await?;
    let rotation = rotation(cluster, control_namespace).await?;
    Authority::of(&roots, rotation, clock::today())
}

/// How a rotation stands.
async fn rotation(cluster: &Cluster, control_namespace: &str) -> Result<Rotation, Failure> {
    match cluster.metadata_of(&secret(control_namespace)).await {
        Ok(Some(secret)) => Ok(Rotation::of(&secret)),
        Ok(None) => Err(Failure::errors(format!(
            "there is no Secret {control_namespace}/{}: the control plane has made no authority \
             yet, or runs in another namespace (--control-namespace); `weft check` says how it is",
            orders::SECRET
        ))),
        Err(error) if error.is_forbidden() => Ok(Rotation::Hidden),
        Err(error) => Err(cluster::failure(error)),
    }
}

/// The Secret of the authority.
fn secret(control_namespace: &str) -> Place<'_> {
    SECRETS.place(control_namespace, orders::SECRET)
}

/// The ConfigMaps with the roots, by their namespaces; who may not list them sees that of the control
/// plane.
async fn published(
    cluster: &Cluster,
    control_namespace: &str,
) -> Result<BTreeMap<String, Value>, Failure> {
    let name = format!("metadata.name={ROOTS_NAME}");
    let named = Selection {
        fields: &name,
        ..Selection::default()
    };
    let found = match cluster.find(CONFIG_MAPS, named).await {
        Err(error) if error.is_forbidden() => {
            let place = CONFIG_MAPS.place(control_namespace, ROOTS_NAME);
            cluster.look_at(&place).await.map(Vec::from_iter)
        }
        found => found,
    };
    let by_namespace = |config_map: Value| {
        let namespace = cluster::text(&config_map, "/metadata/namespace").to_owned();
        (namespace, config_map)
    };
    let found = found.map_err(cluster::failure)?;
    Ok(found.into_iter().map(by_namespace).collect())
}
