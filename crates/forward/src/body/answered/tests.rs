//! What is held back of a gRPC answer, frame by frame.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::*;

/// What comes from an endpoint, one after the other.
#[derive(Clone, Copy, Debug)]
enum Comes {
    Data(&'static [u8]),
    Trailers,
    /// Nothing, for this many milliseconds.
    Silence(u64),
    Death,
}

use Comes::{Data, Death, Silence, Trailers};

/// A body that follows a script, and hangs behind its end.
struct Script {
    steps: VecDeque<Comes>,
    silence: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Script {
    fn new(steps: &[Comes]) -> Self {
        Self {
            steps: steps.iter().copied().collect(),
            silence: None,
        }
    }
}

impl HttpBody for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            if let Some(silence) = &mut self.silence {
                std::task::ready!(silence.as_mut().poll(cx));
                self.silence = None;
            }
            return match self.steps.pop_front() {
                Some(Data(data)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data))))),
                Some(Trailers) => Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new())))),
                Some(Silence(milliseconds)) => {
                    let silence = sleep(Duration::from_millis(milliseconds));
                    self.silence = Some(Box::pin(silence));
                    continue;
                }
                Some(Death) => Poll::Ready(Some(Err("died"))),
                None => Poll::Pending,
            };
        }
    }
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Its head goes to the client after so many milliseconds, with so many frames behind it.
    Until(u128, usize),
    /// Nobody saw anything of it.
    Lost,
}

use Held::{Lost, Until};

const ONE: &[u8] = b"\0\0\0\0\x02hi";
const EMPTY: &[u8] = b"\0\0\0\0\0";
const TWO: &[u8] = b"\0\0\0\0\x02hi\0\0\0\0\x02ho";
const LIMIT: u128 = CALL_HELD.as_millis();
const BIG: &[u8] = &[0xff; REPLAY_BYTES + 1];

async fn check(name: &str, methods: &Arc<Methods>, steps: &[Comes], expected: Held) {
    let started = Instant::now();
    let call = Box::new(Call::new(methods, "/s/m"));
    let held = match Answered::ahead_of(Script::new(steps), call).await {
        Err(_died) => Lost,
        Ok(answered) => {
            let call = answered.call.expect("it is a call");
            Until(started.elapsed().as_millis(), call.ahead.len())
        }
    };
    assert_eq!(held, expected, "{name}");
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_call_waits_for_its_first_message_and_no_longer() {
    let rows: &[(&str, &[Comes], Held)] = &[
        ("a message at once", &[Data(ONE)], Until(0, 1)),
        ("a message without content", &[Data(EMPTY)], Until(0, 1)),
        ("a message later", &[Silence(7), Data(ONE)], Until(7, 1)),
        ("all of it at once", &[Data(ONE), Trailers], Until(0, 2)),
        (
            "no message",
            &[Silence(7), Trailers, Silence(1000)],
            Until(7, 1),
        ),
        (
            "a message in parts",
            &[Data(b"\0\0\0"), Silence(3), Data(b"\0\x01x")],
            Until(3, 2),
        ),
        (
            "a part of a message",
            &[Data(b"\0\0\0\0\x02h")],
            Until(LIMIT, 1),
        ),
        ("two messages", &[Data(TWO)], Until(0, 1)),
        ("silence", &[], Until(LIMIT, 0)),
        ("death before the message", &[Silence(7), Death], Lost),
        (
            "death inside the message",
            &[Data(b"\0\0\0\0\x02h"), Silence(7), Death],
            Lost,
        ),
        ("death right behind the message", &[Data(ONE), Death], Lost),
        (
            "death after the message",
            &[Data(ONE), Silence(1), Death],
            Until(0, 1),
        ),
        ("more than is kept", &[Data(BIG), Death], Until(0, 1)),
    ];
    for (name, steps, expected) in rows {
        check(name, &Arc::default(), steps, *expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_method_that_answers_once_waits_for_its_end() {
    let rows: &[(&str, &[Comes], Held)] = &[
        ("its end", &[Data(ONE), Silence(7), Trailers], Until(7, 2)),
        (
            "death after the message",
            &[Data(ONE), Silence(7), Death],
            Lost,
        ),
        (
            "another message",
            &[Data(ONE), Silence(7), Data(ONE)],
            Until(7, 2),
        ),
        ("nothing", &[Data(ONE)], Until(LIMIT, 1)),
    ];
    for (name, steps, expected) in rows {
        let methods = Arc::default();
        Call::new(&methods, "/s/m")
            .methods
            .learn(Method::at("/s/m"), Answers::Once);
        check(name, &methods, steps, *expected).await;
    }
}

/// A name, the answers of a method, and what is known of it then.
type Taught<'a> = (&'a str, &'a [&'a [Comes]], Option<Answers>);

#[test]
fn what_a_method_answers_is_learnt() {
    use Answers::{Often, Once};
    let rows: &[Taught<'_>] = &[
        (
            "a message and the end",
            &[&[Data(ONE), Trailers]],
            Some(Once),
        ),
        ("a message", &[&[Data(ONE)]], None),
        ("an error", &[&[Trailers]], None),
        ("two messages", &[&[Data(TWO)]], Some(Often)),
        (
            "one now, two later",
            &[&[Data(ONE), Trailers], &[Data(TWO)]],
            Some(Often),
        ),
        (
            "two now, one later",
            &[&[Data(TWO), Trailers], &[Data(ONE), Trailers]],
            Some(Often),
        ),
        (
            "two, split",
            &[&[Data(&TWO[..9]), Data(&TWO[9..])]],
            Some(Often),
        ),
        ("half a message", &[&[Data(&ONE[..6]), Trailers]], None),
    ];
    for (name, answers, expected) in rows {
        let methods = Arc::default();
        for steps in *answers {
            let mut call = Call::new(&methods, "/s/m");
            for step in *steps {
                match step {
                    Data(data) => call.read(&Frame::data(Bytes::from_static(data))),
                    Trailers => call.read(&Frame::trailers(HeaderMap::new())),
                    Silence(_) | Death => unreachable!("these teach nothing"),
                }
            }
        }
        assert_eq!(methods.answers(Method::at("/s/m")), *expected, "{name}");
        assert_eq!(
            methods.answers(Method::at("/s/n")),
            None,
            "{name}: no other method"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_that_sent_one_message_and_nothing_more_is_not_waited_for_twice() {
    let methods: Arc<Methods> = Arc::default();
    methods.learn(Method::at("/s/m"), Answers::Once);
    check("the first time", &methods, &[Data(ONE)], Until(LIMIT, 1)).await;
    check("the second time", &methods, &[Data(ONE)], Until(0, 1)).await;
}
