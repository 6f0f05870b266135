//! The one request every measurement makes, written for each tool that makes it.
//!
//! It carries what the route of Weft matches on (host, path and a header), and every peer gets the
//! same bytes.

/// Host of scenarios with one route.
pub(crate) const HOST: &str = "bench.example";
/// Host of the route whose endpoints nobody asks.
pub(crate) const IDLE_HOST: &str = "idle.bench.example";
/// Path of the small answer.
pub(crate) const PATH: &str = "/v1/items";
/// Path of the answer of [`BULK_BYTES`].
pub(crate) const BULK_PATH: &str = "/v1/bulk";
/// Name and value of the header that routes match on.
pub(crate) const HEADER: (&str, &str) = ("x-bench", "yes");
/// Body of the small answer.
pub(crate) const BODY_BYTES: usize = 1024;
/// Body of the large answer.
pub(crate) const BULK_BYTES: u64 = 1 << 30;

/// Whether the connection is to stay open after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// HTTP/1.1's default.
    Open,
    /// `Connection: close`.
    Close,
}

/// The request as bytes of HTTP/1.1.
pub(crate) fn get(host: &str, keep: Keep) -> String {
    let (name, value) = HEADER;
    let close = match keep {
        Keep::Open => "",
        Keep::Close => "connection: close\r\n",
    };
    format!("GET {PATH} HTTP/1.1\r\nhost: {host}\r\n{name}: {value}\r\n{close}\r\n")
}

/// `name: value` of the matched header, as load generators take it.
pub(crate) fn header_argument() -> String {
    let (name, value) = HEADER;
    format!("{name}: {value}")
}

/// Host of route `index` in scenarios with many.
pub(crate) fn host_of(index: usize) -> String {
    format!("h{index}.bench.example")
}
