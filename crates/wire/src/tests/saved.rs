//! The saved form: what it holds, and what is refused.

use super::{
    snapshot,
    world::{Builder, routes},
};
use crate::{Assembler, Kind, SavedError, load, save, save_configuration};

#[test]
fn what_is_saved_is_read_again_without_keys() {
    let mut world = routes(&[0, 1, 2]);
    world.certificates = vec![(0, 1)];
    world.endpoints = vec![(0, 80, 3)];
    world.ca_bundles = vec![(1, 1)];
    world.workloads = vec![(0, true, 0, true), (1, false, 1, false)];
    world.peers = vec![(0, 0), (1, 0), (1, 1)];
    world.namespaces = vec![0, 2];
    let configuration = Builder::default().build(&world);
    let full = snapshot(&configuration);
    let bytes = save(&full);
    assert_eq!(
        bytes,
        save_configuration(&configuration),
        "saved alike by sender and receiver"
    );
    assert!(
        !bytes.windows(3).any(|window| window == b"key"),
        "no key is written"
    );
    let read = load(&bytes).expect("what was saved can be read");
    assert_eq!(read.len(), full.len() - 1);
    for resource in read.iter() {
        assert_ne!(resource.key().kind, Kind::Certificate);
        assert_eq!(
            full.get(resource.key()),
            Some(resource),
            "version and body are kept"
        );
    }
    let (assembler, applied) = Assembler::load(&read);
    assert_eq!(applied.problems, []);
    assert_eq!(assembler.configuration().tables, configuration.tables);
    assert_eq!(assembler.configuration().endpoints, configuration.endpoints);
    assert_eq!(
        assembler.configuration().ca_bundles,
        configuration.ca_bundles,
        "authorities are public and are saved"
    );
    assert_eq!(
        assembler.configuration().workloads,
        configuration.workloads,
        "a node knows its pods without the control plane"
    );
    assert_eq!(
        assembler.configuration().peers,
        configuration.peers,
        "and whom to meet where"
    );
    assert_eq!(
        assembler.configuration().namespaces,
        configuration.namespaces,
        "and who must not start without the mesh"
    );
}

#[test]
fn what_is_not_a_whole_file_of_a_known_form_is_refused() {
    let good = save(&snapshot(&Builder::default().build(&routes(&[0]))));
    let edited = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let last = good.len() - 1;
    let rows = [
        ("an empty file", Vec::new(), SavedError::Foreign),
        (
            "another file",
            b"apiVersion: v1".to_vec(),
            SavedError::Foreign,
        ),
        ("only the name", good[..12].to_vec(), SavedError::Damaged),
        ("a newer form", edited(13, 2), SavedError::Newer(2)),
        (
            "the last byte is missing",
            good[..last].to_vec(),
            SavedError::Damaged,
        ),
        (
            "another last byte",
            edited(last, good[last] ^ 1),
            SavedError::Damaged,
        ),
        (
            "another digest",
            edited(20, good[20] ^ 1),
            SavedError::Damaged,
        ),
    ];
    for (row, bytes, expected) in rows {
        assert_eq!(load(&bytes).map(|_| ()), Err(expected), "{row}");
    }
}
