//! Programs of Weft in this kernel's network namespaces, with a scripted control plane.

mod node;
