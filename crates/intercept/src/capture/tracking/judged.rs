//! What is wrong with what is tracked, without a kernel.

use std::collections::HashMap;

use super::entries::Entry;
use crate::{
    capture::{CONNECTION_MARK, MASK},
    connections::{Connections, Flow},
    ports,
};

/// What has to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// To be forgotten.
    pub(super) wrong: Vec<Entry>,
    /// From a peer to an application, to be tracked from its beginning.
    pub(super) untracked: Vec<Flow>,
}

/// The socket of the proxy without which an entry means nothing, as what is sent on it: of a connection the
/// proxy dialled in the pod, and of one that was redirected to it.
pub(super) fn of_ours(entry: &Entry) -> Option<Flow> {
    let redirected = [ports::OUTBOUND, ports::INBOUND, ports::DNS];
    let answered_by = entry.reply.from;
    if entry.mark & MASK == CONNECTION_MARK {
        Some(entry.original)
    } else if redirected.contains(&answered_by.port()) && answered_by != entry.original.to {
        Some(entry.reply)
    } else {
        None
    }
}

/// Compares what is tracked with who is connected.
pub(super) fn judge(entries: &[Entry], connections: &Connections) -> Judged {
    let is_alive =
        |socket: Flow| connections.sockets.contains(&socket) || connections.ended.contains(&socket);
    let is_left = |entry: &&Entry| of_ours(entry).is_some_and(|socket| !is_alive(socket));
    let (left, others): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(is_left);
    let mut judged = Judged {
        wrong: left.into_iter().cloned().collect(),
        untracked: Vec::new(),
    };
    let by_reply: HashMap<Flow, &Entry> = others.iter().map(|it| (it.reply, *it)).collect();
    let by_original: HashMap<Flow, &Entry> = others.iter().map(|it| (it.original, *it)).collect();
    for answers in connections
        .open
        .iter()
        .filter(|it| is_direct(**it, connections))
    {
        // The wrong way round: an answer came first.
        if let Some(reversed) = by_original.get(answers) {
            judged.wrong.push((*reversed).clone());
            judged.untracked.push(answers.back());
        } else if !by_reply.contains_key(answers) {
            // Or as one that goes elsewhere, which it does not: it is here.
            let elsewhere = by_original.get(&answers.back());
            let elsewhere = elsewhere.filter(|it| of_ours(it).is_none());
            judged.wrong.extend(elsewhere.map(|it| (*it).clone()));
            judged.untracked.push(answers.back());
        }
    }
    judged
}

/// Whether this is what an application answers to somebody outside of the pod.
fn is_direct(answers: Flow, connections: &Connections) -> bool {
    let (local, peer) = (answers.from, answers.to);
    let is_outside = !peer.ip().is_loopback() && peer.ip() != local.ip();
    let is_of_application =
        connections.listening.contains(&local.port()) && !ports::OWN.contains(&local.port());
    // The other end is here when it is the proxy that dialled.
    is_outside && is_of_application && !connections.sockets.contains(&answers.back())
}

#[cfg(test)]
mod tests {
    use super::{Connections, Entry, Flow, judge};
    use crate::capture::CONNECTION_MARK;

    const PEER: &str = "10.1.0.9:40000";
    const POD: &str = "10.1.0.2:80";
    const CAPTURED: &str = "10.1.0.2:15006";

    fn flow(from: &str, to: &str) -> Flow {
        let parse = |text: &str| text.parse().expect("address and port");
        Flow {
            from: parse(from),
            to: parse(to),
        }
    }

    /// From, to, and who answers whom.
    fn entry(original: [&str; 2], reply: [&str; 2], mark: u32) -> Entry {
        Entry {
            original: flow(original[0], original[1]),
            reply: flow(reply[0], reply[1]),
            mark,
            id: vec![1],
        }
    }

    /// With these sockets, an application on port 80 and one entry: whether it is forgotten, and whether
    /// what the peer has dialled is tracked anew.
    fn check(row: &str, sockets: &[[&str; 2]], entry: Option<Entry>, expected: (bool, bool)) {
        let connections = Connections {
            sockets: sockets.iter().map(|it| flow(it[0], it[1])).collect(),
            open: sockets.iter().map(|it| flow(it[0], it[1])).collect(),
            ended: [flow("10.1.0.2:80", "10.1.0.9:40002")].into(),
            listening: [80, 15001, 15006, 15008].into(),
        };
        let entries: Vec<Entry> = entry.into_iter().collect();
        let judged = judge(&entries, &connections);
        assert_eq!(!judged.wrong.is_empty(), expected.0, "{row}: is forgotten");
        let dialled: &[Flow] = &[flow(PEER, POD)];
        let expected = if expected.1 { dialled } else { &[] };
        assert_eq!(judged.untracked, expected, "{row}: is tracked anew");
    }

    #[test]
    fn what_lives_is_tracked_as_it_was_begun() {
        let direct = [[POD, PEER]];
        let right = entry([PEER, POD], [POD, PEER], 0);
        let reversed = entry([POD, PEER], [PEER, POD], 0);
        let redirected = entry([PEER, "10.1.0.2:8080"], [POD, PEER], 0);
        let stranger = entry([PEER, "10.1.0.2:81"], ["10.1.0.2:81", PEER], 0);
        check("not tracked", &direct, None, (false, true));
        check("as it was begun", &direct, Some(right), (false, false));
        check("by its answer", &direct, Some(reversed), (true, true));
        check(
            "by rules of the pod",
            &direct,
            Some(redirected),
            (false, false),
        );
        let diverted = entry([PEER, POD], ["10.1.0.2:81", PEER], 0);
        check("elsewhere", &direct, Some(diverted), (true, true));
        check("another one", &direct, Some(stranger), (false, true));
        for (row, socket) in [
            ("what the application dials", ["10.1.0.2:33000", PEER]),
            ("a tunnel", ["10.1.0.2:15008", PEER]),
            ("inside of the pod", [POD, "10.1.0.2:33000"]),
            ("over loopback", ["127.0.0.1:80", "127.0.0.1:33000"]),
        ] {
            check(row, &[socket], None, (false, false));
        }
    }

    #[test]
    fn what_is_left_of_the_proxy_is_forgotten() {
        let captured = || Some(entry([PEER, POD], [CAPTURED, PEER], 0));
        let dialled = || Some(entry([PEER, POD], [POD, PEER], CONNECTION_MARK | 0x7000));
        let moved = Some(entry([PEER, POD], [POD, "10.1.0.9:7"], CONNECTION_MARK));
        let tunnel = entry([PEER, "10.1.0.2:15006"], [CAPTURED, PEER], 0);
        let out = entry(
            ["10.1.0.2:33000", "10.96.0.1:80"],
            ["127.0.0.1:15001", "10.1.0.2:33000"],
            0,
        );
        let nobody = &[];
        check("captured", nobody, captured(), (true, false));
        check(
            "captured, and lives",
            &[[CAPTURED, PEER]],
            captured(),
            (false, false),
        );
        check(
            "captured, another lives",
            &[[POD, PEER]],
            captured(),
            (true, true),
        );
        check("dialled", nobody, dialled(), (true, false));
        check(
            "dialled, another lives",
            &[[POD, PEER]],
            dialled(),
            (true, true),
        );
        let both = [[PEER, POD], [POD, PEER]];
        check("dialled, and lives", &both, dialled(), (false, false));
        let both = [[PEER, POD], [POD, "10.1.0.9:7"]];
        check("dialled with another port", &both, moved, (false, false));
        check("outgoing", nobody, Some(out), (true, false));
        check("not redirected", nobody, Some(tunnel), (false, false));
        let ending = entry(
            ["10.1.0.2:80", "10.1.0.9:40002"],
            ["10.1.0.9:40002", "10.1.0.2:80"],
            CONNECTION_MARK,
        );
        check(
            "late packets may come",
            nobody,
            Some(ending),
            (false, false),
        );
    }
}
