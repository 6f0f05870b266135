//! Parts of a body that fail alone.

use ciborium::Value;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A part of a body, and what its reader has to know.
///
/// Readers ignore fields they do not know, which is right for additions that may be ignored and
/// wrong for those that narrow or protect: a rule whose authorisation is ignored is open. A part that
/// uses such an addition names it in `needs`, and a reader that does not know the name refuses the
/// part. This version knows no name, hence writes none.
#[derive(Serialize, Deserialize)]
pub(super) struct Part<T> {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    needs: Vec<String>,
    is: T,
}

impl<T> Part<T> {
    pub(super) fn new(is: T) -> Self {
        Self {
            needs: Vec::new(),
            is,
        }
    }
}

impl Part<Value> {
    /// The part as a value of this version.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        match self.needs.first() {
            Some(need) => Err(format!(
                "needs \"{need}\", which this version does not know"
            )),
            None => super::of_value(&self.is),
        }
    }

    /// The part as it was sent, to save from it what can be saved.
    pub(super) fn raw(&self) -> &Value {
        &self.is
    }
}
