//! Listeners of a Gateway that take a route: one sieve after the other.

use weft_api::{
    Reason,
    meta::{Labels, selects},
    reference::ParentReference,
};
use weft_store::Store;

use super::{Attaching, Attachment, Detached, detached, wanted};
use crate::{
    gateway::GatewayPlan,
    listener::{ListenerPlan, NamespaceRule},
    notes,
};

/// Label that the API server puts on every namespace; directories of files need not repeat it.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

type Sieved<'a> = Result<Vec<&'a ListenerPlan>, Detached>;

/// The listeners that take the route. The reason names the first sieve that lets none through:
/// section name and port, then kinds and namespaces, then whether they are served, then hostnames.
pub(super) fn listeners(
    store: &Store,
    plan: &GatewayPlan,
    route: Attaching<'_>,
    reference: &ParentReference,
) -> Result<Vec<Attachment>, Detached> {
    let listeners = named(plan, reference)?;
    let listeners = allowing(store, plan, route, listeners)?;
    let listeners = served(plan, listeners)?;
    let attach = |listener: &&ListenerPlan| {
        Some(Attachment {
            listener: listener.name.clone(),
            hostnames: route.hosts.within(listener.hostname.as_ref())?,
            serves: listener.serves(),
        })
    };
    let mut attached: Vec<_> = listeners.iter().filter_map(attach).collect();
    attached.shrink_to_fit();
    if attached.is_empty() {
        let message = format!(
            "Gateway {} serves none of the hostnames: {}",
            plan.name,
            few(listeners.iter().map(|listener| hosts(listener))),
        );
        let (code, reason) = (
            &notes::HOSTNAME_MISMATCH,
            Reason::NoMatchingListenerHostname,
        );
        return Err(detached(code, "spec.hostnames", reason, message));
    }
    Ok(attached)
}

fn named<'a>(plan: &'a GatewayPlan, reference: &ParentReference) -> Sieved<'a> {
    let named: Vec<_> = plan
        .listeners
        .iter()
        .filter(|it| is_named(it, reference))
        .collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let message = format!(
        "Gateway {} has no listener with {}; it has {}",
        plan.name,
        wanted(reference),
        few(plan.listeners.iter().map(place)),
    );
    let field = match reference.section_name {
        Some(_) => "sectionName",
        None => "port",
    };
    Err(detached(
        &notes::PARENT_SECTION,
        field,
        Reason::NoMatchingParent,
        message,
    ))
}

fn allowing<'a>(
    store: &Store,
    plan: &GatewayPlan,
    route: Attaching<'_>,
    listeners: Vec<&'a ListenerPlan>,
) -> Sieved<'a> {
    let allowing: Vec<_> = listeners
        .iter()
        .copied()
        .filter(|it| allows(store, plan, it, route))
        .collect();
    if !allowing.is_empty() {
        return Ok(allowing);
    }
    let message = format!(
        "no listener of Gateway {} allows a {} of namespace {} ({})",
        plan.name,
        route.kind,
        route.namespace,
        names(&listeners),
    );
    Err(detached(
        &notes::NOT_ALLOWED,
        "",
        Reason::NotAllowedByListeners,
        message,
    ))
}

fn served<'a>(plan: &GatewayPlan, listeners: Vec<&'a ListenerPlan>) -> Sieved<'a> {
    let reason = Reason::NoMatchingParent;
    if !plan.is_served() {
        let message = format!("Gateway {} is not accepted; see its status", plan.name);
        return Err(detached(&notes::PARENT_NOT_SERVED, "name", reason, message));
    }
    let served: Vec<_> = listeners
        .iter()
        .copied()
        .filter(|it| it.in_tables())
        .collect();
    if !served.is_empty() {
        return Ok(served);
    }
    let message = format!(
        "the listeners of Gateway {} that would take the route are not served ({})",
        plan.name,
        names(&listeners),
    );
    Err(detached(&notes::PARENT_NOT_SERVED, "name", reason, message))
}

/// Both `sectionName` and `port` have to fit, when given.
fn is_named(listener: &ListenerPlan, reference: &ParentReference) -> bool {
    let section = reference
        .section_name
        .as_deref()
        .filter(|name| !name.is_empty());
    section.is_none_or(|name| *listener.name == *name)
        && reference
            .port
            .is_none_or(|port| port == i32::from(listener.port))
}

fn allows(
    store: &Store,
    plan: &GatewayPlan,
    listener: &ListenerPlan,
    route: Attaching<'_>,
) -> bool {
    listener.kinds.contains(&route.kind)
        && match &listener.namespaces {
            NamespaceRule::All => true,
            NamespaceRule::Same => *plan.name.namespace == *route.namespace,
            NamespaceRule::Nobody => false,
            NamespaceRule::Selector(selector) => {
                let labels = namespace_labels(store, route.namespace);
                selects(selector, Some(&labels)).unwrap_or(false)
            }
        }
}

fn namespace_labels(store: &Store, namespace: &str) -> Labels {
    let mut labels = store
        .namespace_labels(namespace)
        .cloned()
        .unwrap_or_default();
    if !labels.contains_key(NAMESPACE_NAME_LABEL) {
        labels.insert(NAMESPACE_NAME_LABEL, namespace);
    }
    labels
}

/// A listener and the hosts it takes.
fn hosts(listener: &ListenerPlan) -> String {
    match &listener.hostname {
        Some(hostname) => format!("listener {:?} takes {hostname}", listener.name),
        None => format!("listener {:?} takes every host", listener.name),
    }
}

/// A listener and its port.
fn place(listener: &ListenerPlan) -> String {
    format!("{:?} on port {}", listener.name, listener.port)
}

/// The first of some words, and how many more there are: a Gateway holds up to 64 listeners.
fn few(words: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 8;
    let more = words.len().saturating_sub(SHOWN);
    let mut words: Vec<String> = words.take(SHOWN).collect();
    if more > 0 {
        words.push(format!("{more} more"));
    }
    if words.is_empty() {
        return "none".to_owned();
    }
    words.join(", ")
}

fn names(listeners: &[&ListenerPlan]) -> String {
    let names: Vec<_> = listeners
        .iter()
        .map(|listener| format!("{:?}", listener.name))
        .collect();
    let word = if names.len() == 1 {
        "listener"
    } else {
        "listeners"
    };
    format!("{word} {}", names.join(", "))
}
