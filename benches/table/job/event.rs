//! Events of flows that come and go as fast as they can.

use std::env;
use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netfilter_conntrack::{Event, Events, Groups, Handle};

use super::{Done, FLAG, Result, Watch, write};

/// The receive buffer to ask for; the same is in peer.c.
const BUFFER: usize = 8 << 20;
/// For how long nothing comes at the bare socket when the rest was lost; the same is in peer.c.
pub(super) const SILENCE: Duration = Duration::from_secs(10);

/// Opens a stream, as every listener has it.
pub(super) fn open() -> Result<Events> {
    Ok(Events::builder().groups(Groups::FLOWS).receive_buffer(BUFFER).open()?)
}

/// Listens with [`Events`].
pub(super) fn events(flows: u32) -> Result<Done> {
    let mut events = open()?;
    listen(flows, |expected| {
        let (mut seen, mut lost) = (0, 0);
        while seen + lost < expected {
            match &events.next() {
                Some(Ok(Event::Flow(event))) => {
                    black_box(event);
                    seen += 1;
                }
                Some(Ok(Event::Overrun { lost: Some(more) })) => lost += u64::from(*more),
                // What does not come cannot be waited for.
                Some(Ok(Event::Overrun { lost: None })) | None => break,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.clone().into()),
            }
        }
        Ok(seen)
    })
}

/// Starts the writer, and has `count` count what comes of it.
pub(super) fn listen(flows: u32, count: impl FnOnce(u64) -> Result<u64>) -> Result<Done> {
    let mut writer = start_writer(flows)?;
    let expected = 2 * u64::from(flows);
    let watch = Watch::start()?;
    let mut done = watch.stop(count(expected)?)?;
    done.lost = expected.saturating_sub(done.entries);
    match writer.wait()?.success() {
        true => Ok(done),
        false => Err("the writer failed".into()),
    }
}

/// A process that creates flows and deletes them, in the namespace of this one.
fn start_writer(flows: u32) -> Result<Child> {
    let mut writer = Command::new(env::current_exe()?);
    Ok(writer.args([FLAG, "churn", &flows.to_string()]).stdout(Stdio::null()).spawn()?)
}

/// Creates flows and deletes them, as fast as that can be done.
pub(super) fn churn(flows: u32) -> Result<Done> {
    let mut handle = Handle::open()?;
    let watch = Watch::start()?;
    let keys = write::create_for_keys(&mut handle, flows)?;
    watch.stop(write::delete(&mut handle, keys)?)
}
