//! Files of `/proc` as the kernel writes them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::{
    Stat, coarseness, descendants, fine_window, on_processor_ns, parse_stat, resident_kib,
    used_secs,
};

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

#[test]
fn time_is_that_of_threads_which_are_there_at_the_end() {
    let before = BTreeMap::from([((1, 1), 4_000_000), ((1, 2), 9_000_000_000)]);
    let after = BTreeMap::from([((1, 1), 5_000_000), ((1, 3), 2_000_000), ((7, 7), 1_000)]);
    let used = used_secs(&before, &after);
    assert!((used - 0.003_001).abs() < 1e-9, "{used} s");
    assert_eq!(on_processor_ns("643375 335697 3\n"), Some(643_375));
    assert_eq!(on_processor_ns(""), None);
}

#[test]
fn a_process_that_works_for_a_moment_has_used_time() {
    // It works when it gets a line, and says so when it is done.
    let script =
        "while read line; do n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); done; echo; done";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut work = || {
        input.write_all(b"\n")?;
        Ok(output.read_line(&mut String::new())?)
    };
    work().expect("it has started");
    let (_, used) = fine_window(&[child.id()], work).expect("it counts");
    assert!(used > 0.0 && used < 10.0, "{used} s");
    drop(input);
    child.wait().expect("it ends with its input");
    let ended = fine_window(&[child.id()], || Ok(()));
    assert!(ended.is_err(), "it has ended");
}

#[test]
fn ticks_are_coarse_for_each_process() {
    assert!(coarseness(1) > 0.0);
    assert!((coarseness(4) - 4.0 * coarseness(1)).abs() < 1e-9);
}
