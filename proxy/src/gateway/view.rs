//! What a gateway shows of itself: readiness, metrics, tables.

use std::{fmt::Write, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};
use weft_certs::RenewalStatus;
use weft_wire::Configuration;

use super::Event;
use crate::{
    admin::{EARLY, Merged, MetricsText, Readiness, State},
    control, dump,
};

/// Time for a worker to say its metrics.
const SCRAPE: Duration = Duration::from_secs(5);
/// Families of the parent, which its worker does not have.
const RESERVED: &[&str] = &[
    "weft_worker_ends",
    "weft_config_nacks",
    "weft_control_plane_connected",
];

/// The state of the parent at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// What is to be in force; `None` before the first.
    pub(super) configuration: Option<Configuration>,
    /// Counts configurations since the process started.
    pub(super) revision: u64,
    /// Whether the worker that runs serves them.
    pub(super) is_served: bool,
    /// Whether the process is ending.
    pub(super) is_leaving: bool,
    /// Whether a stream to the control plane has brought something.
    pub(super) is_connected: bool,
    /// Why there is no stream.
    pub(super) link_error: Option<String>,
    /// Workers that ended unasked.
    pub(super) worker_ends: u64,
    /// Changes the control plane was told not to have been understood whole.
    pub(super) nacks: u64,
}

/// [`View`] and what else the admin endpoint needs.
pub(super) struct AdminState {
    pub(super) view: watch::Receiver<View>,
    pub(super) renewal: watch::Receiver<RenewalStatus>,
    pub(super) events: mpsc::Sender<Event>,
    /// The control plane, and who the proxy is to it.
    pub(super) control: control::Settings,
}

impl State for AdminState {
    fn metrics(&self) -> MetricsText<'_> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let workers = async {
                self.events.send(Event::Scrape(answer)).await.ok()?;
                answered.await.ok()
            };
            let workers = tokio::time::timeout(SCRAPE, workers).await.ok().flatten();
            let mut merged = Merged::default();
            merged.own(&self.own_metrics());
            merged.worker(None, &workers.unwrap_or_default(), RESERVED);
            merged.into_text()
        })
    }

    fn ready(&self) -> Result<(), String> {
        let view = self.view.borrow().clone();
        if view.is_leaving {
            return Err("the proxy is ending".to_owned());
        }
        if view.is_served {
            return Ok(());
        }
        if view.configuration.is_some() {
            return Err("the worker has not taken the configuration yet".to_owned());
        }
        Err(self.waits_for(&view))
    }

    fn ready_soon(&self) -> Readiness<'_> {
        Box::pin(async move {
            let mut view = self.view.clone();
            let ready = async {
                while !view.borrow_and_update().is_leaving && self.ready().is_err() {
                    if view.changed().await.is_err() {
                        return;
                    }
                }
            };
            let _late = tokio::time::timeout(EARLY, ready).await;
            self.ready()
        })
    }

    fn config(&self) -> String {
        let view = self.view.borrow().clone();
        let identity = dump::identity(&self.control.identity(), &self.renewal.borrow());
        let number = view.configuration.is_some().then_some(view.revision);
        dump::config(number, view.configuration.as_ref(), &[identity])
    }

    fn log(&self, filter: &str) -> Result<(), String> {
        let told = self.events.try_send(Event::Log(filter.to_owned()));
        told.map_err(|_full| "the worker is too busy to hear it; try again".to_owned())
    }
}

impl AdminState {
    /// What keeps a proxy without configuration from having one.
    fn waits_for(&self, view: &View) -> String {
        let renewal = self.renewal.borrow().clone();
        let why = if renewal.not_after_unix_s.is_none() {
            let error = renewal.last_error.map(|error| error.to_string());
            error.unwrap_or_else(|| "a certificate is being asked for".to_owned())
        } else {
            let error = view.link_error.clone();
            error.unwrap_or_else(|| "the first configuration is on its way".to_owned())
        };
        format!(
            "waiting for the control plane at {}: {why}",
            self.control.host
        )
    }

    fn own_metrics(&self) -> String {
        let view = self.view.borrow().clone();
        let mut text = dump::identity_metrics(&self.control.identity(), &self.renewal.borrow());
        let mut family = |kind: &str, name: &str, help: &str, value: String| {
            let suffix = if kind == "counter" { "_total" } else { "" };
            // Writing to a string does not fail.
            let _written = write!(
                text,
                "# TYPE {name} {kind}\n# HELP {name} {help}\n{name}{suffix} {value}\n"
            );
        };
        family(
            "counter",
            "weft_worker_ends",
            "Worker processes that ended unasked and were replaced.",
            view.worker_ends.to_string(),
        );
        family(
            "counter",
            "weft_config_nacks",
            "Changes that were not put in force whole; the control plane was told.",
            view.nacks.to_string(),
        );
        family(
            "gauge",
            "weft_control_plane_connected",
            "Whether a configuration stream is open.",
            u8::from(view.is_connected).to_string(),
        );
        text
    }
}
