//! What is kept, through the lives of supervisors.

use std::{
    io::{Read as _, Write},
    os::{fd::AsFd, unix::net::UnixStream},
};

use super::*;

/// A supervisor that finds what is kept.
fn begins(kept: &Kept, is_last: bool) -> (OwnedFd, Left) {
    let (ours, theirs) = pair().expect("descriptors are left");
    kept.hand_over(&ours, is_last)
        .expect("there is room for it");
    (ours, restore(theirs).expect("it was said"))
}

/// Reads until the supervisor is gone.
fn outlives(kept: &mut Kept, socket: &OwnedFd) {
    while kept.read(socket).expect("it was said") == Read::Packet {}
}

#[test]
fn what_a_supervisor_leaves_the_next_one_finds() {
    let mut kept = Kept::default();
    let (socket, first) = begins(&kept, false);
    assert!(first.kept.is_empty() && !first.is_to_end, "{first:?}");
    let (mut here, there) = UnixStream::pair().expect("descriptors are left");
    first.store.keep("worker", &[there.as_fd()]);
    first.store.keep("gone", &[there.as_fd(), there.as_fd()]);
    first.store.keep("word", &[]);
    first.store.forget("gone");
    drop((first, there));
    outlives(&mut kept, &socket);
    let (_socket, mut second) = begins(&kept, true);
    assert!(second.is_to_end, "it is told so");
    let names: Vec<_> = second.kept.keys().map(String::as_str).collect();
    assert_eq!(names, ["word", "worker"]);
    assert!(second.kept["word"].is_empty());
    let worker = second.kept.remove("worker").and_then(|mut it| it.pop());
    let mut worker = UnixStream::from(worker.expect("it has one"));
    worker.write_all(b"!").expect("the other end is here");
    here.read_exact(&mut [0]).expect("it is the same socket");
}

#[test]
fn nothing_is_left_of_what_was_forgotten() {
    let mut kept = Kept::default();
    let (socket, supervisor) = begins(&kept, false);
    let (mut here, there) = UnixStream::pair().expect("descriptors are left");
    supervisor.store.keep("worker", &[there.as_fd()]);
    supervisor.store.forget("worker");
    drop((supervisor, there));
    outlives(&mut kept, &socket);
    assert!(kept.is_empty());
    let read = here.read(&mut [0]).expect("it is open here");
    assert_eq!(read, 0, "nobody has the other end any more");
}

#[test]
fn a_supervisor_that_was_killed_half_way_is_understood() {
    let mut kept = Kept::default();
    let (socket, supervisor) = begins(&kept, false);
    send(&*supervisor.store.0, b"what?", &[]).expect("there is room");
    supervisor.store.keep("word", &[]);
    drop(supervisor);
    outlives(&mut kept, &socket);
    let (_socket, next) = begins(&kept, false);
    assert_eq!(next.kept.len(), 1, "what made sense is kept");
}
