//! Sending a body again: the same bytes, up to the bound, by one attempt at a time.

use http_body::Body as _;

use super::Replay;
use crate::{
    body::{
        RequestBody,
        tee::tests::{End, Feed, fed, read},
    },
    limits::REPLAY_BYTES,
};

fn replay() -> (Feed, Replay) {
    let (feed, source) = fed();
    (feed, Replay::new(source))
}

fn attempt(replay: &Replay) -> RequestBody {
    RequestBody::Replay(replay.attempt())
}

#[test]
fn every_attempt_sees_the_whole_body() {
    let (feed, replay) = replay();
    feed.data(b"one ");
    feed.data(b"two");
    feed.trailers("x-end");
    feed.end();
    for number in 1..=3 {
        let mut body = attempt(&replay);
        let all = ("one two[x-end]".to_owned(), End::Complete);
        assert_eq!(read(&mut body), all, "attempt {number}");
        assert!(body.is_end_stream(), "attempt {number} says that it ended");
        assert!(replay.can_repeat(), "after attempt {number}");
    }
}

#[test]
fn a_later_attempt_goes_on_where_the_client_is() {
    let (feed, replay) = replay();
    feed.data(b"begun ");
    let mut first = attempt(&replay);
    assert_eq!(read(&mut first), ("begun ".into(), End::Waiting));
    let mut second = attempt(&replay);
    feed.data(b"and ended");
    feed.end();
    assert_eq!(
        read(&mut first),
        (String::new(), End::Broken),
        "the first attempt has lost its turn"
    );
    let all = ("begun and ended".to_owned(), End::Complete);
    assert_eq!(read(&mut second), all, "the second has everything");
}

#[test]
fn a_body_without_bytes_can_be_sent_again() {
    let (feed, replay) = replay();
    feed.end();
    for _ in 0..2 {
        assert_eq!(read(&mut attempt(&replay)), (String::new(), End::Complete));
    }
    assert!(replay.can_repeat());
}

#[test]
fn a_body_at_the_bound_is_kept_and_one_above_it_passes_once() {
    static CHUNK: [u8; REPLAY_BYTES / 4] = [b'x'; REPLAY_BYTES / 4];
    for (extra, can_repeat) in [(&b""[..], true), (b"y", false)] {
        let (feed, replay) = replay();
        for _ in 0..4 {
            feed.data(&CHUNK);
        }
        feed.data(extra);
        feed.end();
        let mut body = attempt(&replay);
        let (text, end) = read(&mut body);
        assert_eq!(end, End::Complete, "{} bytes more", extra.len());
        assert_eq!(text.len(), REPLAY_BYTES + extra.len(), "nothing is lost");
        assert_eq!(
            replay.can_repeat(),
            can_repeat,
            "{} bytes above the bound",
            extra.len()
        );
    }
}

#[test]
fn a_body_that_broke_is_not_sent_again() {
    let (feed, replay) = replay();
    feed.data(b"half");
    drop(feed);
    assert_eq!(read(&mut attempt(&replay)), ("half".into(), End::Broken));
    assert!(!replay.can_repeat(), "half a body is no body");
}

#[test]
fn the_hint_counts_what_is_kept() {
    let (feed, replay) = replay();
    feed.data(b"12345");
    feed.end();
    let mut first = attempt(&replay);
    assert_eq!(read(&mut first), ("12345".into(), End::Complete));
    let second = attempt(&replay);
    assert_eq!(second.size_hint().exact(), Some(5), "all of it again");
    assert!(!second.is_end_stream(), "and it has not begun");
}

#[test]
fn the_last_attempt_keeps_nothing() {
    let (feed, replay) = replay();
    feed.data(b"one ");
    let mut first = attempt(&replay);
    assert_eq!(read(&mut first), ("one ".into(), End::Waiting));
    let mut second = attempt(&replay);
    let shared = replay.shared.clone();
    replay.let_go();
    feed.data(b"two");
    assert_eq!(
        read(&mut second),
        ("one two".into(), End::Waiting),
        "what was kept is passed on first"
    );
    feed.trailers("x-end");
    feed.end();
    assert_eq!(read(&mut second), ("[x-end]".into(), End::Complete));
    assert!(second.is_end_stream());
    assert_eq!(super::lock(&shared).kept.len(), 0, "nothing is held");
}
