//! One leader among several replicas, by a `coordination.k8s.io` Lease: acquire, renew, release.

mod election;

use std::sync::Arc;
use std::time::Duration;

use kube::core::params::{GetParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::clock::Clock;
use super::cluster::{ApiError, Cluster, Limits};
use super::pace::Jitter;
use super::status::FIELD_MANAGER;
use election::{Claim, Election};

/// Most bytes of a Lease.
const LEASE_MAX_BYTES: usize = 1024 * 1024;

/// How to take part in an election.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease, the same for all replicas.
    pub name: String,
    /// Name of this replica, another one for each process that ever runs.
    pub identity: String,
    /// So long a record that is not renewed keeps others away. Whole seconds.
    pub duration: Duration,
    /// So long after a renewal began this replica leads; clearly less than `duration`, to leave
    /// room for what is under way.
    pub renew_deadline: Duration,
    /// Time between two renewals. Somebody else's record is looked at twice as often.
    pub interval: Duration,
    /// Spreads the intervals.
    pub jitter: Jitter,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl LeaseOptions {
    /// The usual times: another replica leads at most 12 seconds after a leader was killed, and at
    /// most a second after it was stopped.
    #[must_use]
    pub fn new(
        (namespace, name): (&str, &str),
        identity: &str,
        clock: Arc<dyn Clock>,
        jitter: Jitter,
    ) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            duration: Duration::from_secs(10),
            renew_deadline: Duration::from_secs(7),
            interval: Duration::from_secs(2),
            jitter,
            clock,
        }
    }
}

/// Who leads, as one replica knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leader {
    /// The record was not read yet.
    Unknown,
    /// This replica.
    This,
    /// Another one, by its identity.
    Other(String),
    /// Nobody: the record was given up, or not seen renewed for its duration.
    Nobody,
}

/// Takes part in the election until it is released or dropped.
#[derive(Debug)]
pub struct Lease {
    leads: watch::Receiver<bool>,
    leader: watch::Receiver<Leader>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Begins to ask for the Lease. Needs a runtime; does not wait.
    #[must_use]
    pub fn start(cluster: Cluster, options: LeaseOptions) -> Self {
        let (sender, leads) = watch::channel(false);
        let (leading, leader) = watch::channel(Leader::Unknown);
        let (stop, stopped) = oneshot::channel();
        let candidate = Candidate {
            election: Election::new(&options),
            cluster,
            options,
            leads: sender,
            leader: leading,
        };
        Self {
            leads,
            leader,
            stop: Some(stop),
            task: tokio::spawn(candidate.run(stopped)),
        }
    }

    /// Whether this replica leads. It turns false before any other one can lead.
    #[must_use]
    pub fn leads(&self) -> watch::Receiver<bool> {
        self.leads.clone()
    }

    /// Who leads, as far as this replica knows.
    #[must_use]
    pub fn leader(&self) -> watch::Receiver<Leader> {
        self.leader.clone()
    }

    /// Stops leading and lets another replica lead at once, if the API server can be told.
    pub async fn release(mut self) {
        drop(self.stop.take());
        // A panic of the task was reported when it happened; there is nothing to release then.
        let _ended = (&mut self.task).await;
    }
}

impl Drop for Lease {
    /// Stops leading; the record stays ours until it is too old.
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Candidate {
    election: Election,
    cluster: Cluster,
    options: LeaseOptions,
    leads: watch::Sender<bool>,
    leader: watch::Sender<Leader>,
}

impl Candidate {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut failures = 0_u32;
        loop {
            // Not given up in the middle: a renewal that was sent may have made another version of
            // the record, which nobody could then release.
            match self.attempt().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    if failures == 2 {
                        tracing::warn!("{}: {error}", self.name());
                    }
                }
            }
            self.tell();
            let is_leader = *self.leads.borrow();
            let interval = if is_leader {
                self.options.interval
            } else {
                self.options.interval / 2
            };
            let pause = self.options.jitter.spread(interval);
            let stopping = tokio::select! {
                biased;
                _stop = &mut stopped => true,
                () = self.pause(pause) => false,
            };
            if stopping {
                break;
            }
        }
        self.release().await;
    }

    /// Waits, and stops leading in the middle of it if the time has come.
    async fn pause(&mut self, pause: Duration) {
        let now = self.options.clock.monotonic();
        let end = now + pause;
        if let Some(until) = self.election.leads_until().filter(|until| *until < end) {
            tokio::time::sleep(until.saturating_sub(now)).await;
            self.tell();
        }
        let now = self.options.clock.monotonic();
        tokio::time::sleep(end.saturating_sub(now)).await;
    }

    /// Renews, acquires or follows. Takes no longer than this replica leads.
    async fn attempt(&mut self) -> Result<(), ApiError> {
        let began = self.now();
        let claim = match self.election.renewal(began) {
            Some(claim) => claim,
            None => self.look().await?,
        };
        match self.claim(claim).await {
            // Somebody was faster: see who it is.
            Err(error) if error.is_conflict() || error.is_not_found() => {
                let claim = self.look().await?;
                match self.claim(claim).await {
                    Err(error) if error.is_conflict() => Ok(()),
                    other => other,
                }
            }
            other => other,
        }
    }

    async fn look(&mut self) -> Result<Claim, ApiError> {
        let request = self
            .requests()
            .get(&self.options.name, &GetParams::default())?;
        let lease = match self.cluster.json(request, self.limits()).await {
            Ok(lease) => Some(lease),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let now = self.now();
        Ok(self.election.read(lease.as_ref(), now))
    }

    async fn claim(&mut self, claim: Claim) -> Result<(), ApiError> {
        let began = self.now();
        let spec = self.election.spec(&self.options.clock.wall());
        let lease = match claim {
            Claim::Follow => return Ok(()),
            Claim::Create => self.create(spec).await?,
            Claim::Write(version) => self.patch(&version, spec).await?,
        };
        let now = self.now();
        self.election.written(&lease, began, now);
        Ok(())
    }

    async fn create(&self, spec: Value) -> Result<Value, ApiError> {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "namespace": self.options.namespace, "name": self.options.name },
            "spec": spec,
        });
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let request = self
            .requests()
            .create(&parameters, lease.to_string().into_bytes())?;
        self.cluster.json(request, self.limits()).await
    }

    /// Writes the record if it still has this version.
    async fn patch(&self, version: &str, spec: Value) -> Result<Value, ApiError> {
        let patch = Patch::Merge(json!({
            "metadata": { "resourceVersion": version },
            "spec": spec,
        }));
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = self
            .requests()
            .patch(&self.options.name, &parameters, &patch)?;
        self.cluster.json(request, self.limits()).await
    }

    /// Gives the record up, if it is ours.
    async fn release(&mut self) {
        let renewal = self.election.renewal(self.now());
        let limits = self.limits();
        self.election.resign();
        self.tell();
        let Some(Claim::Write(version)) = renewal else {
            return;
        };
        let spec = Election::released(&self.options.clock.wall());
        let told = tokio::time::timeout(limits.time, self.patch(&version, spec)).await;
        if let Ok(Err(error)) = told {
            tracing::info!("{} is left to expire: {error}", self.name());
        }
    }

    /// Tells whether this replica leads now, and who does otherwise.
    fn tell(&self) {
        let now = self.now();
        let leads = self.election.leads(now);
        let leader = self.election.leader(now);
        self.leader.send_if_modified(|before| {
            let has_changed = *before != leader;
            *before = leader;
            has_changed
        });
        self.leads.send_if_modified(|before| {
            let has_changed = *before != leads;
            *before = leads;
            has_changed
        });
    }

    /// A request may take as long as this replica leads, and no longer than half of that anyway.
    fn limits(&self) -> Limits {
        let most = self.options.renew_deadline / 2;
        let left = self
            .election
            .leads_until()
            .map(|until| until.saturating_sub(self.now()))
            .filter(|left| !left.is_zero());
        Limits {
            time: left.map_or(most, |left| left.min(most)),
            bytes: LEASE_MAX_BYTES,
        }
    }

    fn requests(&self) -> kube::core::Request {
        let namespace = &self.options.namespace;
        kube::core::Request::new(format!(
            "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        ))
    }

    fn name(&self) -> String {
        format!("Lease {}/{}", self.options.namespace, self.options.name)
    }

    fn now(&self) -> Duration {
        self.options.clock.monotonic()
    }
}
