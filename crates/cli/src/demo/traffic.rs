//! Traffic through the canary, and what became of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio_util::task::AbortOnDropHandle;

use super::client::{Answer, Client, ClientError};

/// The way a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the Gateway.
    Gateway,
    /// Through the mesh, to the ClusterIP of the Service.
    Mesh,
}

impl Way {
    pub(super) const ALL: [Self; 2] = [Self::Gateway, Self::Mesh];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Mesh => "mesh",
        }
    }
}

/// Answers by who gave them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    stable: AtomicU64,
    canary: AtomicU64,
    failed: AtomicU64,
    /// The first failure, in words. Locked once per failure.
    first_failure: Mutex<Option<String>>,
}

/// Counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) stable: u64,
    pub(super) canary: u64,
    pub(super) failed: u64,
}

impl Tally {
    pub(super) fn answered(self) -> u64 {
        self.stable + self.canary
    }

    /// What came since an earlier moment.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            stable: self.stable - earlier.stable,
            canary: self.canary - earlier.canary,
            failed: self.failed - earlier.failed,
        }
    }

    /// Share of the canary in percent; `None` before the first answer.
    pub(super) fn canary_percent(self) -> Option<f64> {
        let answered = self.answered();
        (answered > 0).then(|| ratio(self.canary, answered) * 100.0)
    }
}

/// Exact for the counts of any demo.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of requests stay far below 2^52"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

impl Counts {
    /// The counts now.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            stable: self.stable.load(Relaxed),
            canary: self.canary.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }

    /// What went wrong first, if something did.
    pub(super) fn first_failure(&self) -> Option<String> {
        let failure = self.first_failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts one answer.
    pub(super) fn add(&self, result: Result<Answer, ClientError>) {
        let failure = match result {
            Ok(answer) => match answer.served_by.as_deref() {
                Some("web-v1") => {
                    self.stable.fetch_add(1, Relaxed);
                    return;
                }
                Some("web-v2") => {
                    self.canary.fetch_add(1, Relaxed);
                    return;
                }
                _ => format!("{} {}", answer.status, answer.body),
            },
            Err(error) => error.to_string(),
        };
        self.failed.fetch_add(1, Relaxed);
        let first = self.first_failure.lock();
        first
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
    }
}

/// Clients that never stop asking.
pub(super) struct Traffic {
    counts: [Arc<Counts>; 2],
    _clients: Vec<AbortOnDropHandle<()>>,
}

impl Traffic {
    /// Starts `clients` on each way, each with a pause between its requests.
    pub(super) fn start(
        gateway: SocketAddr,
        mesh: SocketAddr,
        clients: usize,
        pause: Duration,
    ) -> Self {
        let counts: [Arc<Counts>; 2] = Default::default();
        let ways = [(gateway, "shop.example"), (mesh, "web.shop")];
        let mut running = Vec::new();
        for ((address, host), counts) in ways.into_iter().zip(&counts) {
            for _ in 0..clients {
                let (mut client, counts) = (Client::new(address, host), Arc::clone(counts));
                let asking = async move {
                    loop {
                        counts.add(client.get("/", None).await);
                        tokio::time::sleep(pause).await;
                    }
                };
                running.push(AbortOnDropHandle::new(tokio::spawn(asking)));
            }
        }
        Self {
            counts,
            _clients: running,
        }
    }

    /// The counts of a way.
    pub(super) fn of(&self, way: Way) -> &Counts {
        let [gateway, mesh] = &self.counts;
        match way {
            Way::Gateway => gateway,
            Way::Mesh => mesh,
        }
    }
}
