//! What the CNI plugin asks the supervisor of its node, and what it is told.
//!
//! One connection of a Unix stream socket per question: a [`Request`] as one line of JSON, then a
//! [`Reply`] as one line of JSON. Unknown fields are ignored, so that plugin and supervisor of two
//! versions talk; what they cannot ignore raises [`VERSION`].

use std::{
    collections::BTreeSet,
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version of these messages.
pub const VERSION: u32 = 1;
/// The longest message, with the end of its line.
pub const MESSAGE_BYTES: u64 = 64 * 1024;
/// How long a pod that starts waits at most for somebody who knows whether it is of the mesh, which is the
/// control plane. One that was told to try again is tried again by its kubelet after ten to fifteen seconds
/// (`backOffPeriod`), so waiting is how it starts as soon as that is back. A kubelet gives the whole of a
/// sandbox twice its `runtimeRequestTimeout`, which is four minutes unless it is set.
pub const UNKNOWN: Duration = Duration::from_mins(3);

/// What the runtime does with a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`] of the plugin.
    pub v: u32,
    /// What is asked for.
    pub op: Operation,
    /// Path of the network namespace; none when a pod is removed whose namespace is gone.
    pub netns: Option<PathBuf>,
    /// The runtime's name of the sandbox.
    pub container: String,
    /// The interface in the pod that the chain made.
    pub ifname: String,
    /// Name of the pod.
    pub pod: String,
    /// Its namespace in Kubernetes.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Its addresses, as the plugins before this one gave them; empty when a pod is removed.
    #[serde(default)]
    pub ips: Vec<IpAddr>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// The pod starts: answer when it is captured and can be served, or is none of the mesh's.
    Add,
    /// Is the pod captured as it should be?
    Check,
    /// The pod is gone: let go of its namespace.
    Del,
}

/// What the supervisor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// It is done, or there is nothing to do for this pod.
    Ok {},
    /// Not now, with the reason; the runtime asks again.
    Retry(String),
    /// Not like this, with the reason.
    Error(String),
}

/// The namespaces of Kubernetes whose pods must not start without the mesh, as a file the supervisor
/// keeps where it survives a reboot. The plugin reads it when the supervisor does not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// [`VERSION`] of the supervisor.
    pub v: u32,
    /// Their names.
    pub namespaces: BTreeSet<String>,
}

/// Writes a message and the end of its line, at once.
///
/// # Errors
/// `InvalidInput` for one that is longer than [`MESSAGE_BYTES`], and what the stream says.
pub fn write(message: &impl Serialize, mut stream: impl Write) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    if u64::try_from(line.len()).is_ok_and(|length| length <= MESSAGE_BYTES) {
        stream.write_all(&line)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, TooLong))
    }
}

/// Reads one message, up to the end of a line or of the stream.
///
/// # Errors
/// `UnexpectedEof` when nothing comes, `InvalidData` for what is no such message or is longer than
/// [`MESSAGE_BYTES`], and what the stream says.
pub fn read<T: DeserializeOwned>(stream: impl Read) -> io::Result<T> {
    let mut line = Vec::new();
    let read = BufReader::new(stream.take(MESSAGE_BYTES)).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let is_cut = u64::try_from(read).is_ok_and(|read| read == MESSAGE_BYTES);
    if is_cut && !line.ends_with(b"\n") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, TooLong));
    }
    parse(&line)
}

/// A message from its line, for who reads streams in another way.
///
/// # Errors
/// `InvalidData` for what is no such message.
pub fn parse<T: DeserializeOwned>(line: &[u8]) -> io::Result<T> {
    serde_json::from_slice(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Says that a message is longer than it may be.
#[derive(Debug)]
struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message is longer than {MESSAGE_BYTES} bytes")
    }
}

impl std::error::Error for TooLong {}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::{MESSAGE_BYTES, Namespaces, Operation, Reply, Request, VERSION, read, write};

    fn request() -> Request {
        Request {
            v: VERSION,
            op: Operation::Add,
            netns: Some("/run/netns/a".into()),
            container: "c".to_owned(),
            ifname: "eth0".to_owned(),
            pod: "web".to_owned(),
            namespace: "shop".to_owned(),
            uid: "u".to_owned(),
            ips: vec!["10.0.0.2".parse().expect("an address")],
        }
    }

    #[test]
    fn messages_are_the_lines_others_rely_on() {
        let expected = r#"{"v":1,"op":"add","netns":"/run/netns/a","container":"c","ifname":"eth0","pod":"web","namespace":"shop","uid":"u","ips":["10.0.0.2"]}"#;
        let mut line = Vec::new();
        write(&request(), &mut line).expect("it is short");
        assert_eq!(String::from_utf8_lossy(&line), format!("{expected}\n"));
        for (reply, expected) in [
            (Reply::Ok {}, r#"{"ok":{}}"#),
            (Reply::Retry("soon".to_owned()), r#"{"retry":"soon"}"#),
            (Reply::Error("no".to_owned()), r#"{"error":"no"}"#),
        ] {
            let mut line = Vec::new();
            write(&reply, &mut line).expect("it is short");
            assert_eq!(line, format!("{expected}\n").as_bytes());
            assert_eq!(read::<Reply>(&line[..]).expect("it is one"), reply);
        }
    }

    #[test]
    fn fields_of_a_later_version_are_ignored() {
        let line = br#"{"v":2,"namespaces":["shop"],"more":1}"#;
        let read = read::<Namespaces>(&line[..]).expect("what is known is there");
        assert_eq!((read.v, read.namespaces.len()), (2, 1));
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let kind = |bytes: &mut dyn Read| read::<Reply>(bytes).expect_err("no reply").kind();
        assert_eq!(kind(&mut &b""[..]), io::ErrorKind::UnexpectedEof);
        for wrong in [
            "\n",
            "{",
            "{}",
            "[]",
            "null",
            r#"{"ok":{},"retry":""}"#,
            r#"{"perhaps":{}}"#,
        ] {
            assert_eq!(
                kind(&mut wrong.as_bytes()),
                io::ErrorKind::InvalidData,
                "{wrong}"
            );
        }
        assert_eq!(kind(&mut io::repeat(b'x')), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_too_long_is_not_sent() {
        let long = "x".repeat(usize::try_from(MESSAGE_BYTES).expect("it fits"));
        let refused = write(&Reply::Error(long), io::sink()).expect_err("it is too long");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
