//! Counts: a list of objects for each criterion, since a mark or a zone with its direction cannot be the name
//! of a field.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::{through, zone};
use crate::handle::Counts;
use crate::model::direction::Direction;
use crate::model::form::or_default;
use crate::model::proto::{DccpState, Family, Protocol, SctpState, TcpState};
use crate::model::zone::Zone;

/// A value that entries are counted by, and how many entries have it.
trait Counted: Sized {
    type Key: Eq + Hash + Copy;
    fn new(key: Self::Key, entries: u64) -> Self;
    fn parts(self) -> Result<(Self::Key, u64), &'static str>;
}

/// Declares an object of a value and its count.
macro_rules! counted {
    ($($name:ident { $field:ident: $key:ty })*) => { $(
        #[derive(Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $field: $key,
            entries: u64,
        }

        impl Counted for $name {
            type Key = $key;

            fn new($field: $key, entries: u64) -> Self {
                Self { $field, entries }
            }

            fn parts(self) -> Result<($key, u64), &'static str> {
                Ok((self.$field, self.entries))
            }
        }
    )* };
}

counted! {
    OfFamily { family: Family }
    OfProtocol { protocol: Protocol }
    OfMark { mark: u32 }
    InTcpState { state: TcpState }
    InSctpState { state: SctpState }
    InDccpState { state: DccpState }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InZone {
    zone: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_direction: Option<Direction>,
    entries: u64,
}

impl Counted for InZone {
    type Key = Zone;

    fn new(zone: Zone, entries: u64) -> Self {
        Self { zone: zone.id(), zone_direction: zone.only(), entries }
    }

    fn parts(self) -> Result<(Zone, u64), &'static str> {
        Ok((zone::zone(self.zone, self.zone_direction)?, self.entries))
    }
}

/// The serialized form of counts.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    entries: u64,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    families: Vec<OfFamily>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    protocols: Vec<OfProtocol>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    zones: Vec<InZone>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    marks: Vec<OfMark>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    tcp_states: Vec<InTcpState>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    sctp_states: Vec<InSctpState>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    dccp_states: Vec<InDccpState>,
}

through!(Counts, Fields);

/// The list of a map, in a stable order.
fn list<C: Counted, O: Ord>(counts: &HashMap<C::Key, u64>, order: impl Fn(C::Key) -> O) -> Vec<C> {
    let mut sorted: Vec<_> = counts.iter().map(|(key, entries)| (*key, *entries)).collect();
    sorted.sort_by_key(|(key, _)| order(*key));
    sorted.into_iter().map(|(key, entries)| C::new(key, entries)).collect()
}

fn map<C: Counted>(list: Vec<C>) -> Result<HashMap<C::Key, u64>, &'static str> {
    let mut counts = HashMap::with_capacity(list.len());
    for one in list {
        let (key, entries) = one.parts()?;
        if counts.insert(key, entries).is_some() {
            return Err("the same is counted twice");
        }
    }
    Ok(counts)
}

impl From<&Counts> for Fields {
    fn from(counts: &Counts) -> Self {
        Self {
            entries: counts.entries,
            families: list(&counts.families, |family| family),
            protocols: list(&counts.protocols, |protocol| protocol),
            zones: list(&counts.zones, |zone| zone),
            marks: list(&counts.marks, |mark| mark),
            tcp_states: list(&counts.tcp_states, TcpState::number),
            sctp_states: list(&counts.sctp_states, SctpState::number),
            dccp_states: list(&counts.dccp_states, DccpState::number),
        }
    }
}

impl TryFrom<Fields> for Counts {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        Ok(Self {
            entries: fields.entries,
            families: map(fields.families)?,
            protocols: map(fields.protocols)?,
            zones: map(fields.zones)?,
            marks: map(fields.marks)?,
            tcp_states: map(fields.tcp_states)?,
            sctp_states: map(fields.sctp_states)?,
            dccp_states: map(fields.dccp_states)?,
        })
    }
}
