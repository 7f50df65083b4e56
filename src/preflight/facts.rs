//! Everything that is looked at, before anything is concluded from it.

use std::fs;
use std::io;
use std::path::Path;

use super::Library;
use crate::error::{Error, Operation, Result, Subject};
use crate::filter::Asked;
use crate::handle::{Handle, Usage};
use crate::kernel::trial::{self, Verb};
use crate::kernel::{self, During, KernelRelease, tracker};
use crate::model::direction::Direction;
use crate::model::proto::Family;

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
    pub(super) be_liberal: Setting,
    pub(super) option_memory: Setting,
}

/// Whether there is translation.
#[derive(Debug, Clone)]
pub(super) enum Nat {
    Module { loaded: bool },
    Tried(Result<bool>),
}

/// The result of the trial of a filter.
pub(super) type Shown = Result<bool>;

/// Everything that is looked at.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) kernel: Option<KernelRelease>,
    pub(super) settings: Settings,
    pub(super) usage: Result<Usage>,
    pub(super) expectations: Result<()>,
    pub(super) counts_losses: Result<bool>,
    pub(super) zones: Option<bool>,
    pub(super) filters_by_mark: Option<bool>,
    /// Whether the kernel tracks each of [`tracker::OPTIONAL`] by ports or keys.
    pub(super) keeps_ports: [Result<bool>; 4],
    pub(super) marks: Shown,
    pub(super) labels: Shown,
    pub(super) nat: Nat,
    pub(super) list_by_mark: Shown,
    pub(super) list_by_status: Shown,
    pub(super) list_by_zone: Shown,
    pub(super) list_by_tuple: Shown,
    pub(super) list_by_ipv6: Shown,
    pub(super) list_by_reply: Shown,
    pub(super) flush_by_family: Shown,
    pub(super) flush_by_mark: Shown,
    pub(super) flush_by_status: Shown,
    pub(super) flush_by_zone: Shown,
    /// `None` where the crate was built without it.
    pub(super) library: Option<LibraryFacts>,
}

impl Facts {
    /// Looks at everything: through a handle in its network namespace, or, when there cannot be one, in
    /// that of the calling thread.
    pub(super) fn gather(handle: Result<&mut Handle, &Error>) -> Self {
        let (settings, usage, expectations, counts_losses, keeps_ports) = match handle {
            Ok(handle) => (
                handle.in_namespace(Settings::read).unwrap_or_else(|error| Settings::unreadable(&error)),
                handle.usage(),
                handle.expectation_statistics().map(|_| ()),
                Ok(handle.counts_losses()),
                tracker::OPTIONAL.map(|protocol| handle.keeps_ports(protocol)),
            ),
            Err(error) => {
                let ports = [(); 4].map(|()| Err(error.clone()));
                (Settings::read(), Err(error.clone()), Err(error.clone()), Err(error.clone()), ports)
            }
        };
        Self {
            kernel: KernelRelease::running(),
            settings,
            usage,
            expectations,
            counts_losses,
            zones: kernel::has_zones(),
            filters_by_mark: kernel::filters_by_mark(),
            keeps_ports,
            marks: trial::marks(),
            labels: trial::labels(),
            nat: Nat::look(),
            list_by_mark: shows(Verb::Reset, MARK),
            list_by_status: shows(Verb::Reset, STATUS),
            list_by_zone: shows(Verb::Reset, ZONE),
            list_by_tuple: trial::lists_by_tuple(Direction::Original, Family::Ipv4),
            list_by_ipv6: trial::lists_by_tuple(Direction::Original, Family::Ipv6),
            list_by_reply: trial::lists_by_tuple(Direction::Reply, Family::Ipv4),
            flush_by_family: shows(Verb::Flush, FAMILY),
            flush_by_mark: shows(Verb::Flush, MARK),
            flush_by_status: shows(Verb::Flush, STATUS),
            flush_by_zone: shows(Verb::Flush, ZONE),
            library: library(),
        }
    }
}

const NOTHING: Asked = Asked { family: false, mark: false, status: false, zone: None };
const FAMILY: Asked = Asked { family: true, ..NOTHING };
const MARK: Asked = Asked { mark: true, ..NOTHING };
const STATUS: Asked = Asked { status: true, ..NOTHING };
const ZONE: Asked = Asked { zone: Some(1), ..NOTHING };
const EVERYTHING: Asked = Asked { family: true, mark: true, status: true, zone: Some(1) };

/// A kernel that applies filters together applies each alone, so one trial is enough where all goes well: in
/// each the kernel goes through its whole hash table.
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
            be_liberal: read("nf_conntrack_tcp_be_liberal"),
            option_memory: Setting::read(Path::new("/proc/sys/net/core"), "optmem_max"),
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
            be_liberal: setting(),
            option_memory: setting(),
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

impl Nat {
    /// Where connection tracking is a module, so is translation, and nothing need be loaded to find
    /// out about it.
    fn look() -> Self {
        let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
        let is_loaded = |name| modules.lines().any(|line| line.split(' ').next() == Some(name));
        match (is_loaded("nf_nat"), is_loaded("nf_conntrack")) {
            (true, _) => Self::Module { loaded: true },
            (false, true) => Self::Module { loaded: false },
            (false, false) => Self::Tried(trial::translates()),
        }
    }
}

/// The abilities of the C library at hand.
#[derive(Debug, Clone)]
pub(super) struct LibraryFacts {
    pub(super) releases: Library,
    /// Whether its filters of listings know zones.
    pub(super) zone_filter: bool,
    /// Whether they know tuples.
    pub(super) tuple_filter: bool,
    /// Whether its filters of events know zones.
    pub(super) event_zones: bool,
    /// Whether its objects have the time of an event.
    pub(super) event_times: bool,
    /// Bytes that the program of its largest filter of events takes in the kernel.
    pub(super) largest_event_filter: u64,
}

#[cfg(feature = "nfct")]
fn library() -> Option<LibraryFacts> {
    let abilities = crate::nfct::abilities::abilities();
    Some(LibraryFacts {
        releases: Library { built_with: abilities.built_with, runs_with: abilities.runs_with },
        zone_filter: abilities.zone_filter,
        tuple_filter: abilities.tuple_filter,
        event_zones: abilities.event_zones,
        event_times: abilities.event_times,
        largest_event_filter: abilities.largest_event_filter,
    })
}

#[cfg(not(feature = "nfct"))]
fn library() -> Option<LibraryFacts> {
    None
}

impl Handle {
    /// Runs `work` in the handle's network namespace.
    fn in_namespace<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.link().in_namespace(work).during(Operation::Open, Subject::Socket)
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
