//! Rules: what is the same in every kind of route that has matches, filters and backends.

use std::{collections::BTreeSet, sync::Arc};

use weft_api::{
    Route,
    filter::{Filter, FilterType},
    reference::BackendRef,
    route::{DefaultScope, RouteSpec},
};
use weft_ir::{Filters, Matches, Retry, Rule, Timeouts};

use crate::{
    backend,
    field::{Field, SPEC},
    filter, matching, notes, policy,
    route::CompiledRoute,
    verdict::{Judge, Refusal},
};

/// Reason word of a rule that is not valid.
const INVALID_RULE: &str = "invalid_rule";
/// Reason word of a rule with a filter that exists nowhere.
const UNRESOLVED_FILTER: &str = "unresolved_filter";

/// A rule as its kind hands it over: the parts that differ are compiled, the others are as written.
pub(crate) struct Draft<'r> {
    /// `name`
    pub(crate) name: Option<&'r str>,
    /// The matches that could be compiled.
    pub(crate) matches: Matches,
    /// How many were written.
    pub(crate) matches_written: usize,
    /// `filters`
    pub(crate) filters: &'r [Filter],
    /// `backendRefs`
    pub(crate) backend_refs: &'r [BackendRef],
    /// Whether `sessionPersistence` is set.
    pub(crate) session_persistence: bool,
    /// `timeouts`
    pub(crate) timeouts: Timeouts,
    /// `retry`
    pub(crate) retry: Option<Retry>,
}

/// Compiles the rules of a route; `draft` does the part that is the kind's own. `rules` are those of
/// the spec with the kind's default applied.
pub(crate) fn compile<'r, R: Route>(
    mut judge: Judge<'_, '_>,
    route: &R,
    rules: &'r [R::Rule],
    draft: fn(&mut Judge<'_, '_>, &'r R::Rule, &Field<'_>) -> Draft<'r>,
) -> CompiledRoute {
    let rules_at = SPEC.key("rules");
    check_default_gateways(&mut judge, route.spec());
    let idempotent = policy::idempotent(&mut judge, route);
    let mut names = BTreeSet::new();
    let mut compiled = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let Ok(number) = u16::try_from(index) else {
            let message = format!("{} rules are more than 65,536", rules.len());
            judge.refuse_route(&notes::TOO_MANY, &rules_at, message);
            break;
        };
        let at = rules_at.index(index);
        let draft = draft(&mut judge, rule, &at);
        if let Some(name) = draft.name
            && !names.insert(name)
        {
            // "This name MUST be unique within a Route if it is set."
            let message = format!("an earlier rule is named {name:?} too");
            judge.hint(&notes::REPEATED_NAME, &at.key("name"), message);
        }
        let rule = finish(&mut judge, number, draft, &at);
        compiled.extend(rule.map(|rule| Arc::new(Rule { idempotent, ..rule })));
    }
    judge.end_route(rules.len(), compiled)
}

/// Experimental GEP-3793. There are no default Gateways to attach to, and a route that asks for them
/// is not served as if it had not.
fn check_default_gateways<R>(judge: &mut Judge<'_, '_>, spec: &RouteSpec<R>) {
    match &spec.use_default_gateways {
        None | Some(DefaultScope::None) => {}
        Some(scope) => {
            let message = format!("default Gateways (scope {scope}) are not built yet");
            judge.refuse_route(
                &notes::UNSUPPORTED_FIELD,
                &SPEC.key("useDefaultGateways"),
                message,
            );
        }
    }
}

/// The rule for the tables. `None` if it has no match left, so that no request could be its.
fn finish(judge: &mut Judge<'_, '_>, index: u16, draft: Draft<'_>, at: &Field<'_>) -> Option<Rule> {
    let (prefix, is_empty) = match &draft.matches {
        Matches::Http(matches) => (
            matching::sole_prefix(draft.matches_written, matches),
            matches.is_empty(),
        ),
        Matches::Grpc(matches) => (None, matches.is_empty()),
    };
    let filters = filter::compile(judge, draft.filters, prefix, &at.key("filters"));
    let backends = backend::compile(judge, draft.backend_refs, prefix, &at.key("backendRefs"));
    check_whole(judge, &draft, at);
    let failure = match (judge.end_rule(at, !is_empty), filters.unresolved) {
        (true, _) => Some(INVALID_RULE),
        (false, true) => Some(UNRESOLVED_FILTER),
        (false, false) => None,
    };
    if failure.is_none() {
        advise(judge, &draft, at);
    }
    let rule = Rule {
        route: Arc::clone(&judge.context().route),
        index,
        name: draft.name.map(Arc::from),
        matches: draft.matches,
        filters: Filters::default(),
        backends: Vec::new(),
        timeouts: Timeouts::default(),
        retry: None,
        idempotent: false,
    };
    let rule = match failure {
        Some(reason) => Rule {
            filters: Filters::from(vec![filter::fail(reason)]),
            ..rule
        },
        None => Rule {
            filters: Filters::from(filters.filters),
            backends,
            timeouts: draft.timeouts,
            retry: draft.retry,
            ..rule
        },
    };
    (!is_empty).then_some(rule)
}

/// What is wrong with a rule as a whole.
fn check_whole(judge: &mut Judge<'_, '_>, draft: &Draft<'_>, at: &Field<'_>) {
    check_redirect(judge, draft, &at.key("filters"));
    if draft.session_persistence {
        let message = "session persistence is not built yet";
        let at = at.key("sessionPersistence");
        judge.drop_rule(
            Refusal::UnsupportedValue,
            &notes::UNSUPPORTED_FIELD,
            &at,
            message,
        );
    }
    if u16::try_from(draft.matches_written).is_err() {
        let message = format!("{} matches are more than 65,535", draft.matches_written);
        let at = at.key("matches");
        judge.drop_rule(Refusal::UnsupportedValue, &notes::TOO_MANY, &at, message);
    }
}

/// "RequestRedirect filter must not be used together with backendRefs" (CEL rule of HTTPRouteRule).
fn check_redirect(judge: &mut Judge<'_, '_>, draft: &Draft<'_>, at: &Field<'_>) {
    let redirect = draft
        .filters
        .iter()
        .position(|f| f.type_ == FilterType::RequestRedirect);
    if let Some(index) = redirect
        && !draft.backend_refs.is_empty()
    {
        let code = &notes::INCOMPATIBLE_FILTERS;
        let message = "RequestRedirect beside backendRefs, which no request would reach";
        judge.drop_rule(
            Refusal::IncompatibleFilters,
            code,
            &at.index(index),
            message,
        );
    }
}

/// Valid, but is it meant?
fn advise(judge: &mut Judge<'_, '_>, draft: &Draft<'_>, at: &Field<'_>) {
    if draft
        .filters
        .iter()
        .any(|filter| filter.type_ == FilterType::RequestRedirect)
    {
        return;
    }
    let at = at.key("backendRefs");
    if draft.backend_refs.is_empty() {
        judge.hint(&notes::NO_BACKENDS, &at, "no backend; requests answer 500");
    } else if draft
        .backend_refs
        .iter()
        .all(|reference| reference.weight == Some(0))
    {
        judge.hint(
            &notes::ALL_WEIGHTS_ZERO,
            &at,
            "no backend has a weight; requests answer 500",
        );
    }
}

#[cfg(test)]
mod tests;
