//! Generates the server halves of the services of `wire`, and the client of the one that replicas
//! serve each other; the messages are those of `wire`.

use std::error::Error;

const PROTO: &str = "../wire/proto";
const FILES: [&str; 2] = [
    "weft/config/v1/config.proto",
    "weft/identity/v1/identity.proto",
];

const REPLICAS: &str = "weft/replicas/v1/replicas.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    tonic_prost_build::configure()
        .build_transport(false)
        .extern_path(".weft.replicas.v1", "::weft_wire::proto::replicas")
        .compile_fds(protox::compile([REPLICAS], [PROTO])?)?;
    let descriptors = protox::compile(FILES, [PROTO])?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".weft.config.v1", "::weft_wire::proto::config")
        .extern_path(".weft.identity.v1", "::weft_wire::proto::identity")
        .compile_fds(descriptors)?;
    Ok(())
}
