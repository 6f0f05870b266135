//! The loop that obtains a certificate and keeps it fresh.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use weft_spiffe::{SpiffeId, TrustDomain};
use weft_telemetry::metrics::IdentityState;

use crate::authority::LeafLife;
use crate::bundle::{Bundles, TrustBundle};
use crate::clock::Clock;
use crate::identity::{Identity, Trust};
use crate::leaf::Leaf;
use crate::renewal::{Backoff, Due, unit};
use crate::request::{CheckedRequest, KeyAndRequest};
use crate::signer::{SignError, Signer, SignerRoots};

/// Longest uninterrupted wait: a wall clock that was set is noticed after this time at the latest.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// Time over which renewals are spread that everybody is asked for at once, when another certificate
/// issues: it is what the replacement of a root waits for. Unless the signer wants another.
pub const RENEW_WITHIN: Duration = Duration::from_secs(10 * 60);

/// And at most so much of a leaf's life.
const SPREAD: f64 = 0.1;

/// A signer's answer as it arrives from the identity service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Certificates in DER, the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// All roots of the trust domain, in DER.
    pub roots: Vec<Vec<u8>>,
    /// Their version.
    pub bundle_version: u64,
}

/// Where certificates come from: the identity service over the network, or a signer in this process.
pub trait Issuance: Send + Sync {
    /// Asks for a certificate for the key and identity of `request`. The answer is checked by the
    /// caller; the connection it comes over has been authenticated by the implementation, because the
    /// roots in it are believed.
    fn issue(
        &self,
        request: &KeyAndRequest,
    ) -> impl Future<Output = Result<Issued, SignError>> + Send;
}

/// A signer in this process: how the control plane gets its own certificate, and everybody in standalone
/// mode.
#[derive(Clone, Debug)]
pub struct InProcess {
    /// Signs.
    pub signer: Arc<dyn Signer>,
    /// Life of the certificates.
    pub life: LeafLife,
    /// Dates them.
    pub clock: Clock,
}

impl Issuance for InProcess {
    async fn issue(&self, request: &KeyAndRequest) -> Result<Issued, SignError> {
        let checked = CheckedRequest::parse(request.der(), request.id())
            .map_err(|error| SignError::Denied(error.to_string()))?;
        // Before signing: a chain to a root that is only announced afterwards is asked for again, one to
        // a root that has just been removed is not accepted.
        let SignerRoots { roots, version, .. } = self.signer.roots().borrow().clone();
        let signed = self
            .signer
            .sign(&checked, self.life, self.clock.now())
            .await?;
        Ok(Issued {
            chain: signed.chain,
            roots,
            bundle_version: version,
        })
    }
}

/// How renewal goes, for metrics and readiness.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RenewalStatus {
    /// Certificates obtained so far.
    pub renewals: u64,
    /// Failures since the last success.
    pub failures: u32,
    /// The last of them.
    pub last_error: Option<SignError>,
    /// Failures of all time, by [`SignError::reason`].
    pub failed: BTreeMap<&'static str, u64>,
    /// Last second of the certificate in use, seconds since 1970.
    pub not_after_unix_s: Option<i64>,
    /// How long it was good for when it came.
    pub life: Duration,
}

impl RenewalStatus {
    /// The same for metrics, with a zero for whatever has not happened yet: only what grows from
    /// somewhere is seen to grow.
    #[must_use]
    pub fn metrics(&self) -> IdentityState {
        let mut failed: BTreeMap<_, _> = SignError::REASONS.map(|it| (it, 0)).into();
        failed.extend(&self.failed);
        let last = self.last_error.as_ref().map(SignError::reason);
        IdentityState {
            not_after_unix_s: self.not_after_unix_s,
            life: self.life,
            renewals: self.renewals,
            failed,
            failing: last.map(|reason| (reason, self.failures)),
        }
    }
}

/// Asks a [`Renewer`] to renew before its time.
#[derive(Clone, Debug)]
pub struct RenewSoon(Arc<Asked>);

/// What a renewer is asked for.
#[derive(Debug, Default)]
struct Asked {
    any: Notify,
    /// Replaced and taken; no await is inside.
    wish: Mutex<Wish>,
}

#[derive(Debug, Default)]
struct Wish {
    is_now: bool,
    /// Whose certificate is wanted, and over which time that is spread; kept until there is one.
    of: Option<(String, Duration)>,
}

impl RenewSoon {
    /// Renews at a random moment within that time or a tenth of the certificate's life, whichever is
    /// shorter: for an issuer that is being replaced by this one (a fingerprint). Repeated as long as
    /// somebody else signs: replicas of a signer hear of a replacement one after the other.
    pub fn ask(&self, issuer: &str, within: Duration) {
        self.0.wish().of = Some((issuer.to_owned(), within));
        self.0.any.notify_one();
    }

    /// Renews now: for one whose certificate nobody accepts any more, or who is not one of many.
    pub fn ask_at_once(&self) {
        self.0.wish().is_now = true;
        self.0.any.notify_one();
    }
}

impl Asked {
    /// Over which time the renewal is spread that is asked for.
    fn within(&self, life: Duration) -> Option<Duration> {
        let mut wish = self.wish();
        if std::mem::take(&mut wish.is_now) {
            return Some(Duration::ZERO);
        }
        let (_, within) = wish.of.as_ref()?;
        Some(life.mul_f64(SPREAD).min(*within))
    }

    /// There is a certificate of this issuer; over which time another renewal is spread if that was not
    /// the one that is wanted.
    fn is_wanted_still(&self, issuer: &str, life: Duration) -> Option<Duration> {
        self.wish().of.take_if(|(wanted, _)| *wanted == *issuer);
        self.within(life)
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Obtains the certificate of one identity and renews it for ever.
pub struct Renewer<S> {
    id: SpiffeId,
    domain: TrustDomain,
    issuance: S,
    clock: Clock,
    chance: Box<dyn FnMut() -> f64 + Send>,
    soon: Arc<Asked>,
    status: watch::Sender<RenewalStatus>,
}

impl<S: Issuance> Renewer<S> {
    /// Renews the certificate of `id`. `chance` draws uniformly from `0.0..1.0`; it need not be fit for
    /// secrets.
    ///
    /// # Errors
    ///
    /// Never for an ID that is a workload's; fails when its trust domain cannot be read.
    pub fn new(
        id: &SpiffeId,
        issuance: S,
        clock: Clock,
        chance: impl FnMut() -> f64 + Send + 'static,
    ) -> Result<Self, weft_spiffe::SpiffeIdError> {
        Ok(Self {
            id: id.clone(),
            domain: TrustDomain::parse(id.domain())?,
            issuance,
            clock,
            chance: Box::new(chance),
            soon: Arc::default(),
            status: watch::Sender::default(),
        })
    }

    /// How it goes, now and whenever that changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<RenewalStatus> {
        self.status.subscribe()
    }

    /// A handle that asks for an early renewal.
    #[must_use]
    pub fn renew_soon(&self) -> RenewSoon {
        RenewSoon(self.soon.clone())
    }

    /// The identity with its first certificate. Tries until it succeeds; [`Renewer::status`] tells why it
    /// takes so long. Drop the future to give up.
    pub async fn obtain(&mut self) -> Identity {
        let mut backoff = Backoff::default();
        loop {
            match self.attempt(None).await {
                Ok((leaf, bundles)) => {
                    self.succeeded(&leaf);
                    return Identity::new(leaf, Trust::new(bundles, self.clock.clone()));
                }
                Err(error) => self.failed(error, &mut backoff).await,
            }
        }
    }

    /// Keeps `identity` fresh for ever. While attempts fail, the certificate in use stays in use until it
    /// expires; then acceptors and connectors refuse to work. Drop the future to stop.
    pub async fn keep(mut self, identity: Identity) -> std::convert::Infallible {
        let mut due = Due::after(self.clock.read(), identity.leaf().life(), (self.chance)());
        let mut backoff = Backoff::default();
        loop {
            self.wait_until(&mut due, identity.leaf().life()).await;
            match self.attempt(Some(&identity)).await {
                Ok((leaf, bundles)) => {
                    // The roots first: peers may already show certificates of a new one.
                    identity.trust().replace(bundles);
                    let replaced = identity.replace(leaf.clone());
                    due = self.due_after(&leaf);
                    match replaced {
                        Ok(()) => {
                            backoff.reset();
                            self.succeeded(&leaf);
                        }
                        Err(other) => {
                            let error = SignError::Misconfigured(other.to_string());
                            self.failed(error, &mut backoff).await;
                        }
                    }
                }
                Err(error) => self.failed(error, &mut backoff).await,
            }
        }
    }

    /// When the certificate that has just come is renewed.
    fn due_after(&mut self, leaf: &Leaf) -> Due {
        let (now, life) = (self.clock.read(), leaf.life());
        let due = Due::after(now, life, (self.chance)());
        match self.soon.is_wanted_still(&leaf.info().issuer, life) {
            // Not before half of the time: whoever is behind comes up meanwhile.
            Some(within) => due.or_within(now, within.mul_f64(0.5 + 0.5 * unit((self.chance)()))),
            None => due,
        }
    }

    /// Waits until a renewal is due, or soon when somebody asks for that.
    async fn wait_until(&mut self, due: &mut Due, life: Duration) {
        loop {
            let wait = due.wait(self.clock.read());
            if wait.is_zero() {
                return;
            }
            // Both branches may be dropped at any point: a notification that was not received stays.
            tokio::select! {
                () = tokio::time::sleep(wait.min(LOOK_AT_CLOCK)) => {}
                () = self.soon.any.notified() => {
                    if let Some(within) = self.soon.within(life) {
                        let within = within.mul_f64(unit((self.chance)()));
                        *due = due.or_within(self.clock.read(), within);
                    }
                }
            }
        }
    }

    /// One key, one request, one answer, checked.
    async fn attempt(&mut self, identity: Option<&Identity>) -> Result<(Leaf, Bundles), SignError> {
        let id = self.id.clone();
        // Whoever shares this thread does not wait for entropy, see `gather_entropy`.
        let made = tokio::task::spawn_blocking(move || KeyAndRequest::new(&id)).await;
        let request = made
            .map_err(|error| SignError::Retry(error.to_string()))?
            .map_err(|error| SignError::Retry(error.to_string()))?;
        let issued = self.issuance.issue(&request).await?;
        let now = self.clock.now();
        let (bundle, refused) = TrustBundle::from_der(&self.domain, issued.roots, now);
        if bundle.is_empty() {
            let why = refused
                .first()
                .map_or_else(String::new, |(_, error)| error.to_string());
            let text = format!("no usable root of {} in the answer; {why}", self.domain);
            return Err(SignError::Misconfigured(text));
        }
        let bundles = match identity.map(|identity| identity.trust().bundles()) {
            // The stream that distributes configuration was faster.
            Some(known) if known.version() > issued.bundle_version => Bundles::clone(&known),
            Some(known) => known.with(bundle, issued.bundle_version),
            None => Bundles::new(bundle, issued.bundle_version),
        };
        let leaf = request
            .into_leaf(&issued.chain, &bundles, now)
            .map_err(|error| SignError::Misconfigured(error.to_string()))?;
        Ok((leaf, bundles))
    }

    fn succeeded(&self, leaf: &Leaf) {
        self.status.send_modify(|status| {
            status.renewals += 1;
            status.failures = 0;
            status.last_error = None;
            status.not_after_unix_s = Some(leaf.info().not_after_unix_s);
            status.life = leaf.life();
        });
    }

    async fn failed(&mut self, error: SignError, backoff: &mut Backoff) {
        let delay = backoff.after_failure((self.chance)());
        self.status.send_modify(|status| {
            status.failures = backoff.failures();
            *status.failed.entry(error.reason()).or_default() += 1;
            status.last_error = Some(error);
        });
        tokio::time::sleep(delay).await;
    }
}

impl<S> fmt::Debug for Renewer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewer")
            .field("id", &self.id)
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
