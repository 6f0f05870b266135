//! The `weft` program under test: built when first asked for, so that it is never an old one.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use weft_tests::binary;

/// Its path. `WEFT=path` tests a program that was built elsewhere; a relative path begins at the
/// package of the tests.
pub(super) fn weft() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = || binary::directory().join("weft");
        let program = std::env::var_os("WEFT").map_or_else(built, PathBuf::from);
        program.canonicalize().expect("there is such a program")
    })
}
