//! A flood and its neighbour: who waits for whom, and what waits where.

use tokio::task::JoinSet;

use super::{book::TURNS, *};

/// Whose polls these were, in order.
type Ran = Arc<Mutex<Vec<&'static str>>>;

/// Is ready again at once, so many times.
async fn busy(name: &'static str, times: usize, ran: Ran) {
    for _ in 0..times {
        lock(&ran).push(name);
        // To the end of the queue, as whoever is woken by another task.
        let mut has_waited = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut has_waited, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// Runs 1000 tasks of a flood and then one of a neighbour that has `STEPS` to take, each with its pod; how
/// many polls of the flood the neighbour has waited for, at most, at one step.
async fn longest_wait(flood: Option<&Share>, neighbour: Option<&Share>) -> usize {
    const STEPS: usize = 10;
    let ran = Ran::default();
    let mut tasks = JoinSet::new();
    let mut spawn = |share: Option<&Share>, task: Pin<Box<dyn Future<Output = ()> + Send>>| {
        match share {
            Some(share) => tasks.spawn(share.run(task)),
            None => tasks.spawn(task),
        };
    };
    for _ in 0..1000 {
        spawn(flood, Box::pin(busy("flood", 20, Arc::clone(&ran))));
    }
    spawn(
        neighbour,
        Box::pin(busy("neighbour", STEPS, Arc::clone(&ran))),
    );
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic");
    }
    let ran = lock(&ran);
    assert_eq!(ran.len(), 1000 * 20 + STEPS, "everybody came to their end");
    let waits = ran.split(|name| *name == "neighbour").take(STEPS);
    waits.map(<[_]>::len).max().unwrap_or_default()
}

#[tokio::test]
async fn a_neighbour_waits_for_a_few_tasks_of_a_flood() {
    let rounds = Rounds::default();
    let dealing = rounds.clone();
    let dealing = tokio::spawn(async move { dealing.deal().await });
    let (flood, neighbour) = (rounds.share(), rounds.share());
    // It does little, and all the time.
    neighbour.turn().await;
    let without = longest_wait(None, None).await;
    assert!(without >= 1000, "without turns for all of them: {without}");
    let with = longest_wait(Some(&flood), Some(&neighbour)).await;
    // It can come into the queue behind the turns of two rounds, one that is dealt and one that was.
    assert!(with <= 2 * TURNS, "waited for {with} tasks at one step");
    let among = longest_wait(Some(&flood), Some(&flood)).await;
    assert!(among >= 1000, "within a pod it is as it was: {among}");
    dealing.abort();
}

#[tokio::test]
async fn who_waits_for_the_network_holds_no_turn() {
    let rounds = Rounds::default();
    let dealing = rounds.clone();
    let dealing = tokio::spawn(async move { dealing.deal().await });
    let share = rounds.share();
    let neighbour = rounds.share();
    neighbour.turn().await;
    let mut silent = JoinSet::new();
    for _ in 0..1000 {
        silent.spawn(share.run(std::future::pending::<()>()));
    }
    share.turn().await;
    share.run(async {}).await;
    assert_eq!(silent.len(), 1000, "they still wait");
    dealing.abort();
}

#[tokio::test]
async fn who_has_gone_while_it_waited_keeps_nobody() {
    let rounds = Rounds::default();
    let dealing = rounds.clone();
    let dealing = tokio::spawn(async move { dealing.deal().await });
    let share = rounds.share();
    let neighbour = rounds.share();
    neighbour.turn().await;
    let ended = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let ended = Arc::clone(&ended);
        tasks.spawn(share.run(async move {
            ended.fetch_add(1, Relaxed);
        }));
    }
    // Those of the first round have ended, and the others wait or have been dealt a turn.
    yield_now().await;
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    assert!(ended.load(Relaxed) < 100, "some were still waiting");
    for _ in 0..3 * TURNS {
        share.turn().await;
    }
    dealing.abort();
}

#[test]
fn who_has_done_nothing_for_two_seconds_is_not_busy() {
    let rounds = Rounds::default();
    let (one, other) = (rounds.share(), rounds.share());
    let is_alone = |share: &Share| rounds.0.is_alone(&share.last);
    assert!(is_alone(&one) && is_alone(&one), "twice is no other");
    assert!(!is_alone(&other), "the other comes");
    assert!(!is_alone(&one));
    rounds.0.passes();
    assert!(!is_alone(&one), "it may come again");
    rounds.0.passes();
    assert!(is_alone(&one), "it has not");
}

#[test]
fn a_thread_that_rests_begins_another_round() {
    let rounds = Rounds::default();
    let resting = rounds.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || resting.rest())
        .build()
        .expect("a runtime");
    // Nobody deals: whoever has to wait for that waits for ever.
    let (share, neighbour) = (rounds.share(), rounds.share());
    runtime.block_on(async {
        neighbour.turn().await;
        for _ in 0..10 * TURNS {
            share.turn().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}
