//! Reading configuration once and translating it, for the commands that only look: from files, from a
//! cluster, or from files over a cluster, as it would be if they were applied.

mod live;
mod merge;
mod parameters;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use clap::Args;
use weft_api::Object;
use weft_ir::Name;
use weft_source::{Event, Finding, Loader, Options, Places};
use weft_store::Store;
use weft_translate::{ClassPolicy, EndpointTable, GatewayFacts, Output, Scope, translate};

use self::live::Live;
use crate::{
    args::Global,
    cluster,
    exit::Failure,
    output, progress,
    run::{Authorities, Certificates},
};

/// Where configuration is read from: the cluster, unless files are named.
#[derive(Debug, Args)]
pub(crate) struct Origin {
    /// Directory or file instead of the cluster; repeat for several
    #[arg(short = 'f', long = "file", value_name = "DIR|FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) over: Over,
}

/// Whether files are read alone or over a cluster.
#[derive(Debug, Args)]
pub(crate) struct Over {
    /// Read files over what is in the cluster, as if they were applied
    #[arg(long = "cluster", help_heading = "Cluster")]
    pub(crate) is_live: bool,
    #[command(flatten)]
    pub(crate) options: cluster::ClusterOptions,
}

/// What was read.
pub(crate) struct Loaded {
    /// The objects.
    pub(crate) store: Store,
    /// What translation makes of them.
    pub(crate) output: Output,
    /// What is wrong with the files, or could not be read from the cluster.
    pub(crate) findings: Arc<[Finding]>,
    /// Where objects and fields are written.
    pub(crate) places: Places,
    /// Files that were found.
    pub(crate) files: usize,
    /// Documents in them.
    pub(crate) documents: usize,
    /// Objects of the cluster, if one was read.
    pub(crate) live: Option<usize>,
}

impl Loaded {
    /// The endpoints of every Service port. Members of the mesh are told from others for files alone:
    /// of a cluster nobody serves them yet.
    pub(crate) fn endpoints(&self) -> EndpointTable {
        let mut table = match self.live {
            None => EndpointTable::new(Scope::standalone().enrolment),
            Some(_) => EndpointTable::default(),
        };
        table.update(&self.store);
        table
    }

    /// Says what could not be read, to whoever gets an answer that depends on it.
    pub(crate) fn tell_unread(&self) {
        if self.live.is_some() {
            self.findings.iter().for_each(output::tell);
        }
    }
}

impl Origin {
    /// Reads and translates. What a cluster did not say is told on standard error.
    ///
    /// # Errors
    /// As [`once`] and [`over`].
    pub(crate) fn load(&self, global: Global) -> Result<Loaded, Failure> {
        if !self.over.is_live && !self.files.is_empty() {
            return once(&self.files, ClassPolicy::Every, global);
        }
        let live = Live::read(&self.over.options)?;
        let loaded = over(&live, &self.files, global)?;
        loaded.tell_unread();
        Ok(loaded)
    }
}

/// Reads and translates files and directories.
///
/// # Errors
/// A path does not exist or cannot be entered.
pub(crate) fn once(
    paths: &[PathBuf],
    classes: ClassPolicy,
    global: Global,
) -> Result<Loaded, Failure> {
    let mut loader = Loader::new(paths, Options::default()).map_err(Failure::unreachable)?;
    let mut progress = progress::Bar::new(global);
    let batch = loader
        .load(&mut |step| progress.show(step))
        .map_err(Failure::unreachable)?;
    progress.end();
    let mut store = Store::default();
    for event in batch.events {
        match event {
            Event::Apply(object) => drop(store.apply(object)),
            Event::Delete(reference) => drop(store.delete(&reference)),
        }
    }
    let output = translate(&store, &scope(&store, classes));
    Ok(Loaded {
        store,
        output,
        findings: batch.findings,
        places: loader.places(),
        files: batch.files,
        documents: batch.documents,
        live: None,
    })
}

/// The surroundings of a directory that nobody serves: every Gateway could have an address.
fn scope(store: &Store, classes: ClassPolicy) -> Scope {
    let facts = |gateway: &Arc<weft_api::Gateway>| {
        let key = gateway.key();
        let asked = gateway.spec.addresses.iter();
        let asked = asked.filter_map(|address| address.value.as_deref()?.parse().ok());
        let facts = GatewayFacts {
            addresses: asked
                .chain([std::net::Ipv4Addr::LOCALHOST.into()])
                .collect(),
            ..GatewayFacts::default()
        };
        (Name::new(key.namespace(), key.name()), facts)
    };
    let gateways: BTreeMap<_, _> = store.gateways().iter().map(facts).collect();
    let scope = Scope {
        classes,
        gateways,
        ..Scope::standalone()
    };
    with_tls(scope, store)
}

/// Adds what a TLS stack says of certificates and authorities.
fn with_tls(mut scope: Scope, store: &Store) -> Scope {
    let mut certificates = Certificates::default();
    certificates.update(store);
    let mut authorities = Authorities::default();
    authorities.update(store);
    scope.unusable_certificates = certificates.unusable();
    scope.unusable_authorities = authorities.unusable();
    scope
}

/// Reads files, if any are named, over a cluster that was read, and translates the whole as the
/// control plane does.
///
/// # Errors
/// A path does not exist, or the cluster does not say what else is needed.
pub(crate) fn over(live: &Live, paths: &[PathBuf], global: Global) -> Result<Loaded, Failure> {
    let mut store = live.store.clone();
    let mut loader = Loader::new(paths, Options::default()).map_err(Failure::unreachable)?;
    let (mut findings, mut files, mut documents) = (Vec::new(), 0, 0);
    if !paths.is_empty() {
        let mut progress = progress::Bar::new(global);
        let batch = loader
            .load(&mut |step| progress.show(step))
            .map_err(Failure::unreachable)?;
        progress.end();
        merge::over(&mut store, batch.events)?;
        findings.extend(batch.findings.iter().cloned());
        (files, documents) = (batch.files, batch.documents);
    }
    let (output, unread) = live.translate(&mut store)?;
    findings.extend(live.findings.iter().cloned());
    findings.extend(unread);
    Ok(Loaded {
        store,
        output,
        findings: findings.into(),
        places: loader.places(),
        files,
        documents,
        live: Some(live.store.len()),
    })
}

pub(crate) use self::live::Live as Cluster;
