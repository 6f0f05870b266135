//! The world of the demo: backends, a directory with one file of YAML, and a run that serves it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};
use weft_telemetry::access_log;
use weft_translate::ClassPolicy;

use super::backends::Backend;
use crate::{
    clock,
    exit::Failure,
    run::{self, Engine, Settings, State, View},
};

/// The file, with words in place of what is only known at the start.
const TEMPLATE: &str = include_str!("demo.yaml");
/// Longest wait for an edit to act.
const EDIT_LIMIT: Duration = Duration::from_secs(5);

/// Everything the demo runs. What it leaves behind is nothing: see [`World::end`].
pub(super) struct World {
    directory: TempDir,
    engine: Engine,
    views: watch::Receiver<Arc<View>>,
    backends: [Backend; 3],
    canary_percent: u8,
    /// The Gateway `shop/edge`.
    pub(super) gateway: SocketAddr,
    /// The Service `shop/web`, for clients of namespace `default`.
    pub(super) mesh: SocketAddr,
    /// The same for clients of namespace `pay`.
    pub(super) mesh_for_pay: SocketAddr,
}

impl World {
    /// Starts everything; the canary has no traffic yet.
    ///
    /// # Errors
    /// A system without ports, threads or temporary files.
    pub(super) async fn start() -> Result<Self, Failure> {
        let backends = [
            Backend::start("web-v1").await?,
            Backend::start("web-v2").await?,
            Backend::start("api").await?,
        ];
        let directory = tempfile::Builder::new().prefix("weft-demo-").tempdir()?;
        std::fs::create_dir(directory.path().join("yaml"))?;
        let file = file(&directory);
        run::replace(&file, &yaml(&backends, 0))?;
        let settings = Settings {
            files: vec![directory.path().join("yaml")],
            state_dir: directory.path().join("state"),
            open_addresses: Vec::new(),
            port_map: [].into(),
            client_namespace: "default".into(),
            classes: ClassPolicy::Every,
            workers: 0,
            access_log: access_log::Config {
                mode: access_log::Mode::Off,
                ..access_log::Config::default()
            },
            tells: false,
        };
        let engine = Engine::start(settings, &mut |_| {})?;
        let state = &engine.view().state;
        let places = places(state).ok_or_else(|| {
            Failure::errors("the demo's Gateway or Service has no address; please report this")
        })?;
        Ok(Self {
            views: engine.follow(),
            directory,
            engine,
            backends,
            canary_percent: 0,
            gateway: places.gateway,
            mesh: places.mesh,
            mesh_for_pay: places.mesh_for_pay,
        })
    }

    /// The file that is edited.
    pub(super) fn file(&self) -> PathBuf {
        file(&self.directory)
    }

    /// What the file says now.
    pub(super) fn yaml(&self) -> String {
        yaml(&self.backends, self.canary_percent)
    }

    /// Edits the weights of the file, by renaming a new version into its place, and waits until the
    /// edit acts. Returns how long that took.
    ///
    /// # Errors
    /// The file cannot be written, or the edit does not act.
    pub(super) async fn set_canary(&mut self, percent: u8) -> Result<Duration, Failure> {
        if std::mem::replace(&mut self.canary_percent, percent) == percent {
            return Ok(Duration::ZERO);
        }
        self.views.mark_unchanged();
        let started = clock::now();
        run::replace(&self.file(), &self.yaml())?;
        match timeout(EDIT_LIMIT, self.views.changed()).await {
            Ok(Ok(())) => Ok(clock::now().saturating_duration_since(started)),
            _ => Err(Failure::errors(format!(
                "an edit of {} did not act within {EDIT_LIMIT:?}",
                self.file().display()
            ))),
        }
    }

    /// Ends everything and removes every file.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(super) async fn end(self) -> Result<(), Failure> {
        let Self {
            directory,
            engine,
            views,
            backends,
            ..
        } = self;
        drop(views);
        engine.stop(Duration::from_secs(2)).await;
        drop(backends);
        Ok(directory.close()?)
    }
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("yaml").join("shop.yaml")
}

fn yaml(backends: &[Backend; 3], canary_percent: u8) -> String {
    let [v1, v2, api] = backends;
    TEMPLATE
        .replace(
            "STABLE_WEIGHT",
            &(100 - canary_percent.min(100)).to_string(),
        )
        .replace("CANARY_WEIGHT", &canary_percent.to_string())
        .replace("V1_PORT", &v1.address.port().to_string())
        .replace("V2_PORT", &v2.address.port().to_string())
        .replace("API_PORT", &api.address.port().to_string())
}

struct Places {
    gateway: SocketAddr,
    mesh: SocketAddr,
    mesh_for_pay: SocketAddr,
}

fn places(state: &State) -> Option<Places> {
    let gateway = state.gateways.get("shop/edge")?;
    let service = state.services.get("shop/web")?;
    let at = |address: Ipv4Addr, port| SocketAddr::new(IpAddr::V4(address), port);
    let mesh_port = *service.ports.get(&80)?;
    Some(Places {
        gateway: at(gateway.address, *gateway.ports.get(&8080)?),
        mesh: at(service.address, mesh_port),
        mesh_for_pay: at(*service.clients.get("pay")?, mesh_port),
    })
}
