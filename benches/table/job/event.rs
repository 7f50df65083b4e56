//! Events of flows that are created and deleted as fast as possible.

use std::env;
use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netfilter_conntrack::events::Groups;
use netfilter_conntrack::{Event, Events, Flow, Handle, Selector};

use super::{Done, FLAG, Result, Watch, write};
use crate::flows;

/// The requested receive buffer; the same as in peer.c.
pub(super) const BUFFER: usize = 8 << 20;
/// How long the bare socket is silent before the missing events count as lost; the same as in peer.c.
pub(super) const SILENCE: Duration = Duration::from_secs(10);
/// A receive buffer that holds some dozens of events.
const SMALL_BUFFER: usize = 64 << 10;

/// Opens a stream with the settings of all listeners.
pub(super) fn open() -> Result<Events> {
    Ok(Events::builder().groups(Groups::FLOWS).receive_buffer(BUFFER).open()?)
}

/// Listens with [`Events`].
pub(super) fn events(flows: u32) -> Result<Done> {
    let mut events = open()?;
    listen(flows, |expected| count(&mut events, expected))
}

/// Listens, through a small receive buffer, to the events of one flow in a hundred.
///
/// The entries are all events that were sent, so the time is per sent event.
pub(super) fn events_matching(flows: u32) -> Result<Done> {
    let mut events = Events::builder()
        .groups(Groups::FLOWS)
        .receive_buffer(SMALL_BUFFER)
        .matching(Selector::any_zone().mark(flows::MARK))
        .open()?;
    let matching = 2 * u64::from((flows + flows::MARKS - flows::MARK) / flows::MARKS);
    let mut lost = 0;
    let mut done = listen_to("churn-marked", flows, |sent| {
        lost = matching - count(&mut events, matching)?;
        Ok(sent)
    })?;
    done.lost = lost;
    Ok(done)
}

/// Counts the flow events that arrive, at most `expected`.
fn count(events: &mut Events, expected: u64) -> Result<u64> {
    let (mut seen, mut lost) = (0, 0);
    while seen + lost < expected {
        match &events.next() {
            Some(Ok(Event::Flow(event))) => {
                black_box(event);
                seen += 1;
            }
            Some(Ok(Event::Overrun { lost: Some(more) })) => lost += u64::from(*more),
            // Lost events never arrive, so waiting for them would not end.
            Some(Ok(Event::Overrun { lost: None })) | None => break,
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.clone().into()),
        }
    }
    Ok(seen)
}

/// Starts the writer, and lets `count` count its events.
pub(super) fn listen(flows: u32, count: impl FnOnce(u64) -> Result<u64>) -> Result<Done> {
    listen_to("churn", flows, count)
}

fn listen_to(job: &str, flows: u32, count: impl FnOnce(u64) -> Result<u64>) -> Result<Done> {
    let mut writer = start_writer(job, flows)?;
    let expected = 2 * u64::from(flows);
    let watch = Watch::start()?;
    let mut done = watch.stop(count(expected)?)?;
    done.lost = expected.saturating_sub(done.entries);
    match writer.wait()?.success() {
        true => Ok(done),
        false => Err("the writer failed".into()),
    }
}

/// Starts a process that creates and deletes flows, in the namespace of this one.
fn start_writer(job: &str, flows: u32) -> Result<Child> {
    let mut writer = Command::new(env::current_exe()?);
    Ok(writer.args([FLAG, job, &flows.to_string()]).stdout(Stdio::null()).spawn()?)
}

/// Creates flows and deletes them, as fast as possible.
pub(super) fn churn(flows: u32) -> Result<Done> {
    write((0..flows).map(flows::numbered))
}

/// The same, with marks shared by one flow in a hundred.
pub(super) fn churn_marked(flows: u32) -> Result<Done> {
    write((0..flows).map(|number| flows::numbered(number).mark(number % flows::MARKS + 1)))
}

fn write(flows: impl Iterator<Item = Flow>) -> Result<Done> {
    let mut handle = Handle::open()?;
    let watch = Watch::start()?;
    let keys = write::create_for_keys(&mut handle, flows)?;
    watch.stop(write::delete(&mut handle, keys)?)
}
