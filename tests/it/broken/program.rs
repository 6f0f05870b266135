//! The `weft` program under test: built when first asked for, so that it is never an old one.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// Its path. `WEFT=path` tests a program that was built elsewhere; a relative path begins at the
/// package of the tests.
pub(super) fn weft() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = std::env::var_os("WEFT").map_or_else(build, PathBuf::from);
        program.canonicalize().expect("there is such a program")
    })
}

/// Builds it with the cargo that runs the tests, which knows where the program ends up.
fn build() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--package", "weft-cli"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "weft does not build");
    let messages = String::from_utf8(output.stdout).expect("messages of cargo are text");
    let mut programs = messages.lines().rev().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    programs.next().expect("weft-cli has a program")
}
