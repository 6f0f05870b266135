//! How often certificates may be asked for: from one address, by one caller, and by all of them.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A caller renews twice a day; pods of one account may start together.
const OF_ACCOUNT: Rate = Rate {
    burst: 20.0,
    per_second: 1.0,
};
/// The proxy of a node has a certificate for each service account there, and after a restart asks for
/// all of them.
const OF_NODE: Rate = Rate {
    burst: 200.0,
    per_second: 20.0,
};
/// Pods of a node may come from its address.
const OF_ADDRESS: Rate = Rate {
    burst: 50.0,
    per_second: 10.0,
};
/// What one API server is asked to review.
const OF_ALL: Rate = Rate {
    burst: 200.0,
    per_second: 100.0,
};
/// Callers that are told apart; beyond that those are forgotten that may ask for a full burst again,
/// and if there are none, strangers are refused.
const CALLERS_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    per_second: f64,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller<'a> {
    /// Everybody together.
    Anybody,
    /// Whoever is at an address.
    Address(IpAddr),
    /// A service account, by namespace and name.
    Account(&'a str, &'a str),
    /// The proxy of a node.
    Node(&'a str),
}

/// The limits of one service.
#[derive(Debug)]
pub(super) struct Limits(Mutex<Buckets>);

#[derive(Debug)]
struct Buckets {
    all: Bucket,
    addresses: Callers<IpAddr>,
    accounts: Callers<(String, String)>,
    nodes: Callers<String>,
}

/// Callers of one kind, each with a limit of its own.
#[derive(Debug)]
struct Callers<K> {
    rate: Rate,
    buckets: HashMap<K, Bucket>,
}

/// How many requests may still be made, as of some moment.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self(Mutex::new(Buckets {
            all: Bucket::full(OF_ALL),
            addresses: Callers::of(OF_ADDRESS),
            accounts: Callers::of(OF_ACCOUNT),
            nodes: Callers::of(OF_NODE),
        }))
    }
}

impl Limits {
    /// Whether one more request may be made; then it counts.
    pub(super) fn admits(&self, caller: Caller<'_>, now: Duration) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match caller {
            Caller::Anybody => buckets.all.take(OF_ALL, now),
            Caller::Address(address) => buckets.addresses.admits(network(address), now),
            Caller::Account(namespace, name) => {
                let account = (namespace.to_owned(), name.to_owned());
                buckets.accounts.admits(account, now)
            }
            Caller::Node(node) => buckets.nodes.admits(node.to_owned(), now),
        }
    }
}

/// A host has all addresses of its IPv6 network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

impl<K: Hash + Eq> Callers<K> {
    fn of(rate: Rate) -> Self {
        Self {
            rate,
            buckets: HashMap::new(),
        }
    }

    fn admits(&mut self, caller: K, now: Duration) -> bool {
        let Self { rate, buckets } = self;
        if buckets.len() >= CALLERS_MAX && !buckets.contains_key(&caller) {
            buckets.retain(|_, bucket| !bucket.is_full(*rate, now));
            if buckets.len() >= CALLERS_MAX {
                return false;
            }
        }
        let bucket = buckets.entry(caller);
        bucket
            .or_insert_with(|| Bucket::full(*rate))
            .take(*rate, now)
    }
}

impl Bucket {
    fn full(rate: Rate) -> Self {
        Self {
            left: rate.burst,
            at: Duration::ZERO,
        }
    }

    fn refilled(self, rate: Rate, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        (self.left + passed * rate.per_second).min(rate.burst)
    }

    fn is_full(self, rate: Rate, now: Duration) -> bool {
        self.refilled(rate, now) >= rate.burst
    }

    fn take(&mut self, rate: Rate, now: Duration) -> bool {
        let left = self.refilled(rate, now);
        let is_admitted = left >= 1.0;
        self.left = if is_admitted { left - 1.0 } else { left };
        self.at = now;
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(limits: &Limits, caller: Caller<'_>, times: usize, now: Duration) -> usize {
        (0..times).filter(|_| limits.admits(caller, now)).count()
    }

    #[test]
    fn an_account_has_its_burst_and_then_its_rate() {
        let limits = Limits::default();
        let edge = Caller::Account("shop", "edge");
        let second = Duration::from_secs(1);
        assert_eq!(admitted(&limits, edge, 50, second), 20, "the burst");
        assert_eq!(
            admitted(&limits, edge, 50, second * 4),
            3,
            "three seconds on"
        );
        assert_eq!(
            admitted(&limits, edge, 50, second * 500),
            20,
            "no more than a burst"
        );
    }

    #[test]
    fn a_node_may_ask_for_all_of_its_accounts_at_once_and_takes_nothing_from_others() {
        let limits = Limits::default();
        let now = Duration::from_secs(9);
        let spent = admitted(&limits, Caller::Node("n1"), 1_000, now);
        let other = admitted(&limits, Caller::Node("n2"), 100, now);
        assert_eq!((spent, other), (200, 100));
    }

    #[test]
    fn one_account_takes_nothing_from_another() {
        let limits = Limits::default();
        let now = Duration::from_secs(9);
        let spent = admitted(&limits, Caller::Account("shop", "edge"), 100, now);
        let other = admitted(&limits, Caller::Account("bank", "edge"), 100, now);
        assert_eq!((spent, other), (20, 20));
    }

    #[test]
    fn whoever_floods_from_one_address_takes_nothing_from_others() {
        let limits = Limits::default();
        let second = Duration::from_secs(1);
        let at = |text: &str| Caller::Address(text.parse().expect("an address"));
        let rows = [
            ("the burst of a host", "10.0.0.1", 50),
            ("another host", "10.0.0.2", 50),
            ("IPv6", "fd00::1", 50),
            ("the same network", "fd00::ffff", 0),
            ("another network", "fd00:0:0:1::1", 50),
        ];
        for (name, address, expected) in rows {
            assert_eq!(
                admitted(&limits, at(address), 90, second),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn strangers_are_refused_when_there_are_too_many_callers() {
        let limits = Limits::default();
        let names: Vec<_> = (0..=CALLERS_MAX).map(|it| it.to_string()).collect();
        let ask = |name: &str, now| limits.admits(Caller::Account("shop", name), now);
        let second = Duration::from_secs(1);
        assert!(names[..CALLERS_MAX].iter().all(|name| ask(name, second)));
        assert!(!ask(&names[CALLERS_MAX], second), "one too many");
        assert!(ask(&names[0], second), "those who are known go on");
        assert!(ask(&names[CALLERS_MAX], second * 3), "the others are idle");
    }

    #[test]
    fn all_together_have_a_limit() {
        let limits = Limits::default();
        let now = Duration::from_secs(1);
        assert_eq!(admitted(&limits, Caller::Anybody, 1_000, now), 200);
    }
}
