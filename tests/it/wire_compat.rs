//! Tables that travel and tables that were saved: what every fixture translates to survives the wire,
//! and what released versions have written can be read (invariant 7).
//!
//! `tests/wire/v1` holds configurations in saved form 1, each beside a page of what it says. The
//! files are never written again; a page is, with `UPDATE=1`, when pages look otherwise, and reviewed.
//! A fixture that is added to [`SAMPLES`] gets its file in the same way, once.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use weft_api::{Kind, ObjectKey, ObjectRef};
use weft_ir::Name;
use weft_tests::{fixture::Fixture, outline::outline, trust::ca_bundles};
use weft_translate::{EndpointTable, Output, Scope as Surroundings, translate};
use weft_wire::{Assembler, Configuration, Disassembler, Scope, diff, load, save_configuration};

use crate::golden::fixtures;

/// Fixtures whose tables are saved. Together they have every filter, match and policy of form 1.
const SAMPLES: &[&str] = &[
    "backend-tls-policy",
    "backend-weights",
    "filter-backend-all",
    "filter-cors",
    "filter-mirror-share",
    "filter-redirect-port-scheme",
    "filter-rewrite-path",
    "filter-unknown",
    "grpc-and-http",
    "grpc-filters",
    "grpc-method-regex",
    "listener-https",
    "match-path-types",
    "match-precedence",
    "match-query",
    "mesh-both-parents",
    "mesh-consumer",
    "route-idempotent",
    "rule-retry",
];

/// What a cluster with these objects would send.
fn configuration(fixture: &Fixture) -> Configuration {
    let store = fixture.store();
    let mut endpoints = EndpointTable::default();
    endpoints.update(&store);
    Configuration {
        tables: translate(&store, &fixture.scope).tables,
        endpoints: endpoints.table().clone(),
        ca_bundles: Arc::new(ca_bundles(&store)),
        ..Configuration::default()
    }
}

/// `apply(a, diff(a, b)) == b`, from each fixture to the next.
#[test]
fn tables_of_every_fixture_survive_the_wire() {
    let mut sender = Disassembler::new(Scope::Everything);
    let mut receiver = Assembler::default();
    for (name, fixture) in fixtures() {
        let sent = configuration(&fixture);
        let before = sender.snapshot().clone();
        let after = sender.update(&sent).clone();
        assert!(after.refused().is_empty(), "{name}: {:?}", after.refused());
        let applied = receiver.apply(&diff(&before, &after));
        assert_eq!(applied.problems, [], "{name}");
        assert!(
            applied.configuration == sent,
            "{name}: sent {sent:#?}, received {:#?}",
            applied.configuration
        );
    }
}

/// A Gateway's proxies get that Gateway as it is, and nothing of the others.
#[test]
fn proxies_get_their_gateway_only() {
    for (name, fixture) in fixtures() {
        let all = configuration(&fixture);
        for (gateway, tables) in &all.tables.gateways {
            let mut sender = Disassembler::new(Scope::Gateway(gateway.clone()));
            let (receiver, applied) = Assembler::load(sender.update(&all));
            assert_eq!(applied.problems, [], "{name}, {gateway}");
            let received = receiver.configuration();
            let gateways: Vec<&Name> = received.tables.gateways.keys().collect();
            assert_eq!(gateways, [gateway], "{name}");
            assert!(
                received.tables.gateways[gateway] == *tables,
                "{name}, {gateway}"
            );
            assert!(
                received.tables.services.is_empty(),
                "{name}, {gateway}: mesh frontends"
            );
            for (config_map, bundle) in received.ca_bundles.iter() {
                assert_eq!(
                    all.ca_bundles.get(config_map),
                    Some(bundle),
                    "{name}, {gateway}: {config_map}"
                );
            }
            for (port, endpoints) in received.endpoints.iter() {
                assert_eq!(
                    all.endpoints.get(port),
                    Some(endpoints),
                    "{name}, {gateway}: {port}"
                );
            }
        }
    }
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wire/v1")
}

/// Everything a configuration says, for reviewers.
fn page(configuration: Configuration) -> String {
    let reference = |kind, name: &Name| {
        let Name { namespace, name } = name.clone();
        ObjectRef::new(kind, ObjectKey::new(namespace, name))
    };
    let tables = configuration.tables;
    let gateways = tables
        .gateways
        .keys()
        .map(|name| reference(Kind::Gateway, name));
    let services = tables
        .services
        .keys()
        .map(|name| reference(Kind::Service, name));
    let everything = Fixture {
        objects: Vec::new(),
        own: gateways.chain(services).collect::<BTreeSet<_>>(),
        asks: Vec::new(),
        scope: Surroundings::standalone(),
    };
    let output = Output {
        tables,
        ..Output::default()
    };
    let mut page = outline(&everything, &output);
    page.push_str("\n## endpoints\n");
    for (port, set) in configuration.endpoints.iter() {
        let _ = writeln!(page, "{port}");
        for endpoint in set.all() {
            let _ = writeln!(page, "  {endpoint:?}");
        }
    }
    if !configuration.ca_bundles.is_empty() {
        page.push_str("\n## authorities\n");
    }
    for (config_map, bundle) in configuration.ca_bundles.iter() {
        let _ = writeln!(page, "{config_map}\n  {:?}", bundle.pem);
    }
    page
}

#[test]
fn invariant_7_saved_tables_of_every_version_are_read() {
    let update = std::env::var_os("UPDATE").is_some();
    for (name, fixture) in fixtures().filter(|(name, _)| SAMPLES.contains(&name.as_str())) {
        let file = samples().join(format!("{name}.bin"));
        if update && !file.exists() {
            fs::write(&file, save_configuration(&configuration(&fixture))).expect("write a sample");
        }
    }
    let entries = fs::read_dir(samples()).expect("the folder of samples");
    let files = entries.map(|entry| entry.expect("an entry of the folder").path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension() == Some("bin".as_ref()))
        .collect();
    files.sort();
    assert!(
        files.len() >= SAMPLES.len(),
        "samples are never removed: {files:?}"
    );
    for file in files {
        let shown = file.display();
        let bytes = fs::read(&file).expect("a sample can be read");
        let snapshot = load(&bytes).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let (assembler, applied) = Assembler::load(&snapshot);
        assert_eq!(applied.problems, [], "{shown}");
        let found = page(assembler.configuration().clone());
        let path = file.with_extension("out");
        if update {
            fs::write(&path, &found).expect("write a page");
        }
        let reviewed = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, reviewed, "{shown} says something else than it did");
    }
}

/// Not for ever, but as long as no field is added: what is saved today is what was saved then, so a
/// renamed field cannot hide behind its default.
#[test]
fn samples_are_written_as_they_were() {
    for (name, fixture) in fixtures().filter(|(name, _)| SAMPLES.contains(&name.as_str())) {
        let written = fs::read(samples().join(format!("{name}.bin"))).unwrap_or_default();
        let snapshot = load(&written).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (held, _) = Assembler::load(&snapshot);
        let (held, now) = (held.configuration(), configuration(&fixture));
        assert_eq!(
            (&held.tables, &held.ca_bundles),
            (&now.tables, &now.ca_bundles),
            "{name}: the fixture means something else now; give the sample another fixture"
        );
    }
}
