//! Which of several addresses to connect to: the first that answers (RFC 8305, "Happy Eyeballs").
//!
//! A Service of two families has two addresses, and one of them may lead nowhere for a while. A first
//! packet that is lost is sent again by the system after one second only, which is long for a proxy whose
//! clients wait; so an address that is silent is tried again beside the first attempt. One that refuses is
//! not: its node says so once a second (`icmp_ratelimit`), and whoever asks more often waits for that.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use tokio::task::JoinSet;

/// Time an attempt has to itself: the least that RFC 8305 section 5 recommends between two. In a
/// cluster an answer takes a few milliseconds.
const HEAD_START: Duration = Duration::from_millis(100);
/// The same once every address was tried.
const AGAIN: Duration = Duration::from_millis(250);

/// The first of the connections to these addresses that is made. They are tried in their order, with
/// families taking turns; the next begins when the last has failed, or has not answered for a while.
/// Those that stay silent are tried again and again: the caller limits the time.
///
/// # Errors
/// When every address has refused: what was said about the first one.
pub(super) async fn first<C, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<C>
where
    C: Send + 'static,
    F: Future<Output = io::Result<C>> + Send + 'static,
{
    let mut untried = in_turns(addresses);
    let mut silent = VecDeque::with_capacity(untried.len());
    let mut trying = JoinSet::new();
    let mut failed = None;
    let mut is_silent = false;
    loop {
        let again = is_silent && untried.is_empty();
        let next = match again {
            true => silent.pop_front(),
            false => untried.pop_front(),
        };
        if let Some(address) = next {
            let attempt = connect(address);
            trying.spawn(async move { (address, attempt.await) });
            silent.push_back(address);
        }
        if silent.is_empty() {
            return Err(failed.unwrap_or_else(no_address));
        }
        is_silent = false;
        tokio::select! {
            Some(ended) = trying.join_next() => match ended {
                Ok((_, Ok(connection))) => return Ok(connection),
                Ok((address, Err(error))) => {
                    silent.retain(|other| *other != address);
                    failed.get_or_insert(error);
                }
                Err(panicked) => return Err(io::Error::other(panicked)),
            },
            () = tokio::time::sleep(if again { AGAIN } else { HEAD_START }) => is_silent = true,
        }
    }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

/// The addresses, one of each family after the other, beginning with that of the first.
fn in_turns(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let leads = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (same, other): (Vec<_>, Vec<_>) =
        (addresses.into_iter()).partition(|address| address.is_ipv6() == leads);
    let mut ordered = VecDeque::with_capacity(same.len() + other.len() + 1);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    loop {
        let pair = [same.next(), other.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Mutex};

    use super::*;

    /// What an address does, by its port: 1 answers, 2 refuses, 3 is silent, 4 is silent once, 5 three
    /// times, 6 refuses when it is asked again.
    async fn act(port: u16, attempt: usize) -> io::Result<(u16, usize)> {
        match (port, attempt) {
            (1, _) | (4, 1..) | (5, 3..) => Ok((port, attempt)),
            (2, _) | (6, 1..) => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => pending().await,
        }
    }

    /// Port and number of the attempt that was answered.
    type Answered = Option<(u16, usize)>;

    /// What is answered, and the time it took.
    async fn check(ports: &[u16]) -> (Answered, Duration) {
        let addresses = ports
            .iter()
            .map(|port| SocketAddr::from(([10, 0, 0, 1], *port)));
        let attempts = Mutex::new(Vec::new());
        let connect = |address: SocketAddr| {
            let mut attempts = attempts.lock().expect("one thread");
            let attempt = attempts.iter().filter(|it| **it == address).count();
            attempts.push(address);
            act(address.port(), attempt)
        };
        let began = tokio::time::Instant::now();
        let limit = Duration::from_secs(5);
        let first = tokio::time::timeout(limit, first(addresses.collect(), connect)).await;
        (first.ok().and_then(Result::ok), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_address_that_answers_is_taken() {
        const NOW: Duration = Duration::ZERO;
        let rows: [(&str, &[u16], Answered, Duration); 10] = [
            ("one that answers", &[1], Some((1, 0)), NOW),
            ("behind one that refuses", &[2, 1], Some((1, 0)), NOW),
            (
                "behind one that is silent",
                &[3, 1],
                Some((1, 0)),
                HEAD_START,
            ),
            (
                "behind two that are silent",
                &[3, 3, 1],
                Some((1, 0)),
                2 * HEAD_START,
            ),
            ("a lost packet", &[4], Some((4, 1)), HEAD_START),
            (
                "three lost packets",
                &[5],
                Some((5, 3)),
                HEAD_START + 2 * AGAIN,
            ),
            (
                "lost beside one that refuses",
                &[2, 4],
                Some((4, 1)),
                HEAD_START,
            ),
            ("one that refuses at last", &[6], None, HEAD_START),
            ("nobody", &[2, 2], None, NOW),
            ("silence", &[3], None, Duration::from_secs(5)),
        ];
        for (row, ports, expected, takes) in rows {
            let (found, took) = check(ports).await;
            assert_eq!(found, expected, "{row}");
            let late = took.saturating_sub(takes);
            assert!(
                took >= takes && late < HEAD_START / 2,
                "{row}: after {took:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_an_error() {
        let nothing = first(Vec::new(), |_| async { io::Result::Ok(()) }).await;
        assert_eq!(
            nothing.map_err(|it| it.kind()),
            Err(io::ErrorKind::NotFound)
        );
    }

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| -> Vec<SocketAddr> {
            let words = text.split_whitespace();
            words.map(|it| it.parse().expect("an address")).collect()
        };
        let rows = [
            ("", ""),
            ("[::1]:1 [::2]:1 10.0.0.1:1", "[::1]:1 10.0.0.1:1 [::2]:1"),
            (
                "10.0.0.1:1 10.0.0.2:1 [::1]:1",
                "10.0.0.1:1 [::1]:1 10.0.0.2:1",
            ),
            ("10.0.0.1:1 10.0.0.2:1", "10.0.0.1:1 10.0.0.2:1"),
        ];
        for (given, expected) in rows {
            assert_eq!(in_turns(parse(given)), parse(expected), "{given}");
        }
    }
}
