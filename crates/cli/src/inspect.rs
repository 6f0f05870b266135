//! `weft describe`: an object with what is attached to it, and how it is judged.
//!
//! The verdicts are those of translation, which the control plane writes into statuses; so this is
//! what a status should say, whether or not somebody has written it.

mod gateway;
mod route;
mod service;
#[cfg(test)]
mod tests;
mod text;

use std::{io, str::FromStr};

use clap::Args;
use serde::{Serialize, Serializer, ser::SerializeMap};
use weft_api::{AnyObject, Kind, ObjectKey, ObjectRef, Scope};
use weft_source::Finding;

use crate::{
    args::Global,
    exit::{Exit, Failure, Outcome},
    findings,
    load::{Loaded, Origin},
    output::{self, Format, Paint},
    status,
};

/// Options of `weft describe`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft describe gateway/edge -n shop
  weft describe httproute/shop/web -f yaml/
  weft describe svc/shop/web -o json

Kinds are written as for kubectl. Exit codes: 0, or 2 when the object does not exist.")]
pub(crate) struct Options {
    /// The object
    #[arg(value_name = "KIND/[NS/]NAME")]
    object: Asked,
    /// Its namespace, unless it is named before
    #[arg(
        short = 'n',
        long = "namespace",
        default_value = "default",
        value_name = "NS"
    )]
    namespace: String,
    #[command(flatten)]
    origin: Origin,
}

/// An object as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    kind: Kind,
    namespace: Option<String>,
    name: String,
}

/// Short names of `kubectl` and of the CRDs.
const SHORT: &[(&str, Kind)] = &[
    ("ns", Kind::Namespace),
    ("svc", Kind::Service),
    ("gc", Kind::GatewayClass),
    ("gtw", Kind::Gateway),
    ("lset", Kind::ListenerSet),
    ("refgrant", Kind::ReferenceGrant),
    ("btlspolicy", Kind::BackendTlsPolicy),
    ("tr", Kind::TlsRoute),
];

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts.as_slice() {
            [kind, name] => (*kind, None, *name),
            [kind, namespace, name] => (*kind, Some((*namespace).to_owned()), *name),
            _ => return Err("write KIND/NAME or KIND/NS/NAME, such as gateway/shop/edge".into()),
        };
        let kind = kind.to_ascii_lowercase();
        let by_name = |it: &&Kind| it.as_str().to_ascii_lowercase() == kind || it.plural() == kind;
        let short = SHORT.iter().find(|(short, _)| *short == kind);
        let kind = short
            .map(|(_, kind)| kind)
            .or_else(|| Kind::ALL.iter().find(by_name));
        let kind = kind.ok_or_else(|| {
            let known: Vec<_> = Kind::ALL.iter().map(|it| it.as_str()).collect();
            format!("no such kind; there are {}", known.join(", "))
        })?;
        if name.is_empty() {
            return Err("the name is missing".to_owned());
        }
        Ok(Self {
            kind: *kind,
            namespace,
            name: name.to_owned(),
        })
    }
}

impl Asked {
    fn reference(&self, default_namespace: &str) -> ObjectRef {
        let namespace = self.namespace.as_deref().unwrap_or(default_namespace);
        let key = match self.kind.scope() {
            Scope::Cluster => ObjectKey::cluster(self.name.as_str()),
            Scope::Namespaced => ObjectKey::new(namespace, self.name.as_str()),
        };
        ObjectRef::new(self.kind, key)
    }
}

/// Everything about an object; the JSON form only grows.
#[derive(Debug, Serialize)]
struct Description {
    version: u32,
    /// `Gateway shop/edge`
    object: String,
    /// Names and values.
    #[serde(serialize_with = "as_map")]
    facts: Vec<(&'static str, String)>,
    /// How it is judged.
    conditions: Vec<Verdict>,
    /// Tables of what belongs to it.
    sections: Vec<Section>,
    findings: Vec<Finding>,
}

/// A condition, and which part of the object it is about.
#[derive(Debug, Serialize)]
struct Verdict {
    #[serde(skip_serializing_if = "String::is_empty")]
    about: String,
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
    message: String,
}

/// A table.
#[derive(Debug)]
struct Section {
    title: &'static str,
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Section {
    fn new<const N: usize>(
        title: &'static str,
        head: &'static [&'static str; N],
        rows: Vec<[String; N]>,
    ) -> Self {
        Self {
            title,
            head,
            rows: rows.into_iter().map(Vec::from).collect(),
        }
    }
}

/// In JSON a row is an object.
impl Serialize for Section {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = |row: &Vec<String>| -> serde_json::Map<String, serde_json::Value> {
            let names = self.head.iter().map(|name| name.to_ascii_lowercase());
            let values = row.iter().map(|value| value.as_str().into());
            names.zip(values).collect()
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("title", self.title)?;
        map.serialize_entry("rows", &rows)?;
        map.end()
    }
}

fn as_map<S: Serializer>(
    facts: &[(&'static str, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(facts.iter().map(|(name, value)| (name, value)))
}

/// Runs the command.
pub(crate) fn run(options: &Options, global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    let loaded = options.origin.load(global)?;
    let reference = options.object.reference(&options.namespace);
    let description = describe(&loaded, &reference)?;
    if format == Format::Json {
        output::print_json(&description)?;
    } else {
        let paint = Paint(global.color.on(&io::stdout()));
        output::print(&text::text(&description, paint))?;
    }
    Ok(Exit::Good)
}

fn describe(loaded: &Loaded, reference: &ObjectRef) -> Result<Description, Failure> {
    let object = loaded.store.get(reference);
    let object = object.ok_or_else(|| Failure::errors(format!("there is no {reference}")))?;
    let (facts, sections) = match &object {
        AnyObject::GatewayClass(class) => gateway::of_class(loaded, class),
        AnyObject::Gateway(gateway) => gateway::of_gateway(loaded, gateway),
        AnyObject::Service(service) => service::of_service(loaded, service),
        _ => route::of_route(loaded, reference),
    };
    let status = loaded.output.statuses.get(reference);
    let conditions = status.map(|it| status::conditions(it)).unwrap_or_default();
    let verdict = |(about, condition): (String, &weft_api::Condition)| Verdict {
        about,
        type_: condition.type_.clone(),
        status: format!("{:?}", condition.status),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    };
    let notes = loaded.output.notes.get(reference);
    let notes: Vec<_> = notes.into_iter().flat_map(|notes| notes.iter()).collect();
    let mut all = findings::of_notes(&notes, &loaded.places);
    let of_files = loaded.findings.iter();
    all.extend(
        of_files
            .filter(|it| it.object.as_ref() == Some(reference))
            .cloned(),
    );
    Ok(Description {
        version: 1,
        object: reference.to_string(),
        facts,
        conditions: conditions.into_iter().map(verdict).collect(),
        sections,
        findings: all,
    })
}
