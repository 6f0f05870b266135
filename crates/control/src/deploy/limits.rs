//! What pods of a Gateway cannot do, so that statuses refuse what needs it.

use weft_translate::Scope;

use super::ADMIN_PORT;

/// Why no listener can have [`ADMIN_PORT`].
const ADMIN_PORT_TAKEN: &str =
    "the pods of every Gateway have it for probes and metrics; use another one";

/// Has translation refuse the port of probes.
pub fn limit(scope: &mut Scope) {
    scope
        .reserved_ports
        .insert(ADMIN_PORT, ADMIN_PORT_TAKEN.to_owned());
}
