//! When the configuration is written. Time is virtual.

use weft_wire::{CaBundle, Configuration, Disassembler, Scope};

use super::*;

const MOMENT: Duration = Duration::from_millis(1);

/// A configuration with so many resources.
fn snapshot(resources: usize) -> Option<Arc<Snapshot>> {
    let bundle = |number| {
        let name = weft_ir::Name::new("infra", format!("ca-{number}"));
        let pem = String::new();
        (name, Arc::new(CaBundle { pem }))
    };
    let configuration = Configuration {
        ca_bundles: Arc::new((0..resources).map(bundle).collect()),
        ..Configuration::default()
    };
    let mut disassembler = Disassembler::new(Scope::Everything);
    Some(disassembler.update(&configuration).clone())
}

/// Resources on the disk.
fn saved(directory: &tempfile::TempDir) -> Option<usize> {
    load(directory.path()).unwrap().map(|it| it.len())
}

#[tokio::test(start_paused = true)]
async fn edits_in_quick_succession_are_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let (send, latest) = watch::channel(None);
    let keeping = tokio::spawn(keep(directory.path().to_owned(), latest));

    send.send_replace(snapshot(1));
    tokio::time::sleep(MOMENT).await;
    assert_eq!(saved(&directory), Some(1), "the first one at once");

    for resources in 2..=9 {
        send.send_replace(snapshot(resources));
        tokio::time::sleep(MOMENT).await;
        assert_eq!(saved(&directory), Some(1), "{resources} come too soon");
    }
    tokio::time::sleep(PAUSE).await;
    assert_eq!(saved(&directory), Some(9), "the last one after the pause");

    send.send_replace(snapshot(10));
    drop(send);
    keeping.await.unwrap();
    assert_eq!(saved(&directory), Some(10), "the last of all, at the end");
}
