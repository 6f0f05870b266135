//! Puts the plugin onto a node and takes it away: `weft-cni install`, `keep` and `remove`.
//!
//! The chain of the node is not edited. A list with the same plugins and this one behind them is written
//! beside it, under a name that sorts first, which is the one runtimes take. So taking it away is
//! deleting one file, and whoever owns the other list may rewrite it: the next `install` follows.

mod keep;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    chain::{self, ChainError, PLUGIN, Settings},
    config::{NAMESPACES, OWN_NAMESPACE, SOCKET},
};

/// The list with this plugin. Digits sort before letters, and lower digits first.
const LIST: &str = "00-weft.conflist";
/// What runtimes read, by the ending of its name.
const ENDINGS: [&str; 3] = ["conf", "conflist", "json"];

const USAGE: &str = "usage: weft-cni install|keep|remove [--conf-dir DIR] [--bin-dir DIR] \
                     [--socket PATH] [--namespaces PATH] [--own-namespace NAME] \
                     [--state-dir DIR] [--run-dir DIR]\n\
                     keep installs once the supervisor runs, and whenever the chain is written anew;\n\
                     remove removes the last two directories as well, if they are named\n\
                     without arguments it is a CNI plugin, and reads what a container runtime says";

/// Why the plugin is not installed, or not removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error("{0}\n{USAGE}")]
    Usage(String),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is no network configuration: {source}")]
    Chain { path: PathBuf, source: ChainError },
    #[error("{0} has no network configuration yet: install the network of the cluster first")]
    NoNetwork(PathBuf),
    #[error("{0} sorts before {LIST}, so runtimes would not take the latter: rename it")]
    NotFirst(PathBuf),
}

/// Where things are on the node, seen from where this runs.
struct Node {
    configurations: PathBuf,
    programs: PathBuf,
    /// What supervisors have left, where it is to be removed.
    left: Vec<PathBuf>,
    settings: Settings,
}

/// Runs `install` or `remove` and says what changed.
///
/// # Errors
/// See [`InstallError`].
pub(crate) fn run(arguments: &[String]) -> Result<String, InstallError> {
    let (verb, options) = arguments
        .split_first()
        .map_or(("", arguments), |(verb, rest)| (verb.as_str(), rest));
    let node = Node::of(options)?;
    match verb {
        "install" => node.install(),
        "keep" => Err(keep::until_broken(&node)),
        "remove" => node.remove(),
        other => Err(InstallError::Usage(format!("`{other}` is no command"))),
    }
}

impl Node {
    fn of(options: &[String]) -> Result<Self, InstallError> {
        let mut values = BTreeMap::from([
            ("--conf-dir", "/etc/cni/net.d"),
            ("--bin-dir", "/opt/cni/bin"),
            ("--socket", SOCKET),
            ("--namespaces", NAMESPACES),
            ("--own-namespace", OWN_NAMESPACE),
            ("--state-dir", ""),
            ("--run-dir", ""),
        ]);
        for pair in options.chunks(2) {
            let [name, value] = pair else {
                return Err(InstallError::Usage(format!("`{}` has no value", pair[0])));
            };
            match values.get_mut(name.as_str()) {
                Some(known) => *known = value,
                None => return Err(InstallError::Usage(format!("`{name}` is no option"))),
            }
        }
        Ok(Self {
            configurations: values["--conf-dir"].into(),
            programs: values["--bin-dir"].into(),
            left: ["--state-dir", "--run-dir"]
                .map(|name| values[name])
                .into_iter()
                .filter(|directory| !directory.is_empty())
                .map(PathBuf::from)
                .collect(),
            settings: Settings {
                socket: values["--socket"].to_owned(),
                namespaces: values["--namespaces"].to_owned(),
                own_namespace: values["--own-namespace"].to_owned(),
            },
        })
    }

    /// The program first: a list that names a plugin which is not there starts no pod at all.
    fn install(&self) -> Result<String, InstallError> {
        let first = self.first()?;
        let text = fs::read_to_string(&first).map_err(at(&first))?;
        let list = chain::with_plugin(&text, &self.settings);
        let list = list.map_err(|source| InstallError::Chain {
            path: first,
            source,
        })?;
        let running = std::env::current_exe().map_err(at(Path::new(PLUGIN)))?;
        let running = fs::read(&running).map_err(at(&running))?;
        let mut said = replace(&self.programs.join(PLUGIN), &running, 0o755)?;
        said += &replace(&self.configurations.join(LIST), list.as_bytes(), 0o600)?;
        Ok(said)
    }

    /// The list first, for the same reason.
    fn remove(&self) -> Result<String, InstallError> {
        let mut said = String::new();
        let files = [self.configurations.join(LIST), self.programs.join(PLUGIN)];
        for path in &files {
            said += &removed(path, fs::remove_file(path))?;
        }
        for path in &self.left {
            said += &removed(path, fs::remove_dir_all(path))?;
        }
        Ok(said)
    }

    /// The configuration that runtimes take without this plugin: the first by name.
    fn first(&self) -> Result<PathBuf, InstallError> {
        let directory = &self.configurations;
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(at(directory))? {
            let path = entry.map_err(at(directory))?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let is_ours = path.ends_with(LIST);
            if !is_ours && ending.is_some_and(|it| ENDINGS.contains(&it)) {
                names.push(path);
            }
        }
        let first = names.into_iter().min();
        let first = first.ok_or_else(|| InstallError::NoNetwork(directory.clone()))?;
        if first < directory.join(LIST) {
            return Err(InstallError::NotFirst(first));
        }
        Ok(first)
    }
}

/// What the removal of a path comes to; one that is not there is removed.
fn removed(path: &Path, result: io::Result<()>) -> Result<String, InstallError> {
    match result {
        Ok(()) => Ok(format!("removed {}\n", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(at(path)(error)),
    }
}

/// Replaces a file in one step, unless it is as it should be: runtimes read and start it at any moment.
fn replace(path: &Path, content: &[u8], mode: u32) -> Result<String, InstallError> {
    let is_right = |status: fs::Metadata| status.permissions().mode() & 0o777 == mode;
    if fs::read(path).is_ok_and(|found| found == content) && fs::metadata(path).is_ok_and(is_right)
    {
        return Ok(String::new());
    }
    let mut temporary = path.as_os_str().to_owned();
    // Of an ending that no runtime reads.
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let write = || {
        fs::write(&temporary, content)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))?;
        fs::File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(at(path))?;
    Ok(format!("wrote {}\n", path.display()))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> InstallError + use<> {
    let path = path.to_owned();
    move |source| InstallError::File { path, source }
}
