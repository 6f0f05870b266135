//! Writes metric families: a thin layer over prometheus-client's encoder that takes names, types
//! and help texts from the definitions, so that the scrape and the reference cannot differ.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet};

use super::definition::MetricDef;
use super::histogram::HistogramTotals;
use super::labels::{Labels, Series};

/// Writes one scrape.
pub(super) struct Writer<'a>(DescriptorEncoder<'a>);

impl<'a> Writer<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// Writes the header of `metric` and then its series, which must be contiguous.
    pub(super) fn family(
        &mut self,
        metric: &MetricDef,
        series: impl FnOnce(&mut Family<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let unit = metric.encoder_unit();
        let (stem, kind) = (metric.stem(), metric.encoder_type());
        let encoder = self
            .0
            .encode_descriptor(stem, metric.help, unit.as_ref(), kind)?;
        series(&mut Family(encoder))
    }
}

/// Writes the series of one metric.
pub(super) struct Family<'a>(MetricEncoder<'a>);

impl Family<'_> {
    pub(super) fn counter(&mut self, series: &Series<'_>, value: u64) -> fmt::Result {
        self.0
            .encode_family(series)?
            .encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// A counter of time.
    pub(super) fn seconds(&mut self, series: &Series<'_>, value: f64) -> fmt::Result {
        self.0
            .encode_family(series)?
            .encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// One counter per value of the label `name`.
    pub(super) fn counters<'s>(
        &mut self,
        name: &'static str,
        labels: &dyn Labels,
        counts: impl IntoIterator<Item = (&'s str, u64)>,
    ) -> fmt::Result {
        counts.into_iter().try_for_each(|(value, count)| {
            self.counter(
                &Series {
                    labels,
                    extra: &[(name, value)],
                },
                count,
            )
        })
    }

    pub(super) fn gauge(
        &mut self,
        series: &Series<'_>,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.0.encode_family(series)?.encode_gauge(&value)
    }

    pub(super) fn histogram(
        &mut self,
        series: &Series<'_>,
        totals: &HistogramTotals,
    ) -> fmt::Result {
        let (sum, count) = (totals.sum_seconds(), totals.count());
        self.0
            .encode_family(series)?
            .encode_histogram::<NoLabelSet>(sum, count, &totals.buckets(), None)
    }
}
