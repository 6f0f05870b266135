//! Certificates by way of the parent: what is asked for, and the answers as they come.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use weft_certs::{Issued, SignError};
use weft_spiffe::SpiffeId;

use super::{Csr, Signed};

/// Questions that are under way at a time; a node with many accounts starts without a storm.
const IN_FLIGHT: usize = 8;
/// How long an answer takes at most. The parent may be starting again, and then knows nothing of the
/// question.
const ANSWER: Duration = Duration::from_secs(10);

/// A way to the parent, whatever else is said on it.
pub(crate) trait Ask: fmt::Debug + Send + Sync {
    /// Sends a question; whether there still is a parent.
    fn ask(&self, csr: Csr) -> Asked<'_>;
}

/// A question on its way.
pub(crate) type Asked<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

impl<R: From<Csr> + Send + 'static> Ask for mpsc::Sender<R> {
    fn ask(&self, csr: Csr) -> Asked<'_> {
        Box::pin(async move { self.send(csr.into()).await.is_ok() })
    }
}

/// What has been asked for.
#[derive(Debug)]
pub(super) struct Asking {
    parent: Box<dyn Ask>,
    slots: Semaphore,
    /// Look-ups only; no await is inside.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// How many there have been.
    asked: u64,
    waiting: HashMap<u64, oneshot::Sender<Signed>>,
}

/// Who waits for an answer; gives up when it is dropped.
struct Waiting<'a> {
    asking: &'a Asking,
    ask: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.asking.lock().waiting.remove(&self.ask);
    }
}

impl Asking {
    pub(super) fn new(parent: impl Ask + 'static) -> Self {
        Self {
            parent: Box::new(parent),
            slots: Semaphore::new(IN_FLIGHT),
            open: Mutex::default(),
        }
    }

    /// An answer has come. One that nobody waits for any more is dropped.
    pub(super) fn answered(&self, signed: Signed) {
        if let Some(waiting) = self.lock().waiting.remove(&signed.ask) {
            // By who has given up this very moment.
            let _gone = waiting.send(signed);
        }
    }

    /// Nobody answers what was asked so far.
    pub(super) fn forget(&self) {
        self.lock().waiting.clear();
    }

    /// Asks for a certificate of `identity`, which the pod with that UID has.
    ///
    /// # Errors
    /// What the identity service says, or that nobody answers, which may pass.
    pub(super) async fn ask(
        &self,
        identity: &SpiffeId,
        pod_uid: &str,
        der: &[u8],
    ) -> Result<Issued, SignError> {
        let retry = |text: &str| SignError::Retry(text.to_owned());
        let slot = self.slots.acquire().await;
        let _slot = slot.map_err(|_closed| retry("the worker ends"))?;
        let (here, answer) = oneshot::channel();
        let waiting = self.wait(here);
        let csr = Csr {
            ask: waiting.ask,
            identity: identity.to_string(),
            pod_uid: pod_uid.to_owned(),
            der: der.to_vec().into(),
        };
        if !self.parent.ask(csr).await {
            return Err(retry("the parent process is gone"));
        }
        let answer = timeout(ANSWER, answer).await;
        let signed = answer
            .map_err(|_elapsed| retry("the parent process does not answer"))?
            .map_err(|_closed| retry("the question was forgotten"))?;
        sort(signed)
    }

    fn wait(&self, here: oneshot::Sender<Signed>) -> Waiting<'_> {
        let mut open = self.lock();
        open.asked += 1;
        let ask = open.asked;
        open.waiting.insert(ask, here);
        Waiting { asking: self, ask }
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sort(signed: Signed) -> Result<Issued, SignError> {
    if !signed.error.is_empty() {
        return Err(match signed.kind {
            2 => SignError::Denied(signed.error),
            3 => SignError::Misconfigured(signed.error),
            _ => SignError::Retry(signed.error),
        });
    }
    Ok(Issued {
        chain: signed.chain.into_iter().map(Into::into).collect(),
        roots: signed.roots.into_iter().map(Into::into).collect(),
        bundle_version: signed.bundle_version,
    })
}
