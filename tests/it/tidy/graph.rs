//! Invariants 2 and 15: who may depend on whom, in this workspace and beyond.

use super::metadata::{Package, rooms, tree_of};
use super::report::{Finding, assert_clean, assert_found};

/// Which rooms a room may use.
enum MayUse {
    These(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

use MayUse::{AllBut, These};

/// The edges of the house. Rooms that are not built yet keep their line, so that they arrive with
/// their neighbours already decided.
const EDGES: &[(&str, MayUse)] = &[
    ("weft-spiffe", These(&[])),
    ("weft-api", These(&[])),
    ("weft-detect", These(&[])),
    ("weft-intercept", These(&[])),
    ("weft-xtask", These(&[])),
    ("weft-store", These(&["weft-api"])),
    ("weft-ir", These(&["weft-spiffe"])),
    ("weft-telemetry", These(&["weft-spiffe"])),
    ("weft-cni", These(&["weft-intercept"])),
    (
        "weft-translate",
        These(&["weft-api", "weft-ir", "weft-spiffe", "weft-store"]),
    ),
    ("weft-wire", These(&["weft-ir"])),
    ("weft-balance", These(&["weft-ir"])),
    (
        "weft-source",
        These(&["weft-api", "weft-store", "weft-telemetry"]),
    ),
    ("weft-certs", These(&["weft-spiffe", "weft-telemetry"])),
    ("weft-dashboard", These(&["weft-ir", "weft-telemetry"])),
    (
        "weft-tunnel",
        These(&["weft-certs", "weft-spiffe", "weft-telemetry"]),
    ),
    (
        "weft-control",
        These(&[
            "weft-api",
            "weft-certs",
            "weft-dashboard",
            "weft-ir",
            "weft-source",
            "weft-spiffe",
            "weft-store",
            "weft-telemetry",
            "weft-translate",
            "weft-wire",
        ]),
    ),
    (
        "weft-forward",
        These(&[
            "weft-balance",
            "weft-certs",
            "weft-detect",
            "weft-ir",
            "weft-telemetry",
            "weft-tunnel",
        ]),
    ),
    (
        "weft-proxy",
        These(&[
            "weft-certs",
            "weft-forward",
            "weft-intercept",
            "weft-ir",
            "weft-spiffe",
            "weft-telemetry",
            "weft-tunnel",
            "weft-wire",
        ]),
    ),
    (
        "weft-cli",
        AllBut(&["weft-cni", "weft-tests", "weft-xtask"]),
    ),
    ("weft-tests", AllBut(&[])),
];

/// A package of other people that only some rooms may name, or only without a feature.
struct Confined {
    package: &'static str,
    /// The feature the rule is about; empty for the package as a whole.
    feature: &'static str,
    rooms: &'static [&'static str],
    cure: &'static str,
}

const CONFINED: &[Confined] = &[
    Confined {
        package: "rustls",
        feature: "",
        rooms: &["weft-certs", "weft-tests"],
        cure: "take `certs::Acceptor` or `certs::Connector`",
    },
    Confined {
        package: "tokio-rustls",
        feature: "",
        rooms: &["weft-certs", "weft-tests"],
        cure: "take `certs::Acceptor` or `certs::Connector`",
    },
    Confined {
        package: "kube",
        feature: "",
        rooms: &["weft-api", "weft-source"],
        cure: "read objects through `store`",
    },
    Confined {
        package: "kube",
        feature: "client",
        rooms: &["weft-source"],
        cure: "only `source` talks to a cluster",
    },
];

/// Packages that must be absent from everything a binary links (invariant 15).
const ABSENT: &[(&str, &[&str])] = &[
    (
        "weft-proxy",
        &["k8s-openapi", "kube", "kube-client", "kube-core"],
    ),
    (
        "weft-cni",
        &["k8s-openapi", "kube", "kube-client", "kube-core", "tokio"],
    ),
];

fn edge_findings(package: &Package) -> Vec<Finding> {
    let manifest = format!("{}/Cargo.toml", package.room());
    let Some((_, may_use)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
        let what = format!("`{}` is no room of the house", package.name);
        let cure = "give it a line in tests/it/tidy/graph.rs and crates/README.md";
        return vec![Finding::new(manifest, 0, what, cure)];
    };
    let allows = |name: &str| match may_use {
        These(names) => names.contains(&name),
        AllBut(names) => !names.contains(&name),
    };
    package
        .shipped()
        .filter(|dependency| dependency.path.is_some() && !allows(&dependency.name))
        .map(|dependency| {
            let what = format!("depends on `{}`", dependency.name);
            let cure = "move the code, or pass a value; a new edge needs a decision record";
            Finding::new(&manifest, 0, what, cure)
        })
        .collect()
}

fn confined_findings(package: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in CONFINED
        .iter()
        .filter(|rule| !rule.rooms.contains(&package.name.as_str()))
    {
        let breaks = package.shipped().any(|dependency| {
            let has_feature = dependency
                .features
                .iter()
                .any(|feature| feature == rule.feature);
            dependency.name == rule.package && (rule.feature.is_empty() || has_feature)
        });
        if breaks {
            let what = format!("depends on `{}` {}", rule.package, rule.feature);
            let manifest = format!("{}/Cargo.toml", package.room());
            findings.push(Finding::new(manifest, 0, what.trim_end(), rule.cure));
        }
    }
    findings
}

#[test]
fn invariant_2_edges_are_those_of_the_house() {
    let findings: Vec<Finding> = rooms().flat_map(edge_findings).collect();
    assert_clean("invariant 2, edges between rooms", &findings);
}

#[test]
fn invariant_2_tls_and_cluster_access_stay_in_their_rooms() {
    let findings: Vec<Finding> = rooms().flat_map(confined_findings).collect();
    assert_clean("invariant 2, packages with a room of their own", &findings);
}

#[test]
fn invariant_15_the_data_path_links_no_kubernetes_client() {
    let mut findings = Vec::new();
    for (name, absent) in ABSENT {
        let Some(package) = rooms().find(|package| package.name == *name) else {
            continue;
        };
        let tree = tree_of(name);
        findings.extend(
            absent
                .iter()
                .filter(|absent| tree.contains(**absent))
                .map(|absent| {
                    let cure = format!("see `cargo tree -p {name} -i {absent} -e normal`");
                    Finding::new(
                        package.room(),
                        0,
                        format!("its tree contains `{absent}`"),
                        cure,
                    )
                }),
        );
    }
    assert_clean("invariant 15", &findings);
}

#[test]
fn invariant_2_the_checks_see_forbidden_edges_and_unknown_rooms() {
    let cli = rooms()
        .find(|package| package.name == "weft-cli")
        .expect("the CLI is a room");
    assert_found("the CLI as itself", &edge_findings(cli), 0);
    let inner = cli
        .shipped()
        .filter(|dependency| dependency.path.is_some())
        .count();
    assert_found(
        "a leaf with the CLI's edges",
        &edge_findings(&cli.renamed("weft-detect")),
        inner,
    );
    assert_found("a stranger", &edge_findings(&cli.renamed("weft-utils")), 1);
}

#[test]
fn invariant_2_the_check_sees_tls_in_the_wrong_room() {
    let certs = rooms()
        .find(|package| package.name == "weft-certs")
        .expect("certs is a room");
    let forward = certs.renamed("weft-forward");
    assert_found("certs as itself", &confined_findings(certs), 0);
    assert_found(
        "forward with the dependencies of certs",
        &confined_findings(&forward),
        2,
    );
}
