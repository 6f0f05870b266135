//! Tests of the room as a whole: laws over generated configurations, behaviour towards newer
//! senders, the protocol under any interleaving, the saved form.

mod laws;
mod limits;
mod newer;
mod protocol;
mod saved;
mod sharing;
mod stream;
mod world;

use crate::{Assembler, Configuration, Disassembler, Scope, Snapshot};

/// A snapshot of everything.
fn snapshot(configuration: &Configuration) -> Snapshot {
    let mut disassembler = Disassembler::new(Scope::Everything);
    Snapshot::clone(disassembler.update(configuration))
}

/// An assembler that holds everything.
fn assembler(configuration: &Configuration) -> Assembler {
    let (assembler, applied) = Assembler::load(&snapshot(configuration));
    assert_eq!(
        applied.problems,
        [],
        "everything of this version is understood"
    );
    assembler
}
