//! Medians, quantiles and how figures are shown.

use super::{Table, column, median, quantile, shown};

#[test]
fn the_median_is_the_middle() {
    for (values, expected) in [
        (vec![], None),
        (vec![3.0], Some(3.0)),
        (vec![9.0, 1.0, 2.0], Some(2.0)),
        (vec![4.0, 1.0, 2.0, 9.0], Some(3.0)),
    ] {
        assert_eq!(median(values.clone()), expected, "median of {values:?}");
    }
}

#[test]
fn quantiles_stay_inside() {
    let sorted: Vec<u32> = (0..100).collect();
    for (share, expected) in [(0.0, 0), (0.5, 50), (0.99, 99), (1.0, 99)] {
        assert_eq!(quantile(&sorted, share), Some(expected), "quantile {share}");
    }
    assert_eq!(quantile(&[], 0.5), None, "nothing was measured");
}

#[test]
fn figures_show_three_digits() {
    for (value, text) in [
        (0.0, "0"),
        (0.034_51, "0.0345"),
        (1.0, "1.00"),
        (8.906, "8.91"),
        (38.66, "38.7"),
        (272.4, "272"),
        (10_513.2, "10513"),
    ] {
        assert_eq!(shown(value), text);
    }
}

#[test]
fn a_table_holds_medians_by_peer_and_column() {
    let runs = vec![
        (
            "Weft".to_owned(),
            vec![
                vec![(column::CPU, 10.0), (column::P50, 100.0)],
                vec![(column::CPU, 30.0)],
                vec![(column::CPU, 11.0)],
            ],
        ),
        ("nginx".to_owned(), vec![]),
    ];
    let table = Table::new("h1", runs);
    assert_eq!(table.columns, [column::CPU, column::P50]);
    assert_eq!(table.value("Weft", column::CPU), Some(11.0));
    assert_eq!(table.value("Weft", column::P99), None, "never measured");
    assert_eq!(table.value("nginx", column::CPU), None, "never ran");
    assert_eq!(table.rows.len(), 1, "a peer without a run has no row");
}

#[test]
fn one_failed_run_of_many_shows() {
    let runs = [0.0, 7.0, 0.0].map(|failed| vec![(column::FAILED, failed)]);
    let table = Table::new("h1", vec![("Weft".to_owned(), runs.to_vec())]);
    assert_eq!(table.value("Weft", column::FAILED), Some(7.0));
}
