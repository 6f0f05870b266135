//! Programs of Weft in this kernel's network namespaces: the supervisor of a node and its workers, and
//! the mesh they make.

mod authority;
mod deaths;
mod handover;
mod mesh_rules;
mod node;
mod outbound;
mod pair;
mod refusals;
mod running;
mod starting;
mod supervisor;
mod tunnels;
mod workers;
mod world;
