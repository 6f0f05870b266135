//! Tables without lines, which paste and grep well.

use comfy_table::{Row, Table, presets};

/// Rows before the rest is only counted.
pub(crate) const ROWS: usize = 20;

/// A table of all rows.
pub(crate) fn whole<R: Into<Row>>(
    head: impl Into<Row>,
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    lines(&table)
}

/// A table of the first rows, and how many it leaves out.
pub(crate) fn first<R: Into<Row>>(head: impl Into<Row>, rows: Vec<R>) -> String {
    let hidden = rows.len().saturating_sub(ROWS);
    let table = whole(head, rows.into_iter().take(ROWS));
    match hidden {
        0 => table,
        hidden => format!("{table}\n… and {hidden} more"),
    }
}

/// A Markdown table of all rows.
pub(crate) fn markdown<R: Into<Row>>(
    head: impl Into<Row>,
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// Without the blank before the first column and those that fill the last one.
fn lines(table: &Table) -> String {
    let lines = table.lines().map(|line| {
        let line = line.trim_end();
        line.strip_prefix(' ').unwrap_or(line).to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
