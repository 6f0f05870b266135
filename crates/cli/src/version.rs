//! `weft version`: what is running.

use serde::Serialize;
use weft_telemetry::metrics::BuildInfo;

use crate::{
    args::Global,
    exit::{Exit, Outcome},
    output::{self, Format},
};

/// What this binary is.
pub(crate) const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    commit: match option_env!("WEFT_COMMIT") {
        Some(commit) => commit,
        None => "",
    },
};

/// The version of Gateway API that is implemented.
const GATEWAY_API: &str = "v1.6.1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: u32,
    weft: &'static str,
    commit: &'static str,
    gateway_api: &'static str,
    target: String,
}

/// Runs the command.
pub(crate) fn run(global: Global) -> Outcome {
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    if format == Format::Json {
        output::print_json(&Version {
            version: 1,
            weft: BUILD.version,
            commit: BUILD.commit,
            gateway_api: GATEWAY_API,
            target,
        })?;
    } else {
        let commit = match BUILD.commit {
            "" => String::new(),
            commit => format!(" ({commit})"),
        };
        output::print(&format!(
            "weft {}{commit}\nGateway API {GATEWAY_API}\n{target}\n",
            BUILD.version
        ))?;
    }
    Ok(Exit::Good)
}
