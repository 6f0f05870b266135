//! `CORS` (GEP-1767).

use std::fmt;

use weft_ir::{AllowList, OriginPattern};

use crate::{
    field::{Field, Quoted},
    notes,
    verdict::{Judge, Refusal},
};

/// Compiles a CORS filter.
pub(super) fn compile(
    judge: &mut Judge<'_, '_>,
    cors: &weft_api::filter::Cors,
    at: &Field<'_>,
) -> Option<weft_ir::Cors> {
    let allow_origins = origins(judge, &cors.allow_origins, &at.key("allowOrigins"));
    let methods_at = at.key("allowMethods");
    lone_star(judge, &cors.allow_methods, &methods_at);
    let allow_methods = names(judge, &cors.allow_methods, &methods_at);
    let headers_at = at.key("allowHeaders");
    lone_star(judge, &cors.allow_headers, &headers_at);
    let allow_headers = names(judge, &cors.allow_headers, &headers_at);
    let expose_headers = names(judge, &cors.expose_headers, &at.key("exposeHeaders"));
    let max_age = match u32::try_from(cors.max_age()) {
        Ok(seconds @ 1..) => Some(seconds),
        _ => {
            let message = format!("{} is not 1 or more", cors.max_age());
            refuse(judge, &at.key("maxAge"), message);
            None
        }
    };
    Some(weft_ir::Cors {
        allow_origins: allow_origins?,
        allow_credentials: cors.allow_credentials == Some(true),
        allow_methods: allow_methods?,
        allow_headers: allow_headers?,
        expose_headers: expose_headers?,
        max_age: max_age?,
    })
}

fn origins(
    judge: &mut Judge<'_, '_>,
    list: &[String],
    at: &Field<'_>,
) -> Option<Vec<OriginPattern>> {
    lone_star(judge, list, at);
    let mut origins = Vec::with_capacity(list.len());
    for (index, origin) in list.iter().enumerate() {
        match OriginPattern::parse(origin) {
            Ok(origin) => origins.push(origin),
            Err(error) => {
                let message = format!("{} is not an origin: {error}", Quoted(origin));
                refuse(judge, &at.index(index), message);
            }
        }
    }
    (origins.len() == list.len()).then_some(origins)
}

fn names(judge: &mut Judge<'_, '_>, list: &[String], at: &Field<'_>) -> Option<AllowList> {
    match AllowList::new(list.iter().map(String::as_str)) {
        Ok(list) => Some(list),
        Err(error) => {
            refuse(judge, at, error);
            None
        }
    }
}

/// "cannot contain '*' alongside other" entries (CEL rules of HTTPCORSFilter).
fn lone_star(judge: &mut Judge<'_, '_>, list: &[String], at: &Field<'_>) {
    if list.len() > 1 && list.iter().any(|entry| entry == "*") {
        refuse(judge, at, "\"*\" stands beside other entries");
    }
}

fn refuse(judge: &mut Judge<'_, '_>, at: &Field<'_>, message: impl fmt::Display) {
    judge.drop_rule(
        Refusal::UnsupportedValue,
        &notes::INVALID_FILTER,
        at,
        message,
    );
}
