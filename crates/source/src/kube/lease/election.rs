//! Who leads: the rules, without a network and with time as an argument.
//!
//! Clocks of replicas are never compared. A follower takes over when it has watched one and the
//! same record for its whole duration; a leader counts from the moment it *began* the renewal that
//! succeeded, which was earlier, and stops sooner. So two replicas never lead at once, as long as
//! their clocks run at about the same speed.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Value, json};
use weft_api::meta::Time;

use super::{Leader, LeaseOptions};

/// What a replica should do about the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// There is none: create it.
    Create,
    /// It is ours, or nobody's any more: write it, if it still has this version.
    Write(String),
    /// Somebody else holds it.
    Follow,
}

/// One replica's view.
#[derive(Debug)]
pub(super) struct Election {
    identity: String,
    duration: Duration,
    /// So long after the beginning of a renewal this replica leads.
    lead: Duration,
    /// The record as last read, and since when it is the same.
    observed: Option<(Record, Duration)>,
    leads_until: Option<Duration>,
}

/// What matters of a Lease object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    version: String,
    holder: String,
    duration: Duration,
    transitions: i64,
    acquired: Value,
}

impl Election {
    pub(super) fn new(options: &LeaseOptions) -> Self {
        Self {
            identity: options.identity.clone(),
            duration: options.duration,
            lead: options.renew_deadline,
            observed: None,
            leads_until: None,
        }
    }

    /// Whether this replica leads at a time.
    pub(super) fn leads(&self, now: Duration) -> bool {
        self.leads_until.is_some_and(|until| now < until)
    }

    /// Until when it leads.
    pub(super) fn leads_until(&self) -> Option<Duration> {
        self.leads_until
    }

    /// Who leads, as far as is known.
    pub(super) fn leader(&self, now: Duration) -> Leader {
        let Some((record, since)) = &self.observed else {
            return Leader::Unknown;
        };
        let is_over = now.saturating_sub(*since) >= record.duration.max(self.duration);
        if self.leads(now) {
            Leader::This
        } else if is_over || record.holder.is_empty() || record.holder == self.identity {
            Leader::Nobody
        } else {
            Leader::Other(record.holder.clone())
        }
    }

    /// What to do without asking for the record first: renew what was ours when last seen.
    pub(super) fn renewal(&self, now: Duration) -> Option<Claim> {
        let (record, _) = self.observed.as_ref()?;
        let is_ours = self.leads(now) && record.holder == self.identity;
        is_ours.then(|| Claim::Write(record.version.clone()))
    }

    /// Takes the record as it was read (`None`: there is none) and says what to do.
    pub(super) fn read(&mut self, lease: Option<&Value>, now: Duration) -> Claim {
        let Some(lease) = lease else {
            self.observed = None;
            self.leads_until = None;
            return Claim::Create;
        };
        let record = Record::of(lease);
        let since = match &self.observed {
            Some((before, since)) if *before == record => *since,
            _ => now,
        };
        let is_over = now.saturating_sub(since) >= record.duration.max(self.duration);
        let is_free = record.holder.is_empty() || record.holder == self.identity;
        let claim = if is_free || is_over {
            Claim::Write(record.version.clone())
        } else {
            self.leads_until = None;
            Claim::Follow
        };
        self.observed = Some((record, since));
        claim
    }

    /// The record was written by a request that began at `began`; `lease` is the answer.
    pub(super) fn written(&mut self, lease: &Value, began: Duration, now: Duration) {
        self.observed = Some((Record::of(lease), now));
        self.leads_until = Some(began + self.lead);
    }

    /// This replica leads no more, whatever the record says.
    pub(super) fn resign(&mut self) {
        self.leads_until = None;
    }

    /// Fields of `spec` that make the record ours.
    pub(super) fn spec(&self, wall: &Time) -> Value {
        let now = micro_time(wall);
        let before = self.observed.as_ref().map(|(record, _)| record);
        let is_ours = before.is_some_and(|record| record.holder == self.identity);
        let transitions = before.map_or(0, |record| record.transitions);
        let acquired = before.map(|record| record.acquired.clone());
        json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.duration.as_secs().max(1),
            "renewTime": now,
            "acquireTime": acquired.filter(|_| is_ours).unwrap_or_else(|| now.into()),
            "leaseTransitions": if is_ours || before.is_none() { transitions } else { transitions + 1 },
        })
    }

    /// Fields of `spec` that give the record up, as `client-go` writes them: anybody may take it at
    /// once.
    pub(super) fn released(wall: &Time) -> Value {
        json!({
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": micro_time(wall),
        })
    }
}

impl Record {
    fn of(lease: &Value) -> Self {
        let text = |path| {
            lease
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let number = |path| {
            lease
                .pointer(path)
                .and_then(Value::as_i64)
                .unwrap_or_default()
        };
        let seconds = u64::try_from(number("/spec/leaseDurationSeconds")).unwrap_or_default();
        Self {
            version: text("/metadata/resourceVersion").to_owned(),
            holder: text("/spec/holderIdentity").to_owned(),
            duration: Duration::from_secs(seconds),
            transitions: number("/spec/leaseTransitions"),
            acquired: lease
                .pointer("/spec/acquireTime")
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// `meta/v1` `MicroTime`: exactly six digits of the second.
fn micro_time(wall: &Time) -> String {
    format!("{:.6}", wall.0)
}
