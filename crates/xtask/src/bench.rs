//! Side-by-side measurements of Weft and its peers, as `cargo x bench` takes them.
//!
//! A scenario starts one proxy at a time on its own core, puts it under load from the other, and
//! relates what it used (processor time, memory) to what it did. Everything runs on loopback, but for
//! pairs of proxies, which stand between two network namespaces.

mod answer;
pub(crate) mod backend;
mod certificate;
mod client;
pub(crate) mod figures;
pub(crate) mod goals;
pub(crate) mod lab;
pub(crate) mod latency;
mod load;
pub(crate) mod machine;
mod mesh;
mod namespaces;
mod output;
pub(crate) mod peers;
mod process;
pub(crate) mod report;
mod request;
pub(crate) mod scenarios;
pub(crate) mod tools;
mod usage;
