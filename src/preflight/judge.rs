//! From what was looked at to what can be done.

use super::facts::{Facts, Nat, Setting, Shown};
use super::{Decider, Feature, State};
use crate::error::Error;
use crate::handle::Usage;
use crate::kernel::{self, KernelRelease};

/// Helpers are no longer assigned by port.
const NO_AUTOMATIC_HELPERS: KernelRelease = KernelRelease::new(6, 0);
/// Events say when they happened.
const EVENT_TIMES: KernelRelease = KernelRelease::new(6, 14);

type Verdict = (State, Decider);

impl Facts {
    pub(super) fn judge(&self, feature: Feature) -> Verdict {
        match feature {
            Feature::Access => self.access(),
            Feature::Room => self.room(),
            Feature::TableLimit => answered(&self.usage, |usage| usage.limit.is_some()),
            Feature::Zones => self.zones(),
            Feature::Marks => self.marks(),
            Feature::Labels => self.labels(),
            Feature::Nat => self.nat(),
            Feature::Expectations => answered(&self.expectations, |()| true),
            Feature::AutomaticHelpers => self.automatic_helpers(),
            Feature::PickUp => switch("net.netfilter.nf_conntrack_tcp_loose", &self.settings.tcp_loose, ""),
            Feature::Accounting => switch("net.netfilter.nf_conntrack_acct", &self.settings.accounting, ""),
            Feature::Timestamps => self.timestamps(),
            Feature::Events => self.events(),
            Feature::EventTimes => self.event_times(),
            Feature::LossCount => answered(&self.counts_losses, |counts| *counts),
            Feature::ListByMark => self.list(&self.list_by_mark, kernel::DUMP_BY_MARK),
            Feature::ListByStatus => self.list(&self.list_by_status, kernel::DUMP_BY_STATUS),
            Feature::ListByZone => self.list(&self.list_by_zone, kernel::DUMP_BY_ZONE),
            Feature::ListByTuple => self.list(&self.list_by_tuple, kernel::DUMP_BY_TUPLE),
            Feature::FlushByFamily => flush(&self.flush_by_family),
            Feature::FlushByMark => flush(&self.flush_by_mark),
            Feature::FlushByStatus => flush(&self.flush_by_status),
            Feature::FlushByZone => flush(&self.flush_by_zone),
            Feature::LibraryZoneFilter => library("1.1.0", self.library_zone_filter),
            Feature::LibraryTupleFilter => library("1.1.0", self.library_tuple_filter),
            Feature::LibraryEventZones => library("1.1.0", self.library_event_zones),
            Feature::LibraryEventTimes => library("1.1.1", self.library_event_times),
        }
    }

    fn access(&self) -> Verdict {
        match &self.usage {
            Ok(_) => (State::Available, Decider::Answer),
            Err(error) => (State::Missing, Decider::Refused { reason: error.to_string() }),
        }
    }

    fn room(&self) -> Verdict {
        match self.usage {
            Ok(Usage { entries, limit: Some(limit), .. }) => {
                // A limit of 0 is none.
                (there(entries < limit || limit == 0), Decider::Usage { entries, limit })
            }
            Ok(Usage { limit: None, .. }) => undecided("the kernel does not tell the limit"),
            Err(ref error) => undecided(error),
        }
    }

    fn zones(&self) -> Verdict {
        match self.zones {
            Some(true) => (State::Available, Decider::Answer),
            Some(false) => (State::Missing, Decider::Build { option: "CONFIG_NF_CONNTRACK_ZONES" }),
            None => undecided("the kernel cannot be asked"),
        }
    }

    fn marks(&self) -> Verdict {
        match (&self.sample, self.filters_by_mark) {
            (Ok(sample), _) if sample.marks => (State::Available, Decider::Trial),
            (Ok(_), _) => (State::Missing, Decider::Build { option: "CONFIG_NF_CONNTRACK_MARK" }),
            (Err(_), Some(true)) => (State::Available, Decider::Answer),
            (Err(error), _) => undecided(error),
        }
    }

    fn labels(&self) -> Verdict {
        match &self.sample {
            Ok(sample) if sample.labels => (State::Limited, Decider::Trial),
            Ok(_) => (State::Missing, Decider::Build { option: "CONFIG_NF_CONNTRACK_LABELS" }),
            Err(error) => undecided(error),
        }
    }

    fn nat(&self) -> Verdict {
        match &self.nat {
            Nat::Module { loaded } => {
                let state = if *loaded { State::Available } else { State::Limited };
                (state, Decider::Module { name: "nf_nat", loaded: *loaded })
            }
            Nat::Tried(shown) => tried(shown),
        }
    }

    fn automatic_helpers(&self) -> Verdict {
        match (&self.settings.helper, self.kernel) {
            (Setting::Absent, Some(running)) if running >= NO_AUTOMATIC_HELPERS => {
                (State::Missing, Decider::Removed { in_release: NO_AUTOMATIC_HELPERS, running })
            }
            (setting, _) => switch("net.netfilter.nf_conntrack_helper", setting, ""),
        }
    }

    fn timestamps(&self) -> Verdict {
        let option = "CONFIG_NF_CONNTRACK_TIMESTAMP";
        switch("net.netfilter.nf_conntrack_timestamp", &self.settings.timestamp, option)
    }

    fn events(&self) -> Verdict {
        let name = "net.netfilter.nf_conntrack_events";
        match self.settings.events {
            Setting::Is(value @ 2) => (State::Limited, Decider::Sysctl { name, value }),
            ref setting => switch(name, setting, "CONFIG_NF_CONNTRACK_EVENTS"),
        }
    }

    /// Kernels that know them still do not keep them unless they keep the other times.
    fn event_times(&self) -> Verdict {
        match self.kernel {
            Some(running) if running < EVENT_TIMES => {
                (State::Missing, Decider::Kernel { since: EVENT_TIMES, running })
            }
            Some(_) => self.timestamps(),
            None => undecided("the kernel's release cannot be read"),
        }
    }

    /// What a trial shows, or else what the release says.
    fn list(&self, shown: &Shown, since: KernelRelease) -> Verdict {
        match (shown, self.kernel) {
            (Err(_), Some(running)) => (there(running >= since), Decider::Kernel { since, running }),
            _ => tried(shown),
        }
    }
}

fn there(is_there: bool) -> State {
    if is_there { State::Available } else { State::Missing }
}

fn undecided(reason: impl ToString) -> Verdict {
    (State::Unknown, Decider::Undecided { reason: reason.to_string() })
}

/// What a question to the kernel shows.
fn answered<T>(answer: &Result<T, Error>, shows: impl FnOnce(&T) -> bool) -> Verdict {
    match answer {
        Ok(answer) => (there(shows(answer)), Decider::Answer),
        Err(error) => undecided(error),
    }
}

fn tried(shown: &Shown) -> Verdict {
    match shown {
        Ok(shows) => (there(*shows), Decider::Trial),
        Err(error) => undecided(format_args!("it could not be tried: {error}")),
    }
}

/// What was not seen is not used.
fn flush(shown: &Shown) -> Verdict {
    match tried(shown) {
        (State::Unknown, why) => (State::Missing, why),
        verdict => verdict,
    }
}

/// A setting that is on or off, and the option of the kernel without which there is no such setting.
fn switch(name: &'static str, setting: &Setting, option: &'static str) -> Verdict {
    match setting {
        Setting::Is(value) => (there(*value != 0), Decider::Sysctl { name, value: *value }),
        Setting::Absent if option.is_empty() => undecided(format_args!("there is no {name}")),
        Setting::Absent => (State::Missing, Decider::Build { option }),
        Setting::Unreadable(reason) => undecided(reason),
    }
}

fn library(since: &'static str, known: bool) -> Verdict {
    (there(known), Decider::Library { since, known })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::error::{Failure, Object, Operation};
    use crate::preflight::facts::{Sample, Settings};
    use crate::preflight::{Library, Preflight};

    fn denied() -> Error {
        let failure = Failure::new(Operation::Open, Object::Socket);
        Error::PermissionDenied(failure.with_errno(libc::EPERM))
    }

    /// A kernel of this release with everything on and everything shown.
    pub(in crate::preflight) fn everything(major: u32, minor: u32) -> Facts {
        let on = || Setting::Is(1);
        Facts {
            kernel: Some(KernelRelease::new(major, minor)),
            library: Library { built_with: "1.0.9", runs_with: "1.0.9" },
            settings: Settings {
                accounting: on(),
                timestamp: on(),
                events: on(),
                helper: on(),
                tcp_loose: on(),
            },
            usage: Ok(Usage { entries: 3, limit: Some(4), other: Vec::new() }),
            expectations: Ok(()),
            counts_losses: Ok(true),
            zones: Some(true),
            filters_by_mark: Some(true),
            sample: Ok(Sample { marks: true, labels: true }),
            nat: Nat::Module { loaded: true },
            list_by_mark: Ok(true),
            list_by_status: Ok(true),
            list_by_zone: Ok(true),
            list_by_tuple: Ok(true),
            flush_by_family: Ok(true),
            flush_by_mark: Ok(true),
            flush_by_status: Ok(true),
            flush_by_zone: Ok(true),
            library_zone_filter: true,
            library_tuple_filter: true,
            library_event_zones: true,
            library_event_times: true,
        }
    }

    #[track_caller]
    fn assert_says(facts: &Facts, feature: Feature, sentence: &str) {
        assert_eq!(Preflight::from_facts(facts).capability(feature).to_string(), sentence);
    }

    #[test]
    fn features_are_numbered_as_they_are_listed() {
        for (number, feature) in Feature::ALL.iter().enumerate() {
            assert_eq!(*feature as usize, number);
        }
    }

    #[test]
    fn where_everything_is_there_nothing_is_missing_but_what_nobody_can_know() {
        let preflight = Preflight::from_facts(&everything(6, 14));
        let missing: Vec<_> = preflight.missing().map(|capability| capability.feature).collect();
        assert_eq!(missing, [Feature::Labels]);
    }

    #[test]
    fn settings_that_are_off_are_named() {
        let mut facts = everything(6, 18);
        facts.settings.accounting = Setting::Is(0);
        facts.settings.events = Setting::Is(2);
        facts.settings.helper = Setting::Absent;
        facts.settings.timestamp = Setting::Absent;
        assert_says(
            &facts,
            Feature::Accounting,
            "accounting: missing, because net.netfilter.nf_conntrack_acct is 0; flows that begin now have \
             no counters",
        );
        assert_says(
            &facts,
            Feature::Events,
            "events: limited, because net.netfilter.nf_conntrack_events is 2; nothing is heard of flows that \
             began while nobody on the machine listened",
        );
        assert_says(
            &facts,
            Feature::AutomaticHelpers,
            "automatic helpers: missing, because Linux 6.0 gave it up and this is 6.18; a flow has a helper \
             only where a rule or a program gave it one",
        );
        for feature in [Feature::Timestamps, Feature::EventTimes] {
            let option = "CONFIG_NF_CONNTRACK_TIMESTAMP";
            assert_eq!(facts.judge(feature), (State::Missing, Decider::Build { option }));
        }
        facts.settings.events = Setting::Is(0);
        assert!(matches!(facts.judge(Feature::Events), (State::Missing, Decider::Sysctl { value: 0, .. })));
    }

    #[test]
    fn what_cannot_be_read_hides_nothing_else() {
        let mut facts = everything(6, 18);
        facts.settings.accounting = Setting::Unreadable("/proc/x cannot be read (no)".into());
        assert_says(
            &facts,
            Feature::Accounting,
            "accounting: unknown, because /proc/x cannot be read (no); if it is missing, flows that begin \
             now have no counters",
        );
        assert_eq!(facts.judge(Feature::Timestamps).0, State::Available);
        facts.settings.helper = Setting::Absent;
        facts.kernel = None;
        assert_eq!(facts.judge(Feature::AutomaticHelpers).0, State::Unknown);
        assert_eq!(facts.judge(Feature::EventTimes).0, State::Unknown);
        assert_eq!(facts.judge(Feature::ListByZone), (State::Available, Decider::Trial));
    }

    /// A release is asked only where nothing was seen, and never about a flush.
    #[test]
    fn what_was_seen_counts_more_than_a_release() {
        let mut facts = everything(6, 7);
        assert_eq!(facts.judge(Feature::ListByZone), (State::Available, Decider::Trial));
        facts.list_by_zone = Ok(false);
        assert_eq!(facts.judge(Feature::ListByZone), (State::Missing, Decider::Trial));
        facts.list_by_zone = Err(denied());
        assert_says(
            &facts,
            Feature::ListByZone,
            "listing by zone in the kernel: missing, because Linux 6.8 brought it and this is 6.7; all \
             entries are read, and filtered here",
        );
        facts.kernel = Some(KernelRelease::new(6, 8));
        assert_eq!(facts.judge(Feature::ListByZone).0, State::Available);
        facts.kernel = None;
        assert_eq!(facts.judge(Feature::ListByZone).0, State::Unknown);

        facts.flush_by_zone = Ok(false);
        assert_eq!(facts.judge(Feature::FlushByZone), (State::Missing, Decider::Trial));
        facts.kernel = Some(KernelRelease::new(7, 0));
        facts.flush_by_zone = Err(denied());
        let (state, why) = facts.judge(Feature::FlushByZone);
        assert!(state == State::Missing && why.to_string().contains("could not be tried"), "{why}");
    }

    #[test]
    fn kernels_that_lack_something_are_known_by_it() {
        let mut facts = everything(5, 10);
        facts.sample = Ok(Sample { marks: false, labels: false });
        facts.zones = Some(false);
        facts.nat = Nat::Module { loaded: false };
        let build = |option| (State::Missing, Decider::Build { option });
        assert_eq!(facts.judge(Feature::Marks), build("CONFIG_NF_CONNTRACK_MARK"));
        assert_eq!(facts.judge(Feature::Labels), build("CONFIG_NF_CONNTRACK_LABELS"));
        assert_eq!(facts.judge(Feature::Zones), build("CONFIG_NF_CONNTRACK_ZONES"));
        assert_eq!(facts.judge(Feature::Nat).0, State::Limited);
        facts.nat = Nat::Tried(Ok(false));
        assert_eq!(facts.judge(Feature::Nat), (State::Missing, Decider::Trial));
        assert_says(
            &facts,
            Feature::EventTimes,
            "times of events: missing, because Linux 6.14 brought it and this is 5.10; events of flows that \
             begin now have no time",
        );
        // Marks are known without a trial where the kernel filters by them, else not.
        facts.sample = Err(denied());
        assert_eq!(facts.judge(Feature::Marks), (State::Available, Decider::Answer));
        facts.filters_by_mark = Some(false);
        assert_eq!(facts.judge(Feature::Marks).0, State::Unknown);
    }

    #[test]
    fn a_table_that_is_full_has_no_room() {
        let mut facts = everything(6, 18);
        let mut room = |entries, limit| {
            facts.usage = Ok(Usage { entries, limit, other: Vec::new() });
            facts.judge(Feature::Room).0
        };
        assert_eq!(room(3, Some(4)), State::Available);
        assert_eq!(room(4, Some(4)), State::Missing);
        assert_eq!(room(4, Some(0)), State::Available);
        assert_eq!(room(4, None), State::Unknown);
        assert_eq!(facts.judge(Feature::TableLimit).0, State::Missing);
        facts.usage = Err(denied());
        assert_eq!(facts.judge(Feature::Room).0, State::Unknown);
        assert_eq!(facts.judge(Feature::Access).0, State::Missing);
    }
}
