//! How people and the authority of the mesh talk: annotations of its Secret. They are metadata, so
//! nobody has to be shown a key to give an order or to see how a rotation goes.

/// Name of the Secret, in the namespace of the control plane.
pub const SECRET: &str = "weft-ca";

/// An operator asks for another `root`, or for another `issuer` under the same root. The leader takes
/// it off when the rotation begins, and with every step: what is asked meanwhile is not kept.
pub const ROTATE: &str = "weft.dev/rotate";

/// An operator orders the next step (`force`) though not everybody has followed. The leader takes it
/// off with that step.
pub const STEP: &str = "weft.dev/rotation-step";

/// The phase of the rotation under way: `distribute`, `activate` or `retire`, as
/// [`Rotation`](weft_certs::Rotation) has them. Not there while there is none.
pub const PHASE: &str = "weft.dev/rotation-phase";

/// For people: who is waited for, or what is wrong. Taken off with the next step.
pub const STATUS: &str = "weft.dev/rotation-status";
