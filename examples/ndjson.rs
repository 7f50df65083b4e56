//! The table, or its changes, as one JSON object a line: for Vector, Fluent Bit, a producer of Kafka, jq or
//! any other reader of lines.
//!
//! ```text
//! cargo run --features save --example ndjson              a demonstration, in a namespace of its own
//! cargo run --features save --example ndjson -- --dump    this machine's table
//! cargo run --features save --example ndjson -- --follow  this machine's events, until interrupted
//! ```
//!
//! With `--dump` each line is a flow, with `--follow` an event; lost events are lines too. The module `json`
//! of the crate describes both. A message that cannot be decoded is a line on standard error, and the program
//! continues. When the reader closes the pipe, the program ends with the next line that it cannot write.

mod support;

use std::env;
use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use netfilter_conntrack::events::Groups;
use netfilter_conntrack::{Event, Events, Flow, Handle, Tuple};
use serde::Serialize;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;
type Item<T> = netfilter_conntrack::Result<T>;

fn main() -> Result<()> {
    match env::args().nth(1).as_deref() {
        Some("--dump") => until_nobody_reads(|out| dump(&mut Handle::open()?, out)),
        Some("--follow") => until_nobody_reads(|out| {
            follow(Events::builder().groups(Groups::ALL).receive_buffer(8 << 20).open()?, out)
        }),
        Some(other) => Err(format!("{other}? Either --dump or --follow").into()),
        None => {
            support::in_own_namespace()?;
            until_nobody_reads(demonstrate)
        }
    }
}

/// Runs `write`; a closed pipe ends it without an error.
fn until_nobody_reads(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    match write(&mut BufWriter::new(io::stdout().lock())) {
        Err(error) if is_closed_pipe(&*error) => Ok(()),
        result => result,
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn line(out: &mut dyn Write, object: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(object)?;
    text.push(b'\n');
    Ok(out.write_all(&text)?)
}

/// Writes a line, or the reason for a missing one to standard error. Only faults that end the program are
/// errors.
fn line_or_complaint(out: &mut dyn Write, item: Item<impl Serialize>) -> Result<()> {
    match item {
        Ok(object) => line(out, &object),
        Err(error @ netfilter_conntrack::Error::Malformed { .. }) => {
            eprintln!("{error}");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn dump(handle: &mut Handle, out: &mut dyn Write) -> Result<()> {
    for flow in handle.dump().entries()? {
        line_or_complaint(out, flow)?;
    }
    Ok(out.flush()?)
}

/// Queued events are written at once, and flushed before the next wait.
fn follow(mut events: Events, out: &mut dyn Write) -> Result<()> {
    loop {
        let event = match events.try_next() {
            Some(event) => Some(event),
            None => {
                out.flush()?;
                events.next()
            }
        };
        match event {
            Some(event) => line_or_complaint(out, event)?,
            None => return Ok(()),
        }
    }
}

fn demonstrate(out: &mut dyn Write) -> Result<()> {
    let mut handle = Handle::open()?;
    let mut events = Events::open()?;
    for port in [1, 2, 3] {
        let tuple = Tuple::udp(([10, 0, 0, 1], port).into(), "10.0.0.2:53".parse()?)?;
        handle.create(&Flow::new(tuple).zone(10).mark(port.into()).timeout(Duration::from_secs(60)))?;
    }

    let mut text = Vec::new();
    dump(&mut handle, &mut text)?;
    for _ in 0..3 {
        let event = events.next_timeout(Duration::from_secs(5)).ok_or("no event came")?;
        line(&mut text, &event?)?;
    }
    let text = String::from_utf8(text)?;

    // The reader gets the same flows and events back.
    let lines: Vec<&str> = text.lines().collect();
    for flow in &lines[..3] {
        let flow: Flow = serde_json::from_str(flow)?;
        if handle.get(&flow)?.mark != flow.mark {
            return Err(format!("{flow} is another").into());
        }
    }
    for event in &lines[3..] {
        let Event::Flow(event) = serde_json::from_str(event)? else { return Err("of what?".into()) };
        if event.port_id != handle.port_id() {
            return Err("somebody else's event".into());
        }
    }
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
