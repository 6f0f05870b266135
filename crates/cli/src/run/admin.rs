//! What the admin endpoint shows of a run.

use std::sync::{Arc, Mutex, PoisonError};

use weft_proxy::{
    admin::{MetricsText, State},
    standalone::DataPath,
};
use weft_telemetry::metrics::Registry;

use super::control::Shared;

/// The state of one run.
pub(crate) struct AdminState {
    registry: Registry,
    data_path: Arc<DataPath>,
    shared: Arc<Shared>,
    /// The last answer about readiness that was not given in the middle of a change.
    settled: Mutex<Result<(), String>>,
}

impl AdminState {
    pub(super) fn new(registry: Registry, data_path: Arc<DataPath>, shared: Arc<Shared>) -> Self {
        Self {
            registry,
            data_path,
            shared,
            settled: Mutex::new(Ok(())),
        }
    }
}

impl State for AdminState {
    fn metrics(&self) -> MetricsText<'_> {
        Box::pin(std::future::ready(self.registry.encode()))
    }

    fn ready(&self) -> Result<(), String> {
        let view = self.shared.view();
        let (wanted, open) = (view.sockets, self.data_path.sockets());
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        // Sockets are closed and opened before the view says so; counts of two configurations
        // cannot be compared. The generation is asked for last: it is set before sockets are seen.
        if self.data_path.tables().0 == view.generation {
            *settled = if open < wanted {
                Err(format!(
                    "{open} of {wanted} sockets are open; standard error says why"
                ))
            } else {
                Ok(())
            };
        }
        settled.clone()
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
