//! Certificates for the pods of one worker: it is given those of its own pods, and no others.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::pods::Pods;
use crate::{
    control::{Owner, Signer, Signings, denied},
    identity::{Csr, Signed},
};

/// Requests that a worker may have open, beside two for each of its pods.
const OPEN: usize = 8;

/// Passes a request on, if it is about one of the `pods` that the worker has; the answer if there is one
/// at once, which then is a refusal. The semaphore is for the requests of all workers.
pub(super) fn add(
    signings: &mut Signings,
    csr: Csr,
    pods: &Pods,
    by: (&Arc<dyn Signer>, &Arc<Semaphore>),
) -> Option<Signed> {
    let mut all = pods.values();
    let is_its = |identity: &str, uid: &str| identity == csr.identity && uid == csr.pod_uid;
    let Some(pod) = all.find(|pod| is_its(pod.identity.as_str(), &pod.uid)) else {
        let why = "no such pod of that identity is served by this worker";
        return Some(denied(csr.ask, why));
    };
    let owner = Owner {
        identity: pod.identity.clone(),
        most: 2 * pods.len() + OPEN,
    };
    signings.add(csr, owner, by)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use tokio::sync::Semaphore;
    use weft_certs::SignError;
    use weft_intercept::Netns;
    use weft_wire::proto::identity::{SignRequest, SignResponse};

    use super::{super::pods::Served, *};
    use crate::{
        control::Signing,
        node::core::{Hold, Sandbox},
    };

    /// Kinds of refusals as they travel.
    const RETRY: u32 = 1;
    const DENIED: u32 = 2;
    const MISTAKE: u32 = 3;

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
        match add(&mut signings, csr, &pods(), (&signer, &room)) {
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
        let mut ask = || add(&mut signings, csr(SHOP, "u-1", 9), &pods, (&signer, &room));
        let accepted = (0..64).take_while(|_| ask().is_none()).count();
        assert_eq!(accepted, 2 + OPEN);
        assert_eq!(ask().map(|it| it.kind), Some(RETRY));
    }
}
