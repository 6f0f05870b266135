//! What the follower hears of a worker from its first word to its end, however it ends: on its own,
//! hung up on, or killed with its keeper. Nobody may wait for the answer of one that is gone.

use tokio::{
    runtime::Handle,
    sync::mpsc::{self, error::TrySendError},
};

use super::supply::{Fed, Supply};
use crate::node::roster::Shard;

/// A worker that the follower counts on. Dropped, it is counted out.
pub(super) struct Presence {
    fed: mpsc::Sender<Fed>,
    shard: Shard,
    life: u64,
}

impl Presence {
    /// Counts a worker in.
    pub(super) async fn begin(supply: &Supply, shard: &Shard, life: u64) -> Self {
        // A follower that ends does not listen any more.
        let _told = supply.fed.send(Fed::Joined(shard.clone(), life)).await;
        Self {
            fed: supply.fed.clone(),
            shard: shard.clone(),
            life,
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let left = Fed::Left(self.shard.clone(), self.life);
        let Err(TrySendError::Full(left)) = self.fed.try_send(left) else {
            return;
        };
        // No two lives have the same number, so it may come after what is said of a later one.
        if let Ok(runtime) = Handle::try_current() {
            let fed = self.fed.clone();
            runtime.spawn(async move {
                let _told = fed.send(left).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_is_counted_out_even_while_nobody_listens() {
        let (fed, mut heard) = mpsc::channel(1);
        let shard = Shard::new("shop");
        let presence = |life| Presence {
            fed: fed.clone(),
            shard: shard.clone(),
            life,
        };
        let (first, second) = (presence(1), presence(2));
        drop(first);
        // There is no room for this one yet.
        drop(second);
        for expected in [1, 2] {
            let Some(Fed::Left(of, life)) = heard.recv().await else {
                panic!("worker {expected} is gone, and nobody was told");
            };
            assert_eq!((of, life), (shard.clone(), expected));
        }
    }
}
