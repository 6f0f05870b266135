//! A running `weft` and broken files: what is good serves on while they come, break and go.

mod process;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use http::Request;
use http_body_util::BodyExt;
use hyper::client::conn::http1::SendRequest;
use tokio::task::JoinHandle;
use weft_tests::{
    backend::Backend,
    body::{Body, empty},
    client::{ask1, http1, tcp},
    wait::{PATIENCE, eventually},
    world::World,
};

use self::process::Weft;

/// Requests on one connection, so that both old and new connections are tried.
const REQUESTS_PER_CONNECTION: usize = 20;

/// Few enough that the log has room for the findings of all of them.
const FILES_AT_ONCE: usize = 4;

/// The world of the broken files with a back-end in it, and a route in a file of its own.
fn write_good(directory: &Path, backend: SocketAddr) {
    let world = include_str!("../../broken/world.yaml");
    fs::write(directory.join("a-world.yaml"), world).expect("a good file");
    let slice = World::bare().endpoint("shop/web", backend, "ready: true");
    fs::write(directory.join("a-slice.yaml"), slice.yaml()).expect("a good file");
    write_second(directory, SECOND);
}

const SECOND: &str =
    "hostnames: [second.example.com], rules: [{backendRefs: [{name: web, port: 80}]}]";

/// Writes the file that will break: into place by renaming, as editors do.
fn write_second(directory: &Path, spec: &str) {
    let text = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: second, \
         namespace: shop}}\nspec: {{parentRefs: [{{name: edge, namespace: infra}}], {spec}}}\n"
    );
    let (new, place) = (directory.join(".second"), directory.join("second.yaml"));
    fs::write(&new, text).expect("a new version");
    fs::rename(new, place).expect("it takes its place");
}

/// The broken files that are worth a line of the log.
fn broken_files() -> Vec<PathBuf> {
    let broken = Path::new(env!("CARGO_MANIFEST_DIR")).join("broken");
    let entries = fs::read_dir(broken).expect("the broken files");
    let paths = entries.map(|entry| entry.expect("an entry of the folder").path());
    let is_input = |path: &PathBuf| {
        let page = fs::read_to_string(path.with_extension("out")).unwrap_or_default();
        !path.is_dir() && !path.ends_with("world.yaml") && !page.starts_with("info")
    };
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension != "out"))
        .filter(is_input)
        .collect();
    files.sort();
    files
}

/// Copies files, and waits for a finding in each.
async fn drop_files(weft: &Weft, directory: &Path, files: &[PathBuf]) {
    let name = |path: &PathBuf| path.file_name().expect("a name").to_owned();
    for path in files {
        fs::copy(path, directory.join(name(path))).expect("a copy");
    }
    for path in files {
        let words = format!("/{}:", name(path).to_string_lossy());
        let what = format!("a finding with {words}");
        eventually(PATIENCE, &what, || weft.has_said(&words)).await;
    }
}

/// What a client saw that never stopped asking.
#[derive(Debug, Default)]
struct Seen {
    good: usize,
    failed: Vec<String>,
}

/// A client that asks until it is told to stop.
struct Steady {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Seen>,
}

impl Steady {
    fn start(
        address: SocketAddr,
        host: &'static str,
        path: &'static str,
        answer: &'static str,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut seen = Seen::default();
            while !stopped.load(Relaxed) {
                let mut sender = http1(tcp(address).await).await;
                for _ in 0..REQUESTS_PER_CONNECTION {
                    let request = Request::get(path).header("host", host).body(empty());
                    let request = request.expect("a request");
                    let outcome = ask(&mut sender, request, answer).await;
                    match outcome {
                        Ok(()) => seen.good += 1,
                        Err(why) => {
                            seen.failed.push(why);
                            break;
                        }
                    }
                }
            }
            seen
        });
        Self { stop, task }
    }

    async fn stop(self) -> Seen {
        self.stop.store(true, Relaxed);
        self.task.await.expect("the client ends")
    }
}

/// The one answer that is right, or what went wrong.
async fn ask(
    sender: &mut SendRequest<Body>,
    request: Request<Body>,
    wanted: &str,
) -> Result<(), String> {
    let response = sender.send_request(request).await;
    let response = response.map_err(|error| format!("no answer: {error}"))?;
    let status = response.status();
    let body = response.into_body().collect().await;
    let body = body.map_err(|error| format!("{status}, then {error}"))?;
    let body = body.to_bytes();
    if status == 200 && body == wanted {
        return Ok(());
    }
    Err(format!("{status} {}", String::from_utf8_lossy(&body)))
}

async fn status(address: SocketAddr, host: &str) -> u16 {
    let mut sender = http1(tcp(address).await).await;
    let request = Request::get("/").header("host", host).body(empty());
    let answer = ask1(&mut sender, request.expect("a request")).await;
    answer.status.as_u16()
}

async fn becomes(address: SocketAddr, host: &str, wanted: u16) {
    let look = async { while status(address, host).await != wanted {} };
    let became = tokio::time::timeout(PATIENCE, look).await.is_ok();
    assert!(became, "{host} does not answer {wanted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_routes_serve_on_while_files_break() {
    let backend = Backend::named("steady").await;
    let home = tempfile::tempdir().expect("a temporary directory");
    let directory = home.path().join("yaml");
    fs::create_dir(&directory).expect("a directory");
    write_good(&directory, backend.address);
    let weft = Weft::start(home.path(), &directory).await;
    let gateway = weft.gateway("infra/edge", 80);
    becomes(gateway, "second.example.com", 200).await;
    let good_status = weft.status_file("HTTPRoute/shop/good.yaml");
    eventually(PATIENCE, "a status is written", || good_status.exists()).await;
    let before = fs::read_to_string(&good_status).expect("the status of the good route");
    let client = Steady::start(gateway, "good.example.com", "/", "steady");
    let probe = Steady::start(weft.admin(), "localhost", "/readyz", "ok\n");

    // Files that are broken when they come.
    let files = broken_files();
    assert!(files.len() >= 30, "{files:?}");
    for some in files.chunks(FILES_AT_ONCE) {
        drop_files(&weft, &directory, some).await;
    }
    becomes(gateway, "second.example.com", 200).await;

    // A file that becomes broken: first its object, then all of it.
    write_second(&directory, "rulez: []");
    eventually(PATIENCE, "a finding of the second route", || {
        weft.has_said("the last good version keeps serving")
    })
    .await;
    becomes(gateway, "second.example.com", 200).await;
    write_second(&directory, "{[");
    eventually(PATIENCE, "a finding of the second file", || {
        weft.has_said("everything in this file keeps its last good version")
    })
    .await;
    becomes(gateway, "second.example.com", 200).await;

    // Deletion takes effect, of a broken file too, and it is mended by writing it again.
    for path in &files {
        let copy = directory.join(path.file_name().expect("a name"));
        fs::remove_file(copy).expect("the broken file is there");
    }
    fs::remove_file(directory.join("second.yaml")).expect("the second file is there");
    becomes(gateway, "second.example.com", 404).await;
    write_second(&directory, SECOND);
    becomes(gateway, "second.example.com", 200).await;

    let (client, probe) = (client.stop().await, probe.stop().await);
    assert_eq!(client.failed, [""; 0], "requests to the good route");
    assert_eq!(probe.failed, [""; 0], "looks at /readyz");
    assert!(
        client.good > 100 && probe.good > 10,
        "{client:?}, {probe:?}"
    );
    let after = fs::read_to_string(&good_status).expect("the status of the good route");
    assert_eq!(before, after, "the status of the good route");
    weft.end();
}
