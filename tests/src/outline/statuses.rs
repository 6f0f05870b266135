//! Statuses: one line per condition; messages only where something is wrong.

use std::{collections::BTreeSet, fmt::Write};

use weft_api::{
    Condition, ConditionStatus, ObjectRef,
    gateway::{ClassStatus, GatewayStatus, ListenerStatus},
    reference::ParentReference,
};
use weft_translate::{Output, Status};

/// Statuses of the objects in `own`, in the order of kinds and names.
pub(super) fn statuses(output: &Output, own: &BTreeSet<ObjectRef>) -> String {
    let mut text = String::new();
    for (object, status) in output
        .statuses
        .iter()
        .filter(|(object, _)| own.contains(object))
    {
        match &**status {
            Status::GatewayClass(class) | Status::Mesh(class) => {
                let _ = writeln!(text, "{object}");
                class_status(&mut text, class);
            }
            Status::Gateway(gateway) => {
                let _ = writeln!(text, "{object}");
                gateway_status(&mut text, gateway);
            }
            Status::ListenerSet(set) => {
                let _ = writeln!(text, "{object}");
                conditions(&mut text, "  ", &set.conditions, Tell::Faults);
                listeners(&mut text, &set.listeners);
            }
            Status::Route(route) => {
                if route.parents.is_empty() {
                    let _ = writeln!(text, "{object} has no parent here");
                }
                for parent in &route.parents {
                    let to = reference(&parent.parent_ref);
                    let by = parent.controller_name.trim_start_matches("weft.dev/");
                    let _ = writeln!(text, "{object} under {to} ({by})");
                    conditions(&mut text, "  ", &parent.conditions, Tell::Where);
                }
            }
            Status::Policy(policy) => {
                if policy.ancestors.is_empty() {
                    let _ = writeln!(text, "{object} has no ancestor here");
                }
                for ancestor in &policy.ancestors {
                    let _ = writeln!(text, "{object} for {}", reference(&ancestor.ancestor_ref));
                    conditions(&mut text, "  ", &ancestor.conditions, Tell::Faults);
                }
            }
        }
    }
    text
}

fn class_status(text: &mut String, class: &ClassStatus) {
    conditions(text, "  ", &class.conditions, Tell::Faults);
    for names in class.supported_features.chunks(3) {
        let names: Vec<&str> = names.iter().map(|feature| feature.name.as_str()).collect();
        let _ = writeln!(text, "  features {}", names.join(" "));
    }
}

fn gateway_status(text: &mut String, gateway: &GatewayStatus) {
    conditions(text, "  ", &gateway.conditions, Tell::Faults);
    for address in &gateway.addresses {
        let _ = writeln!(
            text,
            "  address {}",
            address.value.as_deref().unwrap_or("none")
        );
    }
    listeners(text, &gateway.listeners);
}

fn listeners(text: &mut String, listeners: &[ListenerStatus]) {
    for listener in listeners {
        let kinds: Vec<&str> = listener
            .supported_kinds
            .iter()
            .map(|kind| kind.kind.as_str())
            .collect();
        let (name, attached) = (&listener.name, listener.attached_routes);
        let kinds = if kinds.is_empty() {
            "no kind".to_owned()
        } else {
            kinds.join(" ")
        };
        let _ = write!(
            text,
            "  listener {name}: {attached} attached, takes {kinds}"
        );
        // Four good conditions per listener would bury the bad ones.
        match listener.conditions.iter().all(is_good) {
            true => text.push_str(", good\n"),
            false => {
                text.push('\n');
                conditions(text, "    ", &listener.conditions, Tell::Faults);
            }
        }
    }
}

/// Which messages are printed.
#[derive(Clone, Copy, PartialEq)]
enum Tell {
    /// What is wrong.
    Faults,
    /// Also where an accepted route acts, and where it does not.
    Where,
}

fn conditions(text: &mut String, indent: &str, conditions: &[Condition], tell: Tell) {
    for condition in conditions {
        let Condition {
            type_,
            status,
            reason,
            message,
            observed_generation,
            ..
        } = condition;
        let _ = write!(text, "{indent}{type_}={status:?} {reason}");
        if let Some(generation) = observed_generation {
            let _ = write!(text, " @{generation}");
        }
        let news = tell == Tell::Where && type_ == "Accepted";
        if (news || !is_good(condition)) && !message.is_empty() {
            let _ = write!(text, ": {message}");
        }
        text.push('\n');
    }
}

/// Whether the condition says what everybody hopes for.
fn is_good(condition: &Condition) -> bool {
    let wanted = match condition.type_.as_str() {
        "Conflicted" | "OverlappingTLSConfig" => ConditionStatus::False,
        "PartiallyInvalid" => ConditionStatus::Unknown,
        _ => ConditionStatus::True,
    };
    condition.status == wanted && condition.reason != "ListenersNotValid"
}

fn reference(parent: &ParentReference) -> String {
    let mut text = parent.kind.clone().unwrap_or_else(|| "Gateway".to_owned());
    text.push(' ');
    if let Some(namespace) = &parent.namespace {
        let _ = write!(text, "{namespace}/");
    }
    text.push_str(&parent.name);
    if let Some(section) = &parent.section_name {
        let _ = write!(text, " section {section}");
    }
    if let Some(port) = parent.port {
        let _ = write!(text, " port {port}");
    }
    text
}
