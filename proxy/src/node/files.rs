//! The file from which the CNI plugin knows, without the supervisor, which pods must not start.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use weft_intercept::handoff::{Namespaces, VERSION};

/// What was saved before; nothing when there is no file yet.
///
/// # Errors
/// When there is one that cannot be read or understood.
pub(super) fn load(path: &Path) -> io::Result<Option<BTreeSet<String>>> {
    match fs::read(path) {
        Ok(bytes) => {
            let saved: Namespaces = serde_json::from_slice(&bytes)?;
            Ok(Some(saved.namespaces))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the file in one step, which is on the disk afterwards.
///
/// # Errors
/// What the system says; then the file is as it was.
pub(super) fn save(path: &Path, namespaces: &BTreeSet<String>) -> io::Result<()> {
    let saved = Namespaces {
        v: VERSION,
        namespaces: namespaces.clone(),
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(&saved)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::{load, save};

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("node/namespaces.json");
        assert_eq!(load(&path).expect("no file is no error"), None);
        for names in [vec!["shop", "pay"], vec![]] {
            let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
            save(&path, &names).expect("it can be written");
            assert_eq!(load(&path).expect("it is ours"), Some(names));
        }
        fs::write(&path, "{").expect("it can be written");
        load(&path).expect_err("a file that is broken is not an empty one");
    }
}
