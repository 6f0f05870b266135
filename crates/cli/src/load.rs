//! Reading files once and translating them, for the commands that only look.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use weft_api::Object;
use weft_ir::Name;
use weft_source::{Event, Finding, Loader, Options, Places};
use weft_store::Store;
use weft_translate::{ClassPolicy, GatewayFacts, Output, Scope, translate};

use crate::{
    args::Global,
    exit::Failure,
    progress,
    run::{Authorities, Certificates},
};

/// What files say.
pub(crate) struct Loaded {
    /// Their objects.
    pub(crate) store: Store,
    /// What translation makes of them.
    pub(crate) output: Output,
    /// What is wrong with the files themselves.
    pub(crate) findings: Arc<[Finding]>,
    /// Where objects and fields are written.
    pub(crate) places: Places,
    /// Files that were found.
    pub(crate) files: usize,
    /// Documents in them.
    pub(crate) documents: usize,
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
    })
}

/// The surroundings of a directory that nobody serves: every Gateway could have an address.
fn scope(store: &Store, classes: ClassPolicy) -> Scope {
    let mut certificates = Certificates::default();
    certificates.update(store);
    let mut authorities = Authorities::default();
    authorities.update(store);
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
    Scope {
        classes,
        gateways,
        unusable_certificates: certificates.unusable(),
        unusable_authorities: authorities.unusable(),
        ..Scope::standalone()
    }
}
