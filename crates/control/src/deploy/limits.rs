//! What pods of a Gateway do not have, so that statuses refuse what needs it.

use weft_translate::Scope;

use super::ADMIN_PORT;

/// Why `wellKnownCACertificates: System` is refused: the proxies' image holds nothing but its program,
/// so that there is nobody to trust, and each such backend would answer 5xx.
const NO_PLATFORM: &str = "the proxies of a cluster have no certificate authorities of a platform; name \
                           those to trust in caCertificateRefs";
/// Why no listener can have [`ADMIN_PORT`].
const ADMIN_PORT_TAKEN: &str =
    "the pods of every Gateway have it for probes and metrics; use another one";

/// Has translation refuse the port of probes and the authorities of a platform.
pub fn limit(scope: &mut Scope) {
    scope
        .reserved_ports
        .insert(ADMIN_PORT, ADMIN_PORT_TAKEN.to_owned());
    scope.unusable_authorities.platform = Some(NO_PLATFORM.to_owned());
}
