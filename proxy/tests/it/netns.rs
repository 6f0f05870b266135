//! Nodes and pods in this kernel's network namespaces.

mod pods;
mod supervisor;
mod workers;
