//! The ways of comparing a command line and a call.

use std::error::Error;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use super::common::{self, steady};
use super::lines::{in_hundreds, lines};
use super::sample;
use netfilter_conntrack::nfct::LabelMap;
use netfilter_conntrack::{Events, Expectation, Flow, Handle, Result, Selector};

pub(crate) type Fallible<T> = std::result::Result<T, Box<dyn Error>>;
/// A counter by its name in `conntrack -S`.
pub(crate) type Counter<T> = (&'static str, fn(&T) -> Option<u32>);
pub(crate) type Difference = std::result::Result<(), String>;

/// The time that two listings may keep differing: on a slow machine the second changes within most pairs of
/// them.
const PATIENCE: Duration = Duration::from_secs(20);
/// Times are compared to the second for so long, and then to a hundred of them: on a machine that takes a second for
/// a listing, of some entry the second always changes.
const EXACT: Duration = Duration::from_secs(10);

const NAMES: &str = "3 web\n4 mail\n";

/// Returns the command of a line, whose words are separated by spaces. The names of labels come from a
/// `connlabel.conf` that only this process sees.
pub(crate) fn command(line: &str) -> Command {
    let script = "mount -t tmpfs none /etc && mkdir /etc/xtables && \
                  printf %s \"$NAMES\" > /etc/xtables/connlabel.conf && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).args(line.split_whitespace());
    command.env("NAMES", NAMES).env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// The label names that [`command`] uses.
pub(crate) fn label_names() -> LabelMap {
    let path = env::temp_dir().join(format!("nfct-names-{}-{:?}", process::id(), thread::current().id()));
    fs::write(&path, NAMES).expect("a file");
    let names = LabelMap::open(&path).expect("names");
    fs::remove_file(&path).expect("removed");
    names
}

fn run(line: &str) -> std::result::Result<Vec<String>, String> {
    let output = command(line).output().map_err(|error| error.to_string())?;
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    // Of a deleted expectation the program reports "0 expectations have been shown", and exits with 1.
    let is_success = output.status.success() || err.contains("0 expectations have been shown");
    match is_success {
        true => Ok(lines(&out)),
        false => Err(format!("conntrack(8) failed: {out}{err}")),
    }
}

fn compare<T: PartialEq + std::fmt::Debug>(theirs: &T, ours: &T) -> Difference {
    match theirs == ours {
        true => Ok(()),
        false => Err(format!("conntrack(8): {theirs:#?}\nthe call: {ours:#?}")),
    }
}

/// Like [`compare`], for lines: only the differing ones are reported.
pub(crate) fn compare_lines(theirs: &[String], ours: &[String]) -> Difference {
    let only_in = |one: &[String], other: &[String]| {
        let mut other = other.to_vec();
        let found = |line: &&String| match other.iter().position(|in_other| in_other == *line) {
            Some(at) => {
                other.swap_remove(at);
                false
            }
            None => true,
        };
        one.iter().filter(found).cloned().collect::<Vec<_>>()
    };
    compare(&only_in(theirs, ours), &only_in(ours, theirs))
}

/// Both must print the same lines. A second may pass in between, which changes the timeouts: then they are
/// compared again. The call comes second, because starting a program takes longer than ending it.
fn same_lines(line: &str, mut ours: impl FnMut() -> Fallible<Vec<String>>) -> Difference {
    let began = Instant::now();
    loop {
        let theirs = run(line)?;
        let printed = ours().map_err(|error| error.to_string())?.join("\n");
        let both = [theirs, lines(&printed)];
        let [theirs, ours] = match began.elapsed() < EXACT {
            true => both,
            false => both.map(|lines| lines.iter().map(|line| in_hundreds(line)).collect()),
        };
        match compare_lines(&theirs, &ours) {
            Ok(()) if printed.is_empty() => return Err("nothing was printed".to_owned()),
            Err(_) if began.elapsed() < PATIENCE => {}
            result => return result,
        }
    }
}

/// A listing of some entries: the same number of lines, with the same text.
pub(crate) fn lists<F, E>(line: &str, handle: &mut Handle, some: bool, call: F) -> Difference
where
    F: Fn(&mut Handle) -> Fallible<Vec<E>>,
    E: AsRef<Flow>,
{
    sample::fill(handle);
    let found = call(handle).map_err(|error| error.to_string())?;
    if some && found.len() == sample::flows().len() {
        return Err("every entry matches".to_owned());
    }
    // A filter by labels also prints them.
    let names = label_names();
    let plain = |flow: &Flow| match line.contains(" -l ") {
        true => flow.text().labels(&|bit| names.name(bit)).to_string(),
        false => flow.text().to_string(),
    };
    same_lines(line, || Ok(call(handle)?.iter().map(|entry| plain(entry.as_ref())).collect()))
}

/// The entries whose end could not be reported yet, because a reliable listener does not read.
pub(crate) fn lists_dying(
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&mut Handle) -> Fallible<Vec<Flow>>,
) -> Difference {
    let listener = Events::builder().receive_buffer(16 << 10).reliable().open();
    let _full = listener.map_err(|error| error.to_string())?;
    let flows: Vec<_> = (0..1000).map(common::numbered).collect();
    common::create(handle, &flows);
    flows.iter().for_each(|flow| handle.delete(flow).expect("deleted"));
    same_lines(line, || Ok(call(handle)?.iter().map(|flow| flow.text().to_string()).collect()))
}

/// The options of a listing and a selector match the same entries, and so do those of a delete.
pub(crate) fn selects(
    line: &str,
    handle: &mut Handle,
    selector: impl Fn() -> Fallible<Selector>,
) -> Difference {
    let listed = |handle: &mut Handle| -> Fallible<Vec<Listed>> {
        Ok(handle
            .dump()
            .matching(selector()?)
            .entries()?
            .map(|flow| flow.map(Listed))
            .collect::<Result<_>>()?)
    };
    lists(line, handle, true, listed)?;
    handle.flush().expect("flushed");
    let delete = |handle: &mut Handle| Ok(handle.delete_matching(selector()?).run().map(drop)?);
    changes(&line.replacen("-L", "-D", 1), handle, delete, sample::fill)
}

/// An entry returned by a call.
pub(crate) struct Listed(pub(crate) Flow);

impl AsRef<Flow> for Listed {
    fn as_ref(&self) -> &Flow {
        &self.0
    }
}

/// Every entry, as the call prints it.
pub(crate) fn prints(
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&Flow, &LabelMap) -> Fallible<String>,
) -> Difference {
    sample::fill(handle);
    let names = label_names();
    same_lines(line, || common::all(handle).iter().map(|flow| call(flow, &names)).collect())
}

/// All fields of a table, except those that change by themselves; timeouts to the minute.
fn table(handle: &mut Handle) -> Vec<String> {
    let minutes = |timeout: Duration| Duration::from_secs((timeout.as_secs() + 30) / 60 * 60);
    let shown = |flow: Flow| {
        let timeout = flow.timeout.map(minutes);
        let mut flow = steady(flow);
        (flow.id, flow.timestamps, flow.timeout) = (None, Default::default(), timeout);
        format!("{flow:?}")
    };
    let mut table: Vec<_> = common::all(handle).into_iter().map(shown).collect();
    table.sort();
    table
}

/// A change of the table: afterwards both tables are the same, and differ from the one before.
pub(crate) fn changes(
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&mut Handle) -> Fallible<()>,
    fill: fn(&mut Handle),
) -> Difference {
    changes_of(table, line, handle, call, fill)
}

/// A change of the content that `state` reads.
fn changes_of(
    state: fn(&mut Handle) -> Vec<String>,
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&mut Handle) -> Fallible<()>,
    fill: fn(&mut Handle),
) -> Difference {
    fill(handle);
    let before = state(handle);
    run(line)?;
    let theirs = state(handle);
    handle.flush().expect("flushed");
    handle.expectations().flush().expect("flushed");
    fill(handle);
    call(handle).map_err(|error| error.to_string())?;
    compare_lines(&theirs, &state(handle))?;
    match theirs == before {
        true => Err("nothing changed".to_owned()),
        false => Ok(()),
    }
}

/// The traffic counters are shown and reset.
pub(crate) fn resets(
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&mut Handle) -> Fallible<Vec<Flow>>,
) -> Difference {
    common::sysctl("nf_conntrack_acct", "1");
    common::track();
    let packets = |flow: &Flow| flow.counters.original.map(|counters| counters.packets);
    let mut traffic = |reset: &mut dyn FnMut(&mut Handle) -> Difference| {
        let tuple = common::udp_traffic("127.0.0.1", &[1, 2], &[]);
        let before = handle.get(tuple).map_err(|error| error.to_string())?;
        reset(handle)?;
        let after = handle.get(tuple).map_err(|error| error.to_string())?;
        Ok::<_, String>([packets(&before), packets(&after)])
    };
    let theirs = traffic(&mut |_| run(line).map(drop))?;
    let ours = traffic(&mut |handle| call(handle).map(drop).map_err(|error| error.to_string()))?;
    compare(&theirs, &ours)?;
    compare(&ours, &[Some(2), Some(0)])
}

/// A printed number.
pub(crate) fn counts(
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&mut Handle) -> Fallible<u64>,
    fill: fn(&mut Handle),
) -> Difference {
    fill(handle);
    let ours = call(handle).map_err(|error| error.to_string())?;
    compare(&run(line)?, &vec![ours.to_string()])
}

/// Counters of each CPU, by the printed names.
pub(crate) fn sums<T>(
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&mut Handle) -> Fallible<Vec<T>>,
    counters: &[Counter<T>],
) -> Difference {
    sample::fill(handle);
    sample::expect(handle);
    let cpus = call(handle).map_err(|error| error.to_string())?;
    let printed = run(line)?.join(" ");
    for (name, of) in counters {
        let values = printed.split_whitespace().filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let theirs: u32 = values.filter_map(|value| value.parse::<u32>().ok()).sum();
        compare(&(*name, theirs), &(*name, cpus.iter().filter_map(of).sum()))?;
    }
    Ok(())
}

/// Expectations, in the text of the library.
pub(crate) fn lists_expectations(
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&mut Handle) -> Fallible<Vec<Expectation>>,
) -> Difference {
    sample::expect(handle);
    let text = |expectation: &Expectation| Ok(expectation.text().to_string());
    same_lines(line, || call(handle)?.iter().map(text).collect())
}

fn expectations(handle: &mut Handle) -> Vec<String> {
    let found = handle.expectations().dump().entries().and_then(Iterator::collect::<Result<Vec<_>>>);
    let mut found: Vec<_> =
        found.expect("a dump").iter().map(|one| format!("{} of {}", one.expected, one.master)).collect();
    found.sort();
    found
}

/// A change of the expectations.
pub(crate) fn changes_expectations(
    line: &str,
    handle: &mut Handle,
    call: impl Fn(&mut Handle) -> Fallible<()>,
    fill: fn(&mut Handle),
) -> Difference {
    changes_of(expectations, line, handle, call, fill)
}
