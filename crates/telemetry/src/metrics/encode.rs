//! One scrape: sums the lanes and writes OpenMetrics text through prometheus-client's encoder.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};

use super::backend::BackendMetrics;
use super::connection::{ConnectionMetrics, TlsMetrics};
use super::definition as def;
use super::identity::{
    IdentityMetrics, IssuanceMetrics, TrustMetrics, certificates, issuance, roots,
};
use super::labels::{LabelWriter, Labels, NoLabels, Protocol, RuleLabels, Series};
use super::process::{BuildInfo, ConfigMetrics, ProcessMetrics};
use super::request::{Class, RequestHandles, RequestTotals};
use super::writer::{Family, Writer};

/// The content type of a scrape answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The handles one scrape shows.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) build: BuildInfo,
    pub(super) requests: Vec<Arc<RequestHandles>>,
    pub(super) connections: Vec<Arc<ConnectionMetrics>>,
    pub(super) backends: Vec<Arc<BackendMetrics>>,
    pub(super) tls: Arc<TlsMetrics>,
    pub(super) identities: Vec<Arc<IdentityMetrics>>,
    pub(super) trust: Arc<TrustMetrics>,
    pub(super) issuance: Option<Arc<IssuanceMetrics>>,
    pub(super) config: Arc<ConfigMetrics>,
    pub(super) process: Arc<ProcessMetrics>,
}

impl Snapshot {
    pub(super) fn into_text(self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(self));
        let mut out = String::new();
        text::encode(&mut out, &registry).expect("writing to a String cannot fail");
        out
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer::new(encoder);
        self.requests(&mut out)?;
        self.weights(&mut out)?;
        self.connections(&mut out)?;
        self.tls(&mut out)?;
        self.identities(&mut out)?;
        roots(&self.trust, &mut out)?;
        issuance(self.issuance.as_deref(), &mut out)?;
        self.backends(&mut out)?;
        self.config(&mut out)?;
        self.process(&mut out)
    }
}

impl Snapshot {
    fn requests(&self, out: &mut Writer<'_>) -> fmt::Result {
        let rules: Vec<RuleTotals<'_>> = self
            .requests
            .iter()
            .flat_map(|handles| {
                handles.protocols().map(|protocol| RuleTotals {
                    handles,
                    protocol,
                    totals: handles.totals(protocol),
                })
            })
            .collect();
        out.family(&def::REQUESTS, |family| {
            rules.iter().try_for_each(|rule| rule.ends(family))
        })?;
        out.family(&def::REQUEST_DURATION, |family| {
            used(&rules).try_for_each(|rule| rule.durations(family))
        })?;
        out.family(&def::FIRST_BYTE, |family| {
            used(&rules)
                .try_for_each(|rule| family.histogram(&rule.series(&[]), &rule.totals.first_byte))
        })?;
        out.family(&def::REQUEST_BYTES, |family| {
            used(&rules)
                .try_for_each(|rule| family.counter(&rule.series(&[]), rule.totals.request_bytes))
        })?;
        out.family(&def::RESPONSE_BYTES, |family| {
            used(&rules)
                .try_for_each(|rule| family.counter(&rule.series(&[]), rule.totals.response_bytes))
        })?;
        out.family(&def::IN_FLIGHT, |family| {
            used(&rules).try_for_each(|rule| family.gauge(&rule.series(&[]), rule.totals.in_flight))
        })?;
        out.family(&def::RETRIES, |family| {
            used(&rules).try_for_each(|rule| rule.retries(family))
        })?;
        out.family(&def::REQUEST_ERRORS, |family| {
            used(&rules).try_for_each(|rule| rule.errors(family))
        })
    }

    fn weights(&self, out: &mut Writer<'_>) -> fmt::Result {
        // Handles that differ only in workload labels describe the same configured weight.
        let mut shown = BTreeSet::new();
        out.family(&def::ROUTE_WEIGHT, |family| {
            for handles in &self.requests {
                let Some(weight) = handles.weight() else {
                    continue;
                };
                let labels = handles.labels();
                if !shown.insert((&labels.parent, &labels.route, &labels.backend)) {
                    continue;
                }
                let labels = RuleLabels(labels);
                family.gauge(
                    &Series {
                        labels: &labels,
                        extra: &[],
                    },
                    weight,
                )?;
            }
            Ok(())
        })
    }

    fn connections(&self, out: &mut Writer<'_>) -> fmt::Result {
        let ports: Vec<_> = self
            .connections
            .iter()
            .map(|port| (port, port.totals()))
            .collect();
        out.family(&def::CONNECTIONS_OPENED, |family| {
            ports.iter().try_for_each(|(port, totals)| {
                let labels = &**port.labels();
                let plain = Series {
                    labels,
                    extra: &[("tls", "false")],
                };
                family.counter(&plain, totals.opened_plain)?;
                family.counter(
                    &Series {
                        labels,
                        extra: &[("tls", "true")],
                    },
                    totals.opened_tls,
                )
            })
        })?;
        out.family(&def::CONNECTIONS_CLOSED, |family| {
            ports.iter().try_for_each(|(port, totals)| {
                totals
                    .closed
                    .iter()
                    .try_for_each(|((reason, tls), &count)| {
                        let tls = if *tls { "true" } else { "false" };
                        let extra = [("reason", reason.as_str()), ("tls", tls)];
                        family.counter(
                            &Series {
                                labels: &**port.labels(),
                                extra: &extra,
                            },
                            count,
                        )
                    })
            })
        })?;
        out.family(&def::CONNECTION_BYTES, |family| {
            ports.iter().try_for_each(|(port, totals)| {
                let bytes = [
                    ("received", totals.received_bytes),
                    ("sent", totals.sent_bytes),
                ];
                family.counters("direction", &**port.labels(), bytes)
            })
        })?;
        self.detection(out)
    }

    fn detection(&self, out: &mut Writer<'_>) -> fmt::Result {
        let ports: Vec<_> = self
            .connections
            .iter()
            .map(|port| (port, port.totals()))
            .collect();
        out.family(&def::DETECT, |family| {
            ports.iter().try_for_each(|(port, totals)| {
                let counts = totals
                    .detected
                    .iter()
                    .map(|(key, &count)| (key.as_str(), count));
                family.counters("protocol", &port.labels().parent, counts)
            })
        })?;
        out.family(&def::DETECT_DEADLINE, |family| {
            ports.iter().try_for_each(|(port, totals)| {
                let counts = totals
                    .deadlines
                    .iter()
                    .map(|(key, &count)| (key.as_str(), count));
                family.counters("protocol", &port.labels().parent, counts)
            })
        })
    }

    fn tls(&self, out: &mut Writer<'_>) -> fmt::Result {
        out.family(&def::TLS_HANDSHAKES, |family| {
            self.tls
                .totals()
                .into_iter()
                .try_for_each(|(handshake, count)| {
                    let [side, group, version, result] = handshake.values();
                    let extra = [
                        ("side", side),
                        ("group", group),
                        ("version", version),
                        ("result", result),
                    ];
                    family.counter(
                        &Series {
                            labels: &NoLabels,
                            extra: &extra,
                        },
                        count,
                    )
                })
        })
    }

    fn identities(&self, out: &mut Writer<'_>) -> fmt::Result {
        let states: Vec<_> = self.identities.iter().map(|it| (it, it.state())).collect();
        let shown = states.iter().map(|(it, state)| (&**it.labels(), state));
        certificates(&shown.collect::<Vec<_>>(), out)
    }

    fn backends(&self, out: &mut Writer<'_>) -> fmt::Result {
        out.family(&def::ENDPOINTS, |family| {
            self.backends.iter().try_for_each(|backend| {
                backend
                    .endpoints()
                    .by_state()
                    .into_iter()
                    .try_for_each(|(state, count)| {
                        let extra = [("state", state)];
                        family.gauge(
                            &Series {
                                labels: &**backend.labels(),
                                extra: &extra,
                            },
                            count,
                        )
                    })
            })
        })?;
        out.family(&def::ENDPOINT_EJECTIONS, |family| {
            self.backends.iter().try_for_each(|backend| {
                family.counters("cause", &**backend.labels(), backend.ejections())
            })
        })
    }

    fn config(&self, out: &mut Writer<'_>) -> fmt::Result {
        let config = &self.config;
        out.family(&def::CONFIG_GENERATION, |family| {
            family.gauge(&BARE, config.generation())
        })?;
        out.family(&def::CONFIG_APPLY, |family| {
            family.histogram(&BARE, &config.apply_totals())
        })?;
        out.family(&def::CONFIG_REJECTED, |family| {
            config
                .rejections()
                .into_iter()
                .try_for_each(|((kind, reason), count)| {
                    let extra = [("kind", kind), ("reason", reason)];
                    family.counter(
                        &Series {
                            labels: &NoLabels,
                            extra: &extra,
                        },
                        count,
                    )
                })
        })?;
        out.family(&def::TRANSLATE, |family| {
            family.histogram(&BARE, &config.translate_totals())
        })
    }

    fn process(&self, out: &mut Writer<'_>) -> fmt::Result {
        out.family(&def::SHARD_BUSY, |family| {
            let busy = self.process.busy_seconds();
            busy.map_or(Ok(()), |it| family.seconds(&BARE, it))
        })?;
        out.family(&def::PANICS, |family| {
            family.counters("where", &NoLabels, self.process.panics())
        })?;
        out.family(&def::CHANNEL_FULL, |family| {
            family.counters("where", &NoLabels, self.process.channels_full())
        })?;
        out.family(&def::BUILD_INFO, |family| {
            let extra = [
                ("version", self.build.version),
                ("commit", self.build.commit),
            ];
            family.gauge(
                &Series {
                    labels: &NoLabels,
                    extra: &extra,
                },
                1_u64,
            )
        })
    }
}

/// The series of a metric without labels.
const BARE: Series<'static> = Series {
    labels: &NoLabels,
    extra: &[],
};

/// One (rule, backend) and one protocol, summed.
struct RuleTotals<'a> {
    handles: &'a RequestHandles,
    protocol: Protocol,
    totals: RequestTotals,
}

/// The rules that have served anything. The others show only their pre-created counters: with
/// 10,000 idle rules their histograms alone would make a scrape of 200 MB.
fn used<'a, 'b>(rules: &'a [RuleTotals<'b>]) -> impl Iterator<Item = &'a RuleTotals<'b>> {
    rules.iter().filter(|rule| rule.totals.used)
}

impl Labels for RuleTotals<'_> {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        self.handles.labels().write(out)?;
        out.text("protocol", self.protocol.as_str())
    }
}

impl RuleTotals<'_> {
    fn series<'s>(&'s self, extra: &'s [(&'static str, &'s str)]) -> Series<'s> {
        Series {
            labels: self,
            extra,
        }
    }

    fn ends(&self, family: &mut Family<'_>) -> fmt::Result {
        self.totals.ends.iter().try_for_each(|(key, &count)| {
            let (status, grpc_status) = key.statuses();
            let extra = [
                ("class", key.class.as_str()),
                ("status", status.as_str()),
                ("grpc_status", grpc_status.as_str()),
            ];
            family.counter(&self.series(&extra), count)
        })
    }

    fn durations(&self, family: &mut Family<'_>) -> fmt::Result {
        let success = [("class", Class::Success.as_str())];
        family.histogram(&self.series(&success), &self.totals.success)?;
        if self.totals.error.count() == 0 {
            // Nobody divides by it, and most rules never need its nineteen lines.
            return Ok(());
        }
        let error = [("class", Class::Error.as_str())];
        family.histogram(&self.series(&error), &self.totals.error)
    }

    fn retries(&self, family: &mut Family<'_>) -> fmt::Result {
        self.totals
            .retries
            .iter()
            .try_for_each(|((reason, outcome), &count)| {
                let extra = [("reason", reason.as_str()), ("outcome", outcome.as_str())];
                family.counter(&self.series(&extra), count)
            })
    }

    fn errors(&self, family: &mut Family<'_>) -> fmt::Result {
        self.totals.errors.iter().try_for_each(|(reason, &count)| {
            family.counter(&self.series(&[("error", reason.as_str())]), count)
        })
    }
}
