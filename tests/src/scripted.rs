//! Back-ends that follow a script byte by byte, for everything a proper server would not do.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::wait::{Expected, soon};

/// A listening socket whose connections follow a script. Dropping it closes everything.
#[derive(Debug)]
pub struct Scripted {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    serving: JoinSet<()>,
}

/// The script's side of one connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    unread: Vec<u8>,
    /// How many connections came before this one.
    pub index: usize,
}

impl Scripted {
    /// Runs `script` for every connection.
    ///
    /// # Panics
    /// When the system gives no socket.
    pub async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Peer) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), script).await
    }

    /// Runs `script` for every connection to a free port of `address`.
    ///
    /// # Panics
    /// When the system gives no socket.
    pub async fn start_on<S, F>(address: IpAddr, script: S) -> Self
    where
        S: Fn(Peer) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((address, 0))
            .await
            .expected("a back-end's socket");
        let address = listener.local_addr().expected("its address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut running = JoinSet::new();
            loop {
                let (stream, _peer) = listener.accept().await.expected("accept");
                // What was written is sent, even when the script dies right behind it.
                stream.set_nodelay(true).expected("an open socket");
                let index = counted.fetch_add(1, Relaxed);
                running.spawn(script(Peer {
                    stream,
                    unread: Vec::new(),
                    index,
                }));
            }
        });
        Self {
            address,
            connections,
            serving,
        }
    }

    /// A back-end that reads one request head per connection and answers with these bytes, then
    /// closes.
    pub async fn answering(bytes: &'static [u8]) -> Self {
        Self::start(move |mut peer| async move {
            if peer.head().await.is_some() {
                peer.write(bytes).await;
            }
        })
        .await
    }

    /// Connections that were ever opened.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Closes the listening socket and cuts every connection.
    pub fn stop(&mut self) {
        self.serving.abort_all();
    }
}

impl Peer {
    /// Reads a request head; `None` when the connection ends first.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.unread.drain(..end + 4).collect::<Vec<_>>();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads that many bytes; fewer when the connection ends first.
    pub async fn read(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count && self.more().await {}
        let count = count.min(self.unread.len());
        self.unread.drain(..count).collect()
    }

    /// Reads until these bytes have come; false when the connection ends first.
    pub async fn read_until(&mut self, bytes: &[u8]) -> bool {
        loop {
            if let Some(at) = self
                .unread
                .windows(bytes.len())
                .position(|some| some == bytes)
            {
                self.unread.drain(..at + bytes.len());
                return true;
            }
            if !self.more().await {
                return false;
            }
        }
    }

    /// Whether the other side ends the connection without another byte.
    pub async fn ended(&mut self) -> bool {
        soon("the end of the upstream connection", async {
            self.unread.is_empty() && !self.more().await
        })
        .await
    }

    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 16 * 1024];
        let read = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// Sends bytes; what the other side does not want any more is lost.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _gone = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Ends the connection with a reset.
    ///
    /// # Panics
    /// When the socket cannot be told to.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expected("linger");
    }
}
