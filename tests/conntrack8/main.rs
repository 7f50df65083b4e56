//! The rows of `docs/guide/from_conntrack.md`: each command line of conntrack(8) and its call run on the same
//! entries, and leave the same table or print the same lines.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod check;
mod follow;
mod lines;
mod rows;
mod sample;

use std::collections::BTreeSet;

use rows::Row;

const PAGE: &str = include_str!("../../docs/guide/from_conntrack.md");

/// Returns code without the spaces and line breaks that differ between a page and a compiler's rendering.
fn tight(code: &str) -> String {
    code.replace("\\|", "|").chars().filter(|c| !c.is_whitespace()).collect()
}

/// The command lines and calls of the page, in order.
fn on_the_page() -> Vec<(String, String)> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `conntrack ") && !line.contains("| — |"));
    rows.map(|line| {
        let cells: Vec<_> = line.split(" | ").collect();
        let [command, call, ..] = cells[..] else { panic!("not two cells: {line}") };
        let call = call.trim_end_matches(" |").trim_matches('`');
        (command.trim_start_matches("| ").trim_matches('`').to_owned(), tight(call))
    })
    .collect()
}

#[test]
fn the_page_has_these_rows() {
    let tested: Vec<_> = rows::all().iter().map(|row| (row.command.to_owned(), tight(row.call))).collect();
    for (page, test) in on_the_page().iter().zip(&tested) {
        assert_eq!(page, test, "the page and the tests differ here first");
    }
    assert_eq!(on_the_page().len(), tested.len());
}

/// Every option that the installed program lists is on the page.
#[test]
fn every_option_is_on_the_page() {
    if !common::program::has(&["conntrack"]) {
        return;
    }
    let help = common::run("conntrack", &["--help"]).stdout;
    let help = String::from_utf8_lossy(&help).into_owned();
    let options = help.lines().filter(|line| line.trim_start().starts_with('-'));
    let mut missing = BTreeSet::new();
    for line in options {
        let words = line.trim_start().split(['\t', ' ', ',']).take_while(|word| !word.is_empty());
        let words: Vec<_> = words.filter(|word| word.starts_with('-')).collect();
        let is_named = |word: &str| PAGE.split(['`', ' ', ',', '=']).any(|other| other == word);
        if !words.iter().any(|word| is_named(word)) {
            missing.insert(line.trim());
        }
    }
    assert!(help.contains("--zone"), "{help}");
    assert!(missing.is_empty(), "not in docs/guide/from_conntrack.md: {missing:#?}");
}

/// The options of a protocol, which the program lists beside it, are on the page too.
#[test]
fn every_option_of_a_protocol_is_on_the_page() {
    if !common::program::has(&["conntrack"]) {
        return;
    }
    let mut options = BTreeSet::new();
    for protocol in ["tcp", "udp", "udplite", "sctp", "icmp", "icmpv6", "gre"] {
        let help = common::run("conntrack", &["-h", "-p", protocol]).stdout;
        let help = String::from_utf8_lossy(&help).into_owned();
        let lines = help.lines().skip_while(|line| !line.starts_with("Proto "));
        let words = lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
        options.extend(words.map(str::to_owned));
    }
    assert!(options.contains("--state") && options.contains("--icmp-id"), "{options:?}");
    let is_named = |option: &str| PAGE.split(['`', ' ']).any(|word| word == option);
    options.retain(|option| !is_named(option));
    assert!(options.is_empty(), "not in docs/guide/from_conntrack.md: {options:#?}");
}

/// Returns whether the installed program is 1.4.7 or newer: earlier ones lack options of these rows.
fn is_recent() -> bool {
    let version = common::run("conntrack", &["--version"]).stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let numbers =
        version.split('v').nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let numbers: Vec<u32> = numbers.split('.').map_while(|number| number.parse().ok()).collect();
    let recent = numbers >= vec![1, 4, 7];
    if !recent {
        common::lacks("conntrack(8) 1.4.7 or newer");
    }
    recent
}

/// Runs these rows, each in a namespace of its own, and reports all differences.
fn run(rows: &[Row]) {
    let mut failed = Vec::new();
    for row in rows {
        let mut handle = require_zones!("conntrack", "nft", "ip", "unshare");
        if !is_recent() {
            return;
        }
        common::use_labels();
        if let Err(difference) = (row.check)(row, &mut handle) {
            failed.push(format!("{}\n{}\n{difference}", row.command, row.call));
        }
    }
    assert!(failed.is_empty(), "{} of {} rows:\n{}", failed.len(), rows.len(), failed.join("\n\n"));
}

#[test]
fn listings() {
    run(&rows::listings());
}

#[test]
fn entries() {
    run(&rows::entries());
}

#[test]
fn bulk() {
    run(&rows::bulk());
}

#[test]
fn events() {
    run(&rows::events());
}

#[test]
fn printed_events() {
    run(&rows::printed_events());
}

#[test]
fn expectations() {
    run(&rows::expectations());
}

#[test]
fn numbers() {
    run(&rows::numbers());
}
