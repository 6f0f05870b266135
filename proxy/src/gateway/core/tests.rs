//! The parent against a worker that says anything.

use weft_certs::SignError;
use weft_wire::{
    Assembler, Identity,
    proto::{
        config::{Ack, Hello as Asking, Role, WorkerTrusts, client_message},
        identity::{SignRequest, SignResponse},
    },
};

use super::*;
use crate::{
    channel::{Heartbeat, Hello, Metrics, Report, ToWorker, VERSION},
    child::{self, ToDeliver},
    control::{Signer, Signing, Trusted},
    identity::{Csr, Signed},
};

const LIFE: u64 = 7;
const EDGE: &str = "spiffe://cluster.local/ns/infra/sa/edge";

/// Signs whatever it is asked, unless there is nothing to sign.
struct Willing;

impl Signer for Willing {
    fn sign(&self, asked: SignRequest) -> Signing<'_> {
        Box::pin(async move {
            if asked.csr_der.is_empty() {
                return Err(SignError::Denied("nothing to sign".to_owned()));
            }
            Ok(SignResponse {
                chain: vec![asked.identity.into_bytes().into()],
                ..SignResponse::default()
            })
        })
    }
}

fn core() -> Core {
    core_telling(watch::Sender::default())
}

fn core_telling(told: watch::Sender<Vec<WorkerTrusts>>) -> Core {
    let identity = Identity {
        role: Role::Gateway,
        name: "edge".to_owned(),
        namespace: "infra".to_owned(),
        instance: String::new(),
    };
    let subscriber = Subscriber::new(identity, Assembler::default());
    let (saved, view) = (watch::channel(None).0, watch::channel(View::default()).0);
    let id = EDGE.parse().expect("an identity");
    let signers = Signers::new((id, Arc::new(Willing)), told);
    Core::new(subscriber, signers, (saved, view), Clock::system())
}

fn hello(version: &str, protocol_version: u32) -> Report {
    let asking = Asking {
        protocol_version,
        ..Asking::default()
    };
    Report::Hello(Hello {
        version: version.to_owned(),
        config: Some(said(client_message::Message::Hello(asking))),
    })
}

fn said(message: client_message::Message) -> ClientMessage {
    ClientMessage {
        message: Some(message),
    }
}

fn ack(nonce: u64, generation: u64) -> Report {
    let ack = client_message::Message::Ack(Ack { nonce, generation });
    Report::Answer(said(ack))
}

/// Whether a worker that says this is kept.
fn is_kept(reports: Vec<Report>) -> bool {
    let mut core = core();
    let (orders, waiting) = tokio::sync::mpsc::channel(8);
    let started = child::Happened::Started { life: LIFE, orders };
    core.handle(Event::Worker(started));
    for report in reports {
        let said = child::Happened::Said { life: LIFE, report };
        core.handle(Event::Worker(said));
    }
    !waiting.is_closed()
}

#[test]
fn a_worker_that_makes_no_sense_is_ended() {
    let metrics = Report::Metrics(Metrics {
        number: u64::MAX,
        text: "nobody asked".to_owned(),
    });
    let heartbeat = Report::Heartbeat(Heartbeat {
        connections: u64::MAX,
        exchanges: u64::MAX,
    });
    for (what, kept, reports) in [
        ("a Hello", true, vec![hello(VERSION, 1)]),
        ("unasked metrics", true, vec![hello(VERSION, 1), metrics]),
        ("a heartbeat before Hello", true, vec![heartbeat]),
        ("another version", false, vec![hello("0.0.0", 1)]),
        ("another protocol", false, vec![hello(VERSION, 2)]),
        ("an answer before Hello", false, vec![ack(1, 1)]),
        (
            "an answer to nothing",
            false,
            vec![hello(VERSION, 1), ack(1, 1)],
        ),
        (
            "an empty Hello",
            false,
            vec![Report::Hello(Hello {
                version: VERSION.to_owned(),
                config: None,
            })],
        ),
        (
            "an answer that is none",
            false,
            vec![
                hello(VERSION, 1),
                Report::Answer(ClientMessage { message: None }),
            ],
        ),
    ] {
        assert_eq!(is_kept(reports), kept, "{what}");
    }
}

#[test]
fn what_an_earlier_worker_said_does_not_end_the_present_one() {
    let mut core = core();
    let (orders, waiting) = tokio::sync::mpsc::channel(8);
    let started = child::Happened::Started { life: LIFE, orders };
    core.handle(Event::Worker(started));
    let life = LIFE - 1;
    let report = ack(9, 9);
    core.handle(Event::Worker(child::Happened::Said { life, report }));
    let why = "it ended".to_owned();
    core.handle(Event::Worker(child::Happened::Ended { life, why }));
    assert!(!waiting.is_closed(), "the present worker is kept");
}

/// What a worker is told.
type Told = tokio::sync::mpsc::Receiver<ToDeliver<ToWorker>>;

fn start(core: &mut Core, life: u64) -> Told {
    let (orders, told) = tokio::sync::mpsc::channel(64);
    let started = child::Happened::Started { life, orders };
    core.handle(Event::Worker(started));
    told
}

fn asks(core: &mut Core, life: u64, (identity, pod_uid, bytes): (&str, &str, usize)) {
    let report = Report::Csr(Csr {
        ask: life,
        identity: identity.to_owned(),
        pod_uid: pod_uid.to_owned(),
        der: vec![1; bytes].into(),
    });
    core.handle(Event::Worker(child::Happened::Said { life, report }));
}

fn certificate(told: &mut Told) -> Option<Signed> {
    match told.try_recv().ok()?.message.order {
        Some(Order::Signed(signed)) => Some(signed),
        other => panic!("a certificate, not {other:?}"),
    }
}

#[tokio::test]
async fn a_worker_is_given_certificates_of_its_gateway_alone() {
    const DENIED: u32 = 2;
    const MISTAKE: u32 = 3;
    for (row, asked, kind) in [
        ("its own", (EDGE, "", 9), 0),
        (
            "of another Gateway",
            ("spiffe://cluster.local/ns/infra/sa/other", "", 9),
            DENIED,
        ),
        ("of a pod", (EDGE, "u-1", 9), DENIED),
        ("longer than any request", (EDGE, "", 5000), MISTAKE),
        ("that the service denies", (EDGE, "", 0), DENIED),
    ] {
        let mut core = core();
        let mut told = start(&mut core, LIFE);
        asks(&mut core, LIFE, asked);
        if let Some(signed) = core.signed().await {
            core.certify(signed);
        }
        let signed = certificate(&mut told).expect("it is answered");
        assert_eq!((signed.ask, signed.kind), (LIFE, kind), "{row}");
        assert_eq!(signed.chain.is_empty(), kind != 0, "{row}");
    }
}

#[tokio::test]
async fn what_an_earlier_worker_asked_for_is_not_given_to_the_present_one() {
    let mut core = core();
    drop(start(&mut core, LIFE));
    asks(&mut core, LIFE, (EDGE, "", 9));
    let mut told = start(&mut core, LIFE + 1);
    assert!(core.signed().await.is_none(), "nothing is under way for it");
    asks(&mut core, LIFE, (EDGE, "", 9));
    assert!(core.signed().await.is_none(), "nor is anything begun");
    assert_eq!(certificate(&mut told), None, "it is told nothing");
}

#[test]
fn every_worker_is_told_whom_to_trust() {
    let version = |told: &mut Told| match told.try_recv().ok()?.message.order {
        Some(Order::Trust(trust)) => Some(trust.version),
        other => panic!("whom to trust, not {other:?}"),
    };
    let trusts = |version| {
        Event::Link(control::Happened::Trusts(Trusted {
            version,
            ..Trusted::default()
        }))
    };
    let mut core = core();
    let mut first = start(&mut core, LIFE);
    assert_eq!(version(&mut first), None, "nothing is known yet");
    core.handle(trusts(1));
    assert_eq!(version(&mut first), Some(1), "as soon as it is known");
    core.handle(trusts(2));
    assert_eq!(version(&mut first), Some(2), "and whenever it changes");
    let mut second = start(&mut core, LIFE + 1);
    assert_eq!(version(&mut second), Some(2), "the next one at its start");
}

#[test]
fn the_control_plane_hears_whom_the_present_worker_trusts() {
    let (told, heard) = watch::channel(Vec::new());
    let mut core = core_telling(told);
    let versions = || {
        let heard = heard.borrow();
        heard.iter().map(|it| it.bundle_version).collect::<Vec<_>>()
    };
    let says = |core: &mut Core, life, report| {
        core.handle(Event::Worker(child::Happened::Said { life, report }));
    };
    let trusts = |bundle_version| {
        Report::Trusts(WorkerTrusts {
            bundle_version,
            ..WorkerTrusts::default()
        })
    };
    let _told = start(&mut core, LIFE);
    assert_eq!(versions(), [0; 0], "it has nothing, and may never have");
    says(&mut core, LIFE, hello(VERSION, 1));
    assert_eq!(versions(), [0], "it is there");
    says(&mut core, LIFE, trusts(2));
    assert_eq!(versions(), [2]);
    let why = "it ended".to_owned();
    let life = LIFE;
    core.handle(Event::Worker(child::Happened::Ended { life, why }));
    assert_eq!(versions(), [0; 0], "it is gone, and holds nothing");
    let _told = start(&mut core, LIFE + 1);
    says(&mut core, LIFE + 1, hello(VERSION, 1));
    says(&mut core, LIFE, trusts(3));
    assert_eq!(versions(), [0], "the one before says nothing any more");
}
