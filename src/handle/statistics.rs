//! Statistics: what each CPU counted, how full the table is, and how many entries are of a kind.

use std::collections::HashMap;
use std::hash::Hash;

use super::{ACKNOWLEDGED, Handle, refused};
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::object::MessageBuf;
use crate::wire::attr::{Attributes, Malformed};
use crate::wire::decode::HEADERS;
use crate::wire::link::Answer;
use crate::wire::uapi::{self, stats};

/// How full the table of a network namespace is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Usage {
    /// Entries in the table (`net.netfilter.nf_conntrack_count`).
    pub entries: u32,
    /// How many there may be (`net.netfilter.nf_conntrack_max`); Linux 4.18.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub limit: Option<u32>,
    /// What a newer kernel says beyond these, by the number of its attribute (`CTA_STATS_GLOBAL_…`), as
    /// far as it is of 32 bits.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::json::other_counters")
    )]
    pub other: Vec<(u16, u32)>,
}

/// What one CPU counted since the network namespace was made, over all its flows.
///
/// Counters that a kernel does not have are 0. What a newer kernel counts beyond these is in
/// [`other`](Self::other), by the number of its attribute (`CTA_STATS_…`), as far as it is of 32
/// bits like these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct CpuStatistics {
    /// The CPU.
    pub cpu: u16,
    /// Lookups that found an entry.
    pub found: u32,
    /// Packets that could not be tracked.
    pub invalid: u32,
    /// Entries put into the table.
    pub insert: u32,
    /// Entries that could not be put in, since another with the same tuple was faster.
    pub insert_failed: u32,
    /// Packets dropped because no entry could be made for them.
    pub drop: u32,
    /// Entries removed before their time to make room for new ones.
    pub early_drop: u32,
    /// ICMP errors that belong to no flow.
    pub error: u32,
    /// Lookups that were begun again because the table was resized.
    pub search_restart: u32,
    /// Insertions saved by taking the entry that was faster. Linux 5.10.
    pub clash_resolve: u32,
    /// Insertions given up because a hash chain was too long. Linux 5.15.
    pub chain_too_long: u32,
    /// Other counters, by the number of their attribute.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::json::other_counters")
    )]
    pub other: Vec<(u16, u32)>,
}

/// What one CPU counted about expectations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct CpuExpectationStatistics {
    /// The CPU.
    pub cpu: u16,
    /// Flows that an expectation came true with.
    pub new: u32,
    /// Expectations made.
    pub create: u32,
    /// Expectations removed.
    pub delete: u32,
    /// Other counters, by the number of their attribute.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::json::other_counters")
    )]
    pub other: Vec<(u16, u32)>,
}

impl CpuStatistics {
    fn counter(&mut self, kind: u16) -> Option<&mut u32> {
        Some(match kind {
            stats::FOUND => &mut self.found,
            stats::INVALID => &mut self.invalid,
            stats::INSERT => &mut self.insert,
            stats::INSERT_FAILED => &mut self.insert_failed,
            stats::DROP => &mut self.drop,
            stats::EARLY_DROP => &mut self.early_drop,
            stats::ERROR => &mut self.error,
            stats::SEARCH_RESTART => &mut self.search_restart,
            stats::CLASH_RESOLVE => &mut self.clash_resolve,
            stats::CHAIN_TOO_LONG => &mut self.chain_too_long,
            _ => return None,
        })
    }
}

impl CpuExpectationStatistics {
    fn counter(&mut self, kind: u16) -> Option<&mut u32> {
        Some(match kind {
            stats::EXP_NEW => &mut self.new,
            stats::EXP_CREATE => &mut self.create,
            stats::EXP_DELETE => &mut self.delete,
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
    /// How many entries the table has, and how many it may have.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] and what else a request can end in.
    pub fn usage(&mut self) -> Result<Usage> {
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
        let missing = || Error::Malformed {
            failure: failure(),
            malformed: Malformed::new("CTA_STATS_GLOBAL_ENTRIES", "missing"),
        };
        Ok(Usage { entries: entries.ok_or_else(missing)?, limit, other })
    }

    /// What each CPU counted, as `conntrack -S` shows it.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] and what else a request can end in.
    pub fn statistics(&mut self) -> Result<Vec<CpuStatistics>> {
        let mut cpus = Vec::new();
        self.for_each_message(uapi::CT_GET_STATS_CPU, DUMP, |cpu, attributes| {
            let mut counted = CpuStatistics { cpu, ..CpuStatistics::default() };
            counted.other = read_counters(attributes, &mut counted, CpuStatistics::counter)?;
            cpus.push(counted);
            Ok(())
        })?;
        Ok(cpus)
    }

    /// What each CPU counted about expectations.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] and what else a request can end in.
    pub fn expectation_statistics(&mut self) -> Result<Vec<CpuExpectationStatistics>> {
        let mut cpus = Vec::new();
        self.for_each_message(uapi::EXP_GET_STATS_CPU, DUMP, |cpu, attributes| {
            let mut counted = CpuExpectationStatistics { cpu, ..CpuExpectationStatistics::default() };
            counted.other = read_counters(attributes, &mut counted, CpuExpectationStatistics::counter)?;
            cpus.push(counted);
            Ok(())
        })?;
        Ok(cpus)
    }

    /// Counts entries by whatever `key` makes of them: zone, mark, protocol, state, or several of them
    /// at once. In one listing of the table; memory grows with the number of different keys only. For
    /// each of these by itself see [`counts`](Self::counts).
    ///
    /// ```no_run
    /// # let mut handle = netfilter_conntrack::Handle::open()?;
    /// let by_zone = handle.count_by(|flow| flow.zone)?;
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of a [dump](crate::Entries).
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
    ) -> Result<()> {
        let mut request = MessageBuf::new(kind, flags, 0, 0);
        let seq = match flags {
            DUMP => self.link.start_dump(&mut request),
            _ => self.link.send(&mut request),
        };
        let seq = seq.map_err(|fault| fault.during(failure()))?;
        loop {
            match self.link.answer(seq).map_err(|fault| fault.during(failure()))? {
                Answer::Message(message) => {
                    let message = self.link.bytes(message);
                    let id = message.first_chunk::<HEADERS>().map(|headers| [headers[18], headers[19]]);
                    let read = match id {
                        Some(id) => read(u16::from_be_bytes(id), Attributes::new(&message[HEADERS..])),
                        None => Err(Malformed::new("message", "shorter than its headers")),
                    };
                    read.map_err(|malformed| Error::Malformed { failure: failure(), malformed })?;
                }
                Answer::Done | Answer::Interrupted => return Ok(()),
                Answer::Refused { errno, message } => return Err(refused(failure(), errno, message)),
            }
        }
    }
}

const DUMP: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;

fn failure() -> Failure {
    Failure::new(Operation::Get, Object::Statistics)
}

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
        assert_eq!(read(&[new, found].concat()), Ok((7, vec![(92, 256)])));
        assert!(read(&attribute(stats::FOUND, &[0; 8])).is_err());
    }
}
