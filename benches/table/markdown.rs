//! Tables in Markdown that are readable as plain text.

/// Prints a table whose columns fit their contents, the first one left-aligned. A line may have fewer cells
/// than the head; its last cell then has the reason.
pub(crate) fn print_table(head: &[&str], lines: impl Iterator<Item = Vec<String>>) {
    let lines: Vec<Vec<String>> = lines.collect();
    let width = |(column, title): (usize, &&str)| {
        let full = lines.iter().filter(|line| column == 0 || line.len() == head.len());
        let widest = full.map(|line| line[column].chars().count()).max().unwrap_or(0);
        widest.max(title.chars().count())
    };
    let widths: Vec<usize> = head.iter().enumerate().map(width).collect();
    print_line(&widths, head.iter().copied());
    let rule = |(column, width)| match column {
        0 => "-".repeat(width),
        _ => "-".repeat(width - 1) + ":",
    };
    let rules: Vec<String> = widths.iter().map(|width| (*width).max(2)).enumerate().map(rule).collect();
    print_line(&widths, rules.iter().map(String::as_str));
    for line in &lines {
        print_line(&widths, line.iter().map(String::as_str));
    }
}

fn print_line<'a>(widths: &[usize], cells: impl Iterator<Item = &'a str>) {
    for (column, (cell, width)) in cells.zip(widths).enumerate() {
        match column {
            0 => print!("| {cell:width$} |"),
            _ => print!(" {cell:>width$} |"),
        }
    }
    println!();
}
