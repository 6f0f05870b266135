//! Workers that end again and again: of one that ends once nobody has to hear, because another serves a
//! moment later.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::roster::Shard;

/// So many ends
const ENDS: usize = 3;
/// within this time make a loop, which is over when there are less.
const WITHIN: Duration = Duration::from_secs(300);

/// When workers have ended, by monotonic time.
#[derive(Debug, Default)]
pub(super) struct Crashes(BTreeMap<Shard, VecDeque<Duration>>);

impl Crashes {
    /// A worker has ended.
    pub(super) fn ended(&mut self, shard: &Shard, now: Duration) {
        let ends = self.0.entry(shard.clone()).or_default();
        ends.push_back(now);
        if ends.len() > ENDS {
            ends.pop_front();
        }
    }

    /// The shards whose workers end again and again.
    pub(super) fn looping(&mut self, now: Duration) -> BTreeSet<Shard> {
        self.0.retain(|_, ends| {
            ends.retain(|at| now.saturating_sub(*at) < WITHIN);
            !ends.is_empty()
        });
        let looping = self.0.iter().filter(|(_, ends)| ends.len() >= ENDS);
        looping.map(|(shard, _)| shard.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, ends_s: &[u64], now_s: u64, is_loop: bool) {
        let (shop, mut crashes) = (Shard::new("shop"), Crashes::default());
        for at in ends_s {
            crashes.ended(&shop, Duration::from_secs(*at));
        }
        let looping = crashes.looping(Duration::from_secs(now_s));
        assert_eq!(looping.contains(&shop), is_loop, "{name}");
    }

    #[test]
    fn a_worker_that_ends_again_and_again_is_noticed() {
        check("never", &[], 0, false);
        check("twice", &[10, 11], 12, false);
        check("three times", &[10, 11, 12], 12, true);
        check("twenty times", &(0..20).collect::<Vec<_>>(), 20, true);
        check("one of them long ago", &[10, 400, 401], 402, false);
        check("some time after it", &[10, 11, 12], 312, false);
    }
}
