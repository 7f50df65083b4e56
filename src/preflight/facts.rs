//! Everything that is looked at, before anything is concluded from it.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use super::Library;
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::handle::trial::{self, Verb};
use crate::handle::{Handle, Usage};
use crate::kernel::{self, Asked, KernelRelease};
use crate::label::Labels;
use crate::netns;
use crate::object::{Conntrack, DumpFilter, EventFilter, Logic, attr};
use crate::sys;
use crate::tuple::Tuple;
use crate::tuple_filter::TupleFilter;

/// A setting of connection tracking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    Is(u64),
    /// Connection tracking is there, the setting is not.
    Absent,
    Unreadable(String),
}

/// The settings of one network namespace.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) accounting: Setting,
    pub(super) timestamp: Setting,
    pub(super) events: Setting,
    pub(super) helper: Setting,
    pub(super) tcp_loose: Setting,
}

/// What became of a few entries in a namespace of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) marks: bool,
    pub(super) labels: bool,
}

/// Whether there is translation.
#[derive(Debug, Clone)]
pub(super) enum Nat {
    Module { loaded: bool },
    Tried(Result<bool>),
}

/// What a trial showed of a filter.
pub(super) type Shown = Result<bool>;

/// Everything that is looked at.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) kernel: Option<KernelRelease>,
    pub(super) library: Library,
    pub(super) settings: Settings,
    pub(super) usage: Result<Usage>,
    pub(super) expectations: Result<()>,
    pub(super) counts_losses: Result<bool>,
    pub(super) zones: Option<bool>,
    pub(super) filters_by_mark: Option<bool>,
    pub(super) sample: Result<Sample>,
    pub(super) nat: Nat,
    pub(super) list_by_mark: Shown,
    pub(super) list_by_status: Shown,
    pub(super) list_by_zone: Shown,
    pub(super) list_by_tuple: Shown,
    pub(super) flush_by_family: Shown,
    pub(super) flush_by_mark: Shown,
    pub(super) flush_by_status: Shown,
    pub(super) flush_by_zone: Shown,
    pub(super) library_zone_filter: bool,
    pub(super) library_tuple_filter: bool,
    pub(super) library_event_zones: bool,
    pub(super) library_event_times: bool,
}

impl Facts {
    /// Looks at everything: through a handle in its network namespace, or, when there cannot be one, in
    /// that of the calling thread.
    pub(super) fn gather(handle: Result<&mut Handle, &Error>) -> Self {
        let (settings, usage, expectations, counts_losses) = match handle {
            Ok(handle) => (
                handle.in_namespace(Settings::read).unwrap_or_else(|error| Settings::unreadable(&error)),
                handle.usage(),
                handle.expectation_statistics().map(|_| ()),
                Ok(handle.counts_losses()),
            ),
            Err(error) => (Settings::read(), Err(error.clone()), Err(error.clone()), Err(error.clone())),
        };
        static SAMPLE: OnceLock<Sample> = OnceLock::new();
        let [library_zone_filter, library_tuple_filter, library_event_zones, library_event_times] =
            ask_library();
        let runs_with = match (library_event_times, library_zone_filter) {
            (true, _) => "1.1.1",
            (false, true) => "1.1.0",
            (false, false) => "1.0.9",
        };
        Self {
            kernel: KernelRelease::running(),
            library: Library { built_with: sys::VERSION, runs_with },
            settings,
            usage,
            expectations,
            counts_losses,
            zones: kernel::has_zones(),
            filters_by_mark: kernel::filters_by_mark(),
            sample: trial::remembered(&SAMPLE, sample),
            nat: Nat::look(),
            list_by_mark: shows(Verb::Reset, MARK),
            list_by_status: shows(Verb::Reset, STATUS),
            list_by_zone: shows(Verb::Reset, ZONE),
            list_by_tuple: trial::shows_tuples(),
            flush_by_family: shows(Verb::Flush, FAMILY),
            flush_by_mark: shows(Verb::Flush, MARK),
            flush_by_status: shows(Verb::Flush, STATUS),
            flush_by_zone: shows(Verb::Flush, ZONE),
            library_zone_filter,
            library_tuple_filter,
            library_event_zones,
            library_event_times,
        }
    }
}

const NOTHING: Asked = Asked { family: false, mark: false, status: false, zone: None };
const FAMILY: Asked = Asked { family: true, ..NOTHING };
const MARK: Asked = Asked { mark: true, ..NOTHING };
const STATUS: Asked = Asked { status: true, ..NOTHING };
const ZONE: Asked = Asked { zone: Some(1), ..NOTHING };
const EVERYTHING: Asked = Asked { family: true, mark: true, status: true, zone: Some(1) };

/// What a kernel applies together it applies alone, so one trial will do where all goes well: in each
/// the kernel goes through its whole hash table.
fn shows(verb: Verb, part: Asked) -> Shown {
    match trial::shows(verb, EVERYTHING) {
        Ok(true) => Ok(true),
        _ => trial::shows(verb, part),
    }
}

impl Settings {
    /// Those of the calling thread's network namespace.
    fn read() -> Self {
        let read = |name| Setting::read(Path::new("/proc/sys/net/netfilter"), name);
        Self {
            accounting: read("nf_conntrack_acct"),
            timestamp: read("nf_conntrack_timestamp"),
            events: read("nf_conntrack_events"),
            helper: read("nf_conntrack_helper"),
            tcp_loose: read("nf_conntrack_tcp_loose"),
        }
    }

    fn unreadable(error: &Error) -> Self {
        let setting = || Setting::Unreadable(error.to_string());
        Self {
            accounting: setting(),
            timestamp: setting(),
            events: setting(),
            helper: setting(),
            tcp_loose: setting(),
        }
    }
}

impl Setting {
    fn read(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        let unreadable = |why: &str| Self::Unreadable(format!("{} cannot be read ({why})", path.display()));
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_or_else(|_| unreadable("no number"), Self::Is),
            // Its neighbour tells a kernel without it from a /proc that does not show settings.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match folder.join("nf_conntrack_max").exists() {
                    true => Self::Absent,
                    false => unreadable(&error.to_string()),
                }
            }
            Err(error) => unreadable(&error.to_string()),
        }
    }
}

/// A flow for a namespace of its own.
fn a_flow(port: u16) -> Result<Flow> {
    let tuple = Tuple::udp(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 53).into())?;
    Ok(Flow::new(tuple).timeout(Duration::from_secs(600)))
}

/// Makes a flow with a mark and tries to label it.
fn sample() -> Result<Sample> {
    netns::run_in_new(|| {
        let mut handle = Handle::open()?;
        let flow = a_flow(1)?.mark(1);
        handle.create(&flow)?;
        let marks = handle.get(&flow)?.mark == Some(1);
        let labels = match handle.update(&flow.identity().labels(Labels::of([1])?)) {
            // The kernel knows labels, but nothing here uses them.
            Ok(()) | Err(Error::LabelsOff(_)) => true,
            Err(Error::Unsupported(_)) => false,
            Err(error) => return Err(error),
        };
        Ok(Sample { marks, labels })
    })?
}

impl Nat {
    /// Where connection tracking is a module, so is translation, and nothing need be loaded to find
    /// out about it.
    fn look() -> Self {
        static TRIED: OnceLock<bool> = OnceLock::new();
        let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
        let is_loaded = |name| modules.lines().any(|line| line.split(' ').next() == Some(name));
        match (is_loaded("nf_nat"), is_loaded("nf_conntrack")) {
            (true, _) => Self::Module { loaded: true },
            (false, true) => Self::Module { loaded: false },
            (false, false) => Self::Tried(trial::remembered(&TRIED, translate)),
        }
    }
}

/// Makes a flow that is translated.
fn translate() -> Result<bool> {
    netns::run_in_new(|| match Handle::open()?.create(&a_flow(1)?.dnat(IpAddr::from([10, 0, 0, 3]))) {
        Ok(()) => Ok(true),
        Err(Error::Unsupported(_)) => Ok(false),
        Err(error) => Err(error),
    })?
}

/// Whether the C library that runs knows zones in filters, tuples in them, zones in filters of events,
/// and the time of an event.
fn ask_library() -> [bool; 4] {
    let filter = || DumpFilter::new();
    let zones = filter().and_then(|mut filter| filter.zone(1)).is_ok();
    let tuples = filter().and_then(|mut filter| filter.tuple(TupleFilter::new())).is_ok();
    let events = EventFilter::new().is_ok_and(|mut filter| filter.zones(Logic::Only, [1]).is_ok());
    let times = Conntrack::new().is_ok_and(|ct| ct.supports(attr::TIMESTAMP_EVENT));
    [zones, tuples, events, times]
}

impl Handle {
    /// Runs `work` in the handle's network namespace.
    fn in_namespace<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.link().in_namespace(work, &|| Failure::new(Operation::Open, Object::Socket))
    }

    fn counts_losses(&self) -> bool {
        self.link().counts_losses()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_there_or_absent_or_cannot_be_read() {
        let folder = std::env::temp_dir().join(format!("nfct-settings-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("nf_conntrack_acct"), "1\n").expect("written");
        fs::write(folder.join("nf_conntrack_events"), "often\n").expect("written");
        let read = |name| Setting::read(&folder, name);
        assert_eq!(read("nf_conntrack_acct"), Setting::Is(1));
        assert!(matches!(read("nf_conntrack_events"), Setting::Unreadable(why) if why.contains("no number")));
        // Without its neighbour nothing is known of it.
        assert!(matches!(read("nf_conntrack_helper"), Setting::Unreadable(why) if why.contains("No such")));
        fs::write(folder.join("nf_conntrack_max"), "1\n").expect("written");
        assert_eq!(read("nf_conntrack_helper"), Setting::Absent);
        fs::remove_dir_all(&folder).expect("removed");
    }
}
