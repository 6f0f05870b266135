//! From Gateway API objects to tables, statuses and findings.
//!
//! [`translate`] is a pure function of a [`Store`] and a [`Scope`]: it is total
//! (whatever users wrote becomes statuses and notes, never an error), deterministic (the order in
//! which objects arrived cannot be seen in the result) and decides acceptance once: statuses and
//! tables come from the same pass. [`Translator`] is the same function with a memory, so that one
//! changed object costs the work of that object.

mod attach;
mod backend;
mod conflict;
mod context;
mod endpoints;
mod enrolment;
pub mod features;
mod field;
mod filter;
#[cfg(test)]
mod fixture;
mod gateway;
mod grants;
mod group;
mod listener;
mod matching;
mod mesh;
pub mod notes;
mod output;
mod policy;
mod referents;
mod refused;
mod route;
mod rule;
mod scope;
mod service_protocol;
mod shadow;
mod snapshot;
mod stated;
mod status;
mod translator;
mod verdict;
mod workload;

use weft_store::Store;

pub use crate::{
    endpoints::{EndpointTable, endpoints},
    enrolment::{Enrolment, Starting},
    notes::{Code, Note, Severity},
    output::Output,
    referents::referents,
    scope::{
        ClassPolicy, GatewayFacts, Programming, Scope, UnusableAuthorities, UnusableParameters,
    },
    status::Status,
    translator::Translator,
    workload::is_member,
};

/// Translates a whole store once.
pub fn translate(store: &Store, scope: &Scope) -> Output {
    Translator::default().translate(store, scope)
}

/// What a translation reads.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) store: &'a Store,
    pub(crate) scope: &'a Scope,
}
