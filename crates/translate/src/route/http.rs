//! HTTPRoute.

use std::sync::LazyLock;

use weft_api::{HttpRoute, route::HttpRule};
use weft_ir::{Matches, RouteKind as IrKind};

use super::{CompiledRoute, RouteKind};
use crate::{
    context::CompileContext,
    field::Field,
    matching, policy,
    rule::{self, Draft},
    verdict::Judge,
};

/// The rules of a route that has none: one that takes every request (HTTPRouteSpec.rules).
static DEFAULT_RULES: LazyLock<[HttpRule; 1]> = LazyLock::new(Default::default);

impl RouteKind for HttpRoute {
    const ROUTE_KIND: IrKind = IrKind::Http;

    fn compile(&self, context: &mut CompileContext<'_>) -> CompiledRoute {
        let written = &self.spec.rules;
        let rules = if written.is_empty() {
            &DEFAULT_RULES[..]
        } else {
            written
        };
        rule::compile(Judge::new(context, Self::ROUTE_KIND), self, rules, draft)
    }
}

fn draft<'r>(judge: &mut Judge<'_, '_>, rule: &'r HttpRule, at: &Field<'_>) -> Draft<'r> {
    Draft {
        name: rule.name.as_deref(),
        matches: Matches::Http(matching::http(judge, &rule.matches, &at.key("matches"))),
        matches_written: rule.matches.len(),
        filters: &rule.filters,
        backend_refs: &rule.backend_refs,
        session_persistence: rule.session_persistence.is_some(),
        timeouts: policy::timeouts(judge, rule.timeouts.as_deref(), &at.key("timeouts")),
        retry: policy::retry(judge, rule.retry.as_deref(), &at.key("retry")),
    }
}
