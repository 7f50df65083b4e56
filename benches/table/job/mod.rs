//! The timed jobs of this program, each in a process of its own.

mod bare;
mod event;
mod mirror;
mod nfct;
mod read;
mod save;
mod watch;
mod write;

use netfilter_conntrack::Handle;
use netfilter_conntrack::model::Direction;

use self::watch::{Done, Watch};
use super::{Result, flows};

/// The flag that makes the program run one job.
pub(crate) const FLAG: &str = "--job";

/// Runs the job with this name, and prints its measurements.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (name, numbers) = words.split_first().ok_or("no job named")?;
    let numbers = numbers.iter().map(|word| word.parse()).collect::<Result<Vec<u32>, _>>()?;
    let zone = || numbers.first().map(|zone| u16::try_from(*zone)).transpose();
    let count = || numbers.first().copied().ok_or("a job needs a number");
    let done = match name.as_str() {
        "idle" => read::idle()?,
        "receive" => bare::dump(zone()?)?,
        "dump" => read::dump(zone()?)?,
        "list" => read::list()?,
        "create" => write::create(count()?)?,
        "create-many" => write::create_many(count()?)?,
        "delete-many" => write::delete_many(count()?)?,
        "delete-matching" => write::delete_matching(count()?)?,
        "empty-zone" => write::empty_zone()?,
        "flush-zone" => write::flush_zone(count()?)?,
        "save" => save::save()?,
        "restore" => save::restore(count()?)?,
        "mirror" => mirror::open()?,
        "look-up" => mirror::look_up(Direction::Original)?,
        "look-up-reply" => mirror::look_up(Direction::Reply)?,
        "nfct-dump" => nfct::dump()?,
        "nfct-create" => nfct::create(count()?)?,
        "nfct-delete" => nfct::delete(count()?)?,
        "nfct-events" => nfct::events(count()?)?,
        "receive-events" => bare::events(count()?)?,
        "events" => event::events(count()?)?,
        "events-matching" => event::events_matching(count()?)?,
        "churn" => event::churn(count()?)?,
        "churn-marked" => event::churn_marked(count()?)?,
        "fill" => fill(count()?, 0..count()?)?,
        "refill-zone" => {
            write::check_zone_is_empty()?;
            fill(count()?, flows::in_zone(flows::LARGE_ZONE, count()?))?
        }
        "refill-hosts" => fill(count()?, flows::hit(count()?))?,
        other => return Err(format!("no such job: {other}").into()),
    };
    done.print()
}

/// Adds flows with these numbers to the common table, which must have `entries` entries afterwards.
fn fill(entries: u32, numbers: impl Iterator<Item = u32>) -> Result<Done> {
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_acct", "1")?;
    let watch = Watch::start()?;
    let mut handle = Handle::open()?;
    flows::add(&mut handle, numbers)?;
    match handle.usage()?.entries {
        found if found == entries => watch.stop(entries.into()),
        found => Err(format!("the table has {found} entries instead of {entries}").into()),
    }
}
