//! What members ask for in vain, and what is said in plaintext.

use std::net::{IpAddr, SocketAddr, TcpStream};

use weft_tests::{
    netns::{PATIENCE, can_make_namespaces, within},
    rawclient::RawClient,
    rawh2::{Fate, fate_of},
    refusals::attacked,
};

use super::{
    Counter, TUNNEL, World, hold,
    stranger::{Stranger, says},
};

const CONNECTIONS: Counter = Counter {
    name: "weft_connections_closed_total",
    labels: &["reporter=\"destination\""],
    label: "reason",
};

/// Fields of a request, whose authority may name the pod (`POD`) or the one beside it (`OTHER`).
type Fields = &'static [(&'static str, &'static str)];

const STREAMS: &[(&str, Fields)] = &[
    (
        "not a CONNECT",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "POD:80"),
        ],
    ),
    (
        "a CONNECT of known length",
        &[
            (":method", "CONNECT"),
            (":authority", "POD:80"),
            ("content-length", "0"),
        ],
    ),
    (
        "an authority without a port",
        &[(":method", "CONNECT"), (":authority", "POD")],
    ),
    (
        "userinfo in the authority",
        &[(":method", "CONNECT"), (":authority", "me@POD:80")],
    ),
    (
        "the address of another pod",
        &[(":method", "CONNECT"), (":authority", "OTHER:80")],
    ),
    (
        "loopback",
        &[(":method", "CONNECT"), (":authority", "127.0.0.1:80")],
    ),
    (
        "the port of outbound connections",
        &[(":method", "CONNECT"), (":authority", "POD:15001")],
    ),
    (
        "the port of plaintext",
        &[(":method", "CONNECT"), (":authority", "POD:15006")],
    ),
    (
        "a tunnel in the tunnel",
        &[(":method", "CONNECT"), (":authority", "POD:15008")],
    ),
    (
        "the name of a Service",
        &[(":method", "CONNECT"), (":authority", "cart.shop.svc:80")],
    ),
    (
        "a port where nobody listens",
        &[(":method", "CONNECT"), (":authority", "POD:81")],
    ),
];

/// Asks over a tunnel of its own.
async fn asks(
    member: Stranger,
    stream: tokio::net::TcpStream,
    fields: Vec<(&str, String)>,
) -> String {
    let tls = member.connect(stream).await.expect("a member is let in");
    let fields: Vec<(&str, &[u8])> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    match fate_of(RawClient::over(tls), &fields).await {
        Fate::Status(status) => format!("status {status}"),
        Fate::Reset => "reset".to_owned(),
        Fate::Goaway => "closed".to_owned(),
    }
}

#[test]
fn what_a_member_asks_for_in_vain() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::of(|pair| &pair.cart);
    let (web, cart) = (&world.pair.web, &world.pair.cart);
    let mut faults = Vec::new();
    for (row, fields) in attacked("streams", STREAMS) {
        let member = Stranger::showing(world.forge.good(|_| ()));
        let named = |(name, value): &(&'static str, &str)| {
            let value = value.replace("POD", &cart.ip.to_string());
            (*name, value.replace("OTHER", &web.ip.to_string()))
        };
        let stream = world.dial(web, cart.at(TUNNEL));
        let asking = asks(member, stream, fields.iter().map(named).collect());
        faults.extend(world.play(&row, CONNECTIONS, asking));
    }
    hold("streams", &faults);
}

/// From where it is said: by whoever is no pod, or by a member's address.
#[derive(Clone, Copy)]
enum From {
    Elsewhere,
    Member,
}

/// Who says something, and where.
type Said = (From, fn(&World) -> SocketAddr);

const PLAINTEXT: &[(&str, Said)] = &[
    (
        "to the application",
        (From::Elsewhere, |it| it.pair.cart.at(80)),
    ),
    (
        "to the application in IPv6",
        (From::Elsewhere, |it| {
            let ip: IpAddr = it.pair.cart.ipv6;
            SocketAddr::new(ip, 80)
        }),
    ),
    (
        "with the address of a member",
        (From::Member, |it| it.pair.cart.at(80)),
    ),
    (
        "to the port of plaintext itself",
        (From::Elsewhere, |it| it.pair.cart.at(15006)),
    ),
];

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: cart\r\n\r\n";

#[test]
fn what_is_said_in_plaintext() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::of(|pair| &pair.cart);
    let application = world.pair.cart.listen(80);
    let mut faults = Vec::new();
    for (row, (from, to)) in attacked("plaintext", PLAINTEXT) {
        let to = to(&world);
        let dial = || match from {
            From::Member => world.pair.web.dial(to),
            From::Elsewhere => {
                let dial = || TcpStream::connect_timeout(&to, PATIENCE);
                within(&world.pair.node.own, dial)
            }
        };
        // Some are refused before they say a word.
        let calling = async { says(world.adopt(dial()), GET).await };
        faults.extend(world.play(&row, CONNECTIONS, calling));
    }
    hold("plaintext", &faults);
    application.set_nonblocking(true).expect("it can be set");
    let heard = application.accept().map(|(_, from)| from);
    assert!(heard.is_err(), "the application heard of {heard:?}");
}
