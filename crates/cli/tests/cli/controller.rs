//! `weft controller` as an operator meets it.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::weft::{Place, curl};

/// A cluster whose API server is away: nobody listens on the discard port.
const AWAY: &str = r#"{
  "apiVersion": "v1", "kind": "Config", "current-context": "c",
  "clusters": [{ "name": "c", "cluster": { "server": "http://127.0.0.1:9" } }],
  "users": [{ "name": "u", "user": { "token": "t" } }],
  "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }]
}"#;

const ANYWHERE: &str = "--config 127.0.0.1:0 --identity 127.0.0.1:0 --admin 127.0.0.1:0";

#[test]
fn a_controller_waits_for_its_cluster_says_so_and_ends_when_asked() {
    let place = Place::new("");
    std::fs::write(place.path().join("kubeconfig"), AWAY).expect("a kubeconfig");
    let line = format!("controller --kubeconfig kubeconfig {ANYWHERE} --log off");
    let mut child = place
        .command(&line)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let told = child.stderr.take().expect("it is piped");
    let mut told = BufReader::new(told).lines();
    let first = told.next().expect("a line").expect("a text");
    let (_, admin) = first.rsplit_once(' ').expect("an address at the end");
    assert_eq!(curl(&format!("{admin}/healthz"), &[]).0, 200, "{first}");
    let (status, why) = curl(&format!("{admin}/readyz"), &[]);
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("no certification authority"), "{why}");
    let (status, metrics) = curl(&format!("{admin}/metrics"), &[]);
    assert!(status == 200 && metrics.contains("weft_build_info"));
    let id = i32::try_from(child.id()).expect("a process id");
    let id = rustix::process::Pid::from_raw(id).expect("a process id");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is ours");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn what_cannot_start_says_what_to_do() {
    let rows = [
        ("--trust-domain Shop", 3, "trust-domain"),
        ("--certificate-life 5m", 3, "10 minutes to 90 days"),
        ("--rotation-spread 25h", 3, "spread over 1s to 24h"),
        ("--rotation-spread 0s", 3, "spread over 1s to 24h"),
        ("--kubeconfig none", 4, "kubeconfig none cannot be used"),
    ];
    let place = Place::new("");
    for (options, code, said) in rows {
        let ran = place.weft(&format!("controller {ANYWHERE} {options}"));
        assert_eq!(ran.code, code, "{options}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{options}: {}", ran.stderr);
    }
}
