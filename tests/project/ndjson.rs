//! The example `ndjson` as log shippers run it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::common;

/// Cargo builds examples with the tests, but not with `cargo test --test`: then there is none.
fn ndjson(option: &str) -> Option<Child> {
    let child = common::program::example("ndjson")?.arg(option).stdout(Stdio::piped()).spawn();
    Some(child.unwrap_or_else(|error| panic!("ndjson: {error}")))
}

fn ends_well(mut child: Child) -> bool {
    child.wait().is_ok_and(|status| status.success())
}

/// A line is available as soon as its event, and a closed reader is not an error.
#[test]
fn the_lines_of_ndjson_run_through_a_pipe() {
    let mut handle = require_kernel!();
    let Some(mut follow) = ndjson("--follow") else { return };
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    let (send, received) = mpsc::channel();
    let reader = thread::spawn(move || send.send(lines.next())); // then it closes
    let mut created = 0;
    // The program does not report when it starts to listen.
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
    // Programs started by other tests hold a copy of the pipe's end until they call exec.
    while follow.try_wait().expect("a child").is_none() {
        created += 1;
        assert!(created < 1000, "it writes on to nobody");
        handle.create(&common::numbered(created)).expect("created");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(ends_well(follow));

    // More than fits a pipe.
    (created + 1..1500).for_each(|number| handle.create(&common::numbered(number)).expect("created"));
    let mut dump = ndjson("--dump").expect("as before");
    drop(dump.stdout.take());
    assert!(ends_well(dump));
}
