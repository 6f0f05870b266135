//! `weft uninstall --mesh-only`: the mesh goes, and everything else serves as before.

use std::fmt::Write as _;

use weft_source::kube::Cluster;

use super::{Options, Report, conclude, is_confirmed, may_end, members, mesh::Mesh, print_left};
use crate::{
    exit::{Exit, Outcome},
    output::{self, Format},
};

/// Takes the mesh apart.
pub(super) async fn uninstall(cluster: &Cluster, options: &Options, format: Format) -> Outcome {
    let mesh = Mesh::find(cluster, &options.namespace).await?;
    let mut report = Report {
        version: 1,
        removed: mesh.parts(&options.namespace),
        kept: Vec::new(),
        left: Vec::new(),
    };
    if report.removed.is_empty() {
        return conclude(&report, format, "there is no mesh of Weft in this cluster");
    }
    if options.dry_run {
        if format == Format::Text {
            output::print(&plan(&mesh, &report.removed, cluster.url()))?;
        }
        return conclude(
            &report,
            format,
            "would take the mesh apart, and nothing else",
        );
    }
    may_end(&mesh, options.end_mesh)?;
    if !options.yes && !is_confirmed(&plan(&mesh, &report.removed, cluster.url()))? {
        output::tell("nothing was removed");
        return Ok(Exit::Good);
    }
    let tell = |line: String| match format {
        Format::Text => output::print(&line),
        _ => Ok(()),
    };
    let ended = mesh.end(cluster, &options.namespace, &tell).await?;
    let ended = match ended {
        Ok(()) => mesh.dismiss(cluster, &options.namespace).await?,
        left => left,
    };
    if let Err(waiting) = ended {
        report.left = waiting;
        print_left(&report, format)?;
        return Ok(Exit::Timeout);
    }
    conclude(&report, format, "nothing of the mesh is left on any node")
}

fn plan(mesh: &Mesh, parts: &[String], url: &str) -> String {
    let mut text = format!("What is of the mesh in {url}:\n");
    for part in parts {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {part}");
    }
    if !mesh.members.is_empty() {
        let _ = writeln!(text, "Out of the mesh, and in the clear: {}", members(mesh));
    }
    text
}
