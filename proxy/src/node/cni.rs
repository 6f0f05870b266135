//! The socket on which the CNI plugin asks. The one place of the supervisor that accepts connections:
//! of the runtime's plugin, which is root on this node, and never of a pod.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use weft_intercept::{
    Netns,
    handoff::{self, MESSAGE_BYTES, Operation, Reply, Request, VERSION},
};

use super::core::{Question, Sighting};

/// Questions at a time; more wait in the socket. While the control plane is away every pod that starts
/// waits here, and there has to be room for those that end: more than a node has pods.
const CONNECTIONS: usize = 1024;
/// For a question to come, and for its answer to be taken. A pod for which there is no answer after as long
/// is named.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time before accepting again, when the system is out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// A question, and where its answer goes.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question<Arc<Netns>>,
    pub(super) answer: oneshot::Sender<Reply>,
}

/// Listens where the plugin asks, for root alone. An earlier supervisor that still listens there is not
/// asked from now on; at no moment is there nobody.
///
/// # Errors
/// What the system says.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    fs::rename(&fresh, path)?;
    Ok(listener)
}

/// Passes on what is asked, until nobody listens. `root` is the runtime's root directory, in which its
/// paths are.
pub(super) async fn serve(listener: UnixListener, root: PathBuf, asking: mpsc::Sender<Asked>) {
    let root: Arc<Path> = root.into();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = asking.closed() => return,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the CNI plugin cannot be heard");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (asking, root) = (asking.clone(), Arc::clone(&root));
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &root, asking).await {
                tracing::warn!(%error, "a question of the CNI plugin had no answer");
            }
            drop(place);
        });
    }
}

async fn converse(
    mut stream: UnixStream,
    root: &Path,
    asking: mpsc::Sender<Asked>,
) -> io::Result<()> {
    let is_slow = |_| io::Error::from(io::ErrorKind::TimedOut);
    let request = timeout(PATIENCE, read(&mut stream))
        .await
        .map_err(is_slow)??;
    let pod = format!("{}/{}", request.namespace, request.pod);
    let reply = match question(request, root) {
        Ok(question) => {
            let (answer, answered) = oneshot::channel();
            let asked = Asked { question, answer };
            if asking.send(asked).await.is_err() {
                return Ok(());
            }
            tokio::select! {
                reply = reply(answered, &pod) => reply,
                () = gives_up(&mut stream) => return Ok(()),
            }
        }
        Err(reply) => reply,
    };
    let mut line = Vec::new();
    handoff::write(&reply, &mut line)?;
    timeout(PATIENCE, stream.write_all(&line))
        .await
        .map_err(is_slow)?
}

/// The answer, which may take as long as nobody knows whose the pod is.
async fn reply(mut answered: oneshot::Receiver<Reply>, pod: &str) -> Reply {
    let answered = match timeout(PATIENCE, &mut answered).await {
        Ok(answered) => answered,
        Err(_elapsed) => {
            tracing::warn!(
                pod,
                "it waits to start or to end; is the control plane away, or the worker of its namespace?"
            );
            answered.await
        }
    };
    // Answered by the table in time, or dropped by a supervisor that ends.
    answered.unwrap_or_else(|_| Reply::Retry("the node agent is being replaced".to_owned()))
}

/// Waits until the plugin is gone, of which nothing more is heard after its question. Its runtime has
/// ended it, and lets the pod go.
async fn gives_up(stream: &mut UnixStream) {
    // A word too many, the end and an error are all the end of it.
    let _ended = stream.read(&mut [0]).await;
}

/// One line, which is all that a connection carries.
async fn read(stream: &mut UnixStream) -> io::Result<Request> {
    let mut line = Vec::new();
    let mut limited = stream.take(MESSAGE_BYTES);
    while !line.ends_with(b"\n") {
        if limited.read_buf(&mut line).await? == 0 {
            break;
        }
    }
    handoff::parse(&line)
}

/// What is asked, with the namespace that it is asked about.
fn question(request: Request, root: &Path) -> Result<Question<Arc<Netns>>, Reply> {
    let Request {
        v,
        op,
        netns,
        container,
        namespace,
        uid,
        ips,
        ..
    } = request;
    if v > VERSION {
        let newer = format!("the plugin speaks version {v}, the node agent {VERSION}; upgrade it");
        return Err(Reply::Error(newer));
    }
    let opened = netns.map(|path| Netns::open_within(root, &path));
    match op {
        Operation::Add => {
            let missing = || Reply::Error("it has no network namespace".to_owned());
            let opened = opened.ok_or_else(missing)?;
            let netns = opened.map_err(|error| Reply::Error(error.to_string()))?;
            Ok(Question::Add(Sighting {
                uid,
                namespace,
                container,
                id: netns.id(),
                netns: Arc::new(netns),
                ips,
            }))
        }
        Operation::Check => Ok(Question::Check { uid, namespace }),
        // The namespace may be gone, as it may be for one that is removed.
        Operation::Del => Ok(Question::Del {
            uid,
            container,
            netns: opened.and_then(Result::ok).map(|netns| netns.id()),
        }),
    }
}
