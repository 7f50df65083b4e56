//! What every entry that a selector matches has in common.
//!
//! It serves two ends: conditions that contradict each other are found before anything is sent, and
//! the kernel is told as much as it understands. Facts may be fewer than true, never more: an entry
//! without one of them is passed over by the kernel and seen by nobody.

use super::term::{Share, Side, Term};
use crate::direction::Direction;
use crate::error::InputError;
use crate::handle::{Filter, Masked, ZoneFilter};
use crate::proto::{Family, Protocol};
use crate::tuple_filter::TupleFilter;
use crate::zone::Zone;

/// Each is `None`, `false` or an empty mask when nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    family: Option<Family>,
    protocol: Option<Protocol>,
    /// The protocol is one with ports.
    ports: bool,
    /// The protocol is TCP, since a TCP state is asked for.
    tcp_state: bool,
    zone: Option<ZoneFilter>,
    mark: Masked,
    status: Masked,
    /// Addresses and ports, where there is only one that can match.
    original: TupleFilter,
    reply: TupleFilter,
}

impl Facts {
    /// Those of a single condition, which must make sense by itself.
    pub(super) fn of(term: &Term) -> Result<Self, InputError> {
        let mut facts = Self::default();
        match term {
            Term::Family(family) => facts.family = Some(*family),
            Term::Protocol(protocol) => facts.protocol = Some(*protocol),
            Term::Address(side, addresses) => {
                facts.family = addresses.family();
                *side.address_in(facts.tuple_mut(*side)) = addresses.only();
            }
            Term::Port(_, ports) if ports.reversed => return Err(InputError::ReversedPorts),
            Term::Port(side, ports) => {
                facts.ports = true;
                *side.port_in(facts.tuple_mut(*side)) = ports.only();
            }
            Term::TcpState(_) => facts.tcp_state = true,
            Term::Zone(zone) => facts.zone = Some(*zone),
            Term::Mark(Masked { mask: 0, .. }) => return Err(InputError::EmptyMarkMask),
            Term::Status(Masked { mask: 0, .. }) => return Err(InputError::EmptyStatusMask),
            Term::Mark(mark) => {
                mark.check()?;
                facts.mark = *mark;
            }
            Term::Status(status) => {
                status.check()?;
                facts.status = *status;
            }
            // "All of no labels" and "none of no labels" would be true of every entry.
            Term::Labels(Share::All | Share::None, labels) if labels.is_empty() => {
                return Err(InputError::NoLabels);
            }
            Term::Timeout(span) | Term::Age(span) if span.is_empty() => return Err(InputError::EmptySpan),
            Term::Labels(..)
            | Term::Timeout(_)
            | Term::Age(_)
            | Term::Translated(_)
            | Term::Helper(_)
            | Term::Predicate(_) => {}
        }
        Ok(facts)
    }

    /// When the facts of both hold.
    pub(super) fn both(self, other: Self) -> Result<Self, InputError> {
        let facts = Self {
            family: same("families", self.family, other.family)?,
            protocol: same("protocols", self.protocol, other.protocol)?,
            ports: self.ports || other.ports,
            tcp_state: self.tcp_state || other.tcp_state,
            zone: both_zones(self.zone, other.zone)?,
            mark: both_masked("marks", self.mark, other.mark)?,
            status: both_masked("status flags", self.status, other.status)?,
            original: both_tuples(self.original, other.original),
            reply: both_tuples(self.reply, other.reply),
        };
        match facts.protocol {
            Some(protocol) if facts.ports && !protocol.has_ports() => Err(InputError::NoPorts(protocol)),
            Some(flow) if facts.tcp_state && flow != Protocol::TCP => {
                Err(InputError::WrongProtocolState { state: Protocol::TCP, flow })
            }
            _ => Ok(facts),
        }
    }

    /// When those of one or of the other hold.
    pub(super) fn either(&self, other: &Self) -> Self {
        Self {
            family: self.family.filter(|_| self.family == other.family),
            protocol: self.protocol.filter(|_| self.protocol == other.protocol),
            ports: self.ports && other.ports,
            tcp_state: self.tcp_state && other.tcp_state,
            zone: self.zone.zip(other.zone).and_then(|(one, other)| either_zone(one, other)),
            mark: either_masked(self.mark, other.mark),
            status: either_masked(self.status, other.status),
            original: either_tuple(self.original, other.original),
            reply: either_tuple(self.reply, other.reply),
        }
    }

    /// What the kernel is asked to filter by: all of it is something that it either applies or, when
    /// it is too old, takes no notice of.
    pub(super) fn filter(&self) -> Filter {
        let known = |masked: Masked| (masked.mask != 0).then_some(masked);
        let protocol = self.protocol.or(self.tcp_state.then_some(Protocol::TCP));
        // A tuple of ICMP stands for IPv4, which nobody may have asked for.
        let implied = |protocol: &Protocol| TupleFilter::new().protocol(*protocol).family();
        let protocol = protocol.filter(|it| implied(it).is_none_or(|family| self.family == Some(family)));
        let tuple = |tuple: TupleFilter| Some(TupleFilter { protocol, ..tuple }).filter(|it| !it.is_empty());
        Filter {
            family: self.family,
            zone: self.zone,
            mark: known(self.mark),
            status: known(self.status),
            original: tuple(self.original),
            reply: tuple(self.reply),
        }
    }

    fn tuple_mut(&mut self, side: Side) -> &mut TupleFilter {
        match side.direction() {
            Direction::Original => &mut self.original,
            Direction::Reply => &mut self.reply,
        }
    }
}

fn same<T: PartialEq>(what: &'static str, one: Option<T>, other: Option<T>) -> Result<Option<T>, InputError> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(InputError::Contradiction(what)),
        (one, other) => Ok(one.or(other)),
    }
}

fn both_masked(what: &'static str, one: Masked, other: Masked) -> Result<Masked, InputError> {
    match (one.value ^ other.value) & one.mask & other.mask {
        0 => Ok(Masked { value: one.value | other.value, mask: one.mask | other.mask }),
        _ => Err(InputError::Contradiction(what)),
    }
}

fn either_masked(one: Masked, other: Masked) -> Masked {
    let mask = one.mask & other.mask & !(one.value ^ other.value);
    Masked { value: one.value & mask, mask }
}

/// Where two differ nothing matches, and one of them will do.
fn both_tuples(one: TupleFilter, other: TupleFilter) -> TupleFilter {
    TupleFilter {
        src: one.src.or(other.src),
        dst: one.dst.or(other.dst),
        src_port: one.src_port.or(other.src_port),
        dst_port: one.dst_port.or(other.dst_port),
        ..TupleFilter::default()
    }
}

fn either_tuple(one: TupleFilter, other: TupleFilter) -> TupleFilter {
    TupleFilter {
        src: one.src.filter(|_| one.src == other.src),
        dst: one.dst.filter(|_| one.dst == other.dst),
        src_port: one.src_port.filter(|_| one.src_port == other.src_port),
        dst_port: one.dst_port.filter(|_| one.dst_port == other.dst_port),
        ..TupleFilter::default()
    }
}

fn both_zones(one: Option<ZoneFilter>, other: Option<ZoneFilter>) -> Result<Option<ZoneFilter>, InputError> {
    use ZoneFilter::{AnyDirection, Exact};
    let (Some(one), Some(other)) = (one, other) else { return Ok(one.or(other)) };
    let possible = match (one, other) {
        (Exact(zone), Exact(other)) => zone == other,
        (Exact(zone), AnyDirection(id)) | (AnyDirection(id), Exact(zone)) => zone.touches(id),
        // An entry has one number; the other direction can be in zone 0.
        (AnyDirection(id), AnyDirection(other)) => id == other || id == 0 || other == 0,
    };
    match (one, other) {
        _ if !possible => Err(InputError::Contradiction("zones")),
        (Exact(_), _) | (AnyDirection(1..), AnyDirection(_)) => Ok(Some(one)),
        _ => Ok(Some(other)),
    }
}

fn either_zone(one: ZoneFilter, other: ZoneFilter) -> Option<ZoneFilter> {
    match (one.for_kernel(), other.for_kernel()) {
        _ if one == other => Some(one),
        (Some(id), Some(same)) if id == same && id != Zone::DEFAULT.id() => {
            Some(ZoneFilter::AnyDirection(id))
        }
        _ => None,
    }
}
