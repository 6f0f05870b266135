//! Filters of rules and of backends, from the API's form to the tables' form.
//!
//! A filter is honoured or its rule answers 500: there is no third way. The HTTPRoute documentation
//! puts it as "the filter MUST NOT be skipped".

mod cors;
mod headers;
mod mirror;
mod path;

use weft_api::{
    filter::{Filter, FilterType},
    reference::ObjectReference,
};
use weft_ir::{Fail, RouteKind};

use crate::{
    field::{Field, Quoted},
    notes,
    verdict::{Judge, Refusal, Unresolved},
};

/// The filters of one rule or backend.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// In list order.
    pub(crate) filters: Vec<weft_ir::Filter>,
    /// One of them refers to something that does not exist here: what they are for must fail.
    pub(crate) unresolved: bool,
}

/// Compiles a list of filters. `prefix` is what ReplacePrefixMatch replaces, see
/// [`sole_prefix`](crate::matching::sole_prefix).
pub(crate) fn compile(
    judge: &mut Judge<'_, '_>,
    list: &[Filter],
    prefix: Option<&str>,
    at: &Field<'_>,
) -> Compiled {
    let mut compiled = Compiled {
        filters: Vec::with_capacity(list.len()),
        unresolved: false,
    };
    for (index, filter) in list.iter().enumerate() {
        let at = at.index(index);
        if !is_allowed(judge.kind(), &filter.type_) {
            let message = format!(
                "{} is no filter of {}",
                Quoted(filter.type_.as_str()),
                judge.kind()
            );
            judge.refuse_route(&notes::UNSUPPORTED_FILTER, &at.key("type"), message);
        } else if !is_well_formed(judge, filter, &at) {
            // Said; there is nothing to compile.
        } else if let Some(reference) = &filter.extension_ref {
            extension(judge, reference, &at.key("extensionRef"));
            compiled.unresolved = true;
        } else {
            compiled.filters.extend(one(judge, filter, prefix, &at));
        }
    }
    check_company(judge, list, at);
    compiled
}

/// The filter of a rule that answers 500 instead of being served. `reason` is the stable word of
/// logs and metrics.
pub(crate) fn fail(reason: &'static str) -> weft_ir::Filter {
    weft_ir::Filter::Fail(Fail {
        status: 500,
        reason: reason.into(),
    })
}

/// Compiles a well-formed filter of a type that the kind has.
fn one(
    judge: &mut Judge<'_, '_>,
    filter: &Filter,
    prefix: Option<&str>,
    at: &Field<'_>,
) -> Option<weft_ir::Filter> {
    match filter.type_ {
        FilterType::RequestHeaderModifier => {
            let modifier = filter.request_header_modifier.as_deref()?;
            headers::compile(judge, modifier, &at.key("requestHeaderModifier"))
                .map(weft_ir::Filter::RequestHeaders)
        }
        FilterType::ResponseHeaderModifier => {
            let modifier = filter.response_header_modifier.as_deref()?;
            headers::compile(judge, modifier, &at.key("responseHeaderModifier"))
                .map(weft_ir::Filter::ResponseHeaders)
        }
        FilterType::RequestMirror => {
            let mirror = filter.request_mirror.as_deref()?;
            mirror::compile(judge, mirror, &at.key("requestMirror")).map(weft_ir::Filter::Mirror)
        }
        FilterType::RequestRedirect => {
            let redirect = filter.request_redirect.as_deref()?;
            path::redirect(judge, redirect, prefix, &at.key("requestRedirect"))
                .map(weft_ir::Filter::Redirect)
        }
        FilterType::UrlRewrite => {
            let rewrite = filter.url_rewrite.as_deref()?;
            path::rewrite(judge, rewrite, prefix, &at.key("urlRewrite"))
                .map(weft_ir::Filter::Rewrite)
        }
        FilterType::Cors => {
            let cors = filter.cors.as_deref()?;
            cors::compile(judge, cors, &at.key("cors")).map(weft_ir::Filter::Cors)
        }
        FilterType::ExternalAuth => {
            let code = &notes::UNSUPPORTED_FILTER;
            let message = "ExternalAuth is not built yet, and nothing is served without it";
            judge.drop_rule(Refusal::UnsupportedValue, code, &at.key("type"), message);
            None
        }
        // The caller has dealt with these.
        FilterType::ExtensionRef | FilterType::Unknown(_) => None,
    }
}

/// The types of the kind's own enum (HTTPRouteFilterType, GRPCRouteFilterType).
fn is_allowed(kind: RouteKind, type_: &FilterType) -> bool {
    match type_ {
        FilterType::Unknown(_) => false,
        FilterType::RequestHeaderModifier
        | FilterType::ResponseHeaderModifier
        | FilterType::RequestMirror
        | FilterType::ExtensionRef => true,
        _ => kind == RouteKind::Http,
    }
}

/// Whether exactly the field that the type names is set (CEL rules of HTTPRouteFilter: "must be
/// specified for", "must be nil if the filter.type is not").
fn is_well_formed(judge: &mut Judge<'_, '_>, filter: &Filter, at: &Field<'_>) -> bool {
    let fields = [
        (
            FilterType::RequestHeaderModifier,
            filter.request_header_modifier.is_some(),
        ),
        (
            FilterType::ResponseHeaderModifier,
            filter.response_header_modifier.is_some(),
        ),
        (FilterType::RequestMirror, filter.request_mirror.is_some()),
        (
            FilterType::RequestRedirect,
            filter.request_redirect.is_some(),
        ),
        (FilterType::UrlRewrite, filter.url_rewrite.is_some()),
        (FilterType::Cors, filter.cors.is_some()),
        (FilterType::ExternalAuth, filter.external_auth.is_some()),
        (FilterType::ExtensionRef, filter.extension_ref.is_some()),
    ];
    let mut well_formed = true;
    for (type_, is_set) in fields {
        let is_meant = type_ == filter.type_;
        if is_set != is_meant {
            let verb = if is_set { "has" } else { "lacks" };
            let message = format!("type {} {verb} the settings of {type_}", filter.type_);
            judge.drop_rule(
                Refusal::UnsupportedValue,
                &notes::INVALID_FILTER,
                at,
                message,
            );
            well_formed = false;
        }
    }
    well_formed
}

/// Filters that may not stand together: all but mirrors and extensions are single, and a request is
/// either redirected or rewritten (HTTPRouteRule.filters).
fn check_company(judge: &mut Judge<'_, '_>, list: &[Filter], at: &Field<'_>) {
    for (index, filter) in list.iter().enumerate() {
        let earlier = list.iter().take(index).map(|earlier| &earlier.type_);
        let problem = match &filter.type_ {
            FilterType::RequestMirror | FilterType::ExtensionRef | FilterType::Unknown(_) => None,
            type_ if earlier.clone().any(|earlier| earlier == type_) => {
                Some(format!("a second {type_}; one list holds at most one"))
            }
            FilterType::RequestRedirect
                if earlier.clone().any(|t| *t == FilterType::UrlRewrite) =>
            {
                Some("RequestRedirect beside URLRewrite".to_owned())
            }
            FilterType::UrlRewrite
                if earlier.clone().any(|t| *t == FilterType::RequestRedirect) =>
            {
                Some("URLRewrite beside RequestRedirect".to_owned())
            }
            _ => None,
        };
        if let Some(problem) = problem {
            let code = &notes::INCOMPATIBLE_FILTERS;
            judge.drop_rule(
                Refusal::IncompatibleFilters,
                code,
                &at.index(index),
                problem,
            );
        }
    }
}

/// A filter of another vendor: "If a reference to a custom filter type cannot be resolved, the
/// filter MUST NOT be skipped. Instead, requests that would have been processed by that filter MUST
/// receive a HTTP error response."
fn extension(judge: &mut Judge<'_, '_>, reference: &ObjectReference, at: &Field<'_>) {
    let message = format!(
        "no filter of kind {} in group {} is known; requests it is for answer 500",
        Quoted(&reference.kind),
        Quoted(&reference.group)
    );
    judge.unresolved(Unresolved::InvalidKind, &notes::REFERENCE_KIND, at, message);
}

/// A value of a closed enum inside a filter that this version does not know: "must result in the
/// implementation setting the Accepted Condition for the Route to `status: False`".
fn unknown(judge: &mut Judge<'_, '_>, what: &str, text: &str, at: &Field<'_>) {
    let message = format!("{what} {} is not known", Quoted(text));
    judge.refuse_route(&notes::UNSUPPORTED_VALUE, at, message);
}
