//! Descriptors through a socket pair.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use super::{MAX_DESCRIPTORS, receive, send};

/// Reading ends of pipes, each of which holds its number.
fn pipes(count: usize) -> Vec<OwnedFd> {
    let numbered = |number: usize| {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let text = number.to_string();
        writer.write_all(text.as_bytes()).expect("a pipe has room");
        OwnedFd::from(reader)
    };
    (0..count).map(numbered).collect()
}

fn content(pipe: OwnedFd) -> String {
    let mut text = String::new();
    let read = io::PipeReader::from(pipe).read_to_string(&mut text);
    read.expect("what was written into the pipe");
    text
}

fn check(count: usize) {
    let (here, there) = UnixStream::pair().expect("a socket pair");
    let pipes = pipes(count);
    let lent: Vec<BorrowedFd<'_>> = pipes.iter().map(AsFd::as_fd).collect();
    assert_eq!(send(&here, b"hello", &lent).expect("it is sent"), 5);
    drop(pipes);
    let (mut buffer, mut came) = ([0; 16], Vec::new());
    let bytes = receive(&there, &mut buffer, &mut came).expect("it arrives");
    assert_eq!(&buffer[..bytes], b"hello", "with {count} descriptors");
    let said: Vec<String> = came.into_iter().map(content).collect();
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(said, expected, "{count} descriptors arrive in their order");
}

#[test]
fn descriptors_arrive_in_order_with_their_bytes() {
    for count in [0, 1, 2, MAX_DESCRIPTORS] {
        check(count);
    }
}

#[test]
fn descriptors_stay_with_their_message() {
    let (here, there) = UnixStream::pair().expect("a socket pair");
    let pipes = pipes(2);
    for (pipe, text) in pipes.iter().zip([b"first ", b"second"]) {
        send(&here, text, &[pipe.as_fd()]).expect("it is sent");
    }
    let (mut buffer, mut came) = ([0; 64], Vec::new());
    let bytes = receive(&there, &mut buffer, &mut came).expect("it arrives");
    assert_eq!((&buffer[..bytes], came.len()), (&b"first "[..], 1));
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is() {
    let (here, there) = UnixStream::pair().expect("a socket pair");
    let pipes = pipes(MAX_DESCRIPTORS + 1);
    let lent: Vec<BorrowedFd<'_>> = pipes.iter().map(AsFd::as_fd).collect();
    for (bytes, descriptors) in [(&b""[..], &lent[..1]), (b"x", &lent[..])] {
        let refused = send(&here, bytes, descriptors).expect_err("it is refused");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
    drop(here);
    let (mut buffer, mut came) = ([0; 16], Vec::new());
    let end = receive(&there, &mut buffer, &mut came).expect("the end is no error");
    assert_eq!((end, came.len()), (0, 0), "nothing was sent");
}

#[test]
fn a_peer_that_is_gone_is_an_error_and_no_signal() {
    let (here, there) = UnixStream::pair().expect("a socket pair");
    drop(there);
    let gone = send(&here, b"x", &[]).expect_err("nobody is there");
    assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
}
