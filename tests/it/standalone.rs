//! The data path end to end, in one process: manifests become tables, tables become sockets, and
//! clients and back-ends on both sides see every byte.

mod answers;
mod change;
mod mesh;
mod retry;
mod streaming;
mod tls;
mod traffic;
mod upgrade;
mod validation;
