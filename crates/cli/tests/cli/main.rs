//! The binary as users meet it: exit codes, output, and real connections.

mod commands;
mod standalone;
mod weft;
