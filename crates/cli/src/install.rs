//! `weft install`: the manifests of the control plane, for `kubectl apply` and for GitOps.
//!
//! They are the templates of the Helm chart, `charts/weft`, which are part of this binary: there is
//! one description of what is installed, and two ways to it.

mod chart;
mod template;
#[cfg(test)]
mod tests;
mod values;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::{
    args::{Global, Install, Show},
    exit::{Exit, Failure, Outcome},
    output::{self, Format},
};

/// What fills templates.
#[derive(Debug)]
struct Release {
    /// The namespace of the control plane.
    namespace: String,
    /// A value for every field.
    values: BTreeMap<&'static str, Value>,
}

impl Release {
    /// Whether nodes have proxies.
    fn has_mesh(&self) -> bool {
        self.values.get("mesh.enabled") == Some(&Value::Bool(true))
    }
}

/// Runs the command.
pub(crate) fn run(args: &Install, global: Global) -> Outcome {
    global.output.one_of(&[Format::Text])?;
    let text = match args.show {
        Show::Manifests => chart::manifests(&release(args)?)?,
        Show::Values => values::commented()?,
        Show::Schema => {
            let mut text = serde_json::to_string_pretty(&values::schema())?;
            text.push('\n');
            text
        }
    };
    output::print(&text)?;
    Ok(Exit::Good)
}

/// The objects of an installation with every default but for the mesh, which it has or not, as
/// `weft check` compares them.
///
/// # Errors
/// A template of the chart cannot be filled.
pub(crate) fn shipped(has_mesh: bool) -> Result<Vec<Value>, Failure> {
    let mut values = values::defaults();
    values.insert("mesh.enabled", Value::Bool(has_mesh));
    let release = Release {
        namespace: "weft-system".to_owned(),
        values,
    };
    Ok(serde_saphyr::from_multiple(&chart::manifests(&release)?)?)
}

fn release(args: &Install) -> Result<Release, Failure> {
    let mut values = values::defaults();
    for path in &args.values {
        let given = read(path)?;
        for (name, value) in given {
            let wrong = |error| Failure::usage(format!("{}: {error}", path.display()));
            values::set(&mut values, &name, value).map_err(wrong)?;
        }
    }
    for setting in &args.set {
        let given = serde_saphyr::from_str(&setting.value)
            .map_err(|error| Failure::usage(format!("--set {}: {error}", setting.name)))?;
        values::set(&mut values, &setting.name, given)
            .map_err(|error| Failure::usage(format!("--set {error}")))?;
    }
    Ok(Release {
        namespace: args.namespace.clone(),
        values,
    })
}

fn read(path: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::unreachable(format!("cannot read {shown}: {error}")))?;
    // A file with nothing but comments has no values.
    let read: Option<BTreeMap<String, Value>> = serde_saphyr::from_str(&text)
        .map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    Ok(read.unwrap_or_default())
}
