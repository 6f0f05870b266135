//! The tour of README.md, pasted block by block into a shell, so that it cannot rot.
//!
//! | block | meaning |
//! |---|---|
//! | `sh` | is run, in one shell for the whole tour |
//! | `sh build` | says how to get `weft`; here the tested binary takes its place |
//! | `sh TOOL...` | is run where the tools are installed; they have to be where `CI=true` |
//! | `text` | what the block above prints; ` text about` allows for chance in counts |

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use http::Request;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weft_tests::{
    binary::{directory, workspace},
    body::full,
    client::{ask2, http2, tcp},
    wait::{Expected, PATIENCE, soon},
};

/// Ends the output of a block.
const END: &str = "=== end of block";
/// Between two tries of a block that asks for what an edit brings.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: usize = 100;
/// How far a count may be from the one shown: five standard deviations of 500 even draws.
const CHANCE: u32 = 56;

/// Clients that not every machine has are told from the rest by these commands.
const PROBES: &[(&str, &str)] = &[
    ("grpcurl", "command -v grpcurl"),
    ("websockets", "python3 -c 'import websockets.sync.client'"),
];

#[test]
fn readme_tour_prints_what_it_shows() {
    let readme = std::fs::read_to_string(workspace().join("README.md")).expected("README.md");
    let steps = steps(&readme);
    assert!(steps.len() > 5, "the tour has blocks: {steps:?}");
    let mut shell = Shell::start();
    for step in &steps {
        shell.follow(step);
    }
    let runtime = tokio::runtime::Runtime::new().expected("a runtime");
    runtime.block_on(clients_that_may_be_missing());
}

/// One block and what it prints.
#[derive(Debug)]
struct Step<'a> {
    line: usize,
    script: &'a str,
    shown: Option<&'a str>,
    roughly: bool,
    tools: Vec<&'a str>,
}

/// The blocks of the tour.
fn steps(readme: &str) -> Vec<Step<'_>> {
    let (before, tour) = readme.split_once("## A tour").expect("README has a tour");
    let tour = tour.split("\n## ").next().unwrap_or_default();
    let mut line = before.lines().count();
    let mut steps: Vec<Step<'_>> = Vec::new();
    for (index, part) in tour.split("```").enumerate() {
        let (info, content) = part.split_once('\n').unwrap_or((part, ""));
        let words: Vec<&str> = info.split_whitespace().collect();
        match words.as_slice() {
            _ if index % 2 == 0 => {}
            ["sh", "build"] => assert!(content.contains("cargo build"), "{content}"),
            ["sh", tools @ ..] => steps.push(Step {
                line: line + 1,
                script: content,
                shown: None,
                roughly: false,
                tools: tools.to_vec(),
            }),
            ["text", how @ ..] => {
                let step = steps.last_mut().expect("an output follows a block");
                assert!(step.shown.is_none(), "line {line}: a second output");
                step.shown = Some(content);
                step.roughly = how == ["about"];
            }
            other => panic!("README line {line}: what is a block of {other:?}?"),
        }
        line += part.matches('\n').count();
    }
    steps
}

/// A shell that is fed block by block. Dropping it ends whatever it started.
struct Shell {
    bash: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    _home: TempDir,
}

impl Shell {
    fn start() -> Self {
        let home = tempfile::tempdir().expected("a temporary directory");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut bash = Command::new("bash")
            .env("PATH", format!("{}:{path}", directory().display()))
            .env("WEFT", workspace())
            .env("TMPDIR", home.path())
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expected("bash starts");
        let input = bash.stdin.take().expect("stdin is piped");
        let output = bash.stdout.take().expect("stdout is piped");
        let (sender, lines) = sync_channel(1000);
        thread::spawn(move || {
            let read = BufReader::new(output).lines().map_while(Result::ok);
            for line in read {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            bash,
            input,
            lines,
            _home: home,
        }
    }

    /// Runs a block until it prints what is shown. One that starts something is run once and
    /// waited for; one that asks may ask again, because an edit takes its time.
    fn follow(&mut self, step: &Step<'_>) {
        let missing = step.tools.iter().find(|tool| !self.has(tool));
        if let Some(tool) = missing {
            let what = format!("README line {}: not run, there is no {tool}\n", step.line);
            let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!is_ci, "{what}`cargo x test --only tour` installs it");
            return std::io::stderr()
                .write_all(what.as_bytes())
                .expected("stderr");
        }
        let changes = ["sed ", "cat >", " &\n"];
        let once = changes.iter().any(|change| step.script.contains(change));
        let wanted = step.shown.map(normal).unwrap_or_default();
        let (mut got, mut code) = (String::new(), String::new());
        for _try in 0..TRIES {
            (got, code) = self.run(step.script);
            if step.shown.is_none() || once || alike(&normal(&got), &wanted, step.roughly) {
                break;
            }
            thread::sleep(PAUSE);
        }
        while once && !alike(&normal(&got), &wanted, step.roughly) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => got.push_str(&format!("{line}\n")),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let at = format!("README line {}:\n{}", step.line, step.script);
        if step.shown.is_none() {
            assert_eq!(code, "0", "{at}fails");
        }
        let same = alike(&normal(&got), &wanted, step.roughly);
        assert!(same, "{at}prints\n{got}\ninstead of\n{wanted}");
    }

    fn has(&mut self, tool: &str) -> bool {
        let known = PROBES.iter().find(|(name, _)| *name == tool);
        let (_, probe) = known.unwrap_or_else(|| panic!("how is {tool} found?"));
        self.run(&format!("{probe} >/dev/null 2>&1\n")).1 == "0"
    }

    /// Output and exit code of a script.
    fn run(&mut self, script: &str) -> (String, String) {
        let block = format!("{script}printf '\\n%s %s\\n' '{END}' $?\n");
        self.input
            .write_all(block.as_bytes())
            .expected("bash reads");
        let mut output = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE * 2);
            let line = line.unwrap_or_else(|_| panic!("bash does not end {script}after {output}"));
            if let Some(code) = line.strip_prefix(END) {
                return (output, code.trim().to_owned());
            }
            output.push_str(&line);
            output.push('\n');
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.bash.id());
        let kill = ["-TERM", "--", &group];
        let _ended = Command::new("kill").args(kill).status();
        let _status = self.bash.wait();
    }
}

/// Text without what differs from run to run: the loopback addresses weft gives out, and with their
/// length the gaps of tables.
fn normal(text: &str) -> String {
    let words = |line: &str| {
        let words = line.split_whitespace().map(|word| match word.find("127.") {
            Some(at) if !word[at..].starts_with("127.0.0.1") => {
                let port = word[at..].find(':').map_or("", |colon| &word[at + colon..]);
                format!("{}127.x.x.x{port}", &word[..at])
            }
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let lines = text.lines().map(words).filter(|line| !line.is_empty());
    lines.map(|line| line + "\n").collect()
}

/// Whether two texts are the same, up to chance in the counts at the start of lines.
fn alike(got: &str, shown: &str, roughly: bool) -> bool {
    let near = |(got, shown): (&str, &str)| {
        let counted = |line: &str| {
            let (count, what) = line.split_once(' ')?;
            Some((count.parse::<u32>().ok()?, what.to_owned()))
        };
        match (counted(got), counted(shown)) {
            (Some((got, one)), Some((shown, other))) if roughly => {
                one == other && got.abs_diff(shown) <= CHANCE
            }
            _ => got == shown,
        }
    };
    got.lines().count() == shown.lines().count() && got.lines().zip(shown.lines()).all(near)
}

/// What grpcurl and a WebSocket client would see, for machines that have neither.
async fn clients_that_may_be_missing() {
    let grpc = SocketAddr::from(([127, 0, 0, 1], 28_051));
    let mut sender = http2(tcp(grpc).await).await;
    let call = Request::post(format!("http://{grpc}/weft.echo.v1.Echo/Say"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(full(&b"\0\0\0\0\x07\x0a\x05hello"[..]))
        .expected("a call");
    let reply = ask2(&mut sender, call).await;
    assert_eq!(reply.grpc_status(), Some("0"), "the call succeeds");
    let expected = b"\0\0\0\0\x0f\x0a\x05hello\x12\x06stable";
    assert_eq!(
        reply.body.as_ref(),
        expected,
        "the message says who answered"
    );

    let mut socket = tcp(SocketAddr::from(([127, 0, 0, 1], 28_080))).await;
    let hello = "GET /chat HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(hello.as_bytes()).await.expected("sent");
    let close = [0x88, 0x80, 0, 0, 0, 0];
    socket.write_all(&close).await.expected("sent");
    let mut said = Vec::new();
    let read = soon("the end of the WebSocket", socket.read_to_end(&mut said)).await;
    read.expected("all the socket says");
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("HTTP/1.1 101 "), "switches: {said}");
    assert!(
        said.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "accepts: {said}"
    );
    assert!(said.contains(" GET /chat HTTP/1.1"), "greets: {said}");
}

#[test]
fn only_what_differs_from_run_to_run_is_ignored() {
    let rows = [
        (
            "a  http://127.9.8.7:80\n\n",
            "a http://127.x.x.x:80\n",
            true,
        ),
        ("127.0.0.1\n", "127.x.x.x\n", false),
        ("127.0.0.1:80\n", "127.0.0.1:81\n", false),
        ("90 canary\n", "100 canary\n", true),
        ("40 canary\n", "100 canary\n", false),
        ("90 stable\n", "100 canary\n", false),
        ("one\ntwo\n", "one\n", false),
    ];
    for (got, shown, same) in rows {
        assert_eq!(alike(&normal(got), shown, true), same, "{got:?}, {shown:?}");
    }
    assert!(
        !alike("90 canary", "100 canary", false),
        "no chance unless said"
    );
}
