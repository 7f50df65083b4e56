//! Events compared with `conntrack -E`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::check::{Difference, Fallible, command, compare_lines};
use super::lines::lines;
use super::sample;
use netfilter_conntrack::events::EntryEvent;
use netfilter_conntrack::{Change, Event, Events, Flow, Handle, Outcome, Selector};

/// The time limit for each step of the other program.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that follows events, and the lines that it printed. It is ended on drop.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    /// Starts it, and waits until this namespace has one more listener.
    fn start(line: &str) -> Self {
        let before = listeners();
        let mut child =
            command(line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("conntrack");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (send, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let this = Self { child, lines };
        let deadline = Instant::now() + PATIENCE;
        while listeners() == before {
            assert!(Instant::now() < deadline, "{line} does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        this
    }

    /// Waits for `count` lines, and a moment for a surplus one. The program writes each line at once. It is
    /// killed, because an interrupt in the middle of a line makes it write that line twice.
    fn output(self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut printed = Vec::new();
        while printed.len() < count {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => printed.push(line),
                Err(_) => break,
            }
        }
        printed.extend(self.lines.recv_timeout(Duration::from_millis(100)));
        printed
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sockets of netfilter in this namespace that joined a group: `Eth` 12, `Groups` not 0.
fn listeners() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/thread-self/net/netlink").expect("the list of sockets");
    let joined = text.lines().filter(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.get(1) == Some(&"12")
            && words.get(3).is_some_and(|groups| !groups.trim_start_matches('0').is_empty())
    });
    joined.map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect()
}

/// Follows the events of the sample: created, marked, deleted.
pub(crate) fn follows(line: &str, handle: &mut Handle, open: impl Fn() -> Fallible<Events>) -> Difference {
    follows_while(line, handle, open, live)
}

/// Creates the sample, changes and deletes it.
fn live(handle: &mut Handle) {
    sample::fill(handle);
    let mark = Change::new().mark(0x99);
    for bulk in [
        handle.update_matching(Selector::any_zone().tcp(), mark).run(),
        handle.delete_matching(Selector::all()).run(),
    ] {
        assert!(bulk.as_ref().is_ok_and(Outcome::is_complete), "{bulk:?}");
    }
}

/// Every event of a flow, as the call prints it with the time at which it was read.
pub(crate) fn prints_events(
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&EntryEvent<Flow>, Duration) -> String,
) -> Difference {
    let events = Events::builder().open().map_err(|error| error.to_string())?;
    let began = now();
    let [theirs, ours] = both(line, handle, events, live, |event| match event {
        Event::Flow(event) => Some(call(event, now())),
        _ => None,
    })?;
    // Before an event without a stamp is the kind, in brackets too.
    let is_stamped = |line: &str| {
        line.strip_prefix('[').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let known = |line: &String| steady(line, began..=now(), is_stamped(line));
    let theirs = theirs.iter().map(known).collect::<Result<Vec<_>, _>>()?;
    let ours = ours.iter().map(known).collect::<Result<Vec<_>, _>>()?;
    compare_lines(&theirs, &ours)
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970")
}

/// A line without the parts that differ between programs: the stamp, which must be a time of this test, and
/// the name of the program that caused the event, which conntrack(8) looks up by its port id.
///
/// The program prints port ids with and without `-o userspace`, so stamped lines are compared without them.
fn steady(line: &str, during: RangeInclusive<Duration>, is_stamped: bool) -> Result<String, String> {
    if !is_stamped {
        return Ok(line.split(" progname=").next().unwrap_or(line).to_owned());
    }
    let malformed = || format!("no stamp: {line}");
    let (stamp, rest) = line[1..].split_once("]\t").ok_or_else(malformed)?;
    let (seconds, micros) =
        stamp.split_once('.').filter(|(_, micros)| micros.len() == 6).ok_or_else(malformed)?;
    let [seconds, micros] = [seconds, micros].map(str::parse::<u64>);
    let at = Duration::from_secs(seconds.map_err(|_| malformed())?)
        + Duration::from_micros(micros.map_err(|_| malformed())?);
    // It has whole microseconds.
    let first = Duration::from_micros(during.start().as_micros() as u64);
    match (first..=*during.end()).contains(&at) {
        true => Ok(rest.split(" [USERSPACE]").next().unwrap_or(rest).to_owned()),
        false => Err(format!("not within {during:?}: {line}")),
    }
}

/// Follows expectations: created and deleted.
pub(crate) fn follows_expectations(
    line: &str,
    handle: &mut Handle,
    open: impl Fn() -> Fallible<Events>,
) -> Difference {
    follows_while(line, handle, open, |handle| {
        sample::expect(handle);
        handle.expectations().flush().expect("flushed");
    })
}

fn follows_while(
    line: &str,
    handle: &mut Handle,
    open: impl Fn() -> Fallible<Events>,
    act: impl Fn(&mut Handle),
) -> Difference {
    let events = open().map_err(|error| error.to_string())?;
    let [theirs, ours] = both(line, handle, events, act, |event| match event {
        Event::Flow(event) => Some(event.text().to_string()),
        Event::Expectation(event) => Some(event.text().to_string()),
        _ => None,
    })?;
    compare_lines(&lines(&theirs.join("\n")), &lines(&ours.join("\n")))
}

/// Follows what `act` does in both ways. Returns what the program and `print` made of it; the latter has no text
/// for events that must not come.
fn both(
    line: &str,
    handle: &mut Handle,
    mut events: Events,
    act: impl Fn(&mut Handle),
    print: impl Fn(&Event) -> Option<String>,
) -> Result<[Vec<String>; 2], String> {
    let follower = Follower::start(line);
    act(handle);
    // The kernel sends an event before it answers the request that caused it.
    let mut ours = Vec::new();
    while let Some(event) = events.try_next() {
        let event = event.map_err(|error| error.to_string())?;
        ours.push(print(&event).ok_or_else(|| format!("{event:?}"))?);
    }
    match ours.is_empty() {
        true => Err("no event came".to_owned()),
        false => Ok([follower.output(ours.len()), ours]),
    }
}
