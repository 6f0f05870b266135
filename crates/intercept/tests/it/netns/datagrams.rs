//! UDP: nobody's business but for DNS, and that only when it is asked for.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use weft_intercept::{Netns, capture::Family, ports, sockets::Purpose};

use super::pair::{Pair, Stack, accept, can_make_namespaces, within};

fn loopback(family: Family) -> IpAddr {
    Purpose::Outbound.address(family).ip()
}

fn socket(netns: &Netns, at: SocketAddr) -> UdpSocket {
    let socket = within(netns, || UdpSocket::bind(at)).expect("the port is free");
    let patience = Some(Duration::from_secs(5));
    socket
        .set_read_timeout(patience)
        .expect("a socket can be set");
    socket
}

/// A question to an address, and an answer that has to come from there; says who asked.
fn exchange(asking: &UdpSocket, to: SocketAddr, answering: &UdpSocket) -> SocketAddr {
    asking.send_to(b"question", to).expect("it is sent");
    let mut buffer = [0; 16];
    let (_, from) = answering.recv_from(&mut buffer).expect("it arrives");
    answering.send_to(b"answer", from).expect("it is sent");
    let (length, answered) = asking.recv_from(&mut buffer).expect("it comes back");
    assert_eq!((&buffer[..length], answered), (&b"answer"[..], to));
    from
}

#[test]
fn datagrams_pass_by() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let _listeners = pair.enrol();
    for family in Family::ALL {
        let pod = SocketAddr::new(pair.pod(family), 53);
        let peer = SocketAddr::new(pair.peer(family), 53);
        let (in_pod, in_peer) = (socket(&pair.pod, pod), socket(&pair.peer, peer));
        assert_eq!(exchange(&in_pod, peer, &in_peer), pod, "out of the pod");
        assert_eq!(exchange(&in_peer, pod, &in_pod), peer, "into the pod");
    }
}

#[test]
fn dns_arrives_at_the_proxy_when_it_is_asked_for() {
    if !can_make_namespaces() {
        return;
    }
    let mut pair = Pair::new(Stack::Dual);
    pair.settings.captures_dns = true;
    let _listeners = pair.enrol();
    for family in Family::ALL {
        let here = SocketAddr::new(loopback(family), ports::DNS);
        let resolver = socket(&pair.pod, here);
        let nameserver = SocketAddr::new(pair.peer(family), 53);
        let any = SocketAddr::new(pair.pod(family), 0);
        let application = socket(&pair.pod, any);
        exchange(&application, nameserver, &resolver);

        let over_tcp = within(&pair.pod, || std::net::TcpListener::bind(here));
        let over_tcp = over_tcp.expect("the port is free");
        let _client = pair
            .connect(&pair.pod, nameserver)
            .expect("the proxy is reached");
        accept(&over_tcp).expect("captured");
    }
}
