//! From Gateway API objects to tables, statuses and findings.
//!
//! [`translate`] is a pure function of a [`Store`](weft_store::Store) and a [`Scope`]: it is total
//! (whatever users wrote becomes statuses and notes, never an error), deterministic (the order in
//! which objects arrived cannot be seen in the result) and decides acceptance once: statuses and
//! tables come from the same pass. [`Translator`] is the same function with a memory, so that one
//! changed object costs the work of that object.

mod backend;
mod context;
mod filter;
mod grants;
pub mod notes;
mod route;
