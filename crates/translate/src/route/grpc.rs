//! GRPCRoute. Its rules have neither time limits nor retries (GEP-1731 gives them to HTTPRoute alone).

use weft_api::{GrpcRoute, route::GrpcRule};
use weft_ir::{Matches, RouteKind as IrKind, Timeouts};

use super::{CompiledRoute, RouteKind};
use crate::{
    context::CompileContext,
    field::Field,
    matching,
    rule::{self, Draft},
    verdict::Judge,
};

impl RouteKind for GrpcRoute {
    const ROUTE_KIND: IrKind = IrKind::Grpc;

    fn compile(&self, context: &mut CompileContext<'_>) -> CompiledRoute {
        rule::compile(
            Judge::new(context, Self::ROUTE_KIND),
            self,
            &self.spec.rules,
            draft,
        )
    }
}

fn draft<'r>(judge: &mut Judge<'_, '_>, rule: &'r GrpcRule, at: &Field<'_>) -> Draft<'r> {
    Draft {
        name: rule.name.as_deref(),
        matches: Matches::Grpc(matching::grpc(judge, &rule.matches, &at.key("matches"))),
        matches_written: rule.matches.len(),
        filters: &rule.filters,
        backend_refs: &rule.backend_refs,
        session_persistence: rule.session_persistence.is_some(),
        timeouts: Timeouts::default(),
        retry: None,
    }
}
