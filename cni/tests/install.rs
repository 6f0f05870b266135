//! The plugin on a node: into the chain, along with it, and out of it again.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Lines},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

const CHAIN: &str = r#"{"cniVersion":"0.4.0","name":"bed","plugins":[{"type":"ptp"}]}"#;
const LIST: &str = "net.d/00-weft.conflist";

/// The two directories of a node that matter.
struct Node(TempDir);

impl Node {
    fn new(configurations: &[(&str, &str)]) -> Self {
        let node = Self(tempfile::tempdir().expect("a directory"));
        for directory in ["net.d", "bin"] {
            fs::create_dir(node.path(directory)).expect("a directory");
        }
        for (name, text) in configurations {
            fs::write(node.path("net.d").join(name), text).expect("a file");
        }
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, verb: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_weft-cni"))
            .arg(verb)
            .arg("--conf-dir")
            .arg(self.path("net.d"))
            .arg("--bin-dir")
            .arg(self.path("bin"))
            .output()
            .expect("the plugin is built")
    }

    /// What a successful run says.
    fn said(&self, verb: &str) -> String {
        let output = self.run(verb);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{verb}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The types of the plugins in the list that runtimes take.
    fn chain(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path(LIST)).expect("the list is there");
        let list: Value = serde_json::from_str(&text).expect("a list is JSON");
        let plugins = list["plugins"].as_array().expect("it has plugins");
        let types = plugins.iter().filter_map(|plugin| plugin["type"].as_str());
        types.map(str::to_owned).collect()
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for directory in ["net.d", "bin"] {
            for entry in fs::read_dir(self.path(directory)).expect("a directory") {
                let path = entry.expect("an entry").path();
                let content = fs::read(&path).expect("a file");
                files.insert(path, content);
            }
        }
        files
    }
}

#[test]
fn installing_follows_the_chain_and_removing_leaves_nothing() {
    let node = Node::new(&[("10-bed.conflist", CHAIN), ("99-other.conf", "not read")]);
    let before = node.files();
    assert_eq!(node.said("install").lines().count(), 2, "program and list");
    assert_eq!(node.chain(), ["ptp", "weft-cni"]);
    let program = fs::metadata(node.path("bin/weft-cni")).expect("the program");
    assert_eq!(program.permissions().mode() & 0o777, 0o755);
    assert_eq!(
        node.said("install"),
        "",
        "a second time there is nothing to do"
    );

    let changed = CHAIN.replace("ptp", "bridge");
    fs::write(node.path("net.d/10-bed.conflist"), &changed).expect("a file");
    node.said("install");
    assert_eq!(
        node.chain(),
        ["bridge", "weft-cni"],
        "the owner's change is followed"
    );
    fs::remove_file(node.path(LIST)).expect("the list is there");
    node.said("install");
    assert_eq!(
        node.chain(),
        ["bridge", "weft-cni"],
        "a list that was deleted is back"
    );

    fs::write(node.path("net.d/10-bed.conflist"), CHAIN).expect("a file");
    assert_eq!(node.said("remove").lines().count(), 2);
    assert_eq!(node.files(), before, "as before");
    assert_eq!(
        node.said("remove"),
        "",
        "a second time there is nothing to do"
    );
}

/// `weft-cni keep` beside a supervisor, and what it says. Ends with the value.
struct Keeper(Child, Lines<BufReader<ChildStderr>>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.kill().expect("it runs until it is killed");
        self.0.wait().expect("it is a child");
    }
}

impl Keeper {
    fn start(node: &Node) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_weft-cni"))
            .arg("keep")
            .arg("--conf-dir")
            .arg(node.path("net.d"))
            .arg("--bin-dir")
            .arg(node.path("bin"))
            .arg("--socket")
            .arg(node.path("cni.sock"))
            .arg("--namespaces")
            .arg(node.path("namespaces.json"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the plugin is built");
        let said = child.stderr.take().expect("it is piped");
        Self(child, BufReader::new(said).lines())
    }

    /// Waits for the next thing it says.
    fn says(&mut self, expected: &str) {
        let line = self.1.next().expect("it runs").expect("it says UTF-8");
        assert!(line.contains(expected), "{line} instead of {expected}");
    }
}

#[test]
fn a_chain_is_kept_once_the_supervisor_runs() {
    let node = Node::new(&[("10-bed.conflist", CHAIN)]);
    let mut keeper = Keeper::start(&node);
    keeper.says("waiting for the supervisor of this node");
    fs::write(node.path("cni.sock"), "").expect("a file");
    keeper.says("namespaces.json");
    assert!(!node.path(LIST).exists(), "no list of namespaces yet");
    fs::write(node.path("namespaces.json"), "{}").expect("a file");
    keeper.says("bin/weft-cni");
    keeper.says(LIST);
    keeper.says("in the chain of this node");
    fs::remove_file(node.path(LIST)).expect("the list is there");
    keeper.says(LIST);
    drop(keeper);
    assert_eq!(node.chain(), ["ptp", "weft-cni"], "its end changes nothing");
}

#[test]
fn what_supervisors_have_left_goes_when_it_is_named() {
    let node = Node::new(&[("10-bed.conflist", CHAIN)]);
    fs::create_dir_all(node.path("state/node")).expect("a directory");
    fs::write(node.path("state/node/namespaces.json"), "{}").expect("a file");
    let removed = Command::new(env!("CARGO_BIN_EXE_weft-cni"))
        .args(["remove", "--conf-dir"])
        .arg(node.path("net.d"))
        .arg("--bin-dir")
        .arg(node.path("bin"))
        .arg("--state-dir")
        .arg(node.path("state"))
        .arg("--run-dir")
        .arg(node.path("never-made"))
        .status();
    assert!(removed.expect("the plugin is built").success());
    assert!(!node.path("state").exists(), "the state goes");
    assert!(node.path("net.d/10-bed.conflist").exists(), "others stay");
}

/// Nodes on which the plugin cannot be, and a word of why.
#[test]
fn a_node_without_a_usable_chain_is_left_as_it_is() {
    for (configurations, expected) in [
        (&[][..], "install the network of the cluster first"),
        (
            &[("10-bed.conflist", "{")][..],
            "10-bed.conflist is no network configuration",
        ),
        (&[("10-bed.conflist", "{}")][..], "neither a list"),
        (
            &[("00-a.conflist", CHAIN)][..],
            "00-a.conflist sorts before",
        ),
    ] {
        let node = Node::new(configurations);
        let output = node.run("install");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(expected),
            "{errors}"
        );
        assert!(!node.path(LIST).exists(), "{expected}");
    }
}

#[test]
fn wrong_arguments_are_named() {
    for (arguments, expected) in [
        (&["help"][..], "`help` is no command"),
        (&["install", "--bin"][..], "`--bin` has no value"),
        (&["install", "--bin", "/x"][..], "`--bin` is no option"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_weft-cni"))
            .args(arguments)
            .output();
        let output = output.expect("the plugin is built");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            errors.contains(expected) && errors.contains("usage: weft-cni"),
            "{errors}"
        );
    }
}
