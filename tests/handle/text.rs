//! Dumps in conntrack(8)'s format, compared with its own output.

use std::thread;
use std::time::{Duration, Instant};

use crate::common::{flow, run, table, tcp};
use netfilter_conntrack::text::FlowText;
use netfilter_conntrack::{Expectation, Handle};

/// The lines of conntrack(8), in order. In UTC, like those of plain data.
fn by_conntrack(args: &[&str]) -> Vec<String> {
    let output = run("env", &[&["TZ=UTC0", "conntrack"], args].concat());
    sorted(String::from_utf8(output.stdout).expect("ASCII").lines().map(str::to_owned).collect())
}

/// Without the number of users, which includes a dump that has stopped at an entry: 5.10 counts more of them, and
/// the program's dump stops more often than ours.
fn sorted(lines: Vec<String>) -> Vec<String> {
    let without_users = |line: &String| {
        let words = line.split(' ').filter(|word| !word.starts_with("use="));
        words.collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<_> = lines.iter().map(without_users).collect();
    lines.sort_unstable();
    lines
}

/// Compares two dumps. The remaining timeout and the age may change between them, on a slow machine nearly always:
/// one of them changes each fraction of a second.
fn same(ours: impl Fn(&mut Handle) -> Vec<String>, handle: &mut Handle, args: &[&str]) -> Vec<String> {
    let began = Instant::now();
    loop {
        // The program first: starting it takes longer than ending it.
        let theirs = by_conntrack(args);
        let ours = sorted(ours(handle));
        if ours == theirs {
            return ours;
        }
        if began.elapsed() > Duration::from_secs(60) {
            assert_eq!(ours, theirs, "conntrack {args:?}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Adds options to a line.
type With = fn(FlowText<'_>) -> FlowText<'_>;

#[test]
fn a_listing_is_what_conntrack_prints() {
    let mut handle = require_kernel!("nft", "conntrack", "env");
    table::prepare();
    let flows = table::flows();
    table::create(&mut handle, &flows);
    let options: [(&[&str], With); 5] = [
        (&["-L"], |text| text),
        (&["-L", "-o", "extended"], |text| text.layer3()),
        (&["-L", "-o", "id"], |text| text.id()),
        (&["-L", "-o", "ktimestamp"], |text| text.timestamps()),
        (&["-L", "-o", "extended,id,ktimestamp"], |text| text.timestamps().id().layer3()),
    ];
    for (args, with) in options {
        let ours = |handle: &mut Handle| {
            let entries = handle.dump().entries().expect("a dump");
            entries.map(|flow| with(flow.expect("a flow").text()).to_string()).collect()
        };
        assert_eq!(same(ours, &mut handle, args).len(), flows.len());
    }
}

#[test]
fn a_listing_of_expectations_is_what_conntrack_prints() {
    let mut handle = require_kernel!("conntrack", "env");
    let chat = tcp("10.0.0.1:40000", "10.0.0.2:6667");
    handle.create(&flow(chat).helper("irc".parse().expect("a name"))).expect("a master");
    for port in ["5000", "5001"] {
        let data = Expectation::new(chat, tcp("10.0.0.2:0", &format!("10.0.0.1:{port}"))).from_any_port();
        handle.expectations().create(&data).expect("an expectation");
    }
    let ours = |handle: &mut Handle| {
        let entries = handle.expectations().dump().entries().expect("a dump");
        entries.map(|entry| entry.expect("an expectation").text().to_string()).collect()
    };
    assert_eq!(same(ours, &mut handle, &["-L", "expect"]).len(), 2);
}
