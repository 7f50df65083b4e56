//! The example `ndjson` as log shippers run it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::common;

/// Cargo builds examples beside the tests, but not with `cargo test --test`: then there is none.
fn ndjson(option: &str) -> Option<Child> {
    let child = common::program::example("ndjson")?.arg(option).stdout(Stdio::piped()).spawn();
    Some(child.unwrap_or_else(|error| panic!("ndjson: {error}")))
}

fn ends_well(mut child: Child) -> bool {
    child.wait().is_ok_and(|status| status.success())
}

/// A line is there as soon as its event, and a reader that goes away is no error.
#[test]
fn the_lines_of_ndjson_run_through_a_pipe() {
    let mut handle = require_kernel!();
    let Some(mut follow) = ndjson("--follow") else { return };
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    let (send, received) = mpsc::channel();
    let reader = thread::spawn(move || send.send(lines.next())); // and goes away
    let mut created = 0;
    // Nobody says from when on it listens.
    let line = loop {
        created += 1;
        assert!(created < 1000, "no line came");
        handle.create(&common::numbered(created)).expect("created");
        if let Ok(line) = received.recv_timeout(Duration::from_millis(20)) {
            break line.expect("a line").expect("text");
        }
    };
    assert!(
        line.starts_with("{\"event\":\"new\",\"flow\":{\"family\":\"ipv4\",\"original\":{\"src\":\"10.1."),
        "{line}"
    );
    reader.join().expect("read").expect("sent");
    // Programs that other tests start hold a copy of the pipe's end, until they are what they are to be.
    while follow.try_wait().expect("a child").is_none() {
        created += 1;
        assert!(created < 1000, "it writes on to nobody");
        handle.create(&common::numbered(created)).expect("created");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(ends_well(follow));

    // More than a pipe holds.
    (created + 1..1500).for_each(|number| handle.create(&common::numbered(number)).expect("created"));
    let mut dump = ndjson("--dump").expect("as before");
    drop(dump.stdout.take());
    assert!(ends_well(dump));
}
