//! Pairs are told of each other, take nothing else than mutual TLS, and have no gaps in their
//! configurations.

use std::fs;
use std::path::{Path, PathBuf};

use super::sockets::{self, Socket};
use super::{Layer, Place, envoy, haproxy, nginx, weft, ztunnel};
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
        ztunnel: Some(PathBuf::from("ztunnel")),
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

#[test]
fn ztunnel_is_told_of_both_pods_and_gets_the_service() {
    with_place(|place| {
        let commands = ztunnel::configure(place).expect("a writable place");
        let state = ztunnel::state(place);
        let redirect = ztunnel::redirect();
        for text in [&state, &redirect] {
            assert!(!text.contains("${"), "a gap in:\n{text}");
            let vip = ztunnel::service_address().ip().to_string();
            assert!(text.contains(&vip), "no {vip} in:\n{text}");
        }
        assert_eq!(state.matches("protocol: HBONE").count(), 2, "{state}");
        for part in ["10.77.0.2", "10.77.0.3", "{80: 9080}"] {
            assert!(state.contains(part), "no {part} in:\n{state}");
        }
        for (command, pod) in commands.iter().zip(["client", "server"]) {
            let line = command.join(" ");
            assert!(
                line.starts_with("env ") && line.ends_with(" ztunnel"),
                "{line}"
            );
            for part in [
                &format!("INFO=shop/{pod}/{pod} "),
                "state.yaml ",
                "THREADS=1 ",
            ] {
                assert!(line.contains(part), "no {part} in {line}");
            }
        }
    });
}

/// Heads of lines of `/proc/net/tcp`: a listener, one of 10.77.0.2 to port 15008 of 10.77.0.3, one that
/// is closed, one of 127.0.0.1.
const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt
   0: 00000000:3AA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000
   1: 03004D0A:3AA0 02004D0A:9C40 01 00000000:00000000 00:00000000 00000000
   2: 03004D0A:2378 02004D0A:9C42 06 00000000:00000000 03:00001761 00000000
   3: 0100007F:2378 0100007F:9C44 01 00000000:00000000 00:00000000 00000000
";

/// The same connection as a socket for both families has it.
const TCP6: &str =
    "  sl  local_address                         remote_address                        st
   0: 0000000000000000FFFF000003004D0A:3AA0 0000000000000000FFFF000002004D0A:9C40 01 00000000
";

#[cfg(target_endian = "little")]
#[test]
fn open_connections_are_read_from_proc() {
    let hbone = Socket {
        local: "10.77.0.3:15008".parse().expect("an address"),
        remote: "10.77.0.2:40000".parse().expect("an address"),
    };
    let found = sockets::parse(TCP).expect("it is understood");
    assert_eq!((found.len(), found.first()), (2, Some(&hbone)));
    assert_eq!(sockets::parse(TCP6), Some(vec![hbone]));
    assert_eq!(sockets::parse("head\n 0: 0100007F:2378 0100007F\n"), None);
    assert_eq!(sockets::parse("head\n"), Some(Vec::new()));
}

#[test]
fn only_hbone_may_pass() {
    let client = "10.77.0.2".parse().expect("an address");
    let to = |port: u16, from: &str| Socket {
        local: ([10, 77, 0, 3], port).into(),
        remote: from.parse().expect("an address"),
    };
    let hbone = to(15_008, "10.77.0.2:40000");
    let inside = to(9_080, "10.77.0.3:40001");
    for (open, expected) in [
        (vec![hbone, inside], true),
        (vec![inside], false),
        (vec![hbone, to(9_080, "10.77.0.2:40002")], false),
        (Vec::new(), false),
    ] {
        let checked = ztunnel::is_all_hbone(client, &open);
        assert_eq!(checked.is_ok(), expected, "{open:?}");
    }
}

#[test]
fn hbone_is_http2_that_refuses_who_has_no_certificate() {
    let alpn = "ALPN protocol: h2\n";
    let alert = "error:0A00045C:SSL routines::tlsv13 alert certificate required";
    for (said, expected) in [
        (format!("{alpn}{alert}"), true),
        (alpn.to_owned(), false),
        (alert.to_owned(), false),
        ("connect:errno=111".to_owned(), false),
    ] {
        assert_eq!(
            ztunnel::refuses_strangers(&said).is_ok(),
            expected,
            "{said}"
        );
    }
}
