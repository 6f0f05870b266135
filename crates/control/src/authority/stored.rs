//! The Secret of the authority: who signs, who will, whom to trust besides, and where a rotation
//! stands. Pure: values in, values out.
//!
//! | item | what |
//! |---|---|
//! | `root.crt`, `root.key`, `issuer.crt`, `issuer.key` | who signs |
//! | the same with `next.` before | who will sign: while its root is distributed, or as an operator brought it |
//! | `old.root.crt` | the last root, until its leaves are gone |
//! | `rotation.json` | the phase, see [`Rotation`] |
//!
//! All of it is one object, so that a step is written whole or not at all.

use std::{sync::Arc, time::SystemTime};

use serde_json::{Map, Value, json};
use weft_api::{AnyObject, ByteString, ObjectRef, Secret, meta::ObjectMeta};
use weft_certs::{
    Authority, AuthorityError, AuthorityPem, ImportError, IssuerRef, Issuers, Laggard, Rotation,
    Step, StepInput, TrustBundle, is_rotation_due,
};
use weft_spiffe::TrustDomain;

use crate::orders::{PHASE, ROTATE, STATUS, STEP};

/// Type of the Secret: keys with names of their own.
const SECRET_TYPE: &str = "Opaque";
/// Before the names of the items of the next authority.
const NEXT: &str = "next.";
/// The last root.
const OLD_ROOT: &str = "old.root.crt";
/// The phase.
const ROTATION: &str = "rotation.json";
/// A root that ends so soon is replaced when its issuer is: half of its ten years.
const ROOT_LEFT_MIN_S: i64 = 5 * 365 * 24 * 3600;

/// What the Secret holds.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) rotation: Rotation,
    /// Signs.
    current: Arc<Authority>,
    /// Will sign.
    next: Option<Arc<Authority>>,
    /// The last root, in DER.
    old_root: Option<Vec<u8>>,
    /// `metadata.resourceVersion`.
    pub(super) version: String,
    asked: Option<Asked>,
    forced: bool,
    /// Somebody put another authority in its place, which no rotation has led to.
    pub(super) is_replaced: bool,
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Root,
    Issuer,
}

/// What is to be done about a rotation.
#[derive(Debug)]
pub(super) enum Plan {
    /// Nothing now; these are waited for.
    Wait(Vec<Laggard>),
    /// To write this. Those who were passed over, when an operator forced it.
    Write(Box<Stored>, Vec<Laggard>),
}

impl Stored {
    /// Reads a Secret. What is wrong with a rotation ends it; only who signs must be good.
    pub(super) fn of(
        secret: &Secret,
        domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Self, ImportError> {
        let item = |name: &str| {
            let text = std::str::from_utf8(secret.get(name)?).ok()?;
            Some(text.to_owned())
        };
        let read = |prefix: &str| {
            let pem = AuthorityPem::from_items(|name| item(&format!("{prefix}{name}")))?;
            Authority::import(domain, &pem, now).map(Arc::new)
        };
        let current = read("")?;
        let next = match read(NEXT) {
            Ok(next) => Some(next),
            Err(ImportError::Missing(_)) => None,
            Err(error) => {
                tracing::error!("the next authority cannot be used: {error}");
                None
            }
        };
        let old_root = item(OLD_ROOT).and_then(|pem| {
            let (bundle, _refused) = TrustBundle::from_pem(domain, &pem, now);
            bundle.roots_der().next().map(<[u8]>::to_vec)
        });
        let written = item(ROTATION).and_then(|text| serde_json::from_str(&text).ok());
        let rotation = written.unwrap_or_else(|| Rotation::stable(reference(&current)));
        let is_replaced = *rotation.signing() != reference(&current);
        let metadata = &secret.metadata;
        let mut stored = Self {
            rotation,
            current,
            next,
            old_root,
            version: metadata
                .resource_version
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
            asked: match metadata.annotations.get(ROTATE) {
                Some("root") => Some(Asked::Root),
                Some("issuer") => Some(Asked::Issuer),
                _ => None,
            },
            forced: metadata.annotations.get(STEP) == Some("force"),
            is_replaced,
        };
        if is_replaced || !stored.is_whole() {
            let bundle_version = stored.rotation.bundle_version() + 1;
            let current = reference(&stored.current);
            stored.rotation = Rotation::Stable {
                current,
                bundle_version,
            };
        }
        Ok(stored)
    }

    /// Whether everything is there that the phase needs.
    fn is_whole(&self) -> bool {
        match &self.rotation {
            Rotation::Distribute { new, .. } => {
                let next = self.next.as_deref();
                next.is_some_and(|next| reference(next) == *new)
            }
            Rotation::Activate { old, new, .. } => old.root == new.root || self.old_root.is_some(),
            Rotation::Stable { .. } | Rotation::Retire { .. } => true,
        }
    }

    /// What the signer works with.
    pub(super) fn issuers(&self) -> Issuers {
        let next = self.next.as_deref().map(|next| next.root_der().to_vec());
        let also_trusted = match &self.rotation {
            Rotation::Distribute { .. } => next,
            Rotation::Activate { .. } => self.old_root.clone(),
            Rotation::Stable { .. } | Rotation::Retire { .. } => None,
        };
        Issuers {
            signing: Arc::clone(&self.current),
            also_trusted: also_trusted.into_iter().collect(),
            bundle_version: self.rotation.bundle_version(),
        }
    }

    /// The fingerprint of the certificate that leaves are to be of, once everybody has followed.
    pub(super) fn new_issuer(&self) -> &str {
        match &self.rotation {
            Rotation::Stable { current, .. } => &current.issuer,
            Rotation::Distribute { new, .. }
            | Rotation::Activate { new, .. }
            | Rotation::Retire { new, .. } => &new.issuer,
        }
    }

    /// The next step, if it is time.
    ///
    /// # Errors
    /// No new authority could be made.
    pub(super) fn plan(
        &self,
        input: &StepInput<'_>,
        domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Plan, AuthorityError> {
        if self.rotation.phase() > 0 {
            let input = StepInput {
                forced: self.forced,
                ..input.clone()
            };
            let Step { rotation, laggards } = self.rotation.clone().step(&input);
            if rotation == self.rotation {
                return Ok(Plan::Wait(laggards));
            }
            let after = self.clone().after(rotation, None);
            return Ok(Plan::Write(Box::new(after), laggards));
        }
        let Some(wanted) = self.asked.or_else(|| self.due(input.now_unix_s)) else {
            return Ok(Plan::Wait(Vec::new()));
        };
        let made = match (wanted, &self.next) {
            (Asked::Root, Some(brought)) => Arc::clone(brought),
            (Asked::Root, None) => Arc::new(Authority::generate(domain, now)?),
            (Asked::Issuer, _) => Arc::new(self.current.with_new_issuer(now)?),
        };
        let rotation = self.rotation.clone().begin(reference(&made), input);
        let after = self.clone().after(rotation, Some(made));
        Ok(Plan::Write(Box::new(after), Vec::new()))
    }

    /// What is due by its age. Who keeps the root's key elsewhere brings the next issuer from there.
    fn due(&self, now_unix_s: i64) -> Option<Asked> {
        let is_due = is_rotation_due(self.current.issuer_validity_unix_s(), now_unix_s);
        let root_left = self.current.root_not_after_unix_s() - now_unix_s;
        is_due.then_some(match root_left > ROOT_LEFT_MIN_S {
            true => Asked::Issuer,
            false => Asked::Root,
        })
    }

    /// What the Secret holds in the next phase.
    fn after(mut self, rotation: Rotation, made: Option<Arc<Authority>>) -> Self {
        match &rotation {
            Rotation::Distribute { .. } => self.next = made,
            Rotation::Activate { old, new, .. } => {
                if old.root != new.root {
                    self.old_root = Some(self.current.root_der().to_vec());
                }
                if let Some(signs) = made.or(self.next.take()) {
                    self.current = signs;
                }
            }
            Rotation::Retire { .. } | Rotation::Stable { .. } => self.old_root = None,
        }
        self.rotation = rotation;
        self
    }

    /// The patch that makes the Secret hold this, if it is still of the version this was read from.
    /// Orders of operators are taken off: they are carried out.
    pub(super) fn patch(&self, domain: &TrustDomain, now: SystemTime) -> Value {
        let mut data = Map::new();
        items("", Some(&self.current), &mut data);
        items(NEXT, self.next.as_deref(), &mut data);
        let old_root = self.old_root.clone().map(|der| {
            let (bundle, _refused) = TrustBundle::from_der(domain, vec![der], now);
            bytes(bundle.to_pem().as_bytes())
        });
        data.insert(OLD_ROOT.to_owned(), old_root.unwrap_or_default());
        // Maps of text and numbers: there is nothing that JSON could not hold.
        let rotation = serde_json::to_vec(&self.rotation).unwrap_or_default();
        data.insert(ROTATION.to_owned(), bytes(&rotation));
        json!({
            "metadata": {
                "resourceVersion": self.version,
                "annotations": {
                    ROTATE: null,
                    STEP: null,
                    STATUS: null,
                    PHASE: phase_word(&self.rotation),
                },
            },
            "data": data,
        })
    }
}

/// The patch that has the Secret say how it goes.
pub(super) fn saying(what: &str) -> Value {
    json!({ "metadata": { "annotations": { STATUS: what } } })
}

/// The phase for people and for commands; nothing while no rotation is under way.
fn phase_word(rotation: &Rotation) -> Option<&'static str> {
    match rotation {
        Rotation::Stable { .. } => None,
        Rotation::Distribute { .. } => Some("distribute"),
        Rotation::Activate { .. } => Some("activate"),
        Rotation::Retire { .. } => Some("retire"),
    }
}

/// The Secret of a new authority.
pub(super) fn secret(place: &ObjectRef, made: &Authority) -> AnyObject {
    let pem = made.export();
    let data = pem.items();
    let data = data.map(|(name, text)| (name.to_owned(), ByteString(text.as_bytes().to_vec())));
    AnyObject::from(Secret {
        metadata: ObjectMeta {
            namespace: Some(place.key.namespace().into()),
            name: Some(place.key.name().into()),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.to_owned()),
        data: data.collect(),
        ..Secret::default()
    })
}

/// The items of an authority; null, which removes them, where there is none.
fn items(prefix: &str, authority: Option<&Authority>, data: &mut Map<String, Value>) {
    for name in ["root.crt", "root.key", "issuer.crt", "issuer.key"] {
        data.insert(format!("{prefix}{name}"), Value::Null);
    }
    let pem = authority.map(Authority::export);
    for (name, text) in pem.iter().flat_map(AuthorityPem::items) {
        data.insert(format!("{prefix}{name}"), bytes(text.as_bytes()));
    }
}

fn bytes(value: &[u8]) -> Value {
    // Text in base64.
    serde_json::to_value(ByteString(value.to_vec())).unwrap_or_default()
}

fn reference(authority: &Authority) -> IssuerRef {
    IssuerRef {
        issuer: authority.issuer_fingerprint(),
        root: authority.root_fingerprint(),
    }
}
