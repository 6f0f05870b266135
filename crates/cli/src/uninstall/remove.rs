//! Removes what was found, and waits for what has to be gone first.

use std::{io, time::Duration};

use indicatif::ProgressBar;
use weft_source::kube::Cluster;

use super::inventory::{Inventory, Item};
use crate::{args::Global, cluster, exit::Failure, progress};

/// Time between two looks at what is on its way out.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// So often a waiting person sees that something moves.
const TICK: Duration = Duration::from_millis(120);

/// What is on its way out for too long.
type Waited = Result<(), Vec<String>>;

/// Removes everything in its order. `tell` hears of each object that is removed.
///
/// # Errors
/// An object cannot be removed. The inner error is what did not go within the time.
pub(super) async fn all(
    cluster: &Cluster,
    found: &Inventory,
    (patience, global): (Duration, Global),
    tell: impl Fn(String) -> io::Result<()>,
) -> Result<Waited, Failure> {
    let mut going: Vec<&Item> = Vec::new();
    let deadline = tokio::time::sleep(patience);
    tokio::pin!(deadline);
    for item in &found.items {
        // Whatever comes after something awaited of another kind waits for it.
        let is_next = going.first().is_some_and(|first| !is_beside(first, item));
        if is_next {
            tokio::select! {
                gone = gone(cluster, &going, global) => gone?,
                () = &mut deadline => return Ok(Err(names(&going))),
            }
            going.clear();
        }
        let place = item.resource.place(&item.namespace, &item.name);
        let removed = cluster.remove(&place, Some(&item.uid)).await;
        if removed.map_err(cluster::failure)? {
            tell(format!("removed {item}\n"))?;
        }
        if item.is_awaited {
            going.push(item);
        }
    }
    tokio::select! {
        gone = gone(cluster, &going, global) => gone?,
        () = &mut deadline => return Ok(Err(names(&going))),
    }
    for statement in &found.statements {
        if statement.take_back(cluster).await? {
            tell(format!("took back {statement}\n"))?;
        }
    }
    Ok(Ok(()))
}

/// Whether two may go together: those that are awaited, of one kind, but for the control plane, which
/// goes alone.
fn is_beside(first: &Item, next: &Item) -> bool {
    let alone = weft_control::SERVICE_ACCOUNT;
    next.is_awaited && first.kind == next.kind && first.name != alone && next.name != alone
}

fn names(items: &[&Item]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// Waits until all of them are gone, or are others of the same name.
async fn gone(cluster: &Cluster, items: &[&Item], global: Global) -> Result<(), Failure> {
    let spinner = progress::is_wanted(global).then(ProgressBar::new_spinner);
    if let Some(spinner) = &spinner {
        spinner.enable_steady_tick(TICK);
    }
    for item in items {
        if let Some(spinner) = &spinner {
            spinner.set_message(format!("waiting for {item} to go"));
        }
        let place = item.resource.place(&item.namespace, &item.name);
        loop {
            let stored = cluster.look_at(&place).await.map_err(cluster::failure)?;
            let is_it = |stored| cluster::text(stored, "/metadata/uid") == item.uid;
            if !stored.as_ref().is_some_and(is_it) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    Ok(())
}
