//! WebSocket, as a server that returns every frame (RFC 6455).

use std::io;

use aws_lc_rs::digest;
use data_encoding::BASE64;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Content, full};

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Longest frame that is echoed.
const LONGEST_FRAME: u64 = 1 << 20;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const PROTOCOL_ERROR: u16 = 1002;
const TOO_BIG: u16 = 1009;

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    let upgrade = upgrade.map_or(&b""[..], HeaderValue::as_bytes);
    request.version() == Version::HTTP_11 && upgrade.eq_ignore_ascii_case(b"websocket")
}

/// Opens the socket: its first message is `says`, every other one an echo.
pub(super) fn accept(request: Request<Incoming>, says: String) -> Response<Content> {
    let mut response = Response::new(full(""));
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let Some(key) = key.and_then(|key| accept_key(key.as_bytes())) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        *response.body_mut() = full("a WebSocket needs a Sec-WebSocket-Key\n");
        return response;
    };
    tokio::spawn(async move {
        let talked = match hyper::upgrade::on(request).await {
            Ok(socket) => talk(TokioIo::new(socket), says.trim_end()).await,
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = talked {
            tracing::debug!(%error, "a WebSocket ended");
        }
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// `Sec-WebSocket-Accept` (RFC 6455 section 4.2.2). SHA-1 proves here that the server speaks
/// WebSocket and protects nothing.
pub(super) fn accept_key(key: &[u8]) -> Option<HeaderValue> {
    let joined = [key, GUID].concat();
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &joined);
    HeaderValue::try_from(BASE64.encode(hash.as_ref())).ok()
}

/// Greets, then echoes frame by frame until the client closes. Fragments stay fragments.
///
/// # Errors
/// The connection breaks off.
pub(super) async fn talk(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    says: &str,
) -> io::Result<()> {
    send(&mut socket, FIN | TEXT, says.as_bytes()).await?;
    loop {
        let head = match receive(&mut socket).await? {
            Ok((head, payload)) => {
                let (head, reply) = match head & !FIN {
                    PONG => continue,
                    PING => (FIN | PONG, payload),
                    _ => (head, payload),
                };
                send(&mut socket, head, &reply).await?;
                head
            }
            Err(code) => {
                send(&mut socket, FIN | CLOSE, &code.to_be_bytes()).await?;
                FIN | CLOSE
            }
        };
        if head & !FIN == CLOSE {
            return socket.shutdown().await;
        }
    }
}

/// First byte and payload of a frame, or the code to close with.
async fn receive(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<(u8, Vec<u8>), u16>> {
    let [head, length] = [socket.read_u8().await?, socket.read_u8().await?];
    if head & RESERVED != 0 || length & MASKED == 0 {
        return Ok(Err(PROTOCOL_ERROR));
    }
    let length = match length & !MASKED {
        126 => u64::from(socket.read_u16().await?),
        127 => socket.read_u64().await?,
        length => u64::from(length),
    };
    if length > LONGEST_FRAME {
        return Ok(Err(TOO_BIG));
    }
    let mask = socket.read_u32().await?.to_be_bytes();
    let mut payload = vec![0; length as usize];
    socket.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Ok((head, payload)))
}

async fn send(socket: &mut (impl AsyncWrite + Unpin), head: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![head];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length @ 126..65_536 => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    socket.write_all(&frame).await?;
    socket.flush().await
}
