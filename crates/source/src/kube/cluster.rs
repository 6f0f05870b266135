//! The connection to an API server: how it is found, who we are there, and one request at a time.

mod error;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use super::clock::instant;
pub(crate) use error::ApiError;
pub use error::ConnectError;

/// So long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Credentials are read again at most so often when they are refused.
const REFUSED_INTERVAL: Duration = Duration::from_secs(1);
/// And so often when there is no connection, which mostly has other reasons.
const UNREACHABLE_INTERVAL: Duration = Duration::from_secs(5);
/// Most bytes of an error that are read.
const ERROR_MAX_BYTES: usize = 64 * 1024;

/// Which cluster to talk to. The default is the one `kubectl` would use; in a pod, the one it
/// runs in.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// A kubeconfig file, instead of the one of `KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it, instead of the current one.
    pub context: Option<String>,
}

/// A cluster's API server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Cluster(Arc<Shared>);

struct Shared {
    access: Access,
    url: String,
    namespace: String,
    /// Held only to clone or replace the client.
    client: Mutex<Current>,
}

struct Current {
    client: Client,
    /// Counts clients.
    generation: u64,
    since: tokio::time::Instant,
}

impl Cluster {
    /// Finds the cluster and reads the credentials. Nothing is sent yet: an API server that is
    /// away is a matter of waiting, a wrong file is not.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] names the file and what is wrong with it.
    pub async fn connect(access: Access) -> Result<Self, ConnectError> {
        let config = configure(&access).await?;
        let url = config.cluster_url.to_string();
        let namespace = config.default_namespace.clone();
        let client = client(config, &access)?;
        Ok(Self(Arc::new(Shared {
            access,
            url,
            namespace,
            client: Mutex::new(Current {
                client,
                generation: 0,
                since: instant(),
            }),
        })))
    }

    /// Address of the API server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The namespace of the context, or of the pod this runs in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Sends a request and gives the response once its head is there, if it is a good one.
    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, ApiError> {
        let (client, generation) = {
            let current = self.current();
            (current.client.clone(), current.generation)
        };
        let sent = client.send(request.map(Body::from)).await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                // Perhaps the server has a new certificate, and a file its issuer.
                self.renew(generation, UNREACHABLE_INTERVAL).await;
                return Err(ApiError::unreachable(error));
            }
        };
        let code = response.status();
        let is_other = [StatusCode::NOT_MODIFIED, StatusCode::SWITCHING_PROTOCOLS].contains(&code);
        if code.is_success() || is_other {
            return Ok(response);
        }
        if code == StatusCode::UNAUTHORIZED {
            self.renew(generation, REFUSED_INTERVAL).await;
        }
        let (parts, body) = response.into_parts();
        let text = collect(body, ERROR_MAX_BYTES).await.unwrap_or_default();
        Err(ApiError::refused(&parts, &text))
    }

    /// Sends a request and reads the whole answer, all within a time.
    pub(super) async fn fetch(
        &self,
        request: Request<Vec<u8>>,
        limits: Limits,
    ) -> Result<Response<BytesMut>, ApiError> {
        let all = async {
            let (parts, body) = self.send(request).await?.into_parts();
            let body = collect(body, limits.bytes).await?;
            Ok(Response::from_parts(parts, body))
        };
        tokio::time::timeout(limits.time, all)
            .await
            .unwrap_or(Err(ApiError::Silent(limits.time)))
    }

    /// Sends a request and reads an answer in JSON.
    pub(super) async fn json(
        &self,
        request: Request<Vec<u8>>,
        limits: Limits,
    ) -> Result<Value, ApiError> {
        let response = self.fetch(request, limits).await?;
        serde_json::from_slice(response.body()).map_err(ApiError::Unreadable)
    }

    /// Makes a new client from the files as they are now, unless somebody has done so meanwhile.
    /// Tokens and certificates change under a running process.
    async fn renew(&self, failed: u64, interval: Duration) {
        let is_due = |current: &Current| {
            current.generation == failed && current.since + interval <= instant()
        };
        if !is_due(&self.current()) {
            return;
        }
        let made = match configure(&self.0.access).await {
            Ok(config) => client(config, &self.0.access),
            Err(error) => Err(error),
        };
        match made {
            Ok(client) => {
                let mut current = self.current();
                if is_due(&current) {
                    *current = Current {
                        client,
                        generation: failed + 1,
                        since: instant(),
                    };
                }
            }
            Err(error) => tracing::warn!("credentials stay as they were read before: {error}"),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster").field(&self.0.url).finish()
    }
}

/// What an answer may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) bytes: usize,
}

async fn collect(mut body: Body, max_bytes: usize) -> Result<BytesMut, ApiError> {
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(ApiError::unreachable)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if collected.len() + data.remaining() > max_bytes {
            return Err(ApiError::TooLarge(max_bytes));
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected)
}

/// The settings of a named file; of the user's files; of the pod.
async fn configure(access: &Access) -> Result<Config, ConnectError> {
    let options = KubeConfigOptions {
        context: access.context.clone(),
        ..KubeConfigOptions::default()
    };
    if let Some(path) = &access.kubeconfig {
        let file = |source| ConnectError::Kubeconfig {
            file: path.display().to_string(),
            source: Box::new(source),
        };
        let kubeconfig = Kubeconfig::read_from(path).map_err(file)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        return config.map_err(file);
    }
    let named = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty());
    let home = std::env::home_dir().map(|home| home.join(".kube/config"));
    let file = match (named, home) {
        (Some(paths), _) => Some(Path::new(&paths).display().to_string()),
        (None, Some(home)) if home.exists() => Some(home.display().to_string()),
        _ => None,
    };
    match file {
        Some(file) => {
            Config::from_kubeconfig(&options)
                .await
                .map_err(|source| ConnectError::Kubeconfig {
                    file,
                    source: Box::new(source),
                })
        }
        None if access.context.is_some() => Err(ConnectError::NoKubeconfig),
        None => Config::incluster().map_err(ConnectError::Nowhere),
    }
}

fn client(mut config: Config, access: &Access) -> Result<Client, ConnectError> {
    // Whoever asks waits as its own matter demands, and hears of every refusal.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = None;
    let url = config.cluster_url.to_string();
    Client::try_from(config).map_err(|source| ConnectError::Credentials {
        url,
        file: access.kubeconfig.clone(),
        source: Box::new(source),
    })
}
