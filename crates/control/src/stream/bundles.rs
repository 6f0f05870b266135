//! Whom one proxy is to trust, and whom it has said it does.

use std::time::Duration;

use tokio::sync::watch;
use weft_certs::SignerRoots;
use weft_wire::proto::config::{Bundle, ServerMessage, Trusts, server_message::Message};

/// The roots on their way to one proxy.
pub(super) struct Bundles {
    roots: watch::Receiver<SignerRoots>,
    /// Over which time renewals are spread when another certificate issues.
    spread: Duration,
    /// What the proxy has said; nothing is sent to one that says nothing, which does not know how.
    said: Option<Trusts>,
    /// The bundle that awaits an answer: version and issuer.
    sent: Option<(u64, String)>,
}

impl Bundles {
    pub(super) fn new(roots: watch::Receiver<SignerRoots>, spread: Duration) -> Self {
        Self {
            roots,
            spread,
            said: None,
            sent: None,
        }
    }

    /// Waits for other roots, or for another issuer. Can be dropped.
    pub(super) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.roots.changed().await
    }

    /// The proxy says whom it trusts; what to send.
    pub(super) fn said(&mut self, trusts: Trusts) -> Option<ServerMessage> {
        self.said = Some(trusts);
        self.next()
    }

    /// What to send, if the proxy can take it, has answered what was sent before, and is not there
    /// already.
    pub(super) fn next(&mut self) -> Option<ServerMessage> {
        let newest = self.roots.borrow_and_update().clone();
        let said = self.said.as_ref()?;
        let target = (newest.version, newest.issuer);
        let mut leaves = said.workers.iter().flat_map(|worker| worker.leaves.keys());
        let is_there = (said.bundle_version, &said.issuer) == (target.0, &target.1)
            && leaves.all(|issuer| *issuer == target.1);
        let is_awaited = |sent: &(u64, String)| *sent == target || said.bundle_version < sent.0;
        if is_there || self.sent.as_ref().is_some_and(is_awaited) {
            return None;
        }
        let bundle = Bundle {
            version: newest.version,
            roots: newest.roots.into_iter().map(Into::into).collect(),
            issuer: target.1.clone(),
            renew_within_ms: u64::try_from(self.spread.as_millis()).unwrap_or(u64::MAX),
        };
        self.sent = Some(target);
        Some(ServerMessage {
            message: Some(Message::Bundle(bundle)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use weft_wire::proto::config::WorkerTrusts;

    use super::*;

    const SPREAD: Duration = Duration::from_secs(90);

    fn roots(version: u64, issuer: &str) -> SignerRoots {
        SignerRoots {
            roots: vec![vec![1]],
            version,
            issuer: issuer.to_owned(),
            renew_within: None,
        }
    }

    fn trusts(bundle_version: u64, issuer: &str) -> Trusts {
        Trusts {
            bundle_version,
            issuer: issuer.to_owned(),
            workers: Vec::new(),
        }
    }

    /// Version and issuer of what is sent.
    fn told(sent: Option<ServerMessage>) -> Option<(u64, String)> {
        match sent?.message? {
            Message::Bundle(bundle) => {
                assert_eq!(bundle.renew_within_ms, 90_000, "each says how soon");
                Some((bundle.version, bundle.issuer))
            }
            Message::Delta(_) => None,
        }
    }

    fn sent(version: u64, issuer: &str) -> Option<(u64, String)> {
        Some((version, issuer.to_owned()))
    }

    #[test]
    fn a_proxy_is_told_once_and_one_bundle_at_a_time() {
        let (now, watched) = watch::channel(roots(1, "a"));
        let mut bundles = Bundles::new(watched, SPREAD);
        now.send_replace(roots(2, "a"));
        assert_eq!(told(bundles.next()), None, "it has not said that it can");
        assert_eq!(told(bundles.said(trusts(1, "a"))), sent(2, "a"));
        assert_eq!(told(bundles.next()), None, "not twice");
        now.send_replace(roots(3, "a"));
        assert_eq!(told(bundles.next()), None, "the one before is not answered");
        assert_eq!(told(bundles.said(trusts(2, "a"))), sent(3, "a"));
        assert_eq!(told(bundles.said(trusts(3, "a"))), None, "it is there");
        now.send_replace(roots(3, "b"));
        assert_eq!(told(bundles.next()), sent(3, "b"), "another issuer");
        assert_eq!(
            told(bundles.said(trusts(3, "a"))),
            None,
            "it takes its time"
        );
        assert_eq!(told(bundles.said(trusts(3, "b"))), None, "it is there");
    }

    #[test]
    fn a_proxy_that_renewed_before_it_was_told_learns_the_issuer_for_its_workers() {
        let (_now, watched) = watch::channel(roots(2, "b"));
        let mut bundles = Bundles::new(watched, SPREAD);
        let with = |issuer: &str| {
            let mut trusts = trusts(2, "b");
            trusts.workers.push(WorkerTrusts {
                name: "shop".to_owned(),
                bundle_version: 2,
                leaves: BTreeMap::from([(issuer.to_owned(), 3)]),
            });
            trusts
        };
        assert_eq!(told(bundles.said(with("a"))), sent(2, "b"));
        assert_eq!(told(bundles.said(with("a"))), None, "not twice");
        assert_eq!(told(bundles.said(with("b"))), None, "all are there");
    }
}
