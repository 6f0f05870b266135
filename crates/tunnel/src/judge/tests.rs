//! Refusals as the rest of the world sees them; what leads to them is tested on the wire.

use std::{collections::BTreeSet, net::SocketAddr};

use http::Method;
use weft_spiffe::SpiffeId;

use super::Refusal;

#[test]
fn statuses_and_reasons() {
    let at = SocketAddr::from(([10, 0, 0, 1], 80));
    let peer = SpiffeId::parse("spiffe://cluster.local/ns/shop/sa/web").expect("a SPIFFE ID");
    let named = || "web.shop:80".parse().expect("an authority");
    let rows = [
        (Refusal::NotConnect(Method::GET), 405),
        (Refusal::ContentLength, 400),
        (Refusal::AuthorityMissing, 400),
        (Refusal::AuthorityMalformed(named()), 400),
        (Refusal::NotLocal(at), 400),
        (Refusal::OwnPort(at), 400),
        (Refusal::NotBacked(named()), 400),
        (
            Refusal::Denied {
                peer,
                destination: at,
            },
            401,
        ),
        (Refusal::AppRefused(at), 503),
        (Refusal::AppTimeout(at), 503),
        (Refusal::AppUnreachable(at), 503),
        (Refusal::OverLimit(at), 503),
        (Refusal::Draining(at), 503),
    ];
    let reasons: BTreeSet<_> = rows.iter().map(|(refusal, _)| refusal.reason()).collect();
    assert_eq!(reasons.len(), rows.len(), "each has a reason of its own");
    for (refusal, status) in &rows {
        assert_eq!(refusal.status().as_u16(), *status, "{refusal}");
    }
}
