//! Following a signer: whom it announces is trusted, and a certificate that it would not issue any more
//! is renewed.

use std::time::{Duration, SystemTime};

use rustls_pki_types::UnixTime;
use thiserror::Error;

use crate::bundle::{Bundles, RootError, TrustBundle};
use crate::identity::Identity;
use crate::leaf::Leaf;
use crate::renewer::{RENEW_WITHIN, RenewSoon};
use crate::signer::SignerRoots;
use crate::verify;

/// What came of an announcement.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Followed {
    /// Whether other roots are trusted than before.
    pub is_news: bool,
    /// Announced roots that are not trusted, by their positions.
    pub refused: Vec<(usize, RootError)>,
    /// How soon the certificate has to be replaced.
    pub renewal: Renewal,
}

/// How soon a certificate has to be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Renewal {
    /// In its own time.
    #[default]
    InTime,
    /// Soon: somebody else issues now, and its own issuer is about to be retired.
    Soon {
        /// Fingerprint of who issues now.
        issuer: String,
        /// Time over which those who have to renew spread.
        within: Duration,
    },
    /// At once: nobody vouches for it any more. Its holder was away while its issuer was retired.
    Now,
}

/// None of the roots of an announcement can be trusted; what was trusted stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no root of bundle {version} can be trusted ({why}); what was trusted before stays")]
pub struct NoRoot {
    version: u64,
    why: String,
}

impl Identity {
    /// Trusts what a signer announces from the next handshake on, unless it is older than what is known.
    /// An announcement without an issuer asks for no renewal.
    ///
    /// # Errors
    ///
    /// [`NoRoot`]; a bundle without a usable root is no bundle.
    pub fn follow(&self, announced: &SignerRoots) -> Result<Followed, NoRoot> {
        let trust = self.trust();
        let known = trust.bundles();
        let (now, version) = (trust.clock.now(), announced.version);
        let mut followed = Followed::default();
        if version > known.version() {
            let roots = announced.roots.clone();
            let (bundle, refused) = TrustBundle::from_der(known.own_domain(), roots, now);
            if bundle.is_empty() {
                let first = refused.first().map(|(_, error)| error.to_string());
                let why = first.unwrap_or_else(|| "it is empty".to_owned());
                return Err(NoRoot { version, why });
            }
            trust.replace(known.with(bundle, version));
            followed.is_news = true;
            followed.refused = refused;
        }
        let leaf = self.leaf();
        let is_lost = followed.is_news && !leaf.is_vouched_for(&trust.bundles(), now);
        let is_other = !announced.issuer.is_empty() && leaf.info().issuer != announced.issuer;
        followed.renewal = match (is_lost, is_other) {
            (true, _) => Renewal::Now,
            (false, true) => Renewal::Soon {
                issuer: announced.issuer.clone(),
                within: announced.renew_within.unwrap_or(RENEW_WITHIN),
            },
            (false, false) => Renewal::InTime,
        };
        Ok(followed)
    }
}

impl Renewal {
    /// Asks for it.
    pub fn ask(&self, soon: &RenewSoon) {
        match self {
            Self::InTime => {}
            Self::Soon { issuer, within } => soon.ask(issuer, *within),
            Self::Now => soon.ask_at_once(),
        }
    }
}

impl Leaf {
    /// Whether somebody who trusts these bundles accepts it at `now`.
    fn is_vouched_for(&self, bundles: &Bundles, now: SystemTime) -> bool {
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let time = UnixTime::since_unix_epoch(since.unwrap_or_default());
        let chain = self.certified().cert.split_first();
        chain.is_some_and(|(leaf, issuers)| verify::verify(leaf, issuers, bundles, time).is_ok())
    }
}

#[cfg(test)]
mod tests;
