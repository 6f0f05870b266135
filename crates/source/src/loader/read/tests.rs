//! How files are taken together, and what is said of a long load.

use super::{GROUP_BYTES, Meter, PROGRESS_AFTER, PROGRESS_EVERY, group_length};
use crate::clock;
use crate::input::Progress;

#[test]
fn files_are_taken_together_up_to_a_bound() {
    let half = GROUP_BYTES / 2;
    let rows: [(&str, &[u64], usize); 4] = [
        ("all fit", &[1, 2, 3], 3),
        ("two fill a group", &[half, half, 1], 2),
        ("the second is too much", &[half, half + 1], 1),
        ("a large file goes alone", &[GROUP_BYTES * 3, 1], 1),
    ];
    for (name, sizes, expected) in rows {
        let length = group_length(sizes.iter().copied());
        assert_eq!(length, expected, "{name}");
    }
}

#[test]
fn progress_reckons_with_files_that_are_still_to_be_read() {
    let start = clock::now();
    let mut told = Vec::new();
    let mut report = |progress: Progress| told.push((progress.done, progress.total));
    let mut meter = Meter::new(start, 500, &mut report);
    meter.begin(10, 100);
    meter.advance(4, start);
    meter.advance(4, start + PROGRESS_AFTER);
    meter.pass(100);
    meter.begin(14, 300);
    meter.advance(2, start + PROGRESS_AFTER + PROGRESS_EVERY / 2);
    meter.advance(14, start + PROGRESS_AFTER + PROGRESS_EVERY);
    let expected = [(8, 50), (24, 24)];
    assert_eq!(told, expected, "documents done and in all, after a second");
}
