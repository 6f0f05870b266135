//! Routes: their rules, and the parents they hang below.

use std::sync::Arc;

use ciborium::Value;
use serde::{Deserialize, Serialize};
use weft_ir::{
    Filter, GrpcMatch, Hostname, HttpMatch, Matches, Name, RouteEntry, RouteId, RouteKind, Rule,
};

use super::{Decoded, field, of_value, part::Part, read};
use crate::{Key, Resource, ResourceError};

/// The set of routes that a route is part of: that of a listener, or of a group of a frontend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(crate) enum Parent {
    Listener {
        gateway: Name,
        /// Names of listeners are distinct within their Gateway.
        listener: Arc<str>,
    },
    Frontend {
        service: Name,
        port: u16,
        /// Namespace of the clients it acts for; `None` is the producer group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consumer: Option<Arc<str>>,
    },
}

/// A route as one of its parents has it.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub(crate) parent: Parent,
    pub(crate) entry: RouteEntry,
}

/// A route to be encoded: each parent with what it has of the route.
pub(crate) struct RouteParts<'a> {
    pub(crate) id: &'a RouteId,
    pub(crate) attached: Vec<(&'a Parent, &'a RouteEntry)>,
}

/// A route is compiled once per sort of parent, so that most have one form. Parents of one form share
/// its rules.
#[derive(Serialize)]
struct Body<'a> {
    forms: Vec<Form<'a>>,
}

#[derive(Serialize)]
struct Form<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<i64>,
    parents: Vec<Attachment<'a>>,
    rules: Vec<Part<&'a Rule>>,
}

#[derive(Serialize)]
struct Attachment<'a> {
    parent: &'a Parent,
    #[serde(skip_serializing_if = "<[Hostname]>::is_empty")]
    hostnames: &'a [Hostname],
}

#[derive(Deserialize)]
struct StoredBody {
    forms: Vec<StoredForm>,
}

#[derive(Deserialize)]
struct StoredForm {
    #[serde(default)]
    created: Option<i64>,
    parents: Vec<Value>,
    rules: Vec<Part<Value>>,
}

#[derive(Deserialize)]
struct StoredAttachment {
    parent: Parent,
    #[serde(default)]
    hostnames: Vec<Hostname>,
}

pub(crate) fn encode_route(route: &RouteParts<'_>) -> Result<Resource, ResourceError> {
    let mut forms: Vec<(&RouteEntry, Vec<Attachment<'_>>)> = Vec::new();
    for (parent, entry) in &route.attached {
        let attachment = Attachment {
            parent,
            hostnames: &entry.hostnames,
        };
        let is_alike = |(other, _): &&mut (&RouteEntry, Vec<Attachment<'_>>)| {
            other.created == entry.created && shares_rules(other, entry)
        };
        match forms.iter_mut().find(is_alike) {
            Some((_, attachments)) => attachments.push(attachment),
            None => forms.push((entry, vec![attachment])),
        }
    }
    let forms = forms
        .into_iter()
        .map(|(entry, parents)| Form {
            created: entry.created,
            parents,
            rules: entry.rules.iter().map(|rule| Part::new(&**rule)).collect(),
        })
        .collect();
    Resource::encode(Key::of_route(route.id), &Body { forms })
}

fn shares_rules(one: &RouteEntry, other: &RouteEntry) -> bool {
    one.rules.len() == other.rules.len()
        && (one.rules.iter().zip(&other.rules)).all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
}

/// A route as its parents have it. A rule that is not understood answers 500; a parent that is not
/// understood is left out.
pub(crate) fn decode_route(
    id: &Arc<RouteId>,
    body: &[u8],
) -> Result<Decoded<Vec<Attached>>, String> {
    let body: StoredBody = read(body)?;
    let mut attached = Vec::new();
    let mut problems = Vec::new();
    for form in &body.forms {
        let mut rules = Vec::with_capacity(form.rules.len());
        for part in &form.rules {
            rules.push(Arc::new(rule(id, part, &mut problems)?));
        }
        for parent in &form.parents {
            let StoredAttachment { parent, hostnames } = match of_value(parent) {
                Ok(attachment) => attachment,
                Err(error) => {
                    problems.push(format!("a parent is left out: {error}"));
                    continue;
                }
            };
            let entry = RouteEntry {
                hostnames,
                created: form.created,
                rules: rules.clone(),
            };
            attached.push(Attached { parent, entry });
        }
    }
    Ok(Decoded {
        value: attached,
        problems,
    })
}

fn rule(id: &Arc<RouteId>, part: &Part<Value>, problems: &mut Vec<String>) -> Result<Rule, String> {
    match part.read::<Rule>() {
        Ok(mut rule) => {
            // One allocation for the name of a route, as at the sender.
            rule.route = id.clone();
            let filters = rule.backends.iter().flat_map(|backend| &backend.filters);
            if (rule.filters.iter().chain(filters)).any(|it| *it == Filter::Unsupported) {
                problems.push(format!(
                    "rule {} has a filter that is not known here; it answers 500",
                    rule.index
                ));
            }
            Ok(rule)
        }
        Err(error) => {
            let index: Option<u16> = field(part.raw(), "index").and_then(|it| of_value(it).ok());
            let index = index.ok_or_else(|| format!("a rule cannot be read: {error}"))?;
            problems.push(format!("rule {index} answers 500: {error}"));
            let name = field(part.raw(), "name").and_then(|it| of_value(it).ok());
            let matches = matches(id.kind, field(part.raw(), "matches"));
            Ok(Rule::refusing(
                id.clone(),
                index,
                name.unwrap_or_default(),
                matches,
            ))
        }
    }
}

/// The matches of a rule that is not understood: those that are, and a placeholder for each of the
/// others.
fn matches(kind: RouteKind, sent: Option<&Value>) -> Matches {
    let list = |name| {
        let list = sent.and_then(|sent| field(sent, name));
        list.and_then(Value::as_array).map(Vec::as_slice)
    };
    if kind == RouteKind::Grpc {
        let read = |it| of_value(it).unwrap_or_else(|_| GrpcMatch::unsupported());
        let list = list("grpc").map(|list| list.iter().map(read).collect());
        Matches::Grpc(list.unwrap_or_else(|| vec![GrpcMatch::unsupported()]))
    } else {
        let read = |it| of_value(it).unwrap_or_else(|_| HttpMatch::unsupported());
        let list = list("http").map(|list| list.iter().map(read).collect());
        Matches::Http(list.unwrap_or_else(|| vec![HttpMatch::unsupported()]))
    }
}
