//! How many entries there are of each kind.

use std::collections::HashMap;
use std::hash::Hash;

use super::Handle;
use crate::error::Result;
use crate::model::flow::{Flow, ProtoInfo};
use crate::model::proto::{DccpState, Family, Protocol, SctpState, TcpState};
use crate::model::zone::Zone;

/// Entry counts by family, protocol, zone, mark and state. Keys with no entries are absent.
///
/// ```
/// use netfilter_conntrack::handle::Counts;
/// use netfilter_conntrack::{Flow, Tuple, Zone};
///
/// let mut counts = Counts::default();
/// counts.add(&Flow::new(Tuple::udp("10.0.0.1:1".parse()?, "10.0.0.2:53".parse()?)?).zone(7));
/// assert_eq!((counts.entries, counts.zones[&Zone::new(7)], counts.marks[&0]), (1, 1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// All entries.
    pub entries: u64,
    /// By family.
    pub families: HashMap<Family, u64>,
    /// By layer 4 protocol.
    pub protocols: HashMap<Protocol, u64>,
    /// By zone, with its directions.
    pub zones: HashMap<Zone, u64>,
    /// By mark; one that was never set is 0.
    pub marks: HashMap<u32, u64>,
    /// TCP connections by state. Offloaded ones are not counted: the kernel does not report their state.
    pub tcp_states: HashMap<TcpState, u64>,
    /// SCTP associations by state.
    pub sctp_states: HashMap<SctpState, u64>,
    /// DCCP connections by state.
    pub dccp_states: HashMap<DccpState, u64>,
}

impl Counts {
    /// Counts one more entry, for example of a filtered [dump](Handle::dump).
    pub fn add(&mut self, flow: &Flow) {
        self.entries += 1;
        one_more(&mut self.families, Some(flow.original.family()));
        one_more(&mut self.protocols, Some(flow.original.protocol()));
        one_more(&mut self.zones, Some(flow.zone));
        one_more(&mut self.marks, Some(flow.mark.unwrap_or(0)));
        match &flow.proto_info {
            Some(ProtoInfo::Tcp(info)) => one_more(&mut self.tcp_states, info.state),
            Some(ProtoInfo::Sctp(info)) => one_more(&mut self.sctp_states, info.state),
            Some(ProtoInfo::Dccp(info)) => one_more(&mut self.dccp_states, info.state),
            None => {}
        }
    }
}

impl Handle {
    /// Counts entries by family, protocol, zone, mark and state, all in one listing of the table.
    /// Memory grows with the number of different zones and marks only.
    ///
    /// # Errors
    /// Those of a [dump](crate::handle::Entries).
    pub fn counts(&mut self) -> Result<Counts> {
        let mut counts = Counts::default();
        for flow in self.dump().entries()? {
            counts.add(&flow?);
        }
        Ok(counts)
    }
}

fn one_more<K: Eq + Hash>(counts: &mut HashMap<K, u64>, key: Option<K>) {
    if let Some(key) = key {
        *counts.entry(key).or_default() += 1;
    }
}
