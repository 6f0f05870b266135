//! A host and a port, and what the host was last found to be.

use std::{fmt, io, net::SocketAddr};

use tokio::net::{TcpStream, lookup_host};

use super::eyeballs;

/// Attempts for which what was found is good. Thousands of proxies that wait for a control plane ask
/// for its name then at every eighth attempt only; the address of a Service hardly ever changes.
const ATTEMPTS: u8 = 8;

/// Where to connect to.
#[derive(Clone, Debug)]
pub(in crate::control) struct Address {
    host: String,
    port: u16,
    found: Vec<SocketAddr>,
    /// Attempts that are left before the host is looked up again.
    left: u8,
}

impl Address {
    pub(in crate::control) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            found: Vec::new(),
            left: 0,
        }
    }

    /// A TCP connection to whichever address of the host answers first.
    pub(super) async fn connect(&mut self) -> io::Result<TcpStream> {
        if self.left == 0 {
            let host = (self.host.as_str(), self.port);
            self.found = lookup_host(host).await?.collect();
            self.left = ATTEMPTS;
        }
        self.left -= 1;
        let connect = |address: SocketAddr| TcpStream::connect(address);
        let connected = eyeballs::first(self.found.clone(), connect).await?;
        // Another connection is asked for when something has changed.
        self.left = 0;
        Ok(connected)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_host_that_refuses_is_looked_up_at_every_eighth_attempt() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let nobody = listener.local_addr().unwrap();
        drop(listener);
        let mut address = Address::new("127.0.0.1", nobody.port());
        let mut lookups = 0;
        for _ in 0..2 * ATTEMPTS {
            lookups += usize::from(address.left == 0);
            address.connect().await.unwrap_err();
        }
        assert_eq!(lookups, 2, "in {} attempts", 2 * ATTEMPTS);

        let _listener = TcpListener::bind(nobody).await.unwrap();
        address.connect().await.unwrap();
        assert_eq!(address.left, 0, "after a connection it is looked up again");
    }
}
