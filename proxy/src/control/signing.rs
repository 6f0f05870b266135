//! Certificates for workers. The keys are theirs; they ask by requests, which their parent passes on for
//! identities that are theirs as well, and for no others.

use std::{pin::Pin, sync::Arc};

use tokio::{sync::Semaphore, task::JoinSet};
use weft_certs::SignError;
use weft_spiffe::SpiffeId;
use weft_wire::proto::identity::{SignRequest, SignResponse};

use super::sign::IdentityService;
use crate::identity::{Csr, Signed};

/// Longest request that the identity service takes.
const CSR_BYTES: usize = 4096;

/// Kinds of errors as they travel.
const RETRY: u32 = 1;
const DENIED: u32 = 2;
const MISTAKE: u32 = 3;

/// A certificate that is still to come.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<SignResponse, SignError>> + Send + 'a>>;

/// Who signs certificates of workers.
pub trait Signer: Send + Sync {
    /// Asks once.
    fn sign(&self, asked: SignRequest) -> Signing<'_>;
}

impl Signer for IdentityService {
    fn sign(&self, asked: SignRequest) -> Signing<'_> {
        Box::pin(Self::sign(self, asked))
    }
}

/// Whose request it is, as the parent knows by itself.
pub(crate) struct Owner {
    /// Who it is.
    pub(crate) identity: SpiffeId,
    /// Requests that its worker may have open.
    pub(crate) most: usize,
}

/// The requests of one worker.
#[derive(Default)]
pub(crate) struct Signings {
    open: JoinSet<(Signed, SpiffeId)>,
}

impl Signings {
    /// Passes a request of `owner` on; the answer if there is one at once, which then is a refusal. `room`
    /// is for the requests of all workers.
    pub(crate) fn add(
        &mut self,
        csr: Csr,
        owner: Owner,
        (signer, room): (&Arc<dyn Signer>, &Arc<Semaphore>),
    ) -> Option<Signed> {
        let Owner { identity, most } = owner;
        if csr.der.len() > CSR_BYTES {
            return Some(refusal(csr.ask, MISTAKE, "the request is too long"));
        }
        if self.open.len() >= most {
            let why = "too many requests of this worker are open";
            return Some(refusal(csr.ask, RETRY, why));
        }
        let (signer, room) = (Arc::clone(signer), Arc::clone(room));
        self.open.spawn(async move {
            // The room is never closed.
            let place = room.acquire_owned().await;
            let asked = SignRequest {
                identity: identity.to_string(),
                csr_der: csr.der,
                pod_uid: csr.pod_uid,
            };
            let signed = answer(csr.ask, signer.sign(asked).await);
            drop(place);
            (signed, identity)
        });
        None
    }

    /// What was answered last, and about whom; nothing when nothing is open. Can be dropped.
    pub(crate) async fn next(&mut self) -> Option<(Signed, SpiffeId)> {
        // What panicked is a defect, and the worker asks again.
        self.open.join_next().await?.ok()
    }
}

/// The answer when nobody signs.
pub(crate) fn nobody(ask: u64) -> Signed {
    refusal(ask, RETRY, "the supervisor has no identity service")
}

/// The answer to a worker that asks for what is not its own.
pub(crate) fn denied(ask: u64, why: &str) -> Signed {
    refusal(ask, DENIED, why)
}

fn refusal(ask: u64, kind: u32, error: &str) -> Signed {
    Signed {
        ask,
        error: error.to_owned(),
        kind,
        ..Signed::default()
    }
}

fn answer(ask: u64, signed: Result<SignResponse, SignError>) -> Signed {
    match signed {
        Ok(signed) => Signed {
            ask,
            chain: signed.chain,
            roots: signed.roots,
            bundle_version: signed.bundle_version,
            ..Signed::default()
        },
        Err(error) => {
            // The worker says of what kind it is in its own words.
            let (kind, why) = match error {
                SignError::Retry(why) => (RETRY, why),
                SignError::Denied(why) => (DENIED, why),
                SignError::Misconfigured(why) => (MISTAKE, why),
            };
            refusal(ask, kind, &why)
        }
    }
}
