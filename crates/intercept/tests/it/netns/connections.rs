//! Who is captured, who is not, and what the proxy learns about a captured connection.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream},
    os::fd::OwnedFd,
    thread,
};

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use socket2::Socket;
use weft_intercept::{
    Netns,
    capture::{Family, PROBE_V4, PROBE_V6},
    ports::{self, Illegal, Path, illegal},
    sockets::{self, Captured, Purpose, original_destination},
};

use super::pair::{
    PATIENCE, Pair, Stack, accept, can_make_namespaces, dial, finished, is_empty, of, round_trip,
    run, tool, within,
};

/// An address of a Service, which nobody has.
fn service(family: Family) -> IpAddr {
    let text = match family {
        Family::V4 => "10.96.0.10",
        Family::V6 => "fd96::10",
    };
    text.parse().expect("an address")
}

/// A socket of the proxy in the pod.
fn dialling(pair: &Pair, family: Family) -> Socket {
    let mut made = sockets::dialling(&pair.pod, family, 1).expect("sockets can be had");
    let socket: OwnedFd = made.pop().expect("one was asked for");
    socket.into()
}

#[test]
fn what_the_pod_dials_arrives_at_the_proxy_with_where_it_wanted_to_go() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let listeners = pair.enrol();
    for family in Family::ALL {
        let to = SocketAddr::new(service(family), 80);
        let mut client = pair.connect(&pair.pod, to).expect("the proxy is there");
        let (mut accepted, from) =
            accept(of(&listeners, Purpose::Outbound, family)).expect("captured");
        let wanted = unprivileged(|| original_destination(&accepted, family));
        let wanted = wanted.expect("it is tracked");
        assert_eq!(wanted, to, "{family:?}: where the application wanted to go");
        let local = client.local_addr().expect("it is connected");
        assert_eq!(from, local, "{family:?}: who dialled");
        round_trip(&mut client, &mut accepted).expect("they are connected");
    }
}

#[test]
fn what_comes_from_outside_arrives_at_the_proxy_with_its_source() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let listeners = pair.enrol();
    for family in Family::ALL {
        for port in [80, ports::OUTBOUND, ports::INBOUND] {
            let to = SocketAddr::new(pair.pod(family), port);
            let mut client = pair.connect(&pair.peer, to).expect("the proxy is there");
            let inbound = of(&listeners, Purpose::Inbound, family);
            let (mut accepted, from) = accept(inbound).expect("captured");
            let wanted = original_destination(&accepted, family).expect("it is tracked");
            assert_eq!(wanted, to, "{family:?}: where the peer wanted to go");
            assert_eq!(from.ip(), pair.peer(family), "{family:?}: who dialled");
            let refused = illegal(Path::Inbound, wanted, &[], |_| false);
            assert_eq!(refused.is_some(), port != 80, "{family:?}: to port {port}");
            round_trip(&mut client, &mut accepted).expect("they are connected");
        }
        let tunnel = SocketAddr::new(pair.pod(family), ports::TUNNEL);
        let _client = pair
            .connect(&pair.peer, tunnel)
            .expect("the tunnel port is reached");
        let (accepted, _) = accept(of(&listeners, Purpose::Tunnel, family)).expect("directly");
        let wanted = original_destination(&accepted, family).expect("it is tracked");
        assert_eq!(wanted, tunnel, "{family:?}: a tunnel is not redirected");
    }
}

#[test]
fn a_direct_dial_of_the_proxy_is_told_apart() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let listeners = pair.enrol();
    for family in Family::ALL {
        let to = Purpose::Outbound.address(family);
        let _client = pair.connect(&pair.pod, to).expect("it listens");
        let (accepted, _) = accept(of(&listeners, Purpose::Outbound, family)).expect("directly");
        let wanted = original_destination(&accepted, family).expect("it is tracked");
        assert_eq!(wanted, to, "{family:?}");
        let refused = illegal(Path::Outbound, wanted, &[], |_| false);
        assert_eq!(refused, Some(Illegal::OwnPort), "{family:?}");
    }
}

/// Dials from the pod, or from a socket of the proxy, and expects that `arrives_at` accepts.
fn not_captured(pair: &Pair, from: Dialler<'_>, to: SocketAddr, listener: &std::net::TcpListener) {
    let mut client = match from {
        Dialler::Application(netns) => pair.connect(netns, to).expect("it is reached"),
        Dialler::Proxy(socket) => finished(&dial(socket, to)).expect("it is reached"),
    };
    let (mut accepted, _) = accept(listener).expect("whoever was dialled accepts");
    round_trip(&mut client, &mut accepted).expect("they are connected");
}

enum Dialler<'n> {
    Application(&'n Netns),
    Proxy(Socket),
}

#[test]
fn the_pod_itself_loopback_and_the_proxy_are_not_captured() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let listeners = pair.enrol();
    for family in Family::ALL {
        let application = pair.listener(&pair.pod, family, 8080);
        let elsewhere = pair.listener(&pair.peer, family, 8080);
        let loopback: IpAddr = match family {
            Family::V4 => "127.0.0.1".parse().expect("an address"),
            Family::V6 => "::1".parse().expect("an address"),
        };
        let to = |ip| SocketAddr::new(ip, 8080);
        let own = to(pair.pod(family));
        not_captured(&pair, Dialler::Application(&pair.pod), own, &application);
        not_captured(
            &pair,
            Dialler::Application(&pair.pod),
            to(loopback),
            &application,
        );
        let proxy = || Dialler::Proxy(dialling(&pair, family));
        not_captured(&pair, proxy(), to(pair.peer(family)), &elsewhere);
        not_captured(&pair, proxy(), own, &application);
        for listener in &listeners {
            assert!(
                is_empty(&listener.socket),
                "{family:?}: {:?} has one",
                listener.purpose
            );
        }
    }
}

#[test]
fn an_application_sees_the_source_the_proxy_dials_with() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let listeners = pair.enrol();
    watch(&pair.peer);
    for family in Family::ALL {
        let application = pair.listener(&pair.pod, family, 8080);
        let to = SocketAddr::new(pair.pod(family), 8080);
        let peer = pair.connect(&pair.peer, to).expect("the proxy is there");
        let (_, from) = accept(of(&listeners, Purpose::Inbound, family)).expect("captured");
        let socket = dialling(&pair, family);
        // With a port of its own: that of the peer is taken, by what it dialled.
        let source = SocketAddr::new(from.ip(), 0);
        socket
            .bind(&source.into())
            .expect("an address of somebody else");
        let mut upstream = finished(&dial(socket, to)).expect("the application is reached");
        let (mut accepted, seen) = accept(&application).expect("by the proxy");
        assert_eq!(
            seen.ip(),
            pair.peer(family),
            "{family:?}: whom the application sees"
        );
        round_trip(&mut upstream, &mut accepted).expect("answers find the proxy");
        drop(peer);
    }
    let watched = tool(&pair.peer, "nft", "list chain inet watch marked");
    assert!(
        watched.contains("counter packets 0 "),
        "marks leave the pod: {watched}"
    );
}

/// Counts packets that arrive with a mark.
fn watch(netns: &Netns) {
    for command in [
        "add table inet watch",
        "add chain inet watch marked { type filter hook prerouting priority 0 ; }",
        "add rule inet watch marked meta mark != 0 counter",
    ] {
        tool(netns, "nft", command);
    }
}

/// Does something as a worker would, without any capability.
fn unprivileged<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, none).expect("capabilities can be given up");
        work()
    };
    thread::scope(|scope| scope.spawn(inside).join().expect("it is done"))
}

#[test]
fn probes_reach_the_application() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    let listeners = pair.enrol();
    let probes = [
        format!("addr add {PROBE_V4}/32 dev peer0"),
        format!("addr add {PROBE_V6}/128 dev peer0 nodad"),
    ];
    run(&pair.peer, &probes.each_ref().map(String::as_str));
    for (family, source) in [
        (Family::V4, IpAddr::from(PROBE_V4)),
        (Family::V6, PROBE_V6.into()),
    ] {
        let application = pair.listener(&pair.pod, family, 8080);
        let to = SocketAddr::new(pair.pod(family), 8080);
        let probe = || -> io::Result<TcpStream> {
            let domain = socket2::Domain::for_address(to);
            let socket = Socket::new(domain, socket2::Type::STREAM, None)?;
            socket.bind(&SocketAddr::new(source, 0).into())?;
            finished(&dial(socket, to))
        };
        let mut client = within(&pair.peer, probe).expect("the application is reached");
        let (mut accepted, seen) = accept(&application).expect("by the probe");
        assert_eq!(seen.ip(), source, "{family:?}: whom the application sees");
        round_trip(&mut client, &mut accepted).expect("they are connected");
        let inbound = of(&listeners, Purpose::Inbound, family);
        assert!(is_empty(inbound), "{family:?}: the probe was captured");
    }
}

#[test]
fn a_listener_says_which_namespace_it_is_of() {
    if !can_make_namespaces() {
        return;
    }
    let pair = Pair::new(Stack::Dual);
    for listener in pair.enrol() {
        let of_socket = Netns::of_socket(&listener.socket).expect("root may ask");
        assert_eq!(of_socket.id(), pair.pod.id(), "{:?}", listener.purpose);
    }
    assert_ne!(pair.pod.id(), pair.peer.id());
    let here = std::fs::File::open("/proc/self/ns/mnt").expect("it is there");
    assert!(
        Netns::from_descriptor(here.into()).is_err(),
        "of another kind"
    );
}

#[test]
fn what_is_exempt_goes_where_it_would_go_without_a_mesh() {
    if !can_make_namespaces() {
        return;
    }
    for by_network in [false, true] {
        let mut pair = Pair::new(Stack::Dual);
        pair.settings.exempt_inbound = [9090].into();
        if by_network {
            // Whatever the pod dials.
            let all = ["0.0.0.0", "::"].map(|it| (it.parse().expect("an address"), 0));
            pair.settings.exempt_networks = all.into();
        } else {
            pair.settings.exempt_outbound = [5432].into();
        }
        let listeners = pair.enrol();
        assert!(
            pair.inspect().faults.is_empty(),
            "the rules are found again"
        );
        for family in Family::ALL {
            let (in_pod, in_peer) = (
                pair.listener(&pair.pod, family, 9090),
                pair.listener(&pair.peer, family, 5432),
            );
            let dials = |netns, to, port| pair.connect(netns, SocketAddr::new(to, port));
            let row = format!("{family:?}, by network: {by_network}");
            let _client = dials(&pair.peer, pair.pod(family), 9090).expect("it is there");
            let (_server, from) = accept(&in_pod).expect("the application is reached");
            assert_eq!(from.ip(), pair.peer(family), "{row}: by the peer");
            let _client = dials(&pair.pod, pair.peer(family), 5432).expect("it is there");
            let (_server, from) = accept(&in_peer).expect("the peer is reached");
            assert_eq!(from.ip(), pair.pod(family), "{row}: by the pod");
            let captured = sockets::is_captured(&pair.pod, family, PATIENCE);
            let captured = captured.expect("it can be asked");
            assert_eq!(captured, Captured::Yes, "{row}: the pod itself is");
            let (_probe, _) = accept(of(&listeners, Purpose::Outbound, family)).expect("by it");
            let _client = dials(&pair.peer, pair.pod(family), 9091).expect("the proxy is there");
            let (_captured, _) =
                accept(of(&listeners, Purpose::Inbound, family)).expect("other ports are captured");
        }
    }
}
