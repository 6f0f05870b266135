//! Files of `/proc` as the kernel writes them.

use super::{Stat, descendants, parse_stat, resident_kib};

#[test]
fn processor_time_is_that_of_the_process_and_its_ended_children() {
    let text = "4242 (a) b (c) S 17 4242 4242 0 -1 4194560 1200 30 0 0 150 50 7 3 20 0 2 0 900 1 2";
    let expected = Stat {
        parent: 17,
        ticks: 150 + 50 + 7 + 3,
    };
    assert_eq!(parse_stat(text), Some(expected));
    assert_eq!(parse_stat("4242 (x) S 17"), None, "cut off");
}

#[test]
fn a_tree_is_a_process_and_all_below_it() {
    let parents = [
        (1, 0),
        (10, 1),
        (11, 10),
        (12, 11),
        (13, 10),
        (20, 1),
        (21, 20),
    ];
    assert_eq!(descendants(10, &parents), [10, 11, 13, 12]);
    assert_eq!(descendants(12, &parents), [12]);
}

#[test]
fn resident_memory_is_read_in_kib() {
    let text = "Name:\tweft\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t4\n";
    assert_eq!(resident_kib(text), Some(10_240));
    assert_eq!(resident_kib("Name:\tzombie\n"), None);
}
