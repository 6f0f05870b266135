//! `weft-cni keep`: puts the plugin into the chain once the supervisor of the node can answer it, and again
//! whenever somebody writes the chain anew.
//!
//! What a person has to put right ends it, so that the state of its container says so. Its end takes
//! nothing out of the chain: it ends with every upgrade too, and pods that start
//! meanwhile have to wait for the next supervisor instead of starting outside of the mesh. Taking it out
//! is `remove`.

use std::{
    io::{self, Write},
    path::Path,
    thread,
    time::Duration,
};

use super::{InstallError, Node};

/// Time between two looks: so long a pod may start by a chain that was just written.
const LOOK: Duration = Duration::from_secs(2);

/// Looks again and again, and says what changes; until somebody has to do something.
pub(super) fn until_broken(node: &Node) -> InstallError {
    let mut state = String::new();
    loop {
        let news = match look(node) {
            Ok(Look::Changed(said)) => Some(said),
            Ok(Look::Same(now)) if now == state => None,
            Ok(Look::Same(now)) => {
                state.clone_from(&now);
                Some(format!("{now}\n"))
            }
            Err(error) => return error,
        };
        if let Some(news) = news {
            // Whoever does not read it loses nothing else.
            let _ = io::stderr().write_all(news.as_bytes());
        }
        thread::sleep(LOOK);
    }
}

/// What a look has found.
enum Look {
    /// Files were written.
    Changed(String),
    /// How things are.
    Same(String),
}

fn look(node: &Node) -> Result<Look, InstallError> {
    let missing = [&node.settings.socket, &node.settings.namespaces]
        .into_iter()
        .find(|path| !Path::new(path).exists());
    if let Some(path) = missing {
        return Ok(Look::Same(format!(
            "waiting for the supervisor of this node, which makes {path}"
        )));
    }
    match node.install() {
        Ok(said) if said.is_empty() => Ok(Look::Same("in the chain of this node".to_owned())),
        Ok(said) => Ok(Look::Changed(said)),
        // It comes by itself on a node that has just begun.
        Err(error @ InstallError::NoNetwork(_)) => Ok(Look::Same(error.to_string())),
        Err(error) => Err(error),
    }
}
