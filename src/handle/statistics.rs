//! Statistics: the counters of each CPU, how full the table is, and how many entries are of a kind.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use super::{ACKNOWLEDGED, Handle};
use crate::error::{Fault, Operation, Result, Subject};
use crate::kernel::During;
use crate::model::flow::Flow;
use crate::netlink::attr::{Attributes, Malformed};
use crate::netlink::decode::HEADERS;
use crate::netlink::link::Answer;
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi::{self, stats};

/// How full the table of a network namespace is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Usage {
    /// Entries in the table (`net.netfilter.nf_conntrack_count`), and those that no listing shows: new flows
    /// whose first packet is still on its way, as while it waits in an nfqueue.
    pub entries: u32,
    /// How many there may be (`net.netfilter.nf_conntrack_max`); Linux 4.18. 0 is no limit, which the
    /// setting can be up to Linux 6.17 and no longer in 7.2.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub limit: Option<u32>,
    /// Further numbers of newer kernels, by the number of their attribute (`CTA_STATS_GLOBAL_…`), as
    /// far as they are of 32 bits.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::model::form::other_counters")
    )]
    pub other: Vec<(u16, u32)>,
}

impl Usage {
    /// Whether there are as many entries as there may be. Not known, it is not: before Linux 4.18.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| limit != 0 && self.entries >= limit)
    }
}

/// The counters of one CPU since the network namespace was made, over all its flows.
///
/// Counters that a kernel does not have are `None`: newer ones no longer count everything. Further counters of
/// newer kernels are in [`other`](Self::other), by the number of their attribute (`CTA_STATS_…`), as far as
/// they are of 32 bits like these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct CpuStatistics {
    /// The CPU.
    pub cpu: u16,
    /// Lookups that found an entry.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub found: Option<u32>,
    /// Packets that could not be tracked.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub invalid: Option<u32>,
    /// Entries put into the table.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub insert: Option<u32>,
    /// Entries that could not be put in, since another with the same tuple was faster.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub insert_failed: Option<u32>,
    /// Packets dropped because no entry could be made for them.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub drop: Option<u32>,
    /// Entries removed before their time to make room for new ones.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub early_drop: Option<u32>,
    /// ICMP errors that belong to no flow.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub error: Option<u32>,
    /// Lookups that were begun again because the table was resized.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub search_restart: Option<u32>,
    /// Insertions saved by taking the entry that was faster. Linux 5.10.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub clash_resolve: Option<u32>,
    /// Insertions given up because a hash chain was too long. Linux 5.15.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub chain_too_long: Option<u32>,
    /// Other counters, by the number of their attribute.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::model::form::other_counters")
    )]
    pub other: Vec<(u16, u32)>,
}

/// The counters of one CPU about expectations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct CpuExpectationStatistics {
    /// The CPU.
    pub cpu: u16,
    /// Flows that an expectation came true with.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub new: Option<u32>,
    /// Expectations made.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub create: Option<u32>,
    /// Expectations removed.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub delete: Option<u32>,
    /// Other counters, by the number of their attribute.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::model::form::other_counters")
    )]
    pub other: Vec<(u16, u32)>,
}

impl CpuStatistics {
    fn counter(&mut self, kind: u16) -> Option<&mut u32> {
        Some(match kind {
            stats::FOUND => self.found.get_or_insert(0),
            stats::INVALID => self.invalid.get_or_insert(0),
            stats::INSERT => self.insert.get_or_insert(0),
            stats::INSERT_FAILED => self.insert_failed.get_or_insert(0),
            stats::DROP => self.drop.get_or_insert(0),
            stats::EARLY_DROP => self.early_drop.get_or_insert(0),
            stats::ERROR => self.error.get_or_insert(0),
            stats::SEARCH_RESTART => self.search_restart.get_or_insert(0),
            stats::CLASH_RESOLVE => self.clash_resolve.get_or_insert(0),
            stats::CHAIN_TOO_LONG => self.chain_too_long.get_or_insert(0),
            _ => return None,
        })
    }
}

/// As a line of `conntrack -S`: `cpu=0 found=12 invalid=3 insert=0`, with the counters that the kernel has.
/// Those without a name here are behind them: `attribute_15=1`.
impl fmt::Display for CpuStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = [
            ("found", self.found),
            ("invalid", self.invalid),
            ("insert", self.insert),
            ("insert_failed", self.insert_failed),
            ("drop", self.drop),
            ("early_drop", self.early_drop),
            ("error", self.error),
            ("search_restart", self.search_restart),
            ("clash_resolve", self.clash_resolve),
            ("chain_too_long", self.chain_too_long),
        ];
        write_counters(f, self.cpu, &counters, &self.other)
    }
}

/// `cpu=0 new=1 create=2 delete=2`, as of [`CpuStatistics`].
impl fmt::Display for CpuExpectationStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = [("new", self.new), ("create", self.create), ("delete", self.delete)];
        write_counters(f, self.cpu, &counters, &self.other)
    }
}

fn write_counters(
    f: &mut fmt::Formatter<'_>,
    cpu: u16,
    counters: &[(&str, Option<u32>)],
    other: &[(u16, u32)],
) -> fmt::Result {
    write!(f, "cpu={cpu}")?;
    for (name, counter) in counters {
        if let Some(counter) = counter {
            write!(f, " {name}={counter}")?;
        }
    }
    other.iter().try_for_each(|(attribute, counter)| write!(f, " attribute_{attribute}={counter}"))
}

/// `12 of 262144 entries`, or `12 entries` without a limit.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit.filter(|&limit| limit != 0) {
            Some(limit) => write!(f, "{} of {limit} entries", self.entries),
            None => write!(f, "{} entries", self.entries),
        }
    }
}

impl CpuExpectationStatistics {
    fn counter(&mut self, kind: u16) -> Option<&mut u32> {
        Some(match kind {
            stats::EXP_NEW => self.new.get_or_insert(0),
            stats::EXP_CREATE => self.create.get_or_insert(0),
            stats::EXP_DELETE => self.delete.get_or_insert(0),
            _ => return None,
        })
    }
}

/// Puts each counter in its place, and returns those that have none. An attribute without a place
/// need not be a counter; one of another length is none.
fn read_counters<T>(
    attributes: Attributes<'_>,
    counted: &mut T,
    place: fn(&mut T, u16) -> Option<&mut u32>,
) -> Result<Vec<(u16, u32)>, Malformed> {
    let mut other = Vec::new();
    for attribute in attributes {
        let attribute = attribute?;
        let value = attribute.be32("CTA_STATS");
        match place(counted, attribute.kind) {
            Some(place) => *place = value?,
            None => other.extend(value.ok().map(|value| (attribute.kind, value))),
        }
    }
    Ok(other)
}

impl Handle {
    /// Returns how many entries the table has, and how many it may have.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied), and any other error of a request.
    pub fn usage(&mut self) -> Result<Usage> {
        self.read_usage().during(Operation::Get, Subject::Statistics)
    }

    fn read_usage(&mut self) -> Result<Usage, Fault> {
        let (mut told, mut other) = ([None; 2], Vec::new());
        self.for_each_message(uapi::CT_GET_STATS, ACKNOWLEDGED, |_, attributes| {
            other = read_counters(attributes, &mut told, |[entries, limit], kind| match kind {
                stats::GLOBAL_ENTRIES => Some(entries.get_or_insert(0)),
                stats::GLOBAL_MAX_ENTRIES => Some(limit.get_or_insert(0)),
                _ => None,
            })?;
            Ok(())
        })?;
        let [entries, limit] = told;
        let entries = entries.ok_or(Malformed::new("CTA_STATS_GLOBAL_ENTRIES", "missing"))?;
        Ok(Usage { entries, limit, other })
    }

    /// Returns the counters of each CPU, as `conntrack -S` shows them.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied), and any other error of a request.
    pub fn statistics(&mut self) -> Result<Vec<CpuStatistics>> {
        let mut cpus = Vec::new();
        let read = self.for_each_message(uapi::CT_GET_STATS_CPU, DUMP, |cpu, attributes| {
            let mut counted = CpuStatistics { cpu, ..CpuStatistics::default() };
            counted.other = read_counters(attributes, &mut counted, CpuStatistics::counter)?;
            cpus.push(counted);
            Ok(())
        });
        read.during(Operation::Get, Subject::Statistics).map(|()| cpus)
    }

    /// Returns the counters of each CPU about expectations.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied), and any other error of a request.
    pub fn expectation_statistics(&mut self) -> Result<Vec<CpuExpectationStatistics>> {
        let mut cpus = Vec::new();
        let read = self.for_each_message(uapi::EXP_GET_STATS_CPU, DUMP, |cpu, attributes| {
            let mut counted = CpuExpectationStatistics { cpu, ..CpuExpectationStatistics::default() };
            counted.other = read_counters(attributes, &mut counted, CpuExpectationStatistics::counter)?;
            cpus.push(counted);
            Ok(())
        });
        read.during(Operation::Get, Subject::Statistics).map(|()| cpus)
    }

    /// Counts entries by the value that your closure `key` returns for them: zone, mark, protocol, state, or
    /// several of them at once. It lists the table once; memory grows with the number of different keys only.
    /// If you need each of these by itself, call [`counts`](Self::counts).
    ///
    /// ```no_run
    /// # let mut handle = netfilter_conntrack::Handle::open()?;
    /// let by_zone = handle.count_by(|flow| flow.zone)?;
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of a [dump](crate::handle::Entries).
    pub fn count_by<K: Eq + Hash>(&mut self, mut key: impl FnMut(&Flow) -> K) -> Result<HashMap<K, u64>> {
        let mut counts = HashMap::new();
        for flow in self.dump().entries()? {
            *counts.entry(key(&flow?)).or_default() += 1;
        }
        Ok(counts)
    }

    /// Sends a request without attributes and hands each message of the answer to `read`: the
    /// number in its netfilter header, which is that of the CPU, and its attributes.
    fn for_each_message(
        &mut self,
        kind: u16,
        flags: u16,
        mut read: impl FnMut(u16, Attributes<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Fault> {
        let mut request = MessageBuf::new(kind, flags, 0, 0);
        let seq = match flags {
            DUMP => self.link.start_dump(&mut request)?,
            _ => self.link.send(&mut request)?,
        };
        loop {
            match self.link.answer(seq)? {
                Answer::Message(message) => {
                    let message = self.link.bytes(message);
                    let short = Malformed::new("message", "shorter than its headers");
                    let headers = message.first_chunk::<HEADERS>().ok_or(short)?;
                    let id = u16::from_be_bytes([headers[18], headers[19]]);
                    read(id, Attributes::new(&message[HEADERS..]))?;
                }
                Answer::Done | Answer::Interrupted => return Ok(()),
                Answer::Refused { errno, message } => return Err(Fault::Refused { errno, message }),
            }
        }
    }
}

const DUMP: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_counter_is_passed_over_where_no_counter_is_due() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let read = |bytes: &[u8]| {
            let mut counted = CpuStatistics::default();
            let other = read_counters(Attributes::new(bytes), &mut counted, CpuStatistics::counter)?;
            Ok::<_, Malformed>((counted.found, other))
        };
        let found = attribute(stats::FOUND, &[0, 0, 0, 7]);
        let new = [attribute(90, &[0; 8]), attribute(91, &[1]), attribute(92, &[0, 0, 1, 0])].concat();
        assert_eq!(read(&[new, found].concat()), Ok((Some(7), vec![(92, 256)])));
        assert!(read(&attribute(stats::FOUND, &[0; 8])).is_err());
    }

    #[test]
    fn statistics_are_lines() {
        let other = vec![(15, 1)];
        let cpu = CpuStatistics { cpu: 2, found: Some(7), drop: Some(0), other, ..CpuStatistics::default() };
        assert_eq!(cpu.to_string(), "cpu=2 found=7 drop=0 attribute_15=1");
        let cpu = CpuExpectationStatistics { new: Some(1), ..CpuExpectationStatistics::default() };
        assert_eq!(cpu.to_string(), "cpu=0 new=1");
        let usage = |limit| Usage { entries: 12, limit, other: Vec::new() }.to_string();
        assert_eq!(usage(Some(100)), "12 of 100 entries");
        assert_eq!((usage(Some(0)), usage(None)), ("12 entries".into(), "12 entries".into()));
    }
}
