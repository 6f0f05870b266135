//! How often certificates may be asked for: by one caller, and by all of them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A caller renews twice a day; pods of one account may start together.
const OF_ACCOUNT: Rate = Rate {
    burst: 20.0,
    per_second: 1.0,
};
/// What one API server is asked to review.
const OF_ALL: Rate = Rate {
    burst: 200.0,
    per_second: 100.0,
};
/// Accounts that are told apart; beyond that those are forgotten that may ask for a full burst again.
const ACCOUNTS_MAX: usize = 10_000;

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
    /// A service account, by namespace and name.
    Account(&'a str, &'a str),
}

/// The limits of one service.
#[derive(Debug)]
pub(super) struct Limits(Mutex<Buckets>);

#[derive(Debug)]
struct Buckets {
    all: Bucket,
    accounts: HashMap<(String, String), Bucket>,
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
            accounts: HashMap::new(),
        }))
    }
}

impl Limits {
    /// Whether one more request may be made; then it counts.
    pub(super) fn admits(&self, caller: Caller<'_>, now: Duration) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match caller {
            Caller::Anybody => buckets.all.take(OF_ALL, now),
            Caller::Account(namespace, name) => {
                let accounts = &mut buckets.accounts;
                if accounts.len() >= ACCOUNTS_MAX {
                    accounts.retain(|_, bucket| !bucket.is_full(OF_ACCOUNT, now));
                }
                let key = (namespace.to_owned(), name.to_owned());
                let bucket = accounts
                    .entry(key)
                    .or_insert_with(|| Bucket::full(OF_ACCOUNT));
                bucket.take(OF_ACCOUNT, now)
            }
        }
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
    fn one_account_takes_nothing_from_another() {
        let limits = Limits::default();
        let now = Duration::from_secs(9);
        let spent = admitted(&limits, Caller::Account("shop", "edge"), 100, now);
        let other = admitted(&limits, Caller::Account("bank", "edge"), 100, now);
        assert_eq!((spent, other), (20, 20));
    }

    #[test]
    fn all_together_have_a_limit() {
        let limits = Limits::default();
        let now = Duration::from_secs(1);
        assert_eq!(admitted(&limits, Caller::Anybody, 1_000, now), 200);
    }
}
