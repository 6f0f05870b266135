//! What the admin endpoint shows of a run.

use std::sync::Arc;

use weft_proxy::{admin::State, standalone::DataPath};
use weft_telemetry::metrics::Registry;

use super::control::Shared;

/// The state of one run.
pub(crate) struct AdminState {
    registry: Registry,
    data_path: Arc<DataPath>,
    shared: Arc<Shared>,
}

impl AdminState {
    pub(super) fn new(registry: Registry, data_path: Arc<DataPath>, shared: Arc<Shared>) -> Self {
        Self {
            registry,
            data_path,
            shared,
        }
    }
}

impl State for AdminState {
    fn metrics(&self) -> String {
        self.registry.encode()
    }

    fn ready(&self) -> Result<(), String> {
        let (wanted, open) = (self.shared.view().sockets, self.data_path.sockets());
        if open < wanted {
            return Err(format!(
                "{open} of {wanted} sockets are open; standard error says why"
            ));
        }
        Ok(())
    }

    fn config(&self) -> String {
        let (generation, tables) = self.data_path.tables();
        let config = serde_json::json!({
            "version": 1,
            "generation": generation,
            "tables": &*tables,
            "listening": &*self.shared.view().state,
        });
        config.to_string()
    }
}
