//! What is pasted is what README.md shows.

use std::ffi::OsString;

use super::readme::{Block, blocks, commands, instead_of};
use super::shell::Shell;
use crate::command::workspace_root;

const SAMPLE: &str = "# X\n\ntext\n\n## In a cluster\n\nfirst\n\n```sh\na\n```\n\n```sh helm\nb\n```\n\n\
                      ```text\nc\n```\n\n## Next\n\n```sh\nno\n```\n";

#[test]
fn blocks_have_their_line_tools_and_output() {
    let found = blocks(SAMPLE).expect("a section");
    let block = |line, script, tools: &[&'static str], shown| Block {
        line,
        script,
        tools: tools.to_vec(),
        shown,
    };
    let wanted = [
        block(9, "a\n", &[], None),
        block(13, "b\n", &["helm"], Some("c\n")),
    ];
    assert_eq!(found, wanted);
    let strange = SAMPLE.replace("```text", "```yaml");
    assert!(
        blocks(&strange).is_err(),
        "a block nobody knows is not left out"
    );
    assert!(blocks("# X\n").is_err(), "nor is a section that is gone");
}

#[test]
fn every_block_of_the_readme_is_known() {
    let text = std::fs::read_to_string(workspace_root().join("README.md")).expect("README.md");
    let found = blocks(&text).expect("the section");
    let all: Vec<String> = found
        .iter()
        .flat_map(|block| commands(block.script))
        .collect();
    let replaced = all.iter().filter(|it| instead_of(it, |_| false).is_some());
    assert_eq!(
        replaced.count(),
        4,
        "images twice, their build, the kinds: {all:#?}"
    );
    let shown = found.iter().filter(|block| block.shown.is_some()).count();
    assert!(shown > 0, "the section shows what is printed");
}

#[test]
fn a_document_belongs_to_its_command() {
    let script = "one\nkubectl create -f - <<'END'\na: b\n---\nEND\nthree &\n";
    let wanted = [
        "one\n",
        "kubectl create -f - <<'END'\na: b\n---\nEND\n",
        "three &\n",
    ];
    assert_eq!(commands(script), wanted);
}

#[test]
fn only_what_the_bed_has_not_is_replaced() {
    let url = "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1/x.yaml";
    let apply = format!("kubectl apply --server-side -f {url}\n");
    let rows = [
        (
            "cargo x image && export PATH=x\n",
            false,
            Some("export PATH=\"$IMAGES:$PATH\"\n"),
        ),
        (
            "kind load image-archive target/image/weft.tar\n",
            true,
            Some("\"$BED\" load \"$IMAGES/weft.tar\"\n"),
        ),
        (&apply, true, None),
        (
            &apply,
            false,
            Some("kubectl apply --server-side -f \"$KINDS\"\n"),
        ),
        ("weft check --wait 2m\n", false, None),
    ];
    for (command, is_reached, wanted) in rows {
        let instead = instead_of(command, |_| is_reached);
        assert_eq!(instead.as_deref(), wanted, "{command}");
    }
}

#[test]
fn a_shell_keeps_its_state_and_tells_exit_codes() {
    let directory = tempfile::tempdir().expect("a directory");
    let env = [("FROM", OsString::from("outside"))];
    let mut shell = Shell::start(directory.path(), &env).expect("bash");
    let rows = [
        ("export A=1\n", "", 0),
        ("echo $A $FROM; cat\n", "1 outside\n", 0),
        ("cat <<'END'\n$A\nEND\n", "$A\n", 0),
        ("printf x\n", "x\n", 0),
        ("false | true\n", "", 1),
        ("sleep 100 &\n", "", 0),
        ("kill %1; echo ended\n", "ended\n", 0),
    ];
    for (command, output, code) in rows {
        let got = shell.run(command).expect("an end");
        assert_eq!(got, (output.to_owned(), code), "{command}");
    }
}
