//! The built-in signer through a rotation.

use std::sync::Arc;

use super::{BuiltIn, Issuers, Signer};
use crate::mint::{WEB, authority, id};
use crate::tests::now;
use crate::{CheckedRequest, KeyAndRequest, LeafLife};

#[tokio::test]
async fn signs_and_announces_roots() {
    let (old, new) = (Arc::new(authority()), Arc::new(authority()));
    let issuers = |signing: &Arc<crate::Authority>, also: &[&crate::Authority], version| Issuers {
        signing: signing.clone(),
        also_trusted: also.iter().map(|other| other.root_der().to_vec()).collect(),
        bundle_version: version,
    };
    let signer: Arc<BuiltIn> = Arc::new(BuiltIn::new(issuers(&old, &[], 1)));
    let signer_dyn: Arc<dyn Signer> = signer.clone();
    let mut roots = signer_dyn.roots();
    assert_eq!(roots.borrow_and_update().roots.len(), 1, "one root");

    let made = KeyAndRequest::new(&id(WEB)).expect("randomness");
    let request = CheckedRequest::parse(made.der(), &id(WEB)).expect("our own");
    let signed = signer_dyn.sign(&request, LeafLife::default(), now()).await;
    let issuer_of = |signed: &crate::SignedChain| crate::pem::fingerprint(&signed.chain[1]);
    assert_eq!(
        signed.as_ref().map(issuer_of),
        Ok(old.issuer_fingerprint()),
        "the old issuer signs"
    );

    signer.replace(issuers(&new, &[&old, &new], 2));
    assert!(
        roots.has_changed().expect("the signer lives"),
        "watchers hear of it"
    );
    let announced = roots.borrow_and_update().clone();
    assert_eq!(
        (announced.roots.len(), announced.version),
        (2, 2),
        "both, each once"
    );
    let signed = signer_dyn.sign(&request, LeafLife::default(), now()).await;
    assert_eq!(
        signed.as_ref().map(issuer_of),
        Ok(new.issuer_fingerprint()),
        "the new issuer signs"
    );
    let info = signer_dyn.describe();
    assert_eq!(info.issuer, new.issuer_fingerprint(), "and is described");
    assert_eq!(info.trust_domain, "cluster.local", "its domain");
}
