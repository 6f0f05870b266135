//! The one integration-test binary of the workspace: it links once, and `cargo x test` runs its
//! modules as stages (`golden`, `tidy`, `standalone`; everything else is `integration`).

mod broken;
mod cluster_commands;
mod control;
mod coverage;
mod gateway_proxy;
mod generated;
mod golden;
mod helm;
mod kube_source;
mod monitoring;
mod netns;
mod standalone;
mod tidy;
mod wire_compat;
