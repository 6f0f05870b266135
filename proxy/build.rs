//! Generates the client stubs of the control plane's services; `wire` has their messages.

use std::error::Error;

const PROTO: &str = "../crates/wire/proto";
const FILES: [&str; 2] = [
    "weft/config/v1/config.proto",
    "weft/identity/v1/identity.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .extern_path(".weft.config.v1", "::weft_wire::proto::config")
        .extern_path(".weft.identity.v1", "::weft_wire::proto::identity")
        .compile_fds(protox::compile(FILES, [PROTO])?)?;
    Ok(())
}
