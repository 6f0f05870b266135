//! The authority of the mesh of a directory: made at the first need, kept in the state directory.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use weft_certs::{Authority, AuthorityPem, BuiltIn, Issuers, Signer, is_rotation_due};
use weft_spiffe::TrustDomain;

use crate::clock;

#[cfg(test)]
mod tests;

/// Name of the directory in the state directory.
const DIRECTORY: &str = "ca";
/// Modes of the directory and of the files in it.
const OWNER_ENTERS: u32 = 0o700;
const OWNER_READS: u32 = 0o600;
/// Bits of everybody else.
const OTHERS: u32 = 0o077;

/// The signer around the authority of a state directory.
///
/// # Errors
/// The authority cannot be read, made or written, or others than its owner can read it.
pub(super) fn open(state_dir: &Path) -> Result<Arc<dyn Signer>, String> {
    let directory = state_dir.join(DIRECTORY);
    let authority = open_at(&directory, clock::today())
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(Arc::new(BuiltIn::new(Issuers {
        signing: Arc::new(authority),
        also_trusted: Vec::new(),
        bundle_version: 1,
    })))
}

fn open_at(directory: &Path, now: SystemTime) -> io::Result<Authority> {
    let domain = TrustDomain::default();
    if !directory.try_exists()? {
        let authority = Authority::generate(&domain, now).map_err(io::Error::other)?;
        write(directory, &authority.export())?;
        return Ok(authority);
    }
    private(directory)?;
    let pem = AuthorityPem::from_items(|item| read(&directory.join(item)));
    let cure = |error| {
        let cure = "remove the directory, and a new authority is made";
        io::Error::other(format!("{error}; {cure}"))
    };
    let pem = pem.map_err(cure)?;
    for (item, _) in pem.items() {
        private(&directory.join(item))?;
    }
    let authority = Authority::import(&domain, &pem, now).map_err(cure)?;
    let today = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let today = i64::try_from(today.as_secs()).unwrap_or(i64::MAX);
    if !is_rotation_due(authority.issuer_validity_unix_s(), today) {
        return Ok(authority);
    }
    // All who trust the root are in this process, so that a new issuer needs no other step.
    let authority = authority.with_new_issuer(now).map_err(io::Error::other)?;
    fs::remove_dir_all(directory)?;
    write(directory, &authority.export())?;
    Ok(authority)
}

/// What is missing or cannot be read is named by whoever needs it.
fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Keys that others can read prove nothing.
fn private(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let text = format!(
        "{} is open to others than its owner (mode {:o}); remove the directory, and a new \
         authority is made",
        path.display(),
        mode & 0o777
    );
    Err(io::Error::other(text))
}

/// Writes the whole directory, or nothing that would be taken for one.
fn write(directory: &Path, pem: &AuthorityPem) -> io::Result<()> {
    let unfinished = directory.with_extension("new");
    if unfinished.try_exists()? {
        fs::remove_dir_all(&unfinished)?;
    }
    DirBuilder::new().mode(OWNER_ENTERS).create(&unfinished)?;
    for (item, text) in pem.items() {
        let path = unfinished.join(item);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(OWNER_READS)
            .open(path)?;
        file.write_all(text.as_bytes())?;
    }
    fs::rename(unfinished, directory)
}
