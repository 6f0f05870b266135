//! Certificates for the pods of one worker. The keys are the worker's; it asks by requests, which are
//! passed on for identities of its own pods and for no others.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::JoinSet};
use weft_certs::SignError;
use weft_spiffe::SpiffeId;
use weft_wire::proto::identity::{SignRequest, SignResponse};

use super::{pods::Pods, supply::Signer};
use crate::node::messages::{Csr, Signed};

/// Longest request that the identity service takes.
const CSR_BYTES: usize = 4096;
/// Requests that a worker may have open, beside two for each of its pods.
const OPEN: usize = 8;

/// Kinds of errors as they travel.
const RETRY: u32 = 1;
const DENIED: u32 = 2;
const MISTAKE: u32 = 3;

/// The requests of one worker.
#[derive(Default)]
pub(super) struct Signings {
    open: JoinSet<(Signed, SpiffeId)>,
}

impl Signings {
    /// Passes a request on; the answer if there is one at once, which then is a refusal. `room` is for
    /// the requests of all workers.
    pub(super) fn add(
        &mut self,
        csr: Csr,
        pods: &Pods,
        (signer, room): (&Arc<dyn Signer>, &Arc<Semaphore>),
    ) -> Option<Signed> {
        let is_it = |uid: &str, identity: &SpiffeId| {
            uid == csr.pod_uid && identity.as_str() == csr.identity
        };
        let pod = pods.values().find(|pod| is_it(&pod.uid, &pod.identity));
        let Some(pod) = pod else {
            let why = "no such pod of that identity is served by this worker";
            return Some(refusal(csr.ask, DENIED, why));
        };
        if csr.der.len() > CSR_BYTES {
            return Some(refusal(csr.ask, MISTAKE, "the request is too long"));
        }
        if self.open.len() >= 2 * pods.len() + OPEN {
            let why = "too many requests of this worker are open";
            return Some(refusal(csr.ask, RETRY, why));
        }
        let (signer, room) = (Arc::clone(signer), Arc::clone(room));
        let identity = pod.identity.clone();
        self.open.spawn(async move {
            // The room is never closed.
            let place = room.acquire_owned().await;
            let asked = SignRequest {
                identity: csr.identity,
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
    pub(super) async fn next(&mut self) -> Option<(Signed, SpiffeId)> {
        // What panicked is a defect, and the worker asks again.
        self.open.join_next().await?.ok()
    }
}

/// The answer when nobody signs.
pub(super) fn nobody(ask: u64) -> Signed {
    refusal(ask, RETRY, "the supervisor has no identity service")
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use tokio::sync::Semaphore;
    use weft_certs::SignError;
    use weft_intercept::Netns;
    use weft_wire::proto::identity::{SignRequest, SignResponse};

    use super::{super::pods::Served, *};
    use crate::node::{
        core::{Hold, Sandbox},
        shards::Signing,
    };

    const SHOP: &str = "spiffe://cluster.local/ns/shop/sa/web";
    const PAY: &str = "spiffe://cluster.local/ns/pay/sa/web";

    /// Signs whatever it is asked.
    struct Willing;

    impl Signer for Willing {
        fn sign(&self, asked: SignRequest) -> Signing<'_> {
            Box::pin(async move {
                if asked.csr_der.is_empty() {
                    return Err(SignError::Denied("nothing to sign".to_owned()));
                }
                Ok(SignResponse {
                    chain: vec![asked.pod_uid.into_bytes().into()],
                    ..SignResponse::default()
                })
            })
        }
    }

    /// A worker with one pod, `u-1` of account `web`.
    fn pods() -> Pods {
        let hold = Hold {
            sandbox: Sandbox::of_number(1),
            generation: 1,
        };
        let served = Served {
            netns: Arc::new(Netns::current().expect("there is one")),
            uid: "u-1".to_owned(),
            identity: SHOP.parse().expect("an identity"),
        };
        BTreeMap::from([(hold, served)])
    }

    fn csr(identity: &str, uid: &str, bytes: usize) -> Csr {
        Csr {
            ask: 7,
            identity: identity.to_owned(),
            pod_uid: uid.to_owned(),
            der: vec![1; bytes].into(),
        }
    }

    async fn asks(csr: Csr) -> Signed {
        let signer: Arc<dyn Signer> = Arc::new(Willing);
        let room = Arc::new(Semaphore::new(1));
        let mut signings = Signings::default();
        match signings.add(csr, &pods(), (&signer, &room)) {
            Some(refused) => refused,
            None => signings.next().await.expect("it is answered").0,
        }
    }

    #[tokio::test]
    async fn a_worker_is_given_certificates_of_its_own_pods_alone() {
        for (row, csr, kind) in [
            ("its own", csr(SHOP, "u-1", 9), 0),
            ("of another shard", csr(PAY, "u-1", 9), DENIED),
            ("of a pod it does not have", csr(SHOP, "u-2", 9), DENIED),
            ("longer than any request", csr(SHOP, "u-1", 5000), MISTAKE),
            ("that the service denies", csr(SHOP, "u-1", 0), DENIED),
        ] {
            let signed = asks(csr).await;
            assert_eq!((signed.ask, signed.kind), (7, kind), "{row}");
            assert_eq!(signed.chain.is_empty(), kind != 0, "{row}");
        }
    }

    #[tokio::test]
    async fn a_worker_that_asks_without_end_is_told_to_wait() {
        let signer: Arc<dyn Signer> = Arc::new(Willing);
        let room = Arc::new(Semaphore::new(0));
        let mut signings = Signings::default();
        let pods = pods();
        let mut add = || signings.add(csr(SHOP, "u-1", 9), &pods, (&signer, &room));
        let accepted = (0..64).take_while(|_| add().is_none()).count();
        assert_eq!(accepted, 2 + OPEN);
        assert_eq!(add().map(|it| it.kind), Some(RETRY));
    }
}
