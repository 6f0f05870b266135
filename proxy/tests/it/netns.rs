//! Nodes and pods in this kernel's network namespaces.

mod mesh;
mod outbound;
mod pods;
mod running;
mod supervisor;
mod tunnels;
mod workers;
mod world;
