//! Keeps the signer what the Secret says, and rotates the authority while this replica leads: each step
//! is written to the Secret before anybody acts on it, and waits until everybody has followed the one
//! before.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;
use weft_api::ObjectRef;
use weft_certs::{Clock, Lag, Laggard, LeafLife, NodeReport, Reading, Rotation, StepInput};
use weft_source::kube::Cluster;
use weft_spiffe::TrustDomain;
use weft_wire::proto::config::{Trusts, WorkerTrusts};

use super::{
    CaError, Found, parse, place,
    stored::{Plan, Stored, saying},
};
use crate::{deploy::ROOTS_NAME, hub::Hub};

/// Between two looks at the Secret.
const LOOK: Duration = Duration::from_secs(5);
/// The same while a rotation is under way.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Between two words on who is waited for: thousands of certificates are renewed one by one.
const SAY_AGAIN: Duration = Duration::from_secs(5);

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
    /// When it was written last who is waited for; long ago at first.
    written: Option<Duration>,
}

impl Keeper {
    /// Of an authority that was found.
    pub(crate) fn new(found: Found, parts: Parts) -> Self {
        Self {
            place: place(&parts.namespace),
            found,
            since: parts.clock.read().monotonic,
            said: String::new(),
            written: None,
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
            let is_news = tokio::select! {
                () = tokio::time::sleep(wait) => false,
                Ok(()) = self.parts.leads.changed() => {
                    self.since = self.parts.clock.read().monotonic;
                    false
                }
                Ok(()) = news.changed(), if is_rotating => true,
            };
            let done = match is_news {
                // Proxies follow by the hundred: that is no reason to read the Secret as often.
                true => self.go_on().await,
                false => self.look().await,
            };
            if let Err(error) = done {
                let error = error.to_string();
                self.say(error, |error| {
                    tracing::error!("the authority stays as it was: {error}");
                });
            }
        }
    }

    /// Takes over what is stored, and goes on if it is time.
    async fn look(&mut self) -> Result<(), CaError> {
        self.read().await?;
        self.go_on().await
    }

    /// Takes over what is stored.
    async fn read(&mut self) -> Result<(), CaError> {
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
            self.said.clear();
            self.written = None;
            self.found.signer.replace(stored.issuers());
        }
        self.found.stored = stored;
    }

    /// Writes the next step, if it is time, and takes it over.
    async fn go_on(&mut self) -> Result<(), CaError> {
        let now = self.parts.clock.read();
        let Some(plan) = self.plan(now)? else {
            return Ok(());
        };
        let patch = match plan {
            Plan::Wait(laggards) => match self.wait(&laggards, now.monotonic) {
                Some(status) => saying(&status),
                None => return Ok(()),
            },
            Plan::Write(next, passed_over) => {
                if !passed_over.is_empty() {
                    let laggards = listed(&passed_over);
                    tracing::warn!("forced by an annotation, without waiting for {laggards}");
                }
                next.patch(&self.parts.domain, now.wall)
            }
        };
        // Somebody else may have written: then it is seen what.
        self.parts.cluster.merge(&self.place, &patch).await?;
        self.read().await
    }

    /// What is to be done, once everybody has had time to call; nothing before, and where another replica
    /// leads.
    fn plan(&self, now: Reading) -> Result<Option<Plan>, CaError> {
        let Parts {
            hub,
            domain,
            life,
            dwell,
            published,
            leads,
            ..
        } = &self.parts;
        let members = hub.members(now.monotonic).filter(|_| *leads.borrow());
        let Some(members) = members else {
            return Ok(None);
        };
        let stored = &self.found.stored;
        let is_early = now.monotonic.saturating_sub(self.since) < *dwell;
        if stored.rotation.phase() > 0 && is_early {
            return Ok(None);
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
        Ok(Some(stored.plan(&input, domain, now.wall)?))
    }

    /// Who is waited for, if that is to be written now.
    fn wait(&mut self, laggards: &[Laggard], now: Duration) -> Option<String> {
        let is_early = self.written.is_some_and(|at| now < at + SAY_AGAIN);
        if laggards.is_empty() || is_early {
            return None;
        }
        let (phase, laggards) = (self.found.stored.rotation.phase(), listed(laggards));
        let status = format!("phase {phase} waits for {laggards}");
        if status == self.said {
            return None;
        }
        tracing::info!("the rotation of the authority: {status}");
        self.said.clone_from(&status);
        self.written = Some(now);
        Some(status)
    }

    fn say(&mut self, what: String, say: impl FnOnce(&str)) {
        if what != self.said {
            say(&what);
            self.said = what;
        }
    }
}

/// How far everybody is who has to follow, workers of proxies included: they have certificates of their
/// own, in the name of pods.
fn reports(members: BTreeMap<String, Trusts>, new_issuer: &str, published: u64) -> Vec<NodeReport> {
    let is_old = |issuer: &str| issuer != new_issuer;
    let members = members.into_iter().flat_map(|(node, trusts)| {
        let worker = |worker: WorkerTrusts| {
            let old = worker.leaves.iter().filter(|(issuer, _)| is_old(issuer));
            let old: u32 = old.map(|(_, count)| *count).fold(0, u32::saturating_add);
            NodeReport {
                node: format!("{node} worker {}", worker.name)
                    .trim_end()
                    .to_owned(),
                bundle_version: worker.bundle_version,
                old_leaves: usize::try_from(old).unwrap_or(usize::MAX),
            }
        };
        let mut reports: Vec<_> = trusts.workers.into_iter().map(worker).collect();
        reports.push(NodeReport {
            node,
            bundle_version: trusts.bundle_version,
            old_leaves: usize::from(is_old(&trusts.issuer)),
        });
        reports
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
        Lag::Bundle { acknowledged: 0 } => format!("{node} (has not said whom it trusts)"),
        Lag::Bundle { acknowledged } => format!("{node} (trusts bundle {acknowledged})"),
        Lag::OldLeaves(1) => format!("{node} (has a certificate of the old issuer)"),
        Lag::OldLeaves(count) => format!("{node} (has {count} certificates of the old issuer)"),
    };
    let shown: Vec<_> = laggards.iter().take(SHOWN).map(one).collect();
    match laggards.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker: its name, the bundle it trusts, and its certificates by issuer.
    type Worker<'a> = (&'a str, u64, &'a [(&'a str, u32)]);

    fn trusts(issuer: &str, workers: &[Worker<'_>]) -> Trusts {
        let worker = |(name, bundle_version, leaves): &Worker<'_>| {
            let leaves = leaves
                .iter()
                .map(|(issuer, count)| ((*issuer).to_owned(), *count));
            WorkerTrusts {
                name: (*name).to_owned(),
                bundle_version: *bundle_version,
                leaves: leaves.collect(),
            }
        };
        Trusts {
            bundle_version: 2,
            issuer: issuer.to_owned(),
            workers: workers.iter().map(worker).collect(),
        }
    }

    #[test]
    fn workers_are_waited_for_and_named() {
        let issuer = |issuer: &str| weft_certs::IssuerRef {
            issuer: issuer.to_owned(),
            root: issuer.to_owned(),
        };
        let rotation = Rotation::Activate {
            old: issuer("old"),
            new: issuer("new"),
            bundle_version: 2,
            old_leaves_end_unix_s: 1_000,
        };
        let rows: [(&str, Trusts, &str); 6] = [
            ("without workers", trusts("new", &[]), ""),
            (
                "all renewed",
                trusts("new", &[("shop", 2, &[("new", 9)])]),
                "",
            ),
            (
                "its own certificate",
                trusts("old", &[("shop", 2, &[("new", 9)])]),
                "node n1 (has a certificate of the old issuer)",
            ),
            (
                "those of a worker",
                trusts(
                    "new",
                    &[("pay", 2, &[]), ("shop", 2, &[("new", 6), ("old", 3)])],
                ),
                "node n1 worker shop (has 3 certificates of the old issuer)",
            ),
            (
                "a worker that trusts too little",
                trusts("new", &[("shop", 1, &[("new", 1)])]),
                "node n1 worker shop (trusts bundle 1)",
            ),
            (
                "a worker that was not heard",
                trusts("new", &[("", 0, &[])]),
                "node n1 worker (has not said whom it trusts)",
            ),
        ];
        for (row, trusts, expected) in rows {
            let members = BTreeMap::from([("node n1".to_owned(), trusts)]);
            let reports = reports(members, "new", 2);
            let input = StepInput {
                now_unix_s: 0,
                reports: &reports,
                max_leaf_life_s: 0,
                forced: false,
            };
            assert_eq!(listed(&rotation.laggards(&input)), expected, "{row}");
        }
    }
}
