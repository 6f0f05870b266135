//! Capture as applications, peers and the kubelet meet it.

mod apart;
mod connections;
mod datagrams;
mod enrolment;
mod pair;
mod pods;
mod probes;
mod repair;
