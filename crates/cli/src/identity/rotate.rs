//! `weft identity rotate`: asks the leader of the control plane to replace the root or the issuer, by
//! an annotation of the authority's Secret, and follows how it goes.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Map;
use weft_control::orders;
use weft_source::kube::Cluster;

use super::{Whose, roots::Rotation, rotation, secret};
use crate::{
    args::{Global, duration},
    clock, cluster,
    exit::{Exit, Failure, Outcome},
    output::{self, Format},
};

/// Between two looks at a rotation.
const LOOK: Duration = Duration::from_secs(1);

/// Options of `weft identity rotate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft identity rotate --dry-run        how it stands, and what would be asked for
  weft identity rotate --wait           another root, in three phases, until the old one is gone
  weft identity rotate issuer           another issuer under the same root
  weft identity rotate --force-step     go on although somebody has not followed

Nothing restarts and no connection is cut. A phase ends when every proxy has followed, with its workers;
`weft identity roots` names those that have not. Certificates are renewed within ten minutes, unless the
control plane was told otherwise (--rotation-spread). Whoever is passed over by --force-step cannot speak
with the others until it hears of the new root.")]
pub(super) struct Options {
    #[command(flatten)]
    whose: Whose,
    /// What to replace
    #[arg(value_enum, default_value_t)]
    what: What,
    /// Only say what would be asked for
    #[arg(long)]
    dry_run: bool,
    /// Order the next step of the rotation under way, without waiting for those who lag
    #[arg(long)]
    force_step: bool,
    /// Wait until the rotation is over
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// How long to wait
    #[arg(long, default_value = "4h", value_parser = duration, value_name = "TIME", requires = "wait")]
    timeout: Duration,
}

/// What can be replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum What {
    /// The root and the issuer under it
    #[default]
    Root,
    /// The issuer alone
    Issuer,
}

/// What was ordered; the JSON form only grows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    version: u32,
    /// The annotation that was written, or would be.
    order: String,
    /// Whether it was written.
    written: bool,
    /// How the rotation stands afterwards.
    rotation: Rotation,
}

/// Runs the command.
pub(super) async fn run(options: &Options, global: Global, format: Format) -> Outcome {
    let cluster = options.whose.cluster.connect().await?;
    let namespace = options.whose.control_namespace.as_str();
    let before = rotation(&cluster, namespace).await?;
    let (name, value) = order(options, &before)?;
    let is_written = !options.dry_run;
    if is_written {
        let annotations = Map::from_iter([(name.to_owned(), value.into())]);
        let annotated = cluster.annotate(&secret(namespace), annotations).await;
        annotated.map_err(cluster::failure)?;
    }
    let (after, exit) = if options.wait {
        follow(&cluster, options, global).await?
    } else {
        (rotation(&cluster, namespace).await?, Exit::Good)
    };
    let report = Report {
        version: 1,
        order: format!("{name}={value}"),
        written: is_written,
        rotation: after,
    };
    if format == Format::Json {
        output::print_json(&report)?;
    } else {
        let would = if is_written { "" } else { "would be " };
        let text = format!(
            "{would}annotated: Secret {namespace}/{} {}\nrotation: {}\n",
            orders::SECRET,
            report.order,
            report.rotation.words()
        );
        output::print(&text)?;
    }
    Ok(exit)
}

/// The annotation that says what is asked for, if it makes sense now.
fn order(options: &Options, now: &Rotation) -> Result<(&'static str, &'static str), Failure> {
    let underway = matches!(now, Rotation::Underway { .. });
    // Who may not look may be allowed to write: the leader knows whether the order makes sense.
    let is_known = *now != Rotation::Hidden;
    match (options.force_step, options.what) {
        (false, _) if underway => Err(Failure::errors(format!(
            "a rotation is under way: {}; wait for its end, or order its next step with --force-step",
            now.words()
        ))),
        (true, _) if is_known && !underway => Err(Failure::errors(
            "no rotation is under way whose step could be forced; begin one without --force-step",
        )),
        (true, _) => Ok((orders::STEP, "force")),
        (false, What::Root) => Ok((orders::ROTATE, "root")),
        (false, What::Issuer) => Ok((orders::ROTATE, "issuer")),
    }
}

/// Looks until the rotation is over, or the time; says each phase and who lags once.
async fn follow(
    cluster: &Cluster,
    options: &Options,
    global: Global,
) -> Result<(Rotation, Exit), Failure> {
    let began = clock::now();
    let mut said = String::new();
    loop {
        let now = rotation(cluster, &options.whose.control_namespace).await?;
        match now {
            Rotation::None => return Ok((now, Exit::Good)),
            Rotation::Hidden => return Err(Failure::errors(now.words())),
            Rotation::Asked { .. } | Rotation::Underway { .. } => {}
        }
        if clock::now().saturating_duration_since(began) >= options.timeout {
            return Ok((now, Exit::Timeout));
        }
        let words = now.words();
        if words != said && !global.quiet {
            output::tell(&words);
            said = words;
        }
        tokio::time::sleep(LOOK).await;
    }
}
