//! The binary as users meet it: exit codes, output, and real connections.

mod commands;
mod controller;
mod standalone;
mod weft;
