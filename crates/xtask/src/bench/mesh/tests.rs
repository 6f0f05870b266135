//! Pairs are told of each other, take nothing else than mutual TLS, and have no gaps in their
//! configurations.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Layer, Place, envoy, haproxy, nginx, weft};
use crate::bench::certificate::Certificate;
use crate::bench::tools::Programs;

/// Calls `check` with a place that exists, but for its certificate.
fn with_place(check: impl FnOnce(&Place<'_>)) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certificate = Certificate {
        chain: PathBuf::from("tls.crt"),
        key: PathBuf::from("tls.key"),
        both: PathBuf::from("tls.pem"),
    };
    let programs = Programs {
        weft: None,
        weft_proxy: Some(PathBuf::from("weft-proxy")),
        mesh_control: PathBuf::from("mesh-control"),
        xtask: PathBuf::new(),
        envoy: PathBuf::from("envoy"),
    };
    check(&Place {
        directory: directory.path().to_owned(),
        client: [10, 77, 0, 2].into(),
        server: [10, 77, 0, 3].into(),
        certificate: &certificate,
        programs: &programs,
    });
}

/// The text of the configuration that a command names.
fn text_of(command: &[String]) -> String {
    let file = command.iter().find(|word| Path::new(word).is_file());
    fs::read_to_string(file.expect("a command names its configuration")).expect("text")
}

#[test]
fn pairs_of_peers_ask_each_other_for_certificates() {
    with_place(|place| {
        let both = [
            (
                "Envoy",
                envoy::configure(place, Layer::Http),
                "require_client_certificate: true",
            ),
            (
                "haproxy",
                haproxy::configure(place, Layer::Http),
                "verify required",
            ),
            ("nginx", nginx::configure(place), "ssl_verify_client on"),
        ];
        for (name, commands, demand) in both {
            let commands = commands.expect("a writable place");
            let [client, server] = commands.each_ref().map(|it| text_of(it));
            assert!(
                !(client.clone() + &server).contains("${"),
                "{name} has a gap"
            );
            for (side, text, expected) in [
                ("client", &client, "8080"),
                ("client", &client, "10.77.0.3"),
                ("client", &client, "tls."),
                ("server", &server, "10.77.0.3"),
                ("server", &server, "9080"),
                ("server", &server, demand),
            ] {
                assert!(
                    text.contains(expected),
                    "{name}'s {side} lacks {expected}:\n{text}"
                );
            }
        }
    });
}

#[test]
fn pairs_that_pass_bytes_know_no_http() {
    with_place(|place| {
        for (name, commands, http) in [
            ("Envoy", envoy::configure(place, Layer::Tcp), "http"),
            (
                "haproxy",
                haproxy::configure(place, Layer::Tcp),
                "mode http",
            ),
        ] {
            for command in commands.expect("a writable place") {
                let text = text_of(&command);
                assert!(!text.contains("${"), "{name} has a gap:\n{text}");
                assert!(!text.contains(http), "{name} parses:\n{text}");
            }
        }
    });
}

#[test]
fn both_pods_are_members_and_one_service_has_no_route() {
    with_place(|place| {
        let text = weft::objects(place);
        assert!(!text.contains("${"), "a gap in:\n{text}");
        for (what, count) in [
            ("kind: Pod\n", 2),
            ("weft.dev/captured: \"true\"", 2),
            ("kind: Service\n", 11),
            ("kind: HTTPRoute\n", 10),
            ("targetRef: {kind: Pod, namespace: shop, name: server}", 11),
        ] {
            assert_eq!(text.matches(what).count(), count, "{what} in:\n{text}");
        }
        for layer in [Layer::Http, Layer::Tcp] {
            let vip = format!("clusterIP: {},", weft::service_address(layer).ip());
            assert!(text.contains(&vip), "no Service for {layer:?}: {vip}");
        }
    });
}
