//! From collected facts to abilities.

use super::facts::{Facts, Nat, Setting, Shown};
use super::{Cause, Feature, State};
use crate::error::Error;
use crate::handle::Usage;
use crate::kernel::{self, KernelRelease, part, tracker};
use crate::model::proto::Protocol;

/// Helpers are no longer assigned by port.
const NO_AUTOMATIC_HELPERS: KernelRelease = KernelRelease::new(6, 0);
/// Events have a time.
const EVENT_TIMES: KernelRelease = KernelRelease::new(6, 14);

/// Flow tables can count the packets that they forward.
const OFFLOAD_COUNTERS: KernelRelease = KernelRelease::new(5, 7);
const TCP_LOOSE: &str = "net.netfilter.nf_conntrack_tcp_loose";

type Assessment = (State, Cause);

impl Facts {
    pub(super) fn assess(&self, feature: Feature) -> Assessment {
        if let Some(name) = self.unreachable().filter(|_| feature.is_reached_over_netlink()) {
            return (State::Missing, Cause::Module { name, loaded: false });
        }
        match feature {
            Feature::Access => self.access(),
            Feature::Room => self.room(),
            Feature::TableLimit => answered(&self.usage, |usage| usage.limit.is_some()),
            Feature::Zones => self.zones(),
            Feature::Marks => self.marks(),
            Feature::Labels => self.labels(),
            Feature::UdpLitePorts => self.ports(Protocol::UDPLITE),
            Feature::DccpPorts => self.ports(Protocol::DCCP),
            Feature::SctpPorts => self.ports(Protocol::SCTP),
            Feature::GreKeys => self.ports(Protocol::GRE),
            Feature::Nat => self.nat(),
            Feature::Expectations => answered(&self.expectations, |()| true),
            Feature::AutomaticHelpers => self.automatic_helpers(),
            Feature::PickUp => switch(TCP_LOOSE, &self.settings.tcp_loose, ""),
            Feature::LastingDeletes => switched_off(TCP_LOOSE, &self.settings.tcp_loose),
            Feature::WindowChecks => {
                switched_off("net.netfilter.nf_conntrack_tcp_be_liberal", &self.settings.be_liberal)
            }
            Feature::Accounting => self.accounting(),
            Feature::OffloadCounters => self.offload_counters(),
            Feature::Timestamps => self.timestamps(),
            Feature::Events => self.events(),
            Feature::EventTimes => self.event_times(),
            Feature::LossCount => answered(&self.counts_losses, |counts| *counts),
            Feature::LargeEventFilters => self.large_event_filters(),
            Feature::ListByMark | Feature::FlushByMark if self.marks().0 == State::Missing => self.marks(),
            Feature::ListByZone | Feature::FlushByZone if self.zones == Some(false) => self.zones(),
            Feature::ListByMark => self.list(&self.list_by_mark, kernel::DUMP_BY_MARK),
            Feature::ListByStatus => self.list(&self.list_by_status, kernel::DUMP_BY_STATUS),
            Feature::ListByZone => self.list(&self.list_by_zone, kernel::DUMP_BY_ZONE),
            Feature::ListByTuple => self.list(&self.list_by_tuple, kernel::DUMP_BY_TUPLE),
            // No release tells.
            Feature::ListByIpv6 => tried(&self.list_by_ipv6),
            Feature::ListByReply => self.list(&self.list_by_reply, kernel::DUMP_BY_REPLY),
            Feature::FlushByFamily => tried(&self.flush_by_family),
            Feature::FlushByMark => tried(&self.flush_by_mark),
            Feature::FlushByStatus => tried(&self.flush_by_status),
            Feature::FlushByZone => tried(&self.flush_by_zone),
            Feature::LibraryZoneFilter => {
                library("1.1.0", self.library.as_ref().map(|library| library.zone_filter))
            }
            Feature::LibraryTupleFilter => {
                library("1.1.0", self.library.as_ref().map(|library| library.tuple_filter))
            }
            Feature::LibraryEventZones => {
                library("1.1.0", self.library.as_ref().map(|library| library.event_zones))
            }
            Feature::LibraryEventTimes => {
                library("1.1.1", self.library.as_ref().map(|library| library.event_times))
            }
        }
    }

    /// The module without which nothing of the table can be reached, if it is missing.
    fn unreachable(&self) -> Option<&'static str> {
        match &self.usage {
            Err(Error::Unsupported(failure)) => failure.missing(),
            _ => None,
        }
    }

    fn access(&self) -> Assessment {
        match &self.usage {
            Ok(_) => (State::Available, Cause::Answer),
            Err(error) => (State::Missing, Cause::Refused { reason: error.to_string() }),
        }
    }

    fn room(&self) -> Assessment {
        match self.usage {
            Ok(ref usage @ Usage { entries, limit: Some(limit), .. }) => {
                (there(!usage.is_full()), Cause::Usage { entries, limit })
            }
            Ok(Usage { limit: None, .. }) => undecided("the kernel does not tell the limit"),
            Err(ref error) => undecided(error),
        }
    }

    fn zones(&self) -> Assessment {
        match self.zones {
            Some(true) => (State::Available, Cause::Answer),
            Some(false) => (State::Missing, Cause::Build { option: part::ZONES }),
            None => undecided("the kernel cannot be asked"),
        }
    }

    fn marks(&self) -> Assessment {
        match (&self.marks, self.filters_by_mark) {
            (Ok(true), _) => (State::Available, Cause::Trial),
            (Ok(false), _) => (State::Missing, Cause::Build { option: part::MARKS }),
            (Err(_), Some(true)) => (State::Available, Cause::Answer),
            (Err(error), _) => undecided(error),
        }
    }

    fn labels(&self) -> Assessment {
        match &self.labels {
            Ok(true) => (State::Limited, Cause::Trial),
            Ok(false) => (State::Missing, Cause::Build { option: part::LABELS }),
            Err(error) => undecided(error),
        }
    }

    fn ports(&self, protocol: Protocol) -> Assessment {
        let seen =
            tracker::OPTIONAL.iter().zip(&self.keeps_ports).find(|(optional, _)| **optional == protocol);
        seen.map_or_else(|| undecided("nobody asked"), |(_, keeps)| answered(keeps, |keeps| *keeps))
    }

    fn nat(&self) -> Assessment {
        match &self.nat {
            Nat::Module { loaded } => {
                let state = if *loaded { State::Available } else { State::Limited };
                (state, Cause::Module { name: "nf_nat", loaded: *loaded })
            }
            Nat::Tried(shown) => tried(shown),
        }
    }

    fn automatic_helpers(&self) -> Assessment {
        match (&self.settings.helper, self.kernel) {
            (Setting::Absent, Some(running)) if running >= NO_AUTOMATIC_HELPERS => {
                (State::Missing, Cause::Removed { in_release: NO_AUTOMATIC_HELPERS, running })
            }
            (setting, _) => switch("net.netfilter.nf_conntrack_helper", setting, ""),
        }
    }

    fn accounting(&self) -> Assessment {
        switch("net.netfilter.nf_conntrack_acct", &self.settings.accounting, "")
    }

    fn offload_counters(&self) -> Assessment {
        match (self.kernel, self.accounting()) {
            (Some(running), _) if running < OFFLOAD_COUNTERS => {
                (State::Missing, Cause::Kernel { since: OFFLOAD_COUNTERS, running })
            }
            // Each flow table has a flag of its own.
            (_, (State::Available, cause)) => (State::Limited, cause),
            (_, assessment) => assessment,
        }
    }

    fn timestamps(&self) -> Assessment {
        switch("net.netfilter.nf_conntrack_timestamp", &self.settings.timestamp, part::TIMESTAMPS)
    }

    fn events(&self) -> Assessment {
        let name = "net.netfilter.nf_conntrack_events";
        match self.settings.events {
            Setting::Is(value @ 2) => (State::Limited, Cause::Sysctl { name, value }),
            ref setting => switch(name, setting, part::EVENTS),
        }
    }

    fn large_event_filters(&self) -> Assessment {
        let Some(library) = &self.library else { return WITHOUT_LIBRARY };
        match &self.settings.option_memory {
            Setting::Is(value) => {
                let fits = *value > library.largest_event_filter;
                let state = if fits { State::Available } else { State::Limited };
                (state, Cause::Sysctl { name: OPTION_MEMORY, value: *value })
            }
            Setting::Absent => undecided(format_args!("there is no {OPTION_MEMORY}")),
            Setting::Unreadable(reason) => undecided(reason),
        }
    }

    /// Kernels that know them still do not keep them unless they keep the other times.
    fn event_times(&self) -> Assessment {
        match self.kernel {
            Some(running) if running < EVENT_TIMES => {
                (State::Missing, Cause::Kernel { since: EVENT_TIMES, running })
            }
            Some(_) => self.timestamps(),
            None => undecided("the kernel's release cannot be read"),
        }
    }

    /// The result of a trial, or else of a comparison of releases.
    fn list(&self, shown: &Shown, since: KernelRelease) -> Assessment {
        match (shown, self.kernel) {
            (Err(_), Some(running)) => (there(running >= since), Cause::Kernel { since, running }),
            _ => tried(shown),
        }
    }
}

fn there(is_there: bool) -> State {
    if is_there { State::Available } else { State::Missing }
}

fn undecided(reason: impl ToString) -> Assessment {
    (State::Unknown, Cause::Undecided { reason: reason.to_string() })
}

/// The result of a question to the kernel.
fn answered<T>(answer: &Result<T, Error>, shows: impl FnOnce(&T) -> bool) -> Assessment {
    match answer {
        Ok(answer) => (there(shows(answer)), Cause::Answer),
        Err(error) => undecided(error),
    }
}

fn tried(shown: &Shown) -> Assessment {
    match shown {
        Ok(shows) => (there(*shows), Cause::Trial),
        Err(error) => undecided(format_args!("it could not be tried: {error}")),
    }
}

/// A setting that is on or off, and the option of the kernel without which there is no such setting.
fn switch(name: &'static str, setting: &Setting, option: &'static str) -> Assessment {
    match setting {
        Setting::Is(value) => (there(*value != 0), Cause::Sysctl { name, value: *value }),
        Setting::Absent if option.is_empty() => undecided(format_args!("there is no {name}")),
        Setting::Absent => (State::Missing, Cause::Build { option }),
        Setting::Unreadable(reason) => undecided(reason),
    }
}

/// As [`switch`], for a feature that is there while the setting is off.
fn switched_off(name: &'static str, setting: &Setting) -> Assessment {
    match (switch(name, setting, ""), setting) {
        ((_, cause), Setting::Is(value)) => (there(*value == 0), cause),
        (assessment, _) => assessment,
    }
}

fn library(since: &'static str, known: Option<bool>) -> Assessment {
    match known {
        Some(known) => (there(known), Cause::Library { since, known }),
        None => WITHOUT_LIBRARY,
    }
}

const WITHOUT_LIBRARY: Assessment = (State::Missing, Cause::Crate { feature: "nfct" });

/// The setting that limits the filters of a socket, as sysctl(8) calls it.
const OPTION_MEMORY: &str = "net.core.optmem_max";

#[cfg(test)]
pub(super) mod tests;
