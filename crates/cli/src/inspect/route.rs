//! A route: where it is attached, and its rules in the tables. Other kinds have verdicts alone.

use weft_api::ObjectRef;

use super::{Section, gateway::Parts};
use crate::{load::Loaded, routes};

/// The rules of a route in every table it stands in, in the order of precedence.
pub(super) fn of_route(loaded: &Loaded, reference: &ObjectRef) -> Parts {
    let is_route = reference.kind.as_str().ends_with("Route");
    if !is_route {
        return (Vec::new(), Vec::new());
    }
    let rows = routes::of_route(&loaded.output, &reference.to_string());
    let head = &["AT", "HOST", "MATCH", "RULE", "TO"];
    (Vec::new(), vec![Section::new("rules", head, rows)])
}
