//! The judgement of a route's own content, collected while its rules compile.
//!
//! Every problem is said once and lands in two places: a finding with its exact field, and the
//! condition it decides. What decides what:
//!
//! | problem | consequence |
//! |---|---|
//! | value of a closed enum that this version does not know | the whole route is not accepted (type comments of the API: "must result in ... `Accepted` ... `False`") |
//! | anything else that a rule cannot be served with | the rule is dropped: it answers 500, `PartiallyInvalid`; when no rule is left, `Accepted=False` |
//! | reference that cannot be used | `ResolvedRefs=False`; its share of the requests answers 500 |

use std::{fmt, sync::Arc};

use weft_api::Reason;
use weft_ir::{RouteKind, Rule};

use crate::{
    context::CompileContext,
    field::Field,
    notes::{self, Code},
    route::{CompiledRoute, Rejection},
};

/// Problems listed in the message of one condition; the rest is counted. Findings have them all.
const LISTED: usize = 6;

/// Why a rule cannot be served, by the condition reason it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// Filters that exclude each other.
    IncompatibleFilters,
    /// Everything else.
    UnsupportedValue,
}

/// Why a reference is not resolved, by condition reason. Of several problems in one route the
/// condition shows the first in this order, which puts what somebody else has to permit first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unresolved {
    /// Another namespace, and no ReferenceGrant permits it.
    RefNotPermitted,
    /// A group or kind that cannot be used here.
    InvalidKind,
    /// The object or its port does not exist.
    BackendNotFound,
    /// The backend asks for a protocol that cannot be spoken to it.
    UnsupportedProtocol,
}

/// Collects what is wrong with a route, rule after rule.
pub(crate) struct Judge<'c, 'a> {
    context: &'c mut CompileContext<'a>,
    kind: RouteKind,
    refused: Vec<String>,
    unresolved: Vec<(Unresolved, String)>,
    dropped: Vec<DroppedRule>,
    rule: Vec<(Refusal, String)>,
}

/// A rule that cannot be served.
struct DroppedRule {
    refusal: Refusal,
    message: String,
    /// Its field.
    at: String,
    /// Whether a match is left to answer 500.
    answers: bool,
}

impl<'c, 'a> Judge<'c, 'a> {
    /// A judge of a route of the kind.
    pub(crate) fn new(context: &'c mut CompileContext<'a>, kind: RouteKind) -> Self {
        Self {
            context,
            kind,
            refused: Vec::new(),
            unresolved: Vec::new(),
            dropped: Vec::new(),
            rule: Vec::new(),
        }
    }

    /// The surroundings of the route.
    pub(crate) fn context(&mut self) -> &mut CompileContext<'a> {
        self.context
    }

    /// The kind of the route.
    pub(crate) fn kind(&self) -> RouteKind {
        self.kind
    }

    /// Something worth knowing that changes nothing.
    pub(crate) fn hint(&mut self, code: &'static Code, at: &Field<'_>, message: impl fmt::Display) {
        self.context.note(code, at.to_string(), message.to_string());
    }

    /// The route holds a value that this version does not know: none of it is served.
    pub(crate) fn refuse_route(
        &mut self,
        code: &'static Code,
        at: &Field<'_>,
        message: impl fmt::Display,
    ) {
        self.refused.push(sentence(code, at, &message));
        self.context.note(code, at.to_string(), message.to_string());
    }

    /// The rule at hand cannot be served as written: it will answer 500.
    pub(crate) fn drop_rule(
        &mut self,
        refusal: Refusal,
        code: &'static Code,
        at: &Field<'_>,
        message: impl fmt::Display,
    ) {
        self.rule.push((refusal, sentence(code, at, &message)));
        self.context.note(code, at.to_string(), message.to_string());
    }

    /// A reference cannot be used.
    pub(crate) fn unresolved(
        &mut self,
        reason: Unresolved,
        code: &'static Code,
        at: &Field<'_>,
        message: impl fmt::Display,
    ) {
        self.unresolved.push((reason, sentence(code, at, &message)));
        self.context.note(code, at.to_string(), message.to_string());
    }

    /// Ends the rule at `at`, of which some match is left or none. Whether it is dropped.
    pub(crate) fn end_rule(&mut self, at: &Field<'_>, matches_left: bool) -> bool {
        let problems = std::mem::take(&mut self.rule);
        // IncompatibleFilters is said only when it is all there is to say.
        let Some(refusal) = problems.iter().map(|(refusal, _)| *refusal).max() else {
            return false;
        };
        let message = enumerate(problems.iter().map(|(_, message)| message));
        self.dropped.push(DroppedRule {
            refusal,
            message,
            at: at.to_string(),
            answers: matches_left,
        });
        true
    }

    /// Ends the route, which has `total` rules.
    pub(crate) fn end_route(self, total: usize, rules: Vec<Arc<Rule>>) -> CompiledRoute {
        let resolved_refs = self.resolved_refs();
        let accepted = self.accepted(total);
        let partially_invalid = (accepted.is_ok() && !self.dropped.is_empty()).then(|| {
            let message = enumerate(self.dropped.iter().map(|dropped| &dropped.message));
            Rejection::new(
                Refusal::UnsupportedValue.as_str(),
                format!("Dropped Rule: {message}"),
            )
        });
        for DroppedRule { at, answers, .. } in self.dropped {
            let until = match (&accepted, answers) {
                (Err(_), _) => "the route is not accepted, so that no rule of it acts",
                (Ok(()), true) => "the rule answers 500",
                (Ok(()), false) => "the rule has no match left, so that no request reaches it",
            };
            let message = format!("{until} until it is corrected");
            self.context.note(&notes::RULE_DROPPED, at, message);
        }
        let rules = if accepted.is_ok() { rules } else { Vec::new() };
        CompiledRoute {
            rules,
            accepted,
            resolved_refs,
            partially_invalid,
        }
    }

    fn accepted(&self, total: usize) -> Result<(), Rejection> {
        if !self.refused.is_empty() {
            return Err(Rejection::new(
                Refusal::UnsupportedValue.as_str(),
                enumerate(self.refused.iter()),
            ));
        }
        if total == 0 || self.dropped.len() < total {
            return Ok(());
        }
        let worst = self.dropped.iter().map(|dropped| dropped.refusal).max();
        let message = enumerate(self.dropped.iter().map(|dropped| &dropped.message));
        Err(Rejection::new(
            worst.unwrap_or(Refusal::UnsupportedValue).as_str(),
            format!("no rule can be served: {message}"),
        ))
    }

    fn resolved_refs(&self) -> Result<(), Rejection> {
        match self.unresolved.iter().map(|(reason, _)| *reason).min() {
            None => Ok(()),
            Some(worst) => {
                let mut problems: Vec<_> = self.unresolved.iter().collect();
                problems.sort_by_key(|(reason, _)| *reason);
                let message = enumerate(problems.iter().map(|(_, message)| message));
                Err(Rejection::new(worst.as_str(), message))
            }
        }
    }
}

impl Refusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::IncompatibleFilters => Reason::IncompatibleFilters.as_str(),
            Self::UnsupportedValue => Reason::UnsupportedValue.as_str(),
        }
    }
}

impl Unresolved {
    fn as_str(self) -> &'static str {
        match self {
            Self::RefNotPermitted => Reason::RefNotPermitted.as_str(),
            Self::InvalidKind => Reason::InvalidKind.as_str(),
            Self::BackendNotFound => Reason::BackendNotFound.as_str(),
            Self::UnsupportedProtocol => Reason::UnsupportedProtocol.as_str(),
        }
    }
}

/// Place, problem and cure.
fn sentence(code: &Code, at: &Field<'_>, message: &dyn fmt::Display) -> String {
    format!("{at}: {message} ({})", code.cure)
}

/// The first sentences, and how many more there are: a condition message holds 32 KiB at most.
fn enumerate<'s>(sentences: impl Iterator<Item = &'s String>) -> String {
    let mut text = String::new();
    let mut more = 0_usize;
    for (at, sentence) in sentences.enumerate() {
        if at >= LISTED {
            more += 1;
            continue;
        }
        if at > 0 {
            text.push_str("; ");
        }
        text.push_str(sentence);
    }
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}
