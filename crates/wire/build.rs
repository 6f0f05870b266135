//! Generates the protobuf messages of `proto/`, without a protoc binary.
//!
//! Services are in the same files and are left out here: stubs need an async runtime, which this
//! room does not have (see the crate documentation for how they are generated elsewhere).

use std::error::Error;

const FILES: [&str; 3] = [
    "weft/config/v1/config.proto",
    "weft/identity/v1/identity.proto",
    "weft/replicas/v1/replicas.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    prost_build::Config::new()
        .bytes(["."])
        .btree_map(["."])
        // Bodies may hold keys; `Debug` of this message is written by hand.
        .skip_debug([".weft.config.v1.Resource"])
        .compile_fds(descriptors)?;
    Ok(())
}
