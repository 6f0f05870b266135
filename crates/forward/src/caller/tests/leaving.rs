//! What clients are told, and when they are let go, while the one they are clients of leaves.

use std::time::Duration;

use tokio::time::timeout;

use super::*;

/// Longer than any limit on the way, but for that of idle clients.
const A_WHILE: Duration = Duration::from_secs(120);
/// Until a connection that nobody has used for a moment holds nothing but its socket.
const PARKED: Duration = Duration::from_secs(1);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 5;
/// `GET http://web/` (RFC 7541 appendix A, section 6.2.1).
const GET: &[u8] = b"\x82\x84\x86\x41\x03web";

/// Whether the connection ends in order, without another byte.
async fn ends(client: &mut TcpStream) -> bool {
    client.read_to_end(&mut Vec::new()).await.ok() == Some(0)
}

/// RFC 9112 section 9.6: who wants to close says so in its last answer.
#[tokio::test(start_paused = true)]
async fn who_leaves_tells_idle_clients_in_their_next_answer_and_not_by_an_end() {
    let (address, _connections) = application().await;
    let here = Here::new(FrontendProtocol::Http, address, None);
    let ((leaves, _), (stays, _)) = (pod(), pod());
    let mut busy = here.client(&leaves).await;
    let mut idle = here.client(&leaves).await;
    let mut silent = here.client(&leaves).await;
    let mut other = here.client(&stays).await;
    for client in [&mut busy, &mut idle, &mut other] {
        let answer = ask(client).await;
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    leaves.leave();
    for (row, client, later) in [
        ("a busy one", &mut busy, Duration::ZERO),
        ("an idle one", &mut idle, A_WHILE),
        ("one that has not said anything yet", &mut silent, PARKED),
    ] {
        let early = timeout(later, client.read_u8()).await;
        early.expect_err(row);
        let answer = ask(client).await;
        assert!(answer.starts_with("http/1.1 200"), "{row}: {answer}");
        assert!(answer.contains("connection: close"), "{row}: {answer}");
        assert!(ends(client).await, "{row} ends then");
    }
    let answer = ask(&mut other).await;
    assert!(!answer.contains("connection: close"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn who_is_dismissed_has_a_moment_to_ask_and_ends_in_order() {
    let (address, _connections) = application().await;
    let here = Here::new(FrontendProtocol::Http, address, None);
    let (leaves, _) = pod();
    let (mut idle, mut asks) = (here.client(&leaves).await, here.client(&leaves).await);
    ask(&mut idle).await;
    ask(&mut asks).await;
    sleep(PARKED).await;
    leaves.dismiss();
    let dismissed = Instant::now();
    timeout(limits::FAREWELL / 2, idle.read_u8())
        .await
        .expect_err("what is on its way may still come");
    let answer = ask(&mut asks).await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(ends(&mut idle).await, "who asks for nothing is let go");
    assert!(dismissed.elapsed() >= limits::FAREWELL, "after its moment");
}

/// A client that writes and reads frames itself.
struct Frames(TcpStream);

/// Kind and flags, stream, payload.
type Frame = ((u8, u8), u32, Vec<u8>);

impl Frames {
    async fn of(mut client: TcpStream) -> Self {
        client.write_all(PREFACE).await.expect("open");
        let mut frames = Self(client);
        frames.send((SETTINGS, 0), 0, &[]).await;
        frames
    }

    async fn send(&mut self, (kind, flags): (u8, u8), stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.0.write_all(&bytes).await.expect("open");
    }

    /// The next frame of one of these kinds, or `None` at an end in order. Settings are acknowledged,
    /// pings are not.
    async fn next(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            match self.0.read_exact(&mut head).await {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return None,
                read => read.expect("no reset"),
            };
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).expect("short")];
            self.0.read_exact(&mut payload).await.expect("whole");
            let (kind, flags) = (head[3], head[4]);
            if (kind, flags & ACK) == (SETTINGS, 0) {
                self.send((SETTINGS, ACK), 0, &[]).await;
            }
            if kinds.contains(&kind) && (kind, flags & ACK) != (PING, ACK) {
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                return Some(((kind, flags), stream, payload));
            }
        }
    }

    /// The last stream that a GOAWAY without an error names.
    async fn goaway(&mut self) -> u32 {
        let (_, _, payload) = self.next(&[GOAWAY]).await.expect("a GOAWAY");
        let (last, code) = payload.split_at(4);
        assert_eq!(code, [0; 4], "NO_ERROR");
        u32::from_be_bytes(last.try_into().expect("four bytes"))
    }

    /// What a ping says, which h2 sends to learn that everything before it was read.
    async fn ping(&mut self) -> Vec<u8> {
        let (_, _, payload) = self.next(&[PING]).await.expect("a PING");
        payload
    }

    async fn pong(&mut self, ping: &[u8]) {
        self.send((PING, ACK), 0, ping).await;
    }
}

/// An application that answers two requests, each on its connection, when it is released.
async fn held(release: oneshot::Receiver<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut heard).await.expect("a request");
            }
            waiting.push(stream);
        }
        release.await.expect("the test goes on");
        for mut stream in waiting {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.expect("it is awaited");
        }
    });
    address
}

/// RFC 9113 section 6.8: the first GOAWAY names stream 2^31-1, so that nothing a client sends before it
/// has heard of it is lost; the second one, a round trip later, names the last stream that is served.
#[tokio::test]
async fn over_http2_who_leaves_says_goaway_twice_and_serves_what_was_sent_before() {
    let (release, released) = oneshot::channel();
    let address = held(released).await;
    let here = Here::new(FrontendProtocol::Http, address, None);
    let (leaves, _) = pod();
    let mut client = Frames::of(here.client(&leaves).await).await;
    client.send((HEADERS, WHOLE), 1, GET).await;
    leaves.leave();
    assert_eq!(client.goaway().await, (1 << 31) - 1, "no stream is refused");
    client.send((HEADERS, WHOLE), 3, GET).await;
    let ping = client.ping().await;
    client.pong(&ping).await;
    assert_eq!(client.goaway().await, 3, "both are served");
    timeout(PARKED, client.next(&[HEADERS]))
        .await
        .expect_err("it stays as long as they last");
    release.send(()).expect("the application waits");
    let mut answered = Vec::new();
    while let Some((_, stream, payload)) = client.next(&[HEADERS]).await {
        assert_eq!(payload.first(), Some(&0x88), "`:status: 200`");
        answered.push(stream);
    }
    answered.sort_unstable();
    assert_eq!(
        answered,
        [1, 3],
        "each is answered, and then it ends in order"
    );
}

/// As above: an end that was announced, after an answer to everything, is none that could cost a request.
#[tokio::test]
async fn over_http2_an_idle_connection_ends_when_its_client_has_heard_of_it() {
    let (address, _connections) = application().await;
    let here = Here::new(FrontendProtocol::Http, address, None);
    let (leaves, _) = pod();
    let mut client = Frames::of(here.client(&leaves).await).await;
    client.send((HEADERS, WHOLE), 1, GET).await;
    client.next(&[HEADERS]).await.expect("an answer");
    leaves.leave();
    assert_eq!(client.goaway().await, (1 << 31) - 1, "nothing is refused");
    let ping = client.ping().await;
    timeout(PARKED, client.next(&[GOAWAY]))
        .await
        .expect_err("it stays until the client has heard it");
    client.pong(&ping).await;
    assert_eq!(client.goaway().await, 1, "what was answered");
    let rest = client.next(&[HEADERS, GOAWAY, PING]).await;
    assert_eq!(rest, None, "and an end in order");
}
