//! The other end of the admin socket: what `weft-proxy admin PATH` prints. It runs in the container of
//! the proxy, where whoever may start programs may look at the proxy as well; images have no shell that
//! could do it.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::SOCKET;

/// So long the proxy may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer: several times the tables of 10,000 routes.
const ANSWER_MAX_BYTES: u64 = 256 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No proxy answers on the socket.
    #[error("no proxy answers on {socket}: {source}; does one run here, with this state directory?", socket = socket.display())]
    Silent {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The proxy does not have what was asked for.
    #[error("the proxy answers {status}: {text}")]
    Refused {
        /// The status line, without the version.
        status: String,
        /// The answer, for people.
        text: String,
    },
    /// The answer is no HTTP.
    #[error("what answers on the admin socket is no proxy of this version")]
    Strange,
}

/// What the proxy with this state directory shows at a path, such as `/config`.
///
/// # Errors
/// See [`AskError`].
pub fn ask(state_dir: &Path, path: &str) -> Result<Vec<u8>, AskError> {
    exchange(
        state_dir,
        &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"),
    )
}

/// Replaces what the proxy with this state directory has at a path, such as `/log`; what it has then.
///
/// # Errors
/// See [`AskError`].
pub fn set(state_dir: &Path, path: &str, value: &str) -> Result<Vec<u8>, AskError> {
    let length = value.len();
    let head =
        format!("PUT {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    exchange(state_dir, &(head + value))
}

/// One request, one answer.
fn exchange(state_dir: &Path, request: &str) -> Result<Vec<u8>, AskError> {
    let socket = state_dir.join(SOCKET);
    let exchange = || {
        let mut stream = UnixStream::connect(&socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        // Of HTTP/1.0 the end of the connection is the end of the answer.
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX_BYTES).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|source| AskError::Silent {
        socket: socket.clone(),
        source,
    })?;
    body(answer)
}

/// The body of a good answer.
fn body(mut answer: Vec<u8>) -> Result<Vec<u8>, AskError> {
    const END: &[u8] = b"\r\n\r\n";
    let end = answer.windows(END.len()).position(|it| it == END);
    let body = answer.split_off(end.ok_or(AskError::Strange)? + END.len());
    let head = String::from_utf8_lossy(&answer);
    let status = head.lines().next().and_then(|line| line.split_once(' '));
    match status {
        Some((_version, status)) if status.starts_with("200") => Ok(body),
        Some((_version, status)) => Err(AskError::Refused {
            status: status.to_owned(),
            text: String::from_utf8_lossy(&body).trim().to_owned(),
        }),
        None => Err(AskError::Strange),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, sync::Arc};

    use super::{AskError, ask};
    use crate::admin::{Admin, MetricsText, State};

    /// Shows one word of each.
    struct Shown;

    impl State for Shown {
        fn metrics(&self) -> MetricsText<'_> {
            Box::pin(std::future::ready("metrics".to_owned()))
        }

        fn ready(&self) -> Result<(), String> {
            Err("waiting".to_owned())
        }

        fn config(&self) -> String {
            "config".to_owned()
        }
    }

    #[tokio::test]
    async fn its_owner_is_shown_everything_and_nobody_else_anything() {
        let directory = tempfile::tempdir().expect("a directory");
        let asked = |path: &'static str| {
            let state_dir = directory.path().to_owned();
            tokio::task::spawn_blocking(move || ask(&state_dir, path))
        };
        let none = asked("/config").await.expect("it ran");
        assert!(matches!(none, Err(AskError::Silent { .. })), "{none:?}");

        // What a killed process has left is no obstacle.
        drop(Admin::bind_socket(directory.path()).expect("a socket"));
        let admin = Admin::bind_socket(directory.path()).expect("a socket again");
        let serving = tokio::spawn(admin.serve(Arc::new(Shown)));
        let mode = std::fs::metadata(directory.path().join("admin.sock")).expect("a file");
        assert_eq!(
            mode.permissions().mode() & 0o777,
            0o600,
            "it is its owner's"
        );
        for (path, expected) in [("/config", "config"), ("/metrics", "metrics")] {
            let text = asked(path).await.expect("it ran").expect("an answer");
            assert_eq!(text, expected.as_bytes(), "{path}");
        }
        for (path, part) in [("/readyz", "waiting"), ("/none", "404")] {
            let refused = asked(path).await.expect("it ran").expect_err(path);
            assert!(refused.to_string().contains(part), "{path}: {refused}");
        }
        serving.abort();
    }
}
