//! A wire tap: connections that lead through it go on to where they should, and every byte is kept.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Handle,
};

use crate::wait::Expected;

/// A tap. Cheap to clone; it listens for as long as the runtime of the test lives.
#[derive(Clone, Debug)]
pub struct Tap {
    runtime: Handle,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// What is listened to, by where it leads.
    places: HashMap<SocketAddr, SocketAddr>,
    connections: usize,
    /// All bytes of both directions, each direction by itself.
    bytes: Vec<Vec<u8>>,
}

impl Tap {
    /// A tap on no wire, in the runtime of a test.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            runtime: Handle::current(),
            kept: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to connect to in order to reach `address` through the tap.
    ///
    /// # Panics
    /// When the system gives no socket.
    #[must_use]
    pub fn before(&self, address: SocketAddr) -> SocketAddr {
        if let Some(place) = self.lock().places.get(&address) {
            return *place;
        }
        let listener = StdListener::bind("127.0.0.1:0").expected("a socket");
        listener.set_nonblocking(true).expected("its mode");
        let place = listener.local_addr().expected("its address");
        self.lock().places.insert(address, place);
        let tap = self.clone();
        let _in_reach = self.runtime.enter();
        let listener = TcpListener::from_std(listener).expected("in reach of the runtime");
        self.runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tap.clone().pass(client, address));
            }
        });
        place
    }

    /// How many connections led through the tap.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    /// How many bytes passed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().bytes.iter().map(Vec::len).sum()
    }

    /// Whether these bytes passed in the clear.
    #[must_use]
    pub fn has_seen(&self, bytes: &[u8]) -> bool {
        let kept = self.lock();
        let mut ways = kept.bytes.iter();
        ways.any(|way| way.windows(bytes.len()).any(|window| window == bytes))
    }

    /// Whether every connection began with a handshake record of TLS (RFC 8446 section 5.1).
    #[must_use]
    pub fn is_tls(&self) -> bool {
        let kept = self.lock();
        kept.bytes
            .iter()
            .all(|way| way.first().is_none_or(|byte| *byte == 0x16))
    }

    async fn pass(self, client: TcpStream, address: SocketAddr) {
        let Ok(server) = TcpStream::connect(address).await else {
            return;
        };
        let (up, down) = {
            let mut kept = self.lock();
            kept.connections += 1;
            kept.bytes.extend([Vec::new(), Vec::new()]);
            (kept.bytes.len() - 2, kept.bytes.len() - 1)
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (_ended, _both) = tokio::join!(
            self.copy(from_client, to_server, up),
            self.copy(from_server, to_client, down)
        );
    }

    async fn copy(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        way: usize,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return to.shutdown().await;
            }
            self.lock().bytes[way].extend_from_slice(&buffer[..count]);
            to.write_all(&buffer[..count]).await?;
        }
    }
}

impl Default for Tap {
    fn default() -> Self {
        Self::new()
    }
}
