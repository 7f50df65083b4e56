//! Events of flows that come and go as fast as they can.

use std::env;
use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netfilter_conntrack::{Event, Events, Groups, Handle};

use super::usage::cpu_time;
use super::{Done, FLAG, Result, write};

/// The receive buffer to ask for; the same is in peer.c.
const BUFFER: usize = 8 << 20;
/// For how long nothing comes when the rest was lost; the same is in peer.c.
pub(super) const SILENCE: Duration = Duration::from_secs(10);

/// Opens a stream, as every listener has it.
pub(super) fn open() -> Result<Events> {
    Ok(Events::builder().groups(Groups::FLOWS).receive_buffer(BUFFER).open()?)
}

/// Listens with [`Events`]. The time is that of the CPU.
pub(super) fn events(flows: u32) -> Result<Done> {
    let mut events = open()?;
    listen(flows, |expected| {
        let mut seen = 0;
        let mut deadline = Instant::now() + SILENCE;
        while seen < expected {
            match events.next_before(deadline).transpose()? {
                Some(Event::Flow(event)) => {
                    black_box(&event);
                    seen += 1;
                    // Looked at now and then, since the clock costs as much as an event's decoding.
                    if seen % 1024 == 0 {
                        deadline = Instant::now() + SILENCE;
                    }
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(seen)
    })
}

/// Starts the writer, counts with `count` what comes of it, and takes the CPU time of that.
pub(super) fn listen(flows: u32, count: impl FnOnce(u64) -> Result<u64>) -> Result<Done> {
    let mut writer = start_writer(flows)?;
    let expected = 2 * u64::from(flows);
    let before = cpu_time()?;
    let seen = count(expected)?;
    let took = cpu_time()? - before;
    match writer.wait()?.success() {
        true => Ok(Done { took, entries: seen, lost: expected.saturating_sub(seen) }),
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
    let start = Instant::now();
    let keys = write::create_for_keys(&mut handle, flows)?;
    let deleted = write::delete(&mut handle, keys)?;
    Ok(Done::new(start.elapsed(), deleted))
}
