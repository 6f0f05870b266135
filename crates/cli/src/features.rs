//! `weft features`: what of Gateway API is supported, from the one slice that statuses and the
//! documentation are made of.

use serde::Serialize;
use weft_translate::features::{self, Channel, Feature};

use crate::{
    args::Global,
    exit::{Exit, Outcome},
    output::{self, Format, table},
};

#[derive(Serialize)]
struct Features {
    version: u32,
    features: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    resource: &'static str,
    channel: &'static str,
    level: &'static str,
    supported: bool,
}

impl From<&'static Feature> for Row {
    fn from(feature: &'static Feature) -> Self {
        Self {
            name: feature.name,
            resource: feature.resource,
            channel: match feature.channel {
                Channel::Standard => "standard",
                Channel::Experimental => "experimental",
            },
            level: if feature.core { "core" } else { "extended" },
            supported: feature.implemented,
        }
    }
}

/// Runs the command.
pub(crate) fn run(global: Global) -> Outcome {
    let format = global
        .output
        .one_of(&[Format::Text, Format::Json, Format::Markdown])?;
    let features: Vec<Row> = features::ALL.iter().map(Row::from).collect();
    if format == Format::Json {
        output::print_json(&Features {
            version: 1,
            features,
        })?;
    } else {
        let head = ["feature", "resource", "channel", "level", "supported"];
        let rows = features.iter().map(|row| {
            let supported = if row.supported { "yes" } else { "no" };
            [row.name, row.resource, row.channel, row.level, supported]
        });
        let text = match format {
            Format::Markdown => table::markdown(head, rows),
            _ => table::whole(head.map(str::to_uppercase), rows),
        };
        output::print(&format!("{text}\n"))?;
    }
    Ok(Exit::Good)
}
