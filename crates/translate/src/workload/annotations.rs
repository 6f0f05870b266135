//! What annotations of pods and namespaces say about capture.

use weft_api::{
    meta::Labels,
    workload::{
        DRAIN_SECONDS, EXCLUDE_INBOUND_PORTS, EXCLUDE_OUTBOUND_CIDRS, EXCLUDE_OUTBOUND_PORTS,
        OPAQUE_PORTS,
    },
};
use weft_ir::Cidr;

use crate::{
    field::{ANNOTATIONS, Quoted},
    notes::{self, Findings},
};

/// Longest time that connections may be given, in seconds.
const DRAIN_SECONDS_MAX: u32 = 86_400;

/// What the annotations of one object say; `None` where they say nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Annotated {
    pub(super) exclude_inbound_ports: Option<Vec<u16>>,
    pub(super) exclude_outbound_ports: Option<Vec<u16>>,
    pub(super) exclude_outbound_cidrs: Option<Vec<Cidr>>,
    pub(super) opaque_ports: Option<Vec<u16>>,
    pub(super) drain_seconds: Option<u32>,
}

impl Annotated {
    /// Reads them. An entry of a list that means nothing counts as absent, the others count.
    pub(super) fn read(annotations: &Labels, findings: &mut Findings) -> Self {
        let mut reading = Reading {
            annotations,
            findings,
        };
        Self {
            exclude_inbound_ports: reading.list(EXCLUDE_INBOUND_PORTS, "a port", port),
            exclude_outbound_ports: reading.list(EXCLUDE_OUTBOUND_PORTS, "a port", port),
            exclude_outbound_cidrs: reading.list(EXCLUDE_OUTBOUND_CIDRS, "a network", Cidr::parse),
            opaque_ports: reading.list(OPAQUE_PORTS, "a port", port),
            drain_seconds: reading.seconds(DRAIN_SECONDS),
        }
    }

    /// These, and what they leave open as another object says.
    pub(super) fn or(self, other: &Self) -> Self {
        let Self {
            exclude_inbound_ports,
            exclude_outbound_ports,
            exclude_outbound_cidrs,
            opaque_ports,
            drain_seconds,
        } = other;
        let lists = |own: Option<Vec<u16>>, other: &Option<Vec<u16>>| own.or_else(|| other.clone());
        Self {
            exclude_inbound_ports: lists(self.exclude_inbound_ports, exclude_inbound_ports),
            exclude_outbound_ports: lists(self.exclude_outbound_ports, exclude_outbound_ports),
            exclude_outbound_cidrs: self
                .exclude_outbound_cidrs
                .or_else(|| exclude_outbound_cidrs.clone()),
            opaque_ports: lists(self.opaque_ports, opaque_ports),
            drain_seconds: self.drain_seconds.or(*drain_seconds),
        }
    }
}

/// Annotations that are being read.
struct Reading<'a, 'f> {
    annotations: &'a Labels,
    findings: &'f mut Findings,
}

impl Reading<'_, '_> {
    fn list<T: Ord>(
        &mut self,
        key: &'static str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let text = self.annotations.get(key)?;
        let mut values = Vec::new();
        let entries = text.split(',').map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            match parse(entry) {
                Some(value) => values.push(value),
                None => self.complain(key, format!("{} is not {what}", Quoted(entry))),
            }
        }
        values.sort();
        values.dedup();
        Some(values)
    }

    fn seconds(&mut self, key: &'static str) -> Option<u32> {
        let text = self.annotations.get(key)?;
        let seconds = number(text.trim()).filter(|it| *it <= DRAIN_SECONDS_MAX);
        if seconds.is_none() {
            let limits = format!("is no number of seconds up to {DRAIN_SECONDS_MAX}");
            self.complain(key, format!("{} {limits}", Quoted(text)));
        }
        seconds
    }

    fn complain(&mut self, key: &'static str, message: String) {
        let field = ANNOTATIONS.entry(key).to_string();
        self.findings.add(&notes::MESH_ANNOTATION, field, message);
    }
}

fn port(text: &str) -> Option<u16> {
    let port = u16::try_from(number(text)?).ok()?;
    Some(port).filter(|port| *port != 0)
}

/// Digits alone: what Rust takes besides (`+80`) is a slip.
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}
