//! Who those are that a worker speaks for: for every account a key that is made here and never leaves,
//! and a certificate for it that the parent of the worker has had signed. The worker of a Gateway has one
//! account, that of a node's pods as many as they have.
//!
//! Pods of one account share an identity. It comes into being with the first of them, is kept fresh
//! while there is one, and is gone, key and all, when the last connection of the last one has ended.

mod asking;
mod holding;
mod messages;
#[cfg(test)]
mod rotations;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use weft_certs::{
    Clock, Identity, Issuance, Issued, KeyAndRequest, RenewSoon, RenewalStatus, Renewer, SignError,
    SignerRoots,
};
use weft_spiffe::SpiffeId;
use weft_telemetry::metrics::{Holder, IdentityLabels, IdentityMetrics, Registry};
use weft_tunnel::{Server, Timing};
use weft_wire::proto::config::WorkerTrusts;

use self::{asking::Asking, holding::Recount};
pub(crate) use self::{
    asking::{Ask, Asked},
    holding::{plausible, say},
    messages::{Csr, Signed, Trust},
};
use crate::{chance::Chance, control};

/// The delays of a renewer grow to minutes, which is long for pods that cannot be reached: it begins
/// anew after this time.
const RETRY_FIRST: Duration = Duration::from_secs(30);

/// The identities of this worker. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Identities(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    asking: Arc<Asking>,
    clock: Clock,
    /// Where it is shown how renewals go.
    registry: Registry,
    /// The parent has said whom to trust, which it has from the control plane: somebody may sign again.
    entrusted: Notify,
    /// Whom everybody here trusts, and by whom their certificates are.
    held: watch::Sender<WorkerTrusts>,
    /// Look-ups and the start of tasks; no await is inside.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    /// Kept by the pods that have them.
    kept: HashMap<SpiffeId, Weak<Kept>>,
    /// The latest that was said.
    trust: Option<Arc<SignerRoots>>,
}

/// One identity.
#[derive(Debug)]
struct Kept {
    pods: Arc<Pods>,
    ready: watch::Receiver<Option<Ready>>,
    soon: RenewSoon,
    /// The parent knows one of the pods.
    known: Arc<Notify>,
    _keeping: AbortOnDropHandle<()>,
}

/// An identity that has a certificate, and what ends tunnels in its name.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) identity: Identity,
    pub(crate) server: Server,
}

/// The identity of one pod, as long as that pod has it.
#[derive(Debug)]
pub(crate) struct Own {
    kept: Arc<Kept>,
    uid: Arc<str>,
}

/// The pods that have an identity, by UID: the one that certificates are asked for with is the first.
#[derive(Debug, Default)]
struct Pods(Mutex<VecDeque<Arc<str>>>);

/// Asks for one identity's certificates.
struct ForPods {
    id: SpiffeId,
    pods: Arc<Pods>,
    asking: Arc<Asking>,
}

impl Identities {
    /// None yet. Questions go to the parent, by way of `reports`; `seed` spreads renewals.
    pub(crate) fn new(
        reports: impl Ask + 'static,
        clock: Clock,
        seed: u64,
        registry: &Registry,
    ) -> Self {
        Self(Arc::new(Shared {
            asking: Arc::new(Asking::new(reports)),
            clock,
            registry: registry.clone(),
            entrusted: Notify::new(),
            held: watch::Sender::default(),
            state: Mutex::new(State {
                chance: Chance::new(seed),
                kept: HashMap::new(),
                trust: None,
            }),
        }))
    }

    /// The identity of a pod: that of its account, which other pods may have already. A Gateway has no
    /// UID to ask with.
    ///
    /// # Errors
    /// For people: what was given is no identity.
    pub(crate) fn of(&self, id: &str, uid: &str) -> Result<Own, String> {
        let parsed = SpiffeId::parse(id);
        let id = parsed.map_err(|error| format!("`{id}` is no identity: {error}"))?;
        if id.is_domain() {
            return Err(format!("`{id}` is a trust domain and nobody in it"));
        }
        let uid: Arc<str> = uid.into();
        let mut state = self.0.lock();
        state.kept.retain(|_, kept| kept.strong_count() > 0);
        let kept = state.kept.get(&id).and_then(Weak::upgrade);
        let kept = match kept {
            Some(kept) => kept,
            None => {
                let kept = self.0.keep(&mut state, &id)?;
                state.kept.insert(id, Arc::downgrade(&kept));
                kept
            }
        };
        kept.pods.add(Arc::clone(&uid));
        Ok(Own { kept, uid })
    }

    /// There is another parent, which knows nothing of what was asked before.
    pub(crate) fn begin_anew(&self) {
        self.0.asking.forget();
    }

    /// The parent has answered a question.
    pub(crate) fn answered(&self, signed: Signed) {
        self.0.asking.answered(signed);
    }

    /// Whom to trust, for everybody here and whoever comes.
    pub(crate) fn trust(&self, trust: Trust) {
        let trust = Arc::new(trust.announced());
        let mut state = self.0.lock();
        for kept in state.kept.values().filter_map(Weak::upgrade) {
            if let Some(ready) = &*kept.ready.borrow() {
                control::follow(&ready.identity, &trust, &kept.soon);
            }
        }
        state.trust = Some(trust);
        self.0.count(&state);
        drop(state);
        self.0.entrusted.notify_waiters();
    }

    /// Whom everybody here trusts, and by whom their certificates are; followed, from the first word on.
    pub(crate) fn held(&self) -> watch::Receiver<WorkerTrusts> {
        self.0.held.subscribe()
    }
}

impl Shared {
    fn keep(self: &Arc<Self>, state: &mut State, id: &SpiffeId) -> Result<Arc<Kept>, String> {
        let pods = Arc::<Pods>::default();
        let issuance = ForPods {
            id: id.clone(),
            pods: Arc::clone(&pods),
            asking: Arc::clone(&self.asking),
        };
        let mut chance = Chance::new(state.chance.next());
        let renewer = Renewer::new(id, issuance, self.clock.clone(), move || chance.draw());
        let renewer = renewer.map_err(|error| format!("{id} is no identity: {error}"))?;
        let (says, ready) = watch::channel(None);
        let soon = renewer.renew_soon();
        let shown = self.registry.identity_metrics(IdentityLabels {
            holder: Holder::Worker,
            identity: id.as_str().into(),
        });
        let telling = tell(id.clone(), renewer.status(), shown);
        let recount = Recount::of(self, renewer.status());
        let known = Arc::<Notify>::default();
        let keeping = Arc::clone(self).obtain_and_keep(renewer, says, Arc::clone(&known));
        let keeping = tokio::spawn(async move {
            tokio::join!(telling, recount.run(), keeping);
        });
        Ok(Arc::new(Kept {
            pods,
            ready,
            soon,
            known,
            _keeping: AbortOnDropHandle::new(keeping),
        }))
    }

    async fn obtain_and_keep(
        self: Arc<Self>,
        mut renewer: Renewer<ForPods>,
        says: watch::Sender<Option<Ready>>,
        known: Arc<Notify>,
    ) {
        let status = renewer.status();
        let identity = loop {
            tokio::select! {
                identity = renewer.obtain() => break identity,
                () = self.worth_asking_anew(&status, &known) => {}
            }
        };
        let server = match Server::new(&identity, self.clock.clone(), Timing::default()) {
            Ok(server) => server,
            Err(error) => {
                tracing::error!(id = %identity.id(), %error, "an identity cannot be used");
                return;
            }
        };
        {
            // Held, so that no bundle comes between the one that is known and those who hear of more.
            let state = self.lock();
            if let Some(trust) = &state.trust {
                control::follow(&identity, trust, &renewer.renew_soon());
            }
            says.send_replace(Some(Ready {
                identity: identity.clone(),
                server,
            }));
            self.count(&state);
        }
        match renewer.keep(identity).await {}
    }

    /// Completes when who waits for the first certificate has waited for long, or was refused before and
    /// could now be answered.
    async fn worth_asking_anew(&self, status: &watch::Receiver<RenewalStatus>, known: &Notify) {
        let entrusted = async {
            loop {
                tokio::select! {
                    () = self.entrusted.notified() => {}
                    () = known.notified() => {}
                }
                if status.borrow().last_error.is_some() {
                    return;
                }
            }
        };
        tokio::select! {
            () = entrusted => {}
            () = sleep(RETRY_FIRST) => {}
        }
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs what fails, and shows how it goes, for as long as there is somebody who tries.
async fn tell(
    id: SpiffeId,
    mut status: watch::Receiver<RenewalStatus>,
    shown: Arc<IdentityMetrics>,
) {
    loop {
        let now = status.borrow_and_update().clone();
        shown.set(now.metrics());
        if let Some(error) = &now.last_error {
            tracing::warn!(%id, "no new certificate: {error}");
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

impl Issuance for ForPods {
    async fn issue(&self, request: &KeyAndRequest) -> Result<Issued, SignError> {
        let nobody = || SignError::Retry("no pod has the identity any more".to_owned());
        let uid = self.pods.first().ok_or_else(nobody)?;
        self.asking.ask(&self.id, &uid, request.der()).await
    }
}

impl Own {
    /// The identity, as soon as it has a certificate; nothing if that takes longer than `patience`.
    pub(crate) async fn ready(&self, patience: Duration) -> Option<Ready> {
        timeout(patience, self.comes()).await.ok()?
    }

    /// The identity, whenever it has a certificate; nothing if no pod has it any more before that.
    pub(crate) fn comes(&self) -> impl Future<Output = Option<Ready>> + Send + use<> {
        let mut ready = self.kept.ready.clone();
        async move { ready.wait_for(Option::is_some).await.ok()?.clone() }
    }

    /// The parent knows the pod, as far as it did not before: what it refused it could answer now.
    pub(crate) fn is_known(&self) {
        self.kept.known.notify_waiters();
    }

    /// The identity, if it has a certificate.
    pub(crate) fn proven(&self) -> Option<SpiffeId> {
        let ready = self.kept.ready.borrow();
        ready.as_ref().map(|it| it.identity.id())
    }

    /// The pod is leaving: it is asked with only if there is no other.
    pub(crate) fn leaves(&self) {
        self.kept.pods.put_last(&self.uid);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.kept.pods.remove(&self.uid);
    }
}

impl Pods {
    /// The pod that came last is the likeliest to stay.
    fn add(&self, uid: Arc<str>) {
        self.lock().push_front(uid);
    }

    fn first(&self) -> Option<Arc<str>> {
        self.lock().front().cloned()
    }

    fn put_last(&self, uid: &Arc<str>) {
        let mut pods = self.lock();
        // The same pod may be here twice, when its sandbox was made anew; the older one leaves.
        if let Some(place) = pods.iter().rposition(|it| Arc::ptr_eq(it, uid)) {
            let uid = pods.remove(place);
            pods.extend(uid);
        }
    }

    fn remove(&self, uid: &Arc<str>) {
        self.lock().retain(|it| !Arc::ptr_eq(it, uid));
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
