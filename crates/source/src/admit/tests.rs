//! Every schema compiles, every upstream example is admitted, and what an API server refuses is
//! refused with the field and a cure.

use serde_json::Value;
use weft_api::crds;

use super::{Admission, Verdict};
use crate::finding::Finding;
use crate::input::Channel;
use crate::yaml;

mod refusals;

fn values(text: &str) -> Vec<Value> {
    let documents = yaml::split(text).into_iter();
    documents
        .filter_map(|document| yaml::parse(document.text).expect("the test's YAML is valid"))
        .collect()
}

fn judge(channel: Channel, text: &str) -> Verdict {
    let value = values(text).pop().expect("the test has a document");
    Admission::shared(channel).judge(value, text.len())
}

fn findings(channel: Channel, text: &str) -> Vec<Finding> {
    match judge(channel, text) {
        Verdict::Refused { findings, .. } => findings,
        Verdict::Good(object) => panic!("{} is admitted:\n{text}", object.reference()),
        Verdict::Foreign { kind, .. } => panic!("{kind} is foreign"),
    }
}

#[test]
fn the_schema_of_every_kind_and_version_compiles() {
    for (channel, crds) in [
        (Channel::Standard, crds::STANDARD),
        (Channel::Experimental, crds::EXPERIMENTAL),
    ] {
        let admission = Admission::shared(channel);
        for (name, _) in crds {
            let kind = weft_api::Kind::ALL
                .iter()
                .find(|kind| format!("{}.{}", kind.plural(), kind.group()) == *name)
                .unwrap_or_else(|| panic!("{name} is a kind"));
            let schema = admission.schemas.of(*kind, kind.versions()[0]);
            let schema = schema.unwrap_or_else(|finding| panic!("{name}: {finding}"));
            schema.oracle();
        }
    }
    for kind in weft_api::Kind::ALL {
        let admission = Admission::shared(Channel::Experimental);
        let schema = admission.schemas.of(*kind, kind.versions()[0]);
        assert!(schema.is_ok(), "{kind}: {:?}", schema.err());
    }
}

#[test]
fn every_upstream_example_is_admitted() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/fixtures/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).expect("the examples are there") {
        let path = entry.expect("the directory can be read").path();
        let text = std::fs::read_to_string(&path).expect("the example can be read");
        for value in values(&text) {
            let verdict = Admission::shared(Channel::Experimental).judge(value, text.len());
            if let Verdict::Refused { findings, .. } = verdict {
                panic!("{}: {}", path.display(), findings[0]);
            }
            count += 1;
        }
    }
    assert!(count > 40, "only {count} examples were found");
}
