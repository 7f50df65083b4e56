//! The table of the page, with which the tests of the rows are compared.

use crate::cells::COLUMNS;

const PAGE: &str = include_str!("../../docs/privileges.md");

/// The cells after the name of each row.
fn rows() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let (_, table) = PAGE.split_once("\n| with |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        let name = cells.next().expect("a name");
        (name, cells.collect())
    })
}

/// Returns the expected cells of a row, or none if the page does not have it.
pub(crate) fn row(name: &str) -> Vec<&'static str> {
    rows().find(|(row, _)| *row == name).map(|(_, cells)| cells).unwrap_or_default()
}

#[test]
fn the_page_has_each_column() {
    let head = PAGE.lines().find(|line| line.starts_with("| with |")).expect("a head");
    let columns: Vec<_> = head.trim_matches('|').split(" | ").map(str::trim).skip(1).collect();
    assert_eq!(columns, COLUMNS);
    for (name, cells) in rows() {
        assert_eq!(cells.len(), COLUMNS.len(), "{name}");
    }
}
