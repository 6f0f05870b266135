//! A client that sends bytes, whatever they are, and reads HTTP/1 answers strictly.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::wait::{Expected, soon};

/// A byte stream to the data path, in clear or inside TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection.
pub struct RawClient {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

/// An HTTP/1 answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Fields in order of arrival, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The content without chunk framing.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Vec<(String, String)>,
}

impl Answer {
    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }

    /// The first value of a trailer field.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        value(&self.trailers, name)
    }

    /// The content as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|(field, _)| field == name)
        .map(|(_, value)| value.as_str())
}

impl RawClient {
    /// Connects in clear.
    ///
    /// # Panics
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(
            soon("connect", TcpStream::connect(address))
                .await
                .expected("connect"),
        )
    }

    /// Talks over a stream that is connected already.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            unread: Vec::new(),
        }
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("send", self.try_send(bytes)).await.expected("send");
    }

    /// Sends bytes to whom may have closed.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Ends the sending direction.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn finish(&mut self) {
        soon("finish", self.stream.shutdown())
            .await
            .expected("finish");
    }

    /// Sends a request head, given as lines, and reads the answer.
    pub async fn ask(&mut self, lines: &str) -> Answer {
        self.send(head(lines)).await;
        self.answer().await
    }

    /// Reads one answer to anything but HEAD.
    pub async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await
    }

    /// Reads the answer to a request of that method.
    ///
    /// # Panics
    /// When what comes is no HTTP/1 answer.
    pub async fn answer_to(&mut self, method: &str) -> Answer {
        let mut answer = self.answer_head().await;
        let bare = method == "HEAD" || matches!(answer.status, 100..=199 | 204 | 304);
        let length = answer
            .field("content-length")
            .map(|length| length.parse::<usize>());
        let chunked = answer.field("transfer-encoding") == Some("chunked");
        assert!(
            !(chunked && length.is_some()),
            "two framings in one answer: {answer:?}"
        );
        if bare {
        } else if chunked {
            while let Some(chunk) = self.chunk().await {
                answer.body.extend(chunk);
            }
            answer.trailers = fields(&self.lines().await);
        } else if let Some(length) = length {
            answer.body = self.exactly(length.expected("content-length")).await;
        } else {
            answer.body = self.rest().await;
        }
        answer
    }

    /// Reads the head of an answer and leaves its content unread.
    ///
    /// # Panics
    /// When what comes is no HTTP/1 answer.
    pub async fn answer_head(&mut self) -> Answer {
        let lines = self.lines().await;
        let status = lines.first().expect("a status line");
        let code = status
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5));
        let code = code.and_then(|code| code.parse().ok());
        let status = code.unwrap_or_else(|| panic!("not a status line: {status:?}"));
        Answer {
            status,
            fields: fields(&lines[1..]),
            body: Vec::new(),
            trailers: Vec::new(),
        }
    }

    /// Reads one chunk; `None` is the last one.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line().await;
        let size = usize::from_str_radix(&size, 16).expected("a chunk size");
        if size == 0 {
            return None;
        }
        let chunk = self.exactly(size).await;
        assert_eq!(self.line().await, "", "chunk data ends with a line end");
        Some(chunk)
    }

    /// Reads lines up to an empty one.
    async fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                return lines;
            }
            lines.push(line);
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.unread.drain(..end + 2).take(end).collect::<Vec<_>>();
                return String::from_utf8_lossy(&line).into_owned();
            }
            self.more("a line").await;
        }
    }

    /// Reads that many bytes.
    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            self.more("content").await;
        }
        self.unread.drain(..count).collect()
    }

    async fn more(&mut self, of_what: &str) {
        let mut buffer = vec![0; 16 * 1024];
        let read = soon(of_what, self.stream.read(&mut buffer)).await;
        let read = read.unwrap_or_else(|error| panic!("while waiting for {of_what}: {error}"));
        assert!(
            read > 0,
            "closed while waiting for {of_what}; so far {:?}",
            self.so_far()
        );
        self.unread.extend_from_slice(&buffer[..read]);
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    /// Reads to the orderly end of the connection.
    ///
    /// # Panics
    /// When it is reset, or stays open.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.unread);
        let read = soon(
            "the end of the connection",
            self.stream.read_to_end(&mut rest),
        )
        .await;
        read.expected("the connection ends in order");
        rest
    }

    /// How the connection ends: `true` for an orderly end, `false` for a reset.
    pub async fn ends_in_order(&mut self) -> bool {
        let mut rest = Vec::new();
        soon(
            "the end of the connection",
            self.stream.read_to_end(&mut rest),
        )
        .await
        .is_ok()
    }
}

/// A request head from its lines: line ends become CRLF, and an empty line is added.
#[must_use]
pub fn head(lines: &str) -> String {
    format!(
        "{}\r\n\r\n",
        lines.trim_end_matches('\n').replace('\n', "\r\n")
    )
}

fn fields(lines: &[String]) -> Vec<(String, String)> {
    let field = |line: &String| {
        let (name, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("no field: {line:?}"));
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    lines.iter().map(field).collect()
}
