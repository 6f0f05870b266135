//! The pods of one worker, and what is made for it in their namespaces: sockets, and nowhere else.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tokio::task::JoinSet;
use weft_intercept::{MAX_DESCRIPTORS, Netns, sockets};
use weft_spiffe::SpiffeId;

use crate::{
    child::Lent,
    node::{
        core::Hold,
        messages::{self, Order, Sockets, Want},
    },
};

/// Questions for sockets that a worker may have open, beside one for each family of each of its pods.
/// One that has more asks for the sake of asking.
const WANTS: usize = 8;

/// A pod that a worker has.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) netns: Arc<Netns>,
    pub(super) uid: String,
    pub(super) identity: SpiffeId,
}

/// All of them: what follows from having a pod is the worker's, and nothing else.
pub(super) type Pods = BTreeMap<Hold, Served>;

/// Sockets in the namespace of a pod, or why there are none.
pub(super) type Made = Result<Vec<Lent>, String>;

/// A worker that asks for sockets without end.
#[derive(Debug, thiserror::Error)]
#[error("it asks for sockets without end")]
pub(super) struct Insatiable;

/// What a worker wants. At most one question is answered at a time, so that a worker that asks without
/// end keeps nobody else waiting.
#[derive(Default)]
pub(super) struct Wants {
    waiting: VecDeque<Want>,
    making: JoinSet<(Want, Made)>,
}

impl Wants {
    /// # Errors
    /// [`Insatiable`].
    pub(super) fn add(&mut self, want: Want, pods: &Pods) -> Result<(), Insatiable> {
        if self.waiting.len() >= 2 * pods.len() + WANTS {
            return Err(Insatiable);
        }
        self.waiting.push_back(want);
        self.make(pods);
        Ok(())
    }

    /// Makes the next sockets, in the namespace of a pod of this worker. For another one the worker is
    /// told that it has none, whatever it says it has.
    pub(super) fn make(&mut self, pods: &Pods) {
        if !self.making.is_empty() {
            return;
        }
        let Some(want) = self.waiting.pop_front() else {
            return;
        };
        let pod = want.hold.and_then(|held| pods.get(&held.into()));
        let netns = pod.map(|pod| Arc::clone(&pod.netns));
        self.making.spawn_blocking(move || {
            let made = made(netns.as_deref(), &want);
            (want, made)
        });
    }

    /// What was made last; nothing when nothing is under way. Can be dropped.
    pub(super) async fn next(&mut self) -> Option<(Want, Made)> {
        // What panicked is a defect, which its question then has no answer to.
        self.making.join_next().await?.ok()
    }
}

/// The answer to a question.
pub(super) fn answer(want: &Want, made: Made) -> (Order, Vec<Lent>) {
    let (sockets, error) = match made {
        Ok(sockets) => (sockets, String::new()),
        Err(error) => (Vec::new(), error),
    };
    let order = Order::Sockets(Sockets {
        hold: want.hold,
        family: want.family,
        asked: want.count,
        count: u32::try_from(sockets.len()).unwrap_or_default(),
        error,
    });
    (order, sockets)
}

fn made(netns: Option<&Netns>, want: &Want) -> Made {
    let netns = netns.ok_or("the pod is not served by this worker")?;
    let family = messages::family(want.family).ok_or("there is no such family of addresses")?;
    let count = usize::try_from(want.count).unwrap_or(MAX_DESCRIPTORS);
    let made = sockets::dialling(netns, family, count.min(MAX_DESCRIPTORS));
    let made = made.map_err(|error| error.to_string())?;
    let lend = |socket| -> Lent { Arc::new(socket) };
    Ok(made.into_iter().map(lend).collect())
}
