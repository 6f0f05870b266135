//! Pods that run already, found from what the node's `/proc` says.

use std::{
    net::IpAddr,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::symlink,
    },
};

use weft_intercept::{
    Netns,
    capture::Family,
    pods::{ClaimError, Found, running},
};

use super::pair::{Pair, Stack, can_make_namespaces};

#[test]
fn a_pod_is_found_by_its_cgroup_and_its_address() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let uid = "0c5a1f6e-8d3b-4b0e-9a57-4a8f3e2d1c0b";
    let proc = tempfile::tempdir().expect("a directory");
    let process = |name: &str, cgroup: &str, netns: String| {
        let directory = proc.path().join(name);
        std::fs::create_dir_all(directory.join("ns")).expect("a directory");
        std::fs::write(directory.join("cgroup"), cgroup).expect("a file");
        symlink(netns, directory.join("ns/net")).expect("a link");
    };
    let of = |netns: &Netns| format!("/proc/self/fd/{}", netns.as_fd().as_raw_fd());
    let of_pod = format!("0::/kubepods/pod{uid}/c");
    process("1", "0::/init.scope", "/proc/self/ns/net".to_owned());
    process("20", &of_pod, of(&pair.pod));
    process("21", &of_pod, of(&pair.pod));
    process("22", "0::/system.slice", of(&pair.peer));
    process("23", &of_pod, "/proc/self/ns/net".to_owned());
    process("self", &of_pod, of(&pair.peer));
    let one = || {
        let node = Netns::current().expect("there is one").id();
        let found = running(proc.path(), node).expect("it can be read");
        let [one] = <[Found; 1]>::try_from(found).expect("one pod, once");
        one
    };
    assert_eq!((one().uid.as_str(), one().netns.id()), (uid, pair.pod.id()));
    for family in Family::ALL {
        let claimed = one().claim(&[pair.pod(family)]).expect("it is the pod's");
        assert_eq!(claimed.id(), pair.pod.id());
        let refused = one()
            .claim(&[pair.peer(family)])
            .expect_err("another pod's address");
        assert!(matches!(refused, ClaimError::Other { .. }), "{refused}");
    }
    let own = [IpAddr::from([127, 0, 0, 1])];
    assert!(one().claim(&own).is_err(), "loopback says nothing");
}
