//! `weft-cni keep`: puts the plugin into the chain once the supervisor of the node can answer it, and again
//! whenever somebody writes the chain anew.
//!
//! Its end takes nothing out of the chain. It ends with every upgrade, and pods that start meanwhile have
//! to wait for the next supervisor instead of starting outside of the mesh. Taking it out is `remove`.

use std::{
    io::{self, Write},
    path::Path,
    thread,
    time::Duration,
};

use super::Node;

/// Time between two looks: so long a pod may start by a chain that was just written.
const LOOK: Duration = Duration::from_secs(2);

/// Looks for ever, and says what changes.
pub(super) fn forever(node: &Node) -> ! {
    let mut state = String::new();
    loop {
        let news = match look(node) {
            Look::Changed(said) => Some(said),
            Look::Same(now) if now == state => None,
            Look::Same(now) => {
                state.clone_from(&now);
                Some(format!("{now}\n"))
            }
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

fn look(node: &Node) -> Look {
    let missing = [&node.settings.socket, &node.settings.namespaces]
        .into_iter()
        .find(|path| !Path::new(path).exists());
    if let Some(path) = missing {
        return Look::Same(format!(
            "waiting for the supervisor of this node, which makes {path}"
        ));
    }
    match node.install() {
        Ok(said) if said.is_empty() => Look::Same("in the chain of this node".to_owned()),
        Ok(said) => Look::Changed(said),
        Err(error) => Look::Same(error.to_string()),
    }
}
