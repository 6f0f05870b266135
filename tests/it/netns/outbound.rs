//! What pods dial, through workers that are processes: by the routes of a Service, through the tunnel to
//! members of the mesh, and as it is to everybody else.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use http::HeaderName;
use weft_ir::{
    Backend, Filters, HeaderMatch, HttpMatch, Matches, Name, RouteEntry, RouteId, RouteKind,
    RouteSet, Rule, StringMatch, Target, Timeouts, UpstreamProtocol,
};

use weft_tests::netns::{Pod, can_make_namespaces};

use super::{
    pair::Pair,
    world::{Served, World, port, vip},
};

/// An application that answers each request with its name, one on each connection or more, and says
/// who has called.
pub(super) fn application(listener: TcpListener, name: &'static str) -> mpsc::Receiver<SocketAddr> {
    let (callers, called) = mpsc::sync_channel(1024);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let callers = callers.clone();
            thread::spawn(move || {
                let from = stream.peer_addr().expect("it is connected");
                let _unheard = callers.try_send(from);
                let (mut heard, mut room) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut room) {
                    heard.extend(&room[..read]);
                    if heard.ends_with(b"\r\n\r\n") {
                        heard.clear();
                        let length = name.len();
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}");
                        let _gone = stream.write_all(answer.as_bytes());
                    }
                }
            });
        }
    });
    called
}

/// Asks over a connection of its own; the status, and the text of the answer.
pub(super) fn ask(pod: &Pod, to: SocketAddr, fields: &str) -> io::Result<(u16, String)> {
    let mut stream = pod.dial(to)?;
    let request = format!("GET / HTTP/1.1\r\nhost: web\r\n{fields}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut heard, mut room) = (Vec::new(), [0; 4096]);
    while !is_whole(&heard) {
        match stream.read(&mut room)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => heard.extend(&room[..read]),
        }
    }
    stream
        .shutdown(Shutdown::Both)
        .or_else(|error| match error.kind() {
            ErrorKind::NotConnected => Ok(()),
            _ => Err(error),
        })?;
    let heard = String::from_utf8_lossy(&heard);
    let (head, text) = heard.split_once("\r\n\r\n").expect("it is whole");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    Ok((status.expect("a status"), text.to_owned()))
}

/// Whether an answer has all of its text.
pub(super) fn is_whole(heard: &[u8]) -> bool {
    let heard = String::from_utf8_lossy(heard).to_lowercase();
    heard.split_once("\r\n\r\n").is_some_and(|(head, text)| {
        let mut fields = head.lines();
        let length = fields.find_map(|it| it.strip_prefix("content-length: "));
        length.and_then(|it| it.parse().ok()) == Some(text.len())
    })
}

/// A rule for requests of that version, or for all, that leads to these Services by weight.
pub(super) fn rule(index: u16, version: &str, backends: &[(&str, u32)]) -> Arc<Rule> {
    let version = HeaderMatch {
        name: HeaderName::from_static("version"),
        value: StringMatch::Exact(version.into()),
    };
    let mut matches = HttpMatch::default();
    matches.headers = vec![version];
    let backend = |(name, weight): &(&str, u32)| Backend {
        weight: *weight,
        filters: Filters::default(),
        target: Target::Service {
            port: port(name),
            protocol: UpstreamProtocol::Http1,
            tls: None,
        },
    };
    Arc::new(Rule {
        route: Arc::new(RouteId {
            kind: RouteKind::Http,
            name: Name::new("shop", "web"),
        }),
        index,
        name: None,
        matches: Matches::Http(vec![matches]),
        filters: Filters::default(),
        backends: backends.iter().map(backend).collect(),
        timeouts: Timeouts::default(),
        retry: None,
        idempotent: false,
    })
}

pub(super) fn routes(rules: Vec<Arc<Rule>>) -> Option<RouteSet> {
    let entry = RouteEntry {
        hostnames: Vec::new(),
        created: None,
        rules,
    };
    Some(RouteSet::new(vec![entry]))
}

#[test]
fn routes_of_a_service_act_in_the_worker_of_its_clients() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let called = application(pair.cart.listen(8081), "one");
    let _called = application(pair.cart.listen(8082), "two");
    let (client, server) = (&pair.web, &pair.cart);
    let rules = vec![
        rule(0, "one", &[("v1", 1)]),
        rule(1, "two", &[("v2", 1)]),
        rule(2, "any", &[("v1", 3), ("v2", 1)]),
    ];
    let world = World::of(&[client, server])
        .service(("web", 1), &[pair.cart.at(8082)], routes(rules))
        .service(("v1", 2), &[pair.cart.at(8081)], None)
        .service(("v2", 3), &[pair.cart.at(8082)], None);
    let _served = Served::start(&pair.node, &[(client, "client"), (server, "shop")], world);
    for name in ["one", "two", "one"] {
        let field = format!("version: {name}\r\n");
        let answer = ask(client, vip(1), &field).expect("it is answered");
        assert_eq!(answer, (200, name.to_owned()), "version {name}");
    }
    let from = called.recv().expect("the application was called");
    assert_eq!(from.ip(), client.ip, "it sees who called");
    let (status, _) = ask(client, vip(1), "").expect("it is answered");
    assert_eq!(status, 404, "no rule takes it");
    let ask = |_| ask(client, vip(1), "version: any\r\n").expect("it is answered");
    let answers: Vec<_> = (0..40).map(ask).collect();
    let of_one = answers.iter().filter(|(_, name)| name == "one").count();
    assert!((28..=32).contains(&of_one), "three of four: {of_one} of 40");
}

#[test]
fn members_are_reached_through_the_tunnel_and_others_as_they_are() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let called = application(pair.cart.listen(8081), "cart");
    let _itself = application(pair.web.listen(8083), "itself");
    let (client, server) = (&pair.web, &pair.cart);
    let world = World::of(&[client, server])
        .service(("cart", 1), &[pair.cart.at(8081)], None)
        .service(("itself", 2), &[pair.web.at(8083)], None);
    let _served = Served::start(&pair.node, &[(client, "client"), (server, "shop")], world);
    // Its own worker takes nothing in plaintext.
    for (row, to, name) in [
        ("a Service without routes", vip(1), "cart"),
        ("a pod by its address", pair.cart.at(8081), "cart"),
        ("the client's own Service", vip(2), "itself"),
    ] {
        let answer = ask(client, to, "").unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!(answer, (200, name.to_owned()), "{row}");
    }
    let from = called.recv().expect("the application was called");
    assert_eq!(from.ip(), client.ip, "it sees who called");
    for (row, to) in [
        ("nobody listens there", pair.cart.at(81)),
        ("a port of the mesh", pair.cart.at(15008)),
    ] {
        let error = ask(client, to, "").expect_err(row);
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{row}: {error}");
    }
}

#[test]
fn who_is_not_of_the_mesh_is_dialled_in_plaintext() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::running();
    let called = application(pair.cart.listen(8081), "outside");
    let client = &pair.web;
    let world = World::of(&[client]).service(("outside", 1), &[pair.cart.at(8081)], None);
    let served = Served::start(&pair.node, &[(client, "client")], world);
    for to in [vip(1), pair.cart.at(8081)] {
        let answer = ask(client, to, "").expect("it is answered");
        assert_eq!(answer, (200, "outside".to_owned()), "{to}");
        let from = called.recv().expect("the application was called");
        assert_eq!(from.ip(), client.ip, "from the pod itself");
    }
    // Nobody answers on 15008 there: what is said to be a member is reached as one or not at all.
    let both = World::of(&[client, &pair.cart]);
    served.say(both.service(("outside", 1), &[pair.cart.at(8081)], None));
    let mut patience = 500;
    while ask(client, pair.cart.at(8081), "").is_ok() && patience > 0 {
        patience -= 1;
        thread::park_timeout(Duration::from_millis(20));
    }
    assert!(patience > 0, "the worker hears of it");
    let error = ask(client, vip(1), "").expect_err("nobody answers there");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}
