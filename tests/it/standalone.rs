//! The data path end to end, in one process: manifests become tables, tables become sockets, and
//! clients and back-ends on both sides see every byte.

mod admin;
mod answers;
mod backend_tls;
mod bodies;
mod change;
mod drain;
mod fields;
mod filters;
mod grpc;
mod hops;
mod http2;
mod idempotent;
mod ipv6;
mod last_answer;
mod lost_calls;
mod members;
mod mesh;
mod mesh_rules;
mod paths;
mod retry;
mod seen;
mod streaming;
mod tls;
mod tour;
mod traffic;
mod upgrade;
mod upstream;
mod validation;
mod websocket2;
