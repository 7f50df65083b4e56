//! The jobs, each in a process of its own.

mod descriptors;
mod dump;
mod hostile;
mod listen;
mod loss;
mod mirror;
mod namespaces;
mod session;
mod subscription;
mod sweep;
mod writer;

use std::io;
use std::time::{Duration, Instant};

use netfilter_conntrack::Handle;

use super::post::{self, Job};
use super::{Result, alarm};

/// The flag that makes the program run one job.
pub(crate) const FLAG: &str = "--job";
/// The job that sends forged messages to the others.
pub(crate) const HOSTILE: &str = "hostile";

/// The delay of a wait that other work on the machine explains.
const LATE: Duration = Duration::from_secs(5);

/// The table that a job works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The table that most jobs share, and whose sockets the hostile process attacks.
    Common,
    /// In a namespace of its own.
    Own,
}

/// The jobs.
pub(crate) const CREW: [(&str, Place); 12] = [
    ("writer 1", Place::Common),
    ("writer 2", Place::Common),
    ("writer 3", Place::Common),
    ("sweep", Place::Common),
    ("dump", Place::Common),
    ("events", Place::Common),
    ("mirror", Place::Common),
    ("nfct session", Place::Common),
    ("nfct subscription", Place::Common),
    ("losses", Place::Own),
    ("namespaces", Place::Own),
    ("descriptors", Place::Own),
];

/// Runs the job with this name.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (name, numbers) = words.split_first().ok_or("no job named")?;
    let numbers = numbers.iter().map(|word| word.parse()).collect::<Result<Vec<u64>, _>>()?;
    let (seed, others) = numbers.split_first().ok_or("no seed")?;
    if name == HOSTILE {
        return post::obey(Box::new(hostile::Hostile::open(*seed, others)?));
    }
    if CREW.contains(&(name.as_str(), Place::Own)) {
        own_namespace()?;
    }
    alarm::start()?;
    post::obey(open(name, *seed)?)
}

fn open(name: &str, seed: u64) -> Result<Box<dyn Job>> {
    Ok(match name {
        "writer 1" => Box::new(writer::Writer::open(1, seed)?),
        "writer 2" => Box::new(writer::Writer::open(2, seed)?),
        "writer 3" => Box::new(writer::Writer::open(3, seed)?),
        "sweep" => Box::new(sweep::Sweep::open(seed)?),
        "dump" => Box::new(dump::Dumps::open(seed)?),
        "events" => Box::new(listen::Listener::open(seed)?),
        "mirror" => Box::new(mirror::Mirrors::open(seed)?),
        "nfct session" => Box::new(session::Sessions::open(seed)?),
        "nfct subscription" => Box::new(subscription::Listener::open(seed)?),
        "losses" => Box::new(loss::Losses::open(seed)?),
        "namespaces" => Box::new(namespaces::Namespaces::open(seed)?),
        "descriptors" => Box::new(descriptors::Descriptors::open(seed)?),
        other => return Err(format!("no such job: {other}").into()),
    })
}

/// Moves the calling thread to a new network namespace.
fn own_namespace() -> Result<()> {
    // SAFETY: unshare(2) takes no pointers.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(std::fs::write("/proc/sys/net/netfilter/nf_conntrack_events", "1")?),
        _ => Err(io::Error::last_os_error().into()),
    }
}

/// Opens a handle with a receive buffer of this size.
fn handle(buffer: usize) -> Result<Handle> {
    let mut handle = Handle::open()?;
    handle.set_receive_buffer(buffer)?;
    Ok(handle)
}

/// Checks that a wait without a result lasted its time: signals neither end nor prolong it.
fn waited(began: Instant, time: Duration) -> Result<()> {
    match began.elapsed() {
        elapsed if (time..time + LATE).contains(&elapsed) => Ok(()),
        elapsed => Err(format!("a wait of {time:?} ended after {elapsed:?}").into()),
    }
}
