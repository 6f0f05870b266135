//! A Gateway with its listeners and the routes that name it; a class with its Gateways.

use weft_api::{
    Condition, ConditionStatus, ConditionType, GATEWAY_GROUP, Gateway, GatewayClass, Object,
    ObjectRef, reference::ParentReference, route::ParentStatus,
};
use weft_translate::Status;

use super::Section;
use crate::load::Loaded;

/// Facts and tables of an object.
pub(super) type Parts = (Vec<(&'static str, String)>, Vec<Section>);

/// A class and who uses it.
pub(super) fn of_class(loaded: &Loaded, class: &GatewayClass) -> Parts {
    let gateways = loaded.store.gateways().iter();
    let ours = gateways.filter(|it| it.spec.gateway_class_name == class.name());
    let rows = ours.map(|it| [it.key().to_string(), addresses(it)]);
    let facts = vec![("controller", class.spec.controller_name.clone())];
    let gateways = Section::new("Gateways", &["GATEWAY", "ADDRESSES"], rows.collect());
    (facts, vec![gateways])
}

fn addresses(gateway: &Gateway) -> String {
    let values = gateway.status.addresses.iter();
    let values: Vec<_> = values.filter_map(|it| it.value.as_deref()).collect();
    if values.is_empty() {
        "none yet".to_owned()
    } else {
        values.join(", ")
    }
}

/// A Gateway, what it listens on and what is attached to it.
pub(super) fn of_gateway(loaded: &Loaded, gateway: &Gateway) -> Parts {
    let facts = vec![
        ("class", gateway.spec.gateway_class_name.clone()),
        ("addresses", addresses(gateway)),
    ];
    let (head, rows) = listeners(loaded, gateway);
    let listeners = Section::new("listeners", head, rows);
    let head = &["ROUTE", "LISTENER", "ACCEPTED", "REFERENCES"];
    let routes = Section::new("routes", head, routes(loaded, gateway));
    (facts, vec![listeners, routes])
}

type Listeners = (&'static [&'static str; 6], Vec<[String; 6]>);

fn listeners(loaded: &Loaded, gateway: &Gateway) -> Listeners {
    let reference = ObjectRef::new(weft_api::Kind::Gateway, gateway.key());
    let status = loaded.output.statuses.get(&reference);
    let judged = match status.map(AsRef::as_ref) {
        Some(Status::Gateway(status)) => status.listeners.as_slice(),
        _ => &[],
    };
    let rows = gateway.spec.listeners.iter().map(|listener| {
        let judged = judged.iter().find(|it| it.name == listener.name);
        let attached = judged.map_or_else(|| "-".to_owned(), |it| it.attached_routes.to_string());
        let programmed = judged.map(|it| said(&it.conditions, ConditionType::Programmed));
        [
            listener.name.clone(),
            listener.port.to_string(),
            listener.protocol.to_string(),
            listener.hostname.clone().unwrap_or_else(|| "*".to_owned()),
            attached,
            programmed.unwrap_or_else(|| "not ours".to_owned()),
        ]
    });
    let head = &[
        "LISTENER",
        "PORT",
        "PROTOCOL",
        "HOSTNAME",
        "ROUTES",
        "PROGRAMMED",
    ];
    (head, rows.collect())
}

/// `yes`, or the reason why not.
pub(super) fn said(conditions: &[Condition], type_: ConditionType) -> String {
    match conditions.iter().find(|it| it.is(type_)) {
        Some(it) if it.status == ConditionStatus::True => "yes".to_owned(),
        Some(it) => format!("no: {}", it.reason),
        None => "-".to_owned(),
    }
}

/// Routes that name the Gateway as their parent, attached or not.
fn routes(loaded: &Loaded, gateway: &Gateway) -> Vec<[String; 4]> {
    let mut rows = Vec::new();
    for (object, status) in loaded.output.statuses.iter() {
        let Status::Route(status) = status.as_ref() else {
            continue;
        };
        let parents = status.parents.iter();
        let here = |it: &&ParentStatus| is_it(&it.parent_ref, gateway, object.key.namespace());
        rows.extend(parents.filter(here).map(|parent| {
            let section = parent.parent_ref.section_name.clone();
            let port = parent.parent_ref.port.map(|port| format!("port {port}"));
            [
                object.to_string(),
                section.or(port).unwrap_or_else(|| "every".to_owned()),
                said(&parent.conditions, ConditionType::Accepted),
                said(&parent.conditions, ConditionType::ResolvedRefs),
            ]
        }));
    }
    rows
}

fn is_it(reference: &ParentReference, gateway: &Gateway, route_namespace: &str) -> bool {
    let group = reference.group.as_deref().unwrap_or(GATEWAY_GROUP);
    let kind = reference.kind.as_deref().unwrap_or("Gateway");
    let namespace = reference.namespace.as_deref().unwrap_or(route_namespace);
    (group, kind) == (GATEWAY_GROUP, "Gateway")
        && namespace == gateway.namespace()
        && reference.name == gateway.name()
}
