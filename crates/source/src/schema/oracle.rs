//! The rules of a schema as the CEL implementation of kube judges them. It decides; proofs only
//! spare most objects the time it takes.

use kube::core::cel::{self, CompiledSchema};
use serde_json::Value;

use super::check::Fault;

/// The compiled rules of one schema.
#[derive(Debug)]
pub(crate) struct Oracle {
    compiled: CompiledSchema,
}

impl Oracle {
    /// Compiles the rules. A rule that cannot be compiled refuses every object.
    pub(crate) fn new(schema: &Value) -> Self {
        Self {
            compiled: cel::compile_schema(schema),
        }
    }

    /// The rules that an object with defaults breaks, as it would be created.
    pub(crate) fn faults(&self, object: &Value) -> Vec<Fault> {
        let Err(errors) = cel::validate_compiled(&self.compiled, object, None) else {
            return Vec::new();
        };
        let fault = |error: cel::ValidationError| Fault {
            path: error.field_path,
            message: error.message,
            cure: None,
            unknown: false,
        };
        errors.into_iter().map(fault).collect()
    }
}
