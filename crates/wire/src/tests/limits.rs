//! Resources above their limits are named, at both ends, and the rest is served.

use std::sync::Arc;

use bytes::Bytes;

use super::world::{Builder, World, routes};
use crate::{
    Assembler, Certificate, Configuration, Difference, Disassembler, Resource, Scope, Snapshot,
    limits, proto::config as message,
};

/// A configuration with a certificate of this many bytes in its chain.
fn with_chain(bytes: usize) -> Configuration {
    let mut world: World = routes(&[0]);
    world.certificates = vec![(0, 0)];
    let mut configuration = Builder::default().build(&world);
    for certificate in Arc::make_mut(&mut configuration.certificates).values_mut() {
        *certificate = Arc::new(Certificate {
            chain_pem: Bytes::from(vec![b'x'; bytes]),
            key_pem: Bytes::new(),
        });
    }
    configuration
}

#[test]
fn a_resource_that_is_too_large_is_named_and_stays_as_it_was() {
    let mut disassembler = Disassembler::new(Scope::Everything);
    let good = disassembler.update(&with_chain(10)).clone();
    assert!(good.refused().is_empty());
    let refused = disassembler
        .update(&with_chain(limits::RESOURCE_BYTES))
        .clone();
    let errors: Vec<String> = refused
        .refused()
        .values()
        .map(ToString::to_string)
        .collect();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("Certificate infra/tls0 takes 41943"),
        "the error names resource and size: {}",
        errors[0]
    );
    assert!(
        crate::diff(&good, &refused).is_empty(),
        "the last good version stays"
    );
    let better = disassembler.update(&with_chain(20)).clone();
    assert!(
        better.refused().is_empty(),
        "a later version that fits is sent"
    );
    assert_eq!(crate::diff(&good, &better).upserts.len(), 1);

    let fresh = Snapshot::clone(
        Disassembler::new(Scope::Everything).update(&with_chain(limits::RESOURCE_BYTES)),
    );
    assert_eq!(fresh.len(), good.len() - 1, "never sent before: left out");
    assert_eq!(fresh.refused().len(), 1, "and named");
}

fn received(kind: &str, body: Vec<u8>) -> (Assembler, Vec<String>) {
    let resource = Resource::from_message(&message::Resource {
        r#type: kind.to_owned(),
        name: "a/b".to_owned(),
        version: 1,
        body: body.into(),
    });
    let difference = Difference {
        upserts: vec![Arc::new(resource.expect("a known type and a good name"))],
        ..Difference::default()
    };
    let mut assembler = Assembler::default();
    let applied = assembler.apply(&difference);
    let problems = applied.problems.iter().map(ToString::to_string).collect();
    (assembler, problems)
}

#[test]
fn bodies_that_cannot_be_read_are_named() {
    let deep = |levels: usize| {
        let mut body = vec![0x81; levels];
        body.push(0x80);
        body
    };
    let kinds = [
        "Gateway",
        "Service",
        "HTTPRoute",
        "GRPCRoute",
        "Endpoints",
        "Certificate",
        "CaBundle",
    ];
    for kind in kinds {
        let rows = [
            ("nothing", Vec::new(), "the body ends too early"),
            ("cut short", vec![0xa1, 0x65], "the body ends too early"),
            ("no CBOR", vec![0x1c; 4], "of the body is not CBOR"),
            ("another type", vec![0x01], "invalid type"),
            ("no fields", vec![0xa0], "missing field"),
            (
                "too large",
                vec![0; limits::RESOURCE_BYTES + 1],
                "4194304 are allowed",
            ),
            // Where a value of any shape is read.
            (
                "an endless length",
                vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                "",
            ),
            ("deep", deep(100_000), ""),
        ];
        for (row, body, said) in rows {
            let (assembler, problems) = received(kind, body);
            assert_eq!(problems.len(), 1, "{kind}, {row}: {problems:?}");
            let start = format!("{kind} a/b: is ignored: ");
            assert!(
                problems[0].starts_with(&start),
                "{kind}, {row}: {problems:?}"
            );
            assert!(problems[0].contains(said), "{kind}, {row}: {problems:?}");
            assert!(
                assembler.versions().is_empty(),
                "{kind}, {row}: nothing is held"
            );
        }
    }
}

#[test]
fn bodies_that_nest_too_deep_are_refused_where_anything_may_stand() {
    // {"forms": [{"parents": [[[[…]]]], "rules": []}]}
    let mut body = vec![0xa1, 0x65];
    body.extend(b"forms");
    body.extend([0x81, 0xa2, 0x67]);
    body.extend(b"parents");
    body.extend(vec![0x81; 100_000]);
    let (_, problems) = received("HTTPRoute", body);
    assert!(
        problems[0].contains("nests deeper than 64 levels"),
        "{problems:?}"
    );
}
