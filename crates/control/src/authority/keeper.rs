//! Keeps the signer what the Secret says, and rotates the authority while this replica leads: each step
//! is written to the Secret before anybody acts on it, and waits until everybody has followed the one
//! before.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;
use weft_api::ObjectRef;
use weft_certs::{Clock, Lag, Laggard, LeafLife, NodeReport, Rotation, StepInput};
use weft_source::kube::Cluster;
use weft_spiffe::TrustDomain;
use weft_wire::proto::config::Trusts;

use super::{
    CaError, Found, parse, place,
    stored::{Plan, Stored, saying},
};
use crate::{deploy::ROOTS_NAME, hub::Hub};

/// Between two looks at the Secret.
const LOOK: Duration = Duration::from_secs(5);
/// The same while a rotation is under way.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the keeper works with.
pub(crate) struct Parts {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    pub(crate) domain: TrustDomain,
    pub(crate) clock: Clock,
    pub(crate) life: LeafLife,
    pub(crate) hub: Arc<Hub>,
    pub(crate) leads: watch::Receiver<bool>,
    /// The version of the roots that is published beside every Gateway.
    pub(crate) published: watch::Receiver<u64>,
    /// Shortest time in a phase: nodes take a minute to show pods another ConfigMap.
    pub(crate) dwell: Duration,
}

/// The loop and what it knows.
pub(crate) struct Keeper {
    parts: Parts,
    place: ObjectRef,
    found: Found,
    /// Since when it is the same phase, and since when this replica leads.
    since: Duration,
    /// What was said last, so that it is not said again.
    said: String,
}

impl Keeper {
    /// Of an authority that was found.
    pub(crate) fn new(found: Found, parts: Parts) -> Self {
        Self {
            place: place(&parts.namespace),
            found,
            since: parts.clock.read().monotonic,
            said: String::new(),
            parts,
        }
    }

    /// Keeps for ever. Drop the future to stop.
    pub(crate) async fn run(mut self) {
        let mut news = self.parts.hub.news();
        loop {
            let is_rotating = self.found.stored.rotation.phase() > 0;
            let wait = if is_rotating { LOOK_AGAIN } else { LOOK };
            // Both can be dropped: watched values stay changed.
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Ok(()) = self.parts.leads.changed() => {
                    self.since = self.parts.clock.read().monotonic;
                }
                Ok(()) = news.changed(), if is_rotating => {}
            }
            if let Err(error) = self.look().await {
                let error = error.to_string();
                self.say(error, |error| {
                    tracing::error!("the authority stays as it was: {error}");
                });
            }
        }
    }

    /// Takes over what is stored, and goes on if it is time.
    async fn look(&mut self) -> Result<(), CaError> {
        let Parts {
            cluster,
            domain,
            clock,
            ..
        } = &self.parts;
        let object = cluster.read(&self.place).await?;
        let object = object.ok_or_else(|| CaError::Gone(self.place.clone()))?;
        let version = object.metadata().resource_version.as_deref();
        if version != Some(self.found.stored.version.as_str()) {
            let stored = parse(&self.place, &object, domain, clock)?;
            self.adopt(stored);
        }
        if *self.parts.leads.borrow() {
            self.go_on().await?;
        }
        Ok(())
    }

    fn adopt(&mut self, stored: Stored) {
        if stored.is_replaced {
            let version = stored.version;
            self.found.stored.version = version;
            let why = "somebody has put another one into the Secret; put it under `next.` and ask \
                       for it with the annotation weft.dev/rotate=root";
            self.say(why.to_owned(), |why| {
                tracing::error!("the authority stays as it was: {why}");
            });
            return;
        }
        if stored.rotation != self.found.stored.rotation {
            let (phase, version) = (stored.rotation.phase(), stored.rotation.bundle_version());
            let name = name(&stored.rotation);
            tracing::info!(
                phase,
                bundle_version = version,
                "rotation of the authority: {name}"
            );
            self.since = self.parts.clock.read().monotonic;
            self.found.signer.replace(stored.issuers());
        }
        self.found.stored = stored;
    }

    /// Writes the next step, if it is time.
    async fn go_on(&mut self) -> Result<(), CaError> {
        let Parts {
            hub,
            clock,
            domain,
            life,
            dwell,
            published,
            cluster,
            ..
        } = &self.parts;
        let now = clock.read();
        let Some(members) = hub.members(now.monotonic) else {
            return Ok(());
        };
        let stored = &self.found.stored;
        let is_early = now.monotonic.saturating_sub(self.since) < *dwell;
        if stored.rotation.phase() > 0 && is_early {
            return Ok(());
        }
        let reports = reports(members, stored.new_issuer(), *published.borrow());
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let since = now.wall.duration_since(std::time::UNIX_EPOCH);
        let input = StepInput {
            now_unix_s: seconds(since.unwrap_or_default()),
            reports: &reports,
            max_leaf_life_s: seconds(life.get()),
            forced: false,
        };
        match stored.plan(&input, domain, now.wall)? {
            Plan::Wait(laggards) if laggards.is_empty() => {}
            Plan::Wait(laggards) => {
                let (phase, laggards) = (stored.rotation.phase(), listed(&laggards));
                let status = format!("phase {phase} waits for {laggards}");
                if status != self.said {
                    tracing::info!("the rotation of the authority: {status}");
                    cluster.merge(&self.place, &saying(&status)).await?;
                    self.said = status;
                }
            }
            Plan::Write(next, passed_over) => {
                if !passed_over.is_empty() {
                    let laggards = listed(&passed_over);
                    tracing::warn!("forced by an annotation, without waiting for {laggards}");
                }
                // Somebody else may have written: then the next look sees what.
                cluster
                    .merge(&self.place, &next.patch(domain, now.wall))
                    .await?;
            }
        }
        Ok(())
    }

    fn say(&mut self, what: String, say: impl FnOnce(&str)) {
        if what != self.said {
            say(&what);
            self.said = what;
        }
    }
}

/// How far everybody is who has to follow.
fn reports(members: BTreeMap<String, Trusts>, new_issuer: &str, published: u64) -> Vec<NodeReport> {
    let members = members.into_iter().map(|(node, trusts)| NodeReport {
        node,
        bundle_version: trusts.bundle_version,
        old_leaves: usize::from(trusts.issuer != new_issuer),
    });
    // New pods verify the control plane by what is published, before they have anything else.
    let published = NodeReport {
        node: format!("ConfigMap {ROOTS_NAME} in the namespaces of Gateways"),
        bundle_version: published,
        old_leaves: 0,
    };
    members.chain([published]).collect()
}

fn name(rotation: &Rotation) -> &'static str {
    match rotation {
        Rotation::Stable { .. } => "one issuer, nothing to do",
        Rotation::Distribute { .. } => "everybody is told the new root",
        Rotation::Activate { .. } => "the new issuer signs, certificates are renewed",
        Rotation::Retire { .. } => "the old root is taken back",
    }
}

/// Laggards for people; the first ones of many.
fn listed(laggards: &[Laggard]) -> String {
    const SHOWN: usize = 5;
    let one = |Laggard { node, lag }: &Laggard| match lag {
        Lag::Bundle { acknowledged } => format!("{node} (trusts bundle {acknowledged})"),
        Lag::OldLeaves(_) => format!("{node} (has a certificate of the old issuer)"),
    };
    let shown: Vec<_> = laggards.iter().take(SHOWN).map(one).collect();
    match laggards.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
