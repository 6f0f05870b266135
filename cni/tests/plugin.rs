//! The plugin as a container runtime starts it, beside a scripted supervisor.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

const PREVIOUS: &str = r#"{"cniVersion":"1.0.0",  "interfaces":[{"name":"veth1"},{"name":"eth0","sandbox":"/n"}],
 "ips":[{"address":"10.1.0.2/24","interface":1},{"address":"10.1.0.1/24","interface":0},{"address":"fd00::2/64"}]}"#;
const POD: &str = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=11-22";

/// One start of the plugin.
struct Call {
    directory: TempDir,
    command: &'static str,
    arguments: String,
    netns: String,
    version: &'static str,
    previous: &'static str,
}

impl Call {
    fn new(command: &'static str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        // Any file is another namespace than that of the node.
        let netns = directory.path().join("netns");
        std::fs::write(&netns, "").expect("a file");
        Self {
            netns: netns.display().to_string(),
            directory,
            command,
            arguments: POD.to_owned(),
            version: "1.0.0",
            previous: PREVIOUS,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The namespaces of the mesh, as the supervisor has left them on the disk.
    fn meshed(self, namespaces: &[&str]) -> Self {
        let text = json!({"v": 1, "namespaces": namespaces}).to_string();
        std::fs::write(self.path("namespaces.json"), text).expect("a file");
        self
    }

    fn input(&self) -> String {
        let (socket, namespaces) = (self.path("cni.sock"), self.path("namespaces.json"));
        let previous = match self.previous {
            "" => String::new(),
            previous => format!(r#","prevResult":{previous}"#),
        };
        format!(
            r#"{{"cniVersion":"{}","name":"bed","type":"weft-cni","socket":{socket:?},
            "namespaces":{namespaces:?},"runtimeConfig":{{}}{previous}}}"#,
            self.version
        )
    }

    fn run(&self) -> Output {
        self.run_with(&self.input())
    }

    fn run_with(&self, input: &str) -> Output {
        let mut plugin = Command::new(env!("CARGO_BIN_EXE_weft-cni"));
        plugin
            .env_clear()
            .env("CNI_COMMAND", self.command)
            .env("CNI_CONTAINERID", "c1")
            .env("CNI_NETNS", &self.netns)
            .env("CNI_IFNAME", "eth0")
            .env("CNI_ARGS", &self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut plugin = plugin.spawn().expect("the plugin is built");
        let mut stdin = plugin.stdin.take().expect("a pipe");
        // A plugin that refuses its environment may not read what it is sent.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        plugin.wait_with_output().expect("the plugin ends")
    }

    /// A supervisor that answers one question with a text, and tells the question.
    fn supervisor(&self, answer: &'static str) -> JoinHandle<Value> {
        self.scripted(move |mut stream| {
            stream
                .write_all(answer.as_bytes())
                .expect("the plugin reads");
        })
    }

    fn scripted(&self, answer: impl FnOnce(UnixStream) + Send + 'static) -> JoinHandle<Value> {
        let listener = UnixListener::bind(self.path("cni.sock")).expect("a socket");
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("the plugin asks");
            let mut line = String::new();
            let read = BufReader::new(&stream).read_line(&mut line);
            read.expect("a question");
            answer(stream);
            serde_json::from_str(&line).expect("a question is JSON")
        })
    }
}

fn succeeded(output: &Output) -> &str {
    let text = std::str::from_utf8(&output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    text
}

/// The code of an error, after looking at its form.
fn code(output: &Output, version: &str) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    let error: Value = serde_json::from_str(&text).expect("an error is JSON");
    assert_eq!(error["cniVersion"], version, "{text}");
    assert!(
        error["msg"].as_str().is_some_and(|it| it.len() > 10),
        "{text}"
    );
    error["code"].as_u64().expect("a code")
}

#[test]
fn a_pod_that_is_captured_starts_with_the_result_of_the_others() {
    let call = Call::new("ADD");
    let supervisor = call.supervisor("{\"ok\":{}}\n");
    assert_eq!(succeeded(&call.run()).trim_end(), PREVIOUS, "byte by byte");
    let asked = supervisor.join().expect("it was asked");
    let expected = json!({
        "v": 1, "op": "add", "netns": call.netns, "container": "c1", "ifname": "eth0",
        "pod": "web-0", "namespace": "shop", "uid": "11-22", "ips": ["10.1.0.2", "fd00::2"],
    });
    assert_eq!(asked, expected);
}

#[test]
fn every_version_passes_through() {
    for version in ["0.3.1", "0.4.0", "1.1.0"] {
        let mut call = Call::new("ADD");
        call.version = version;
        call.previous = r#"{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.1.0.2/24"}]}"#;
        let supervisor = call.supervisor("{\"ok\":{}}");
        assert_eq!(
            succeeded(&call.run()).trim_end(),
            call.previous,
            "{version}"
        );
        let asked = supervisor.join().expect("it was asked");
        assert_eq!(asked["ips"], json!(["10.1.0.2"]), "{version}");
    }
}

/// Answers of the supervisor and the codes that runtimes get for them.
#[test]
fn a_pod_that_is_not_captured_does_not_start() {
    for (answer, expected) in [
        ("{\"retry\":\"no certificate yet\"}\n", 11),
        ("{\"error\":\"wrong namespace\"}\n", 100),
        ("{\"perhaps\":1}\n", 11),
        ("", 11),
    ] {
        for command in ["ADD", "CHECK"] {
            let call = Call::new(command).meshed(&["shop"]);
            let supervisor = call.supervisor(answer);
            assert_eq!(code(&call.run(), "1.0.0"), expected, "{command}: {answer}");
            supervisor.join().expect("it was asked");
        }
    }
}

#[test]
fn without_a_supervisor_pods_of_the_mesh_wait_and_others_start() {
    for command in ["ADD", "CHECK"] {
        let unknown = Call::new(command);
        assert_eq!(code(&unknown.run(), "1.0.0"), 11, "{command}: nobody knows");
        let meshed = Call::new(command).meshed(&["pay", "shop"]);
        assert_eq!(code(&meshed.run(), "1.0.0"), 11, "{command}: in the mesh");
        let other = Call::new(command).meshed(&["pay"]);
        let printed = if command == "ADD" { PREVIOUS } else { "" };
        assert_eq!(
            succeeded(&other.run()).trim_end(),
            printed,
            "{command}: not in the mesh"
        );
    }
}

/// What may be on the disk instead of a list, and what the log of the runtime says of it.
#[test]
fn why_nobody_knows_the_namespaces_is_logged() {
    for (text, why) in [
        (None, "namespaces.json cannot be read: No such file"),
        (Some(""), "namespaces.json is not understood: EOF"),
        (Some("[]"), "namespaces.json is not understood: invalid"),
    ] {
        let call = Call::new("ADD");
        if let Some(text) = text {
            std::fs::write(call.path("namespaces.json"), text).expect("a file");
        }
        let output = call.run();
        assert_eq!(code(&output, "1.0.0"), 11, "{text:?}: the pod waits");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("pod shop/web-0 waits"), "{text:?}: {log}");
        assert!(log.contains(why), "{text:?}: {log}");
    }
    let known = Call::new("ADD").meshed(&["pay"]).run();
    assert_eq!(known.stderr, b"", "nothing is wrong with a list");
}

#[test]
fn an_answer_has_five_seconds_in_all() {
    // A byte now and then is no answer. The plugin closes the connection when its time is over.
    let drip = |mut stream: UnixStream| {
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
    };
    let call = Call::new("CHECK").meshed(&["shop"]);
    let supervisor = call.scripted(drip);
    let output = call.run();
    assert_eq!(code(&output, "1.0.0"), 11);
    assert!(String::from_utf8_lossy(&output.stdout).contains("5 s are over"));
    supervisor.join().expect("it noticed");
    let other = Call::new("ADD").meshed(&["pay"]);
    let supervisor = other.scripted(drip);
    assert_eq!(succeeded(&other.run()).trim_end(), PREVIOUS, "no member");
    supervisor.join().expect("it noticed");
}

#[test]
fn a_pod_of_the_mesh_that_starts_waits_as_long_as_the_supervisor_does() {
    let call = Call::new("ADD").meshed(&["shop"]);
    let supervisor = call.scripted(|mut stream| {
        // Longer than any other answer may take, and than a kubelet takes to come back.
        thread::sleep(Duration::from_secs(6));
        stream.write_all(b"{\"ok\":{}}\n").expect("it waits still");
    });
    assert_eq!(succeeded(&call.run()).trim_end(), PREVIOUS);
    supervisor.join().expect("it was asked");
}

#[test]
fn pods_the_mesh_has_no_say_in_are_not_asked_about() {
    // There is no supervisor, and without a list every other pod would wait.
    let mut own = Call::new("ADD");
    own.arguments = POD.replace("shop", "weft-system");
    let mut container = Call::new("ADD");
    container.arguments = "IgnoreUnknown=1".to_owned();
    let mut host = Call::new("ADD");
    host.netns = "/proc/self/ns/net".to_owned();
    for (whose, call) in [
        ("of Weft", own),
        ("not of Kubernetes", container),
        ("of the node", host),
    ] {
        assert_eq!(succeeded(&call.run()).trim_end(), PREVIOUS, "{whose}");
    }
}

#[test]
fn removing_a_pod_always_succeeds() {
    let mut call = Call::new("DEL");
    assert_eq!(succeeded(&call.run()), "", "without a supervisor");
    assert_eq!(
        succeeded(&call.run_with("{")),
        "",
        "without a configuration"
    );
    call.netns = String::new();
    call.previous = "";
    let supervisor = call.supervisor("{\"error\":\"never heard of it\"}\n");
    assert_eq!(succeeded(&call.run()), "", "of a pod that was never there");
    let asked = supervisor.join().expect("it was asked");
    let found = (&asked["op"], &asked["netns"], &asked["ips"]);
    assert_eq!(found, (&json!("del"), &Value::Null, &json!([])));
    call.arguments = "K8S_POD_NAME=web".to_owned();
    assert_eq!(succeeded(&call.run()), "", "of a pod without names");
}

#[test]
fn versions_are_told_and_unknown_ones_refused() {
    let call = Call::new("VERSION");
    let told: Value = serde_json::from_str(succeeded(&call.run())).expect("JSON");
    assert_eq!(told["cniVersion"], "1.0.0");
    let supported = told["supportedVersions"].as_array().expect("a list");
    assert!(supported.contains(&json!("1.0.0")), "{told}");
    let mut call = Call::new("ADD");
    call.version = "2.0.0";
    assert_eq!(code(&call.run(), "2.0.0"), 1);
}

#[test]
fn nothing_is_asked_of_readiness_and_garbage() {
    for command in ["STATUS", "GC"] {
        let mut call = Call::new(command);
        call.version = "1.1.0";
        call.previous = "";
        assert_eq!(succeeded(&call.run()), "", "{command}");
    }
}

/// What runtimes never send, and the code each gets.
#[test]
fn wrong_input_is_named() {
    let call = Call::new("ADD");
    for input in ["", "{", "[]", r#"{"name":"x"}"#, "\u{fffd}"] {
        assert_eq!(code(&call.run_with(input), "1.0.0"), 6, "input {input}");
    }
    let mut alone = Call::new("ADD");
    alone.previous = "";
    assert_eq!(code(&alone.run(), "1.0.0"), 7, "without a plugin before it");
    let mut odd = Call::new("ADD");
    odd.previous = r#"{"ips":[{"address":"ten"}]}"#;
    assert_eq!(code(&odd.run(), "1.0.0"), 6, "an address that is none");
    assert_eq!(
        code(&Call::new("MOVE").run(), "1.0.0"),
        4,
        "a command that is none"
    );
    let mut gone = Call::new("ADD");
    gone.netns = "/run/netns/weft-was-here".to_owned();
    assert_eq!(code(&gone.run(), "1.0.0"), 5, "a namespace that is gone");
    for arguments in ["K8S_POD_NAME=web", "K8S_POD_NAME"] {
        let mut call = Call::new("ADD");
        call.arguments = arguments.to_owned();
        assert_eq!(code(&call.run(), "1.0.0"), 4, "arguments {arguments}");
    }
}
