//! Whatever happens in whatever order: nothing is captured that nobody listens for, each question gets
//! one answer, and in the end the node is as the roster says and nothing is kept of what is gone.

mod world;

use proptest::prelude::*;

use self::world::{Op, World};

const PODS: usize = 3;
const SHARDS: [&str; 2] = ["shop", "pay"];

fn op() -> impl Strategy<Value = Op> {
    let pod = 0..PODS;
    let shard = 0..SHARDS.len();
    prop_oneof![
        3 => (pod.clone(), any::<bool>()).prop_map(|(pod, reuses)| Op::Add { pod, reuses }),
        1 => pod.clone().prop_map(|pod| Op::AddAgain { pod }),
        2 => pod.clone().prop_map(|pod| Op::Del { pod }),
        1 => pod.clone().prop_map(|pod| Op::DelLate { pod }),
        1 => pod.clone().prop_map(|pod| Op::Check { pod }),
        2 => (pod, 0_u8..3).prop_map(|(pod, as_what)| Op::Enlist { pod, as_what }),
        8 => (any::<usize>(), prop::bool::weighted(0.8))
            .prop_map(|(which, succeeds)| Op::Job { which, succeeds }),
        2 => Just(Op::Look),
        2 => Just(Op::Report),
        8 => shard.clone().prop_map(|shard| Op::Act { shard }),
        8 => any::<usize>().prop_map(|which| Op::Hear { which }),
        1 => shard.clone().prop_map(|shard| Op::Kill { shard }),
        2 => shard.prop_map(|shard| Op::Spawn { shard }),
        2 => (0_u64..20).prop_map(|seconds| Op::Pass { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_node_becomes_what_the_roster_says(ops in prop::collection::vec(op(), 0..120)) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
        }
        // In the end a roster comes, and time passes.
        world.enlist_again();
        world.settle();
        world.remove_unstarted();
        world.settle();
        world.judge();
    }
}
