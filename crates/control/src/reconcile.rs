//! The one loop that follows the cluster: updates in, configuration and statuses out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;
use weft_api::{AnyObject, Kind, ObjectRef};
use weft_certs::Clock;
use weft_source::kube::{StatusWriter, Update, Watches};
use weft_spiffe::TrustDomain;
use weft_telemetry::metrics::ConfigMetrics;

use crate::{
    applied::Applied,
    deploy,
    deployer::{Failures, Plan},
    events::Events,
    hub::{Hub, PodOfNode},
    world::{Changes, Heard, Installed, Settled, World, has_status},
};

/// So long a change waits for Secrets and ConfigMaps that it refers to. They are read in
/// milliseconds; should one of them not be readable at all, the others must not wait for it.
const READING_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at something that was due and could not be done.
const AGAIN: Duration = Duration::from_millis(20);

/// What the loop is made of.
pub(crate) struct Parts {
    pub(crate) watches: Watches,
    pub(crate) writer: Arc<StatusWriter>,
    pub(crate) leads: watch::Receiver<bool>,
    pub(crate) installed: watch::Receiver<Option<Installed>>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<ConfigMetrics>,
    /// `None` where somebody else deploys Gateways.
    pub(crate) deploys: Option<Deploys>,
    /// The trust domain of the mesh and the namespace of its proxies; `None` where there is no mesh.
    pub(crate) mesh: Option<(TrustDomain, String)>,
    /// Tells what happens to pods of the mesh.
    pub(crate) events: Events,
}

/// How Gateways are deployed, who is told what they are to be given, and what became of it.
pub(crate) struct Deploys {
    pub(crate) settings: deploy::Settings,
    pub(crate) plan: watch::Sender<Arc<Plan>>,
    pub(crate) failures: watch::Receiver<Failures>,
}

impl Deploys {
    /// What could not be deployed is other than before. Pending for ever where nobody deploys.
    async fn fail(deploys: Option<&mut Self>) {
        let failed = match deploys {
            Some(deploys) => deploys.failures.changed().await.ok(),
            None => None,
        };
        if failed.is_none() {
            std::future::pending().await
        }
    }
}

/// The loop and what it owns.
pub(crate) struct Reconciler {
    parts: Parts,
    world: World,
    /// What proxies have of routes.
    applied: Applied,
    /// Changes that were taken and not settled yet.
    changes: Changes,
    /// Whether every kind was listed once. Nothing that is read before says what the cluster is like.
    is_synced: bool,
    /// The newest set of references that was read, and the one that should be.
    referred: (u64, u64),
    /// Since when changes wait for what they refer to.
    waiting_since: Option<Duration>,
    must_state_all: bool,
}

/// Why the loop turns once more.
enum Cause {
    Update(Update),
    /// This replica begins or ceases to lead.
    Leads,
    /// Another Gateway API is installed.
    Installed,
    /// Proxies have taken something, came or went, or are forgotten by now.
    Proxies,
    /// Other Gateways than before could not be deployed.
    Deployer,
}

impl Reconciler {
    /// Nothing was read yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let mesh = parts.mesh.as_ref();
        let mesh = mesh.map(|(domain, namespace)| (domain.clone(), namespace.as_str()));
        Self {
            applied: Applied::default(),
            world: World::new(parts.deploys.is_some(), mesh),
            parts,
            changes: Changes::default(),
            is_synced: false,
            referred: (0, 0),
            waiting_since: None,
            must_state_all: false,
        }
    }

    /// Follows the cluster until watching ends, which it does only when a task has panicked. Drop the
    /// future to stop.
    pub(crate) async fn run(mut self) {
        let mut reports = self.parts.hub.reports();
        while let Some(cause) = self.next(&mut reports).await {
            let began = self.now();
            self.take(cause);
            if self.is_settleable(began) {
                self.settle(began);
            }
        }
    }

    fn take(&mut self, cause: Cause) {
        match cause {
            Cause::Update(update) => {
                self.is_synced |= update.synced;
                self.referred.0 = update.referred;
                let (seen, gone) = self.world.take(update.events);
                self.changes.0.extend(seen);
                self.changes.1.extend(gone);
            }
            Cause::Leads => {
                let leads = *self.parts.leads.borrow_and_update();
                self.parts.hub.lead(leads, self.now());
                self.must_state_all |= leads;
            }
            Cause::Installed => {
                if let Some(installed) = self.parts.installed.borrow_and_update().clone() {
                    self.world.install(installed);
                }
            }
            Cause::Proxies => {}
            Cause::Deployer => {
                if let Some(deploys) = &mut self.parts.deploys {
                    let failures = Arc::clone(&deploys.failures.borrow_and_update());
                    self.world.undeployed(failures);
                }
            }
        }
    }

    /// Whether enough is known to act upon. A configuration without the certificates that it refers to
    /// would take away what is served well.
    fn is_settleable(&mut self, now: Duration) -> bool {
        if !self.is_synced || self.parts.installed.borrow().is_none() {
            return false;
        }
        self.referred.1 = self.parts.watches.refer(self.world.referents());
        let (read, wanted) = self.referred;
        if read >= wanted {
            self.waiting_since = None;
            return true;
        }
        let since = *self.waiting_since.get_or_insert(now);
        now.saturating_sub(since) >= READING_PATIENCE
    }

    /// Waits for something to happen; `None` when the watches have ended. Every branch can be dropped:
    /// an update stays in its channel, and watched values stay changed.
    async fn next(&mut self, reports: &mut watch::Receiver<u64>) -> Option<Cause> {
        let now = self.now();
        let given_up = self.waiting_since.map(|since| since + READING_PATIENCE);
        // What is given up already has been acted upon.
        let given_up = given_up.filter(|at| *at > now);
        let leads = *self.parts.leads.borrow();
        let due = leads.then(|| self.applied.due_at(now)).flatten();
        // It stays due while nothing can be acted upon.
        let leaving = self.world.leaving_until().map(|at| at.max(now + AGAIN));
        let moments = [self.parts.hub.forgets_at(now), given_up, due, leaving];
        let alarm = async {
            match moments.into_iter().flatten().min() {
                // A little later, so that it is over for certain.
                Some(at) => tokio::time::sleep(at - now + Duration::from_millis(1)).await,
                None => std::future::pending().await,
            }
        };
        let parts = &mut self.parts;
        tokio::select! {
            update = parts.watches.next() => update.map(Cause::Update),
            Ok(()) = parts.leads.changed() => Some(Cause::Leads),
            Ok(()) = parts.installed.changed() => Some(Cause::Installed),
            Ok(()) = reports.changed() => Some(Cause::Proxies),
            () = Deploys::fail(parts.deploys.as_mut()) => Some(Cause::Deployer),
            () = alarm => Some(Cause::Proxies),
        }
    }

    fn settle(&mut self, began: Duration) {
        let changes = std::mem::take(&mut self.changes);
        let hub = Arc::clone(&self.parts.hub);
        let heard = Heard {
            acknowledged: |gateways: &_| hub.acknowledged(gateways, began),
            departed: hub.departed(began),
            now: began,
        };
        let pods = self.world.pods_among(&changes.0);
        let Settled {
            statuses,
            gone,
            is_new,
            is_translated,
        } = self.world.settle(heard, changes);
        if is_translated {
            let took = self.now().saturating_sub(began);
            self.parts.metrics.translated(took);
        }
        if is_new {
            let generation = self.world.generation();
            let configuration = self.world.configuration().clone();
            hub.publish((generation, configuration), self.world.gateways(), began);
            let took = self.now().saturating_sub(began);
            self.parts.metrics.applied(generation, took);
            tracing::debug!(generation, ?took, "configuration");
        }
        hub.depart(&self.world.departing());
        self.deploy();
        self.write((statuses, &gone), pods, began);
    }

    /// Has written what is different about objects, and forgets those that are gone.
    fn write(
        &mut self,
        (statuses, gone): (Vec<(AnyObject, AnyObject)>, &[ObjectRef]),
        pods: Vec<PodOfNode>,
        began: Duration,
    ) {
        let hub = Arc::clone(&self.parts.hub);
        for object in gone.iter().filter(|object| is_written(object.kind)) {
            self.parts.writer.forget(object);
            self.applied.forget(object);
        }
        let seen = statuses.iter();
        let routes: Vec<_> = seen
            .filter_map(|(_, it)| self.applied.see(it, began))
            .collect();
        hub.hold(&routes, gone);
        self.applied.doubt(&hub.refused());
        let spread =
            |route: &_, gateway: &_, generation| hub.spread((route, gateway), generation, began);
        // Others write nothing, and for them every route stays open.
        let leads = *self.parts.leads.borrow();
        let reached = leads.then(|| self.applied.judge(spread, began));
        for (seen, wanted) in statuses {
            self.state(&seen, wanted);
        }
        for route in reached.into_iter().flatten() {
            if let Some((seen, wanted)) = self.world.stated(&route) {
                self.state(&seen, wanted);
            }
        }
        let all = std::mem::take(&mut self.must_state_all);
        if leads {
            self.tell_captures(pods, all);
        }
        if all {
            for (seen, wanted) in self.world.all_statuses() {
                self.state(&seen, wanted);
            }
        }
    }

    /// Has written what nodes say about pods: of these, of those of which something else is said, or of
    /// all.
    fn tell_captures(&mut self, pods: Vec<PodOfNode>, all: bool) {
        let words = self.parts.hub.words(pods, all);
        if all {
            let spoken_of: BTreeSet<&str> =
                words.iter().map(|((_, uid), _)| uid.as_str()).collect();
            let is_spoken_of = |uid: &str| spoken_of.contains(uid);
            self.parts.events.keep(is_spoken_of);
        }
        let now = self.parts.clock.now();
        for (pod, word) in words {
            if let Some(seen) = self.world.pod_of(&pod) {
                self.parts.events.hear(seen, &word, now);
            }
            if let Some((seen, wanted)) = self.world.captured(&pod, &word) {
                self.state(&seen, wanted);
            }
        }
    }

    /// Tells what Gateways are to be given. Of one of which that is not known, what it was to be given
    /// before stands.
    fn deploy(&self) {
        let Some(Deploys { settings, plan, .. }) = &self.parts.deploys else {
            return;
        };
        let mut next = Plan {
            wanted: BTreeMap::new(),
            leftovers: self.world.leftovers(),
        };
        for (name, wanted) in self.world.deployments(settings) {
            let before = plan.borrow().wanted.get(&name).cloned();
            let wanted = match wanted {
                Ok(wanted) => Some(before.filter(|it| *it == wanted).unwrap_or(wanted)),
                Err(error) => {
                    tracing::warn!(gateway = %name, "stays as it was deployed: {error}");
                    before
                }
            };
            next.wanted.extend(wanted.map(|wanted| (name, wanted)));
        }
        plan.send_if_modified(|now| {
            let has_changed = **now != next;
            if has_changed {
                *now = Arc::new(next);
            }
            has_changed
        });
    }

    fn state(&self, seen: &AnyObject, mut wanted: AnyObject) {
        self.applied.add(seen, &mut wanted);
        if !self.parts.writer.put(seen, wanted) {
            let object = seen.reference();
            tracing::warn!("too many statuses wait; that of {object} is dropped");
        }
    }

    fn now(&self) -> Duration {
        self.parts.clock.read().monotonic
    }
}

/// Whether anything of an object of the kind is written.
fn is_written(kind: Kind) -> bool {
    has_status(kind) || kind == Kind::Pod
}
