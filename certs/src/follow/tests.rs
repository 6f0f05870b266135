//! Announcements of a signer, one after the other and out of their order.

use std::time::Duration;

use super::Renewal;
use crate::mint::{WEB, authority, leaf_of, member};
use crate::{Authority, Identity, SignerRoots};

fn announced(version: u64, roots: &[&Authority], issuer: &str) -> SignerRoots {
    SignerRoots {
        roots: roots.iter().map(|it| it.root_der().to_vec()).collect(),
        version,
        issuer: issuer.to_owned(),
        renew_within: None,
    }
}

/// A renewal that is asked for in favour of this issuer.
fn soon(issuer: &str, minutes: u64) -> Renewal {
    Renewal::Soon {
        issuer: issuer.to_owned(),
        within: Duration::from_secs(60 * minutes),
    }
}

/// Follows an announcement: whether others are trusted then, in which version, and how soon the
/// certificate is renewed.
#[track_caller]
fn check(identity: &Identity, announced: &SignerRoots, expected: (bool, u64, Renewal)) {
    let followed = identity.follow(announced).expect("roots that are good");
    assert_eq!(followed.refused, [], "every root is good");
    let version = identity.trust().bundles().version();
    let found = (followed.is_news, version, followed.renewal);
    assert_eq!(found, expected, "bundle {}", announced.version);
}

#[test]
fn a_rotation_is_followed_from_announcement_to_announcement() {
    let (old, new) = (authority(), authority());
    let (of_old, of_new) = (old.issuer_fingerprint(), new.issuer_fingerprint());
    let identity = member(&old, WEB);
    assert_eq!(identity.trust().bundles().version(), 1);
    let in_time = (false, 1, Renewal::InTime);
    check(&identity, &announced(1, &[&old], &of_old), in_time);
    let both = announced(2, &[&old, &new], &of_old);
    check(&identity, &both, (true, 2, Renewal::InTime));
    check(&identity, &both, (false, 2, Renewal::InTime));
    let activated = announced(2, &[&old, &new], &of_new);
    check(&identity, &activated, (false, 2, soon(&of_new, 10)));
    let hurried = SignerRoots {
        renew_within: Some(Duration::from_secs(120)),
        ..activated.clone()
    };
    check(&identity, &hurried, (false, 2, soon(&of_new, 2)));
    let unnamed = announced(2, &[&old, &new], "");
    check(&identity, &unnamed, (false, 2, Renewal::InTime));
    let renewed = leaf_of(&new, WEB);
    identity.replace(renewed).expect("its own");
    check(&identity, &activated, (false, 2, Renewal::InTime));
    let retired = announced(3, &[&new], &of_new);
    check(&identity, &retired, (true, 3, Renewal::InTime));
    check(&identity, &both, (false, 3, soon(&of_old, 10)));
}

#[test]
fn who_was_away_while_its_issuer_was_retired_renews_at_once() {
    let (old, new) = (authority(), authority());
    let identity = member(&old, WEB);
    let retired = announced(3, &[&new], &new.issuer_fingerprint());
    check(&identity, &retired, (true, 3, Renewal::Now));
}

#[test]
fn a_bundle_without_a_good_root_is_none() {
    let identity = member(&authority(), WEB);
    for (row, roots) in [("no root", vec![]), ("no certificate", vec![vec![1, 2]])] {
        let announced = SignerRoots {
            roots,
            version: 9,
            issuer: "another".to_owned(),
            renew_within: None,
        };
        let followed = identity.follow(&announced);
        assert!(followed.is_err(), "{row}: {followed:?}");
        assert_eq!(identity.trust().bundles().version(), 1, "{row}");
    }
}
