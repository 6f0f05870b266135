//! The numbered invariants of `crates/README.md` that a machine can check, and ratchets: lists of
//! known debts that may only shrink.
//!
//! Every check is a function from text to findings, so that a sample with the fault in it shows
//! that the check can fail; then the same function runs over the repository.

mod bounded;
mod changelog;
mod code_map;
mod confined;
mod graph;
mod labels;
mod lexer;
mod metadata;
mod parent;
mod paths;
mod pure_rooms;
mod report;
mod shape;
mod source;
mod supply_chain;
mod written;
