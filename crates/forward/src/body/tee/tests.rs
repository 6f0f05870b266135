//! Copies of a body: complete, or cut, and never in the way of the original.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::mpsc;

use super::{MirrorBody, Piece, tee};
use crate::{
    body::{BodyError, RequestBody},
    limits::MIRROR_CHUNKS,
};

/// The feeding end of a body under test.
pub(in crate::body) struct Feed(mpsc::Sender<Piece>);

/// A body that is fed by hand; dropping the feed without [`Feed::end`] breaks it off.
pub(in crate::body) fn fed() -> (Feed, RequestBody) {
    let (sender, pieces) = mpsc::channel(1024);
    let body = MirrorBody {
        pieces,
        hint: SizeHint::default(),
        ended: false,
    };
    (Feed(sender), RequestBody::Mirror(body))
}

impl Feed {
    pub(in crate::body) fn data(&self, data: &'static [u8]) {
        self.piece(Piece::Frame(Frame::data(Bytes::from_static(data))));
    }

    pub(in crate::body) fn trailers(&self, name: &'static str) {
        let mut trailers = HeaderMap::new();
        trailers.insert(name, http::HeaderValue::from_static("1"));
        self.piece(Piece::Frame(Frame::trailers(trailers)));
    }

    pub(in crate::body) fn end(self) {
        self.piece(Piece::End);
    }

    fn piece(&self, piece: Piece) {
        assert!(self.0.try_send(piece).is_ok(), "the body is read");
    }
}

/// How far a body can be read now: its data, the names of its trailers, and how it ends.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::body) enum End {
    Complete,
    Broken,
    Waiting,
}

/// Reads what there is.
pub(in crate::body) fn read(body: &mut RequestBody) -> (String, End) {
    let mut text = String::new();
    loop {
        match poll(body) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => text.push_str(std::str::from_utf8(&data).expect("text")),
                Err(frame) => {
                    let trailers = frame.into_trailers().expect("data or trailers");
                    for name in trailers.keys() {
                        text.push_str(&format!("[{name}]"));
                    }
                }
            },
            Poll::Ready(Some(Err(_))) => return (text, End::Broken),
            Poll::Ready(None) => return (text, End::Complete),
            Poll::Pending => return (text, End::Waiting),
        }
    }
}

pub(in crate::body) fn poll(
    body: &mut RequestBody,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    let mut cx = Context::from_waker(Waker::noop());
    std::pin::Pin::new(body).poll_frame(&mut cx)
}

/// An original with two copies.
fn teed() -> (Feed, RequestBody, RequestBody, RequestBody) {
    let (feed, source) = fed();
    let (original, mut copies) = tee(source, 2);
    let second = copies.pop().expect("two copies");
    let first = copies.pop().expect("two copies");
    (feed, original, first, second)
}

#[test]
fn copies_get_what_the_original_has_passed_on() {
    let (feed, mut original, mut first, mut second) = teed();
    feed.data(b"one ");
    assert_eq!(
        read(&mut first),
        (String::new(), End::Waiting),
        "the copy does not read ahead"
    );
    assert_eq!(read(&mut original), ("one ".into(), End::Waiting));
    assert_eq!(read(&mut first), ("one ".into(), End::Waiting));
    feed.data(b"two");
    feed.trailers("x-end");
    feed.end();
    let rest = ("two[x-end]".into(), End::Complete);
    assert_eq!(read(&mut original), rest, "the original");
    assert_eq!(read(&mut first), rest, "the first copy");
    let all = ("one two[x-end]".into(), End::Complete);
    assert_eq!(read(&mut second), all, "the second copy, read late");
}

#[test]
fn a_body_that_breaks_breaks_its_copies() {
    let (feed, mut original, mut first, _second) = teed();
    feed.data(b"half");
    drop(feed);
    let broken = ("half".into(), End::Broken);
    assert_eq!(read(&mut original), broken, "the original");
    assert_eq!(read(&mut first), broken, "must not look complete");
}

#[test]
fn an_original_that_is_given_up_breaks_its_copies() {
    let (feed, mut original, mut first, _second) = teed();
    feed.data(b"half");
    assert_eq!(read(&mut original), ("half".into(), End::Waiting));
    drop(original);
    assert_eq!(read(&mut first), ("half".into(), End::Broken));
}

#[test]
fn a_copy_that_is_not_read_is_lost_and_nothing_else() {
    let (feed, mut original, mut slow, mut quick) = teed();
    let chunks = MIRROR_CHUNKS + 4;
    for _ in 0..chunks {
        feed.data(b"x");
        assert_eq!(read(&mut original), ("x".into(), End::Waiting));
        assert_eq!(read(&mut quick), ("x".into(), End::Waiting));
    }
    feed.end();
    assert_eq!(read(&mut original), (String::new(), End::Complete));
    assert_eq!(read(&mut quick), (String::new(), End::Complete));
    let kept = "x".repeat(MIRROR_CHUNKS);
    assert_eq!(
        read(&mut slow),
        (kept, End::Broken),
        "bounded, and not taken for complete"
    );
}

#[test]
fn a_copy_that_is_dropped_does_not_matter() {
    let (feed, mut original, first, mut second) = teed();
    drop(first);
    feed.data(b"all");
    feed.end();
    assert_eq!(read(&mut original), ("all".into(), End::Complete));
    assert_eq!(read(&mut second), ("all".into(), End::Complete));
}

#[test]
fn no_body_needs_no_copying() {
    let (original, copies) = tee(RequestBody::Empty, 2);
    assert!(original.is_end_stream(), "the original");
    assert!(
        copies.iter().all(RequestBody::is_end_stream),
        "and both copies"
    );
}
