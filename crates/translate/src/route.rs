//! The seam between the walk over routes (attachment, groups, statuses) and each kind of route.
//!
//! Everything that is the same for all kinds is written once against [`RouteKind`]; a kind says where
//! its fields are and how its rules compile.

pub(crate) mod book;
mod grpc;
mod http;
pub(crate) mod standing;

use std::sync::Arc;

use weft_api::Route;
use weft_ir::{RouteKind as IrKind, Rule};

use crate::context::CompileContext;

/// A kind of route as the generic walk sees it. Implemented for the api types; where the fields are
/// is already said by [`Route`] (metadata, parentRefs, hostnames, rules, status).
pub(crate) trait RouteKind: Route {
    /// The kind, as rules and findings name it.
    const ROUTE_KIND: IrKind;

    /// Compiles the rules for one sort of parent. Total: what cannot be honoured is in the result.
    ///
    /// Called once per (route, parent mode), never per listener; the result is kept until the route
    /// or an object named by the context's [`Uses`](crate::context::Uses) changes.
    fn compile(&self, context: &mut CompileContext<'_>) -> CompiledRoute;
}

/// The rules of a route and what their compilation found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CompiledRoute {
    /// The rules in list order, by their index in `spec.rules`. A rule that cannot be honoured is
    /// here too and answers 500; one that must not exist (section 8: *dropped*) answers 500 as well.
    /// Empty when the route is not accepted.
    pub(crate) rules: Vec<Arc<Rule>>,
    /// `Accepted`, as far as the route's own content decides it: `UnsupportedValue`,
    /// `IncompatibleFilters`. Attachment comes on top.
    pub(crate) accepted: Result<(), Rejection>,
    /// `ResolvedRefs`: the worst problem by [`Rejection`] order of the specification, all of them in
    /// the message.
    pub(crate) resolved_refs: Result<(), Rejection>,
    /// `PartiallyInvalid`, present only when some rules are valid and some are not. The message
    /// starts with `Dropped Rule`.
    pub(crate) partially_invalid: Option<Rejection>,
}

/// A reason and a sentence for a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// Condition reason, without its Go prefix.
    pub(crate) reason: &'static str,
    /// What is wrong, where, and what to do.
    pub(crate) message: String,
}

impl Rejection {
    /// A reason with its sentence.
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}
