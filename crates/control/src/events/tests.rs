//! What becomes an Event, and what of it is written when there is one.

use super::*;

const UID: &str = "6fa0c9f2-0000-4000-8000-000000000001";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A pod with these annotations, as far as they are there.
fn pod([captured, reason]: [&str; 2]) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.namespace = Some("shop".into());
    pod.metadata.name = Some("web-0".into());
    pod.metadata.uid = Some(UID.into());
    for (key, value) in [(CAPTURED, captured), (CAPTURED_REASON, reason)] {
        if !value.is_empty() {
            pod.metadata.annotations.insert(key, value);
        }
    }
    pod
}

fn word(captured: Capture, reason: &str) -> Word {
    Word {
        captured,
        reason: reason.to_owned(),
        ..Word::default()
    }
}

fn repaired(seconds_ago: u64) -> Word {
    Word {
        repaired_unix_s: 1_800_000_000 - seconds_ago,
        damage: "no_table".to_owned(),
        ..word(Capture::Done, "")
    }
}

fn crashing() -> Word {
    Word {
        is_crashing: true,
        ..word(Capture::Done, "")
    }
}

/// Name, what stands there, what was heard before, what is heard, and the reasons of the Events.
type Row = (
    &'static str,
    [&'static str; 2],
    Option<Word>,
    Word,
    &'static [&'static str],
);

/// What stands at a pod that is captured.
const IS: [&str; 2] = ["true", ""];

fn of_captures() -> Vec<Row> {
    let (done, failed) = (word(Capture::Done, ""), word(Capture::Failed, "no nft"));
    vec![
        ("it joins", ["", ""], None, done.clone(), &["Captured"]),
        ("another leader hears it", IS, None, done.clone(), &[]),
        (
            "again before it stands there",
            ["", ""],
            Some(done.clone()),
            done.clone(),
            &[],
        ),
        ("it begins", ["", ""], None, word(Capture::Pending, ""), &[]),
        (
            "it cannot",
            ["", ""],
            None,
            failed.clone(),
            &["CaptureFailed"],
        ),
        (
            "another leader hears that",
            ["error", "no nft"],
            None,
            failed.clone(),
            &[],
        ),
        (
            "for another reason",
            ["error", "no nft"],
            Some(failed.clone()),
            word(Capture::Failed, "no route"),
            &["CaptureFailed"],
        ),
        (
            "it can at last",
            ["error", "no nft"],
            Some(failed),
            done.clone(),
            &["Captured"],
        ),
        ("it leaves", IS, None, word(Capture::Ended, ""), &[]),
    ]
}

fn of_repairs() -> Vec<Row> {
    let done = word(Capture::Done, "");
    vec![
        (
            "rules were flushed",
            IS,
            Some(done.clone()),
            repaired(1),
            &["CaptureRepaired"],
        ),
        ("and nothing since", IS, Some(repaired(1)), repaired(1), &[]),
        (
            "and once more",
            IS,
            Some(repaired(30)),
            repaired(1),
            &["CaptureRepaired"],
        ),
        ("long ago", IS, None, repaired(7200), &[]),
        (
            "its worker does not stay",
            IS,
            Some(done),
            crashing(),
            &["WorkerCrashLoop"],
        ),
        ("and still does not", IS, Some(crashing()), crashing(), &[]),
    ]
}

#[test]
fn what_happens_to_a_pod_is_told_once() {
    for (name, stands, before, word, expected) in of_captures().into_iter().chain(of_repairs()) {
        let news = news(&pod(stands), before.as_ref(), &word, now());
        let reasons: Vec<_> = news.iter().map(|it| it.reason).collect();
        assert_eq!(reasons, expected, "{name}");
    }
}

#[test]
fn what_is_known_of_a_pod_ends_with_it() {
    let (writer, mut written) = mpsc::channel(1);
    let process = Arc::<ProcessMetrics>::default();
    let mut events = Events {
        heard: BTreeMap::new(),
        writer,
        process,
    };
    let plain = pod(["", ""]);
    events.hear(&plain, &word(Capture::Done, ""), now());
    assert_eq!(written.try_recv().expect("an Event").reason, "Captured");
    events.hear(&plain, &word(Capture::Ended, ""), now());
    assert!(events.heard.is_empty(), "it is over");
    events.hear(&plain, &word(Capture::Done, ""), now());
    events.keep(|_| false);
    assert!(events.heard.is_empty(), "nobody speaks of it");
}

#[test]
fn an_event_is_counted_on_and_never_repeated() {
    let happened = |seconds_ago| {
        let news = news(&pod(["true", ""]), None, &repaired(seconds_ago), now());
        news.into_iter().next().expect("it was repaired")
    };
    let first = happened(60);
    let event = first.event(None).expect("there is none yet");
    assert_eq!(event["count"], 1);
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["involvedObject"]["uid"], UID);
    assert_eq!(event["lastTimestamp"], "2027-01-15T07:59:00Z");
    assert_eq!(event["metadata"]["name"], first.name());
    assert_eq!(first.event(Some(&event)), None, "another leader tells it");

    let second = happened(1);
    assert_eq!(second.name(), first.name(), "the same thing happened");
    let again = second.event(Some(&event)).expect("once more");
    assert_eq!(again["count"], 2);
    assert_eq!(again["firstTimestamp"], event["firstTimestamp"]);
    assert_eq!(again["lastTimestamp"], "2027-01-15T07:59:59Z");

    let mut foreign = event;
    foreign["involvedObject"]["uid"] = "another".into();
    let own = second.event(Some(&foreign)).expect("that is another pod's");
    assert_eq!(own["count"], 1);
}

#[test]
fn names_of_events_are_names() {
    let mut long = pod(["", ""]);
    let name = format!("{}.{}", "a".repeat(229), "b".repeat(23));
    long.metadata.name = Some(name.into());
    let news = news(&long, None, &word(Capture::Done, ""), now());
    let name = news[0].name();
    assert!(name.len() <= 253, "{} bytes", name.len());
    let (pod, digest) = name.split_once('.').expect("a digest");
    assert_eq!((pod.len(), digest.len()), (229, 16), "{name}");
}
