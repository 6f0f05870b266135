//! What the supervisor of a node shows of itself: readiness, metrics, tables.

use std::{fmt::Write, time::Duration};

use tokio::sync::watch;
use weft_certs::RenewalStatus;

use super::{follower::View, shards::Watched, terms::Shown};
use crate::{
    admin::{EARLY, Merged, MetricsText, Readiness, State},
    control, dump,
};

/// Time for the workers to say their metrics.
const SCRAPE: Duration = Duration::from_secs(3);

/// Families of the supervisor, which no worker may have.
const FAMILIES: &[Family] = &[
    Family {
        name: "weft_pod_captured",
        kind: "gauge",
        help: "Whether the pod, which is a member, is captured as it should be.",
    },
    Family {
        name: "weft_capture_repairs",
        kind: "counter",
        help: "Captures that were damaged from outside and repaired.",
    },
    Family {
        name: "weft_shard_restarts",
        kind: "counter",
        help: "Workers that ended unasked and were replaced.",
    },
    Family {
        name: "weft_config_nacks",
        kind: "counter",
        help: "Changes that were not put in force whole; the control plane was told.",
    },
    Family {
        name: "weft_control_plane_connected",
        kind: "gauge",
        help: "Whether a configuration stream is open.",
    },
];

struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

/// What the admin endpoint needs.
pub(super) struct AdminState {
    pub(super) view: watch::Receiver<View>,
    pub(super) shown: watch::Receiver<Shown>,
    pub(super) renewal: watch::Receiver<RenewalStatus>,
    pub(super) workers: Watched,
    /// The control plane, and who the supervisor is to it.
    pub(super) control: control::Settings,
}

impl State for AdminState {
    fn metrics(&self) -> MetricsText<'_> {
        Box::pin(async move {
            let texts = self.workers.metrics(SCRAPE).await;
            let reserved: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
            let mut own = dump::identity_metrics(&self.control.identity(), &self.renewal.borrow());
            for family in FAMILIES {
                self.write(family, &mut own);
            }
            let mut merged = Merged::default();
            merged.own(&own);
            for (shard, text) in &texts {
                merged.worker(Some(shard.as_str()), text, &reserved);
            }
            merged.into_text()
        })
    }

    fn ready(&self) -> Result<(), String> {
        let view = self.view.borrow();
        if view.is_leaving {
            return Err("the proxy of the node is ending".to_owned());
        }
        if view.revision.is_none() {
            return Err(self.waits_for(&view));
        }
        // Which includes that the plugin is heard.
        if !self.shown.borrow().is_ready {
            let why = "the list of namespaces is not on disk, where the CNI plugin reads it";
            return Err(why.to_owned());
        }
        Ok(())
    }

    fn ready_soon(&self) -> Readiness<'_> {
        Box::pin(async move {
            let (mut view, mut shown) = (self.view.clone(), self.shown.clone());
            let ready = async {
                loop {
                    drop(shown.borrow_and_update());
                    if view.borrow_and_update().is_leaving || self.ready().is_ok() {
                        return;
                    }
                    let changed = tokio::select! {
                        changed = view.changed() => changed,
                        changed = shown.changed() => changed,
                    };
                    if changed.is_err() {
                        return;
                    }
                }
            };
            let _late = tokio::time::timeout(EARLY, ready).await;
            self.ready()
        })
    }

    fn config(&self) -> String {
        let revision = self.view.borrow().revision.clone();
        let identity = dump::identity(&self.control.identity(), &self.renewal.borrow());
        let number = revision.as_ref().map(|it| it.number);
        let configuration = revision.as_ref().map(|it| &it.configuration);
        dump::config(number, configuration, &[identity])
    }

    fn log(&self, filter: &str) -> Result<(), String> {
        self.workers.log(filter).map_err(|deaf| {
            let deaf: Vec<_> = deaf.iter().map(ToString::to_string).collect();
            format!("workers that are too busy to hear it: {}", deaf.join(", "))
        })
    }
}

impl AdminState {
    /// What keeps a node without configuration from having one.
    fn waits_for(&self, view: &View) -> String {
        let renewal = self.renewal.borrow();
        let why = if renewal.not_after_unix_s.is_none() {
            let error = renewal.last_error.as_ref().map(ToString::to_string);
            error.unwrap_or_else(|| "a certificate is being asked for".to_owned())
        } else {
            let error = view.link_error.clone();
            error.unwrap_or_else(|| "the first configuration is on its way".to_owned())
        };
        format!(
            "waiting for the control plane at {}: {why}",
            self.control.host
        )
    }

    /// A family with its samples; nothing where there are none.
    fn write(&self, family: &Family, text: &mut String) {
        let samples = self.samples(family.name);
        if samples.is_empty() {
            return;
        }
        let Family { name, kind, help } = family;
        let suffix = if *kind == "counter" { "_total" } else { "" };
        // Writing to a string does not fail.
        let _written = writeln!(text, "# TYPE {name} {kind}\n# HELP {name} {help}");
        for (labels, value) in samples {
            let _written = writeln!(text, "{name}{suffix}{labels} {value}");
        }
    }

    /// Labels in braces, or none, and the value of each sample.
    fn samples(&self, family: &str) -> Vec<(String, String)> {
        let one = |value: String| vec![(String::new(), value)];
        match family {
            "weft_pod_captured" => {
                let shown = self.shown.borrow();
                let captured = shown.captured.iter().map(|(member, is_captured)| {
                    let (namespace, pod) = (&member.namespace, &member.pod);
                    let labels = format!("{{namespace=\"{namespace}\",pod=\"{pod}\"}}");
                    (labels, u8::from(*is_captured).to_string())
                });
                captured.collect()
            }
            "weft_capture_repairs" => {
                let shown = self.shown.borrow();
                let repairs = shown.repairs.iter();
                let repairs = repairs
                    .map(|(fault, count)| (format!("{{fault=\"{fault}\"}}"), count.to_string()));
                repairs.collect()
            }
            "weft_shard_restarts" => {
                let ends = self.workers.ends().into_iter();
                let ends = ends
                    .map(|(shard, count)| (format!("{{shard=\"{shard}\"}}"), count.to_string()));
                ends.collect()
            }
            "weft_config_nacks" => one(self.view.borrow().nacks.to_string()),
            "weft_control_plane_connected" => {
                one(u8::from(self.view.borrow().is_connected).to_string())
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use weft_telemetry::metrics::{ALL, BY_PARENTS};

    use super::FAMILIES;

    #[test]
    fn what_a_supervisor_says_is_known_to_those_who_ask() {
        for family in FAMILIES {
            let suffix = if family.kind == "counter" {
                "_total"
            } else {
                ""
            };
            let name = format!("{}{suffix}", family.name);
            let known = BY_PARENTS.iter().find(|it| it.name == name);
            let known = known.unwrap_or_else(|| panic!("{name} is not in BY_PARENTS"));
            assert_eq!(known.help, family.help, "{name}");
            assert!(
                ALL.iter().all(|it| it.name != name),
                "{name} is a worker's as well"
            );
        }
    }
}
