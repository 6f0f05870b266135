//! Certificates for the worker, by which it reaches members of the mesh. Its key is its own; whatever it
//! asks for is in the name of the Gateway or refused.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use weft_spiffe::SpiffeId;
use weft_wire::proto::config::WorkerTrusts;

use super::Core;
use crate::{
    channel::Order,
    control::{self, Owner, Signer, Trusted, denied},
    identity::{self, Csr, Signed, Trust},
};

/// Requests that a worker may have open: it has one identity, and asks again when nobody answers.
const OPEN: usize = 8;
/// Requests that the identity service is asked at a time.
const IN_FLIGHT: usize = 2;

/// Who signs for workers, and as whom; and who wants to know what they have.
pub(in crate::gateway) struct Signers {
    id: SpiffeId,
    signer: Arc<dyn Signer>,
    room: Arc<Semaphore>,
    told: watch::Sender<Vec<WorkerTrusts>>,
}

impl Signers {
    /// Workers get certificates of `id`; whom they trust is said to `told`.
    pub(in crate::gateway) fn new(
        (id, signer): (SpiffeId, Arc<dyn Signer>),
        told: watch::Sender<Vec<WorkerTrusts>>,
    ) -> Self {
        Self {
            id,
            signer,
            room: Arc::new(Semaphore::new(IN_FLIGHT)),
            told,
        }
    }
}

impl Core {
    /// The worker is told whom to trust, and the next one will be.
    pub(super) fn trusts(&mut self, trusted: &Trusted) {
        self.trust = Some(trusted.into());
        self.entrust();
    }

    /// The worker has just started, or what is known has changed.
    pub(super) fn entrust(&mut self) {
        if let Some(trust) = &self.trust {
            self.order(Order::Trust(Trust::clone(trust)), Vec::new());
        }
    }

    /// The worker says whom it trusts.
    pub(super) fn heed(&mut self, said: WorkerTrusts) {
        if let Some(worker) = &mut self.worker {
            worker.trusts = identity::plausible("", said);
            self.account();
        }
    }

    /// Says what the worker trusts, if there is one that has been heard.
    pub(super) fn account(&self) {
        let heard = self.worker.iter().filter(|worker| worker.is_heard());
        let trusts = heard.map(|worker| worker.trusts.clone());
        control::say(&self.signers.told, trusts.collect());
    }

    /// The worker asks for a certificate.
    pub(super) fn csr(&mut self, csr: Csr) {
        let Some(worker) = &mut self.worker else {
            return;
        };
        let Signers {
            id, signer, room, ..
        } = &self.signers;
        let refused = if csr.identity == id.as_str() && csr.pod_uid.is_empty() {
            let owner = Owner {
                identity: id.clone(),
                most: OPEN,
            };
            worker.signings.add(csr, owner, (signer, room))
        } else {
            Some(denied(csr.ask, "it is not the identity of this Gateway"))
        };
        if let Some(refused) = refused {
            self.certify(refused);
        }
    }

    /// What was signed last for the present worker; nothing when it has asked for nothing. Can be dropped.
    pub(in crate::gateway) async fn signed(&mut self) -> Option<Signed> {
        let (signed, _id) = self.worker.as_mut()?.signings.next().await?;
        Some(signed)
    }

    /// Hands an answer to the worker.
    pub(in crate::gateway) fn certify(&mut self, signed: Signed) {
        if !signed.error.is_empty() {
            tracing::warn!("no certificate for the worker: {}", signed.error);
        }
        self.order(Order::Signed(signed), Vec::new());
    }
}
