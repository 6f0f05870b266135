//! An authority on disk: found again, kept from others, renewed in time.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

use super::open_at;
use crate::clock;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Fingerprints of root and issuer, or why there are none.
fn opened(directory: &Path, now: SystemTime) -> Result<(String, String), String> {
    let authority = open_at(directory, now).map_err(|error| error.to_string())?;
    Ok((authority.root_fingerprint(), authority.issuer_fingerprint()))
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

#[test]
fn an_authority_is_made_once_and_belongs_to_its_owner() {
    let state = tempfile::tempdir().expect("a directory");
    let directory = state.path().join("ca");
    let now = clock::today();
    let first = opened(&directory, now);
    assert!(first.is_ok(), "made: {first:?}");
    assert_eq!(opened(&directory, now), first, "found again");
    assert_eq!(mode(&directory), 0o700);
    for item in ["root.crt", "root.key", "issuer.crt", "issuer.key"] {
        assert_eq!(mode(&directory.join(item)), 0o600, "{item}");
    }
}

#[test]
fn the_issuer_is_replaced_before_it_ends_and_the_root_stays() {
    let state = tempfile::tempdir().expect("a directory");
    let directory = state.path().join("ca");
    let now = clock::today();
    let (root, issuer) = opened(&directory, now).expect("made");
    let soon = opened(&directory, now + 100 * DAY);
    assert_eq!(soon, Ok((root.clone(), issuer.clone())), "not yet");
    let (same_root, other) = opened(&directory, now + 300 * DAY).expect("renewed");
    assert_eq!(same_root, root, "who trusts the root trusts the new issuer");
    assert_ne!(other, issuer, "half of its life is over");
    let again = opened(&directory, now + 300 * DAY);
    assert_eq!(again, Ok((root, other)), "written");
}

#[test]
fn what_others_can_read_or_cannot_be_read_signs_nothing() {
    let state = tempfile::tempdir().expect("a directory");
    let directory = state.path().join("ca");
    let now = clock::today();
    opened(&directory, now).expect("made");
    let key = directory.join("issuer.key");
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    allow(&key, 0o640);
    let refused = opened(&directory, now).expect_err("a key of the group");
    assert!(
        refused.contains("issuer.key is open to others"),
        "{refused}"
    );
    allow(&key, 0o600);
    allow(&directory, 0o755);
    let refused = opened(&directory, now).expect_err("a directory of everybody");
    assert!(refused.contains("ca is open to others"), "{refused}");
    allow(&directory, 0o700);
    fs::remove_file(&key).expect("it is ours");
    let refused = opened(&directory, now).expect_err("no key");
    assert!(refused.contains("remove the directory"), "{refused}");
}
