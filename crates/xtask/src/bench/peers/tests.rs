//! Configurations: every placeholder is filled, and they say what the scenarios rely on.

use std::path::PathBuf;

use super::{Backends, Change, Peer, Place, Role, edit, envoy, fill, nginx, supports};
use crate::bench::certificate::Certificate;
use crate::bench::request::IDLE_HOST;
use crate::bench::tools::Programs;

/// Calls `check` with a place that exists, but for its certificate.
fn with_place(check: impl FnOnce(&Place<'_>)) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    let certificate = Certificate {
        chain: path("tls.crt"),
        key: path("tls.key"),
        both: path("tls.pem"),
    };
    std::fs::write(&certificate.chain, "CHAIN").expect("a writable directory");
    std::fs::write(&certificate.key, "KEY").expect("a writable directory");
    let programs = Programs {
        weft: Some(PathBuf::from("weft")),
        weft_proxy: None,
        mesh_control: PathBuf::new(),
        xtask: PathBuf::new(),
        envoy: PathBuf::from("envoy"),
        ztunnel: None,
    };
    check(&Place {
        directory: directory.path().to_owned(),
        port: 18_000,
        admin_port: 18_001,
        backends: Backends {
            http1: 18_002,
            http1_other: 18_003,
            http2: 18_004,
        },
        certificate: &certificate,
        programs: &programs,
    });
}

/// All text below the directory of `place`.
fn written(place: &Place<'_>) -> String {
    let mut text = String::new();
    let mut directories = vec![place.directory.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                text += &std::fs::read_to_string(path).expect("text");
            }
        }
    }
    text
}

const PEERS: [Peer; 4] = [Peer::Weft, Peer::Envoy, Peer::Nginx, Peer::Haproxy];

#[test]
fn every_configuration_is_complete() {
    let roles = [
        (Role::Hop, "18002"),
        (Role::Hop2, "18004"),
        (Role::Tls, "tls"),
        (Role::Routes(3), "h2.bench.example"),
        (Role::Endpoints(1001), "10.99.4.1"),
        (Role::Split, "18003"),
    ];
    for (role, expected) in roles {
        for peer in PEERS.into_iter().filter(|&peer| supports(peer, role)) {
            with_place(|place| {
                let argv = super::configure(peer, place, role).expect("a writable place");
                let text = written(place);
                let name = format!("{} as {role:?}", peer.name());
                assert!(!text.contains("${"), "{name} has a gap in it:\n{text}");
                assert!(text.contains("18000"), "{name} listens elsewhere:\n{text}");
                assert!(text.contains(expected), "{name} lacks {expected}:\n{text}");
                assert!(
                    argv.len() > 2,
                    "{name} is started without its configuration"
                );
            });
        }
    }
}

#[test]
fn a_change_and_its_reversal_differ_and_stay_complete() {
    with_place(|place| {
        for peer in PEERS {
            let text = |is_on| {
                let change = Change::Redirect { routes: 3, is_on };
                edit(peer, place, change)
                    .expect("every peer can redirect")
                    .text
            };
            assert_ne!(text(true), text(false), "{}", peer.name());
            assert!(!text(true).contains("${"), "{}", peer.name());
        }
    });
}

#[test]
fn weights_are_two_shares_of_a_hundred() {
    with_place(|place| {
        for peer in [Peer::Weft, Peer::Envoy] {
            let change = Change::Weight { percent: 30 };
            let text = edit(peer, place, change).expect("it splits").text;
            for share in ["weight: 30", "weight: 70"] {
                assert!(
                    text.contains(share),
                    "{} lacks {share}:\n{text}",
                    peer.name()
                );
            }
        }
        let change = Change::Weight { percent: 30 };
        assert!(
            edit(Peer::Nginx, place, change).is_err(),
            "nginx has no part in it"
        );
    });
}

#[test]
fn endpoints_that_are_only_kept_are_behind_a_host_of_their_own() {
    for peer in [Peer::Weft, Peer::Envoy] {
        let with = |count| {
            let mut text = String::new();
            with_place(|place| {
                super::configure(peer, place, Role::Endpoints(count)).expect("a writable place");
                text = written(place);
            });
            text
        };
        let (none, some) = (with(0), with(2));
        assert!(
            none.contains(IDLE_HOST) && !none.contains("10.99."),
            "{} without endpoints has the same route:\n{none}",
            peer.name()
        );
        let mixed = some
            .lines()
            .find(|line| line.contains("127.0.0.1") && line.contains("10.99."));
        assert_eq!(mixed, None, "{} may ask them", peer.name());
    }
}

#[test]
fn a_changed_route_of_envoy_is_the_last() {
    with_place(|place| {
        let change = Change::Redirect {
            routes: 2,
            is_on: true,
        };
        let text = envoy::edit(place, change).text;
        let (before, after) = text.split_once("h1.bench.example").expect("the last host");
        assert!(
            before.contains("cluster: c0") && after.contains("status: 302"),
            "{text}"
        );
    });
}

#[test]
fn the_http2_backend_answers_one_kibibyte() {
    let text = nginx::http2_backend(std::path::Path::new("/tmp/bench"), 18_004);
    assert!(text.contains(&"x".repeat(1024)) && !text.contains(&"x".repeat(1025)));
    assert!(text.contains("127.0.0.1:18004 http2"), "{text}");
}

#[test]
fn templates_are_filled_by_name() {
    assert_eq!(
        fill("a ${x} $y ${x}", &[("x", "1"), ("y", "2")]),
        "a 1 $y 1"
    );
}
