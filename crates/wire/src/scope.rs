//! Which part of the configuration a subscriber is sent.

use weft_ir::Name;

/// What one subscriber needs of everything there is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Everything: what a configuration is saved and compared by.
    Everything,
    /// One Gateway, its routes, and the endpoints, certificates and authorities these refer to.
    Gateway(Name),
}

impl Scope {
    /// Whether a Gateway belongs to it.
    pub(crate) fn has_gateway(&self, name: &Name) -> bool {
        match self {
            Self::Everything => true,
            Self::Gateway(wanted) => wanted == name,
        }
    }

    /// Whether Services as mesh clients see them belong to it.
    pub(crate) fn has_services(&self) -> bool {
        *self == Self::Everything
    }

    /// Whether endpoints, certificates and authorities belong to it that nothing refers to.
    pub(crate) fn has_unreferenced(&self) -> bool {
        *self == Self::Everything
    }
}
