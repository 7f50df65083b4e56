//! Facts shared by every entry that a selector matches.
//!
//! They serve two ends: to find contradictory conditions before anything is sent, and to push down to the
//! kernel as much of a selector as it supports. Facts may be incomplete, but must be true: the kernel skips
//! an entry without one of them, and no later check would see it.

use super::term::{Share, Side, Term, Translation};
use crate::filter::{Filter, Masked, TupleParts, ZoneFilter};
use crate::model::direction::Direction;
use crate::model::input::InputError;
use crate::model::proto::{Family, Protocol};
use crate::model::status::Status;
use crate::model::zone::Zone;

/// Each is `None`, `false` or an empty mask if nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    family: Option<Family>,
    protocol: Option<Protocol>,
    /// The protocol is one with ports.
    ports: bool,
    /// The protocol is ICMP or ICMPv6.
    icmp: bool,
    /// The protocol, if a condition asks for its state.
    state: Option<Protocol>,
    zone: Option<ZoneFilter>,
    /// The zone is another than 0, in at least one direction.
    elsewhere: bool,
    mark: Masked,
    status: Masked,
    /// Addresses and ports, where there is only one that can match.
    original: TupleParts,
    reply: TupleParts,
    /// They are the whole selector: every entry that fulfils them matches. If the kernel applies them all, no
    /// second check is needed.
    exact: bool,
}

impl Facts {
    /// Those of a single condition, which must be valid by itself.
    pub(super) fn of(term: &Term) -> Result<Self, InputError> {
        let exact = matches!(term, Term::Family(_) | Term::Zone(_) | Term::Mark(_) | Term::Status(_));
        let mut facts = Self { exact, ..Self::default() };
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
            Term::Icmp(..) => facts.icmp = true,
            Term::GreKey(..) => facts.protocol = Some(Protocol::GRE),
            Term::Translated(what) => {
                let done = done(*what).bits();
                facts.status = Masked { value: done, mask: done };
            }
            Term::State(protocol, _) => facts.state = Some(*protocol),
            Term::Zone(zone) => {
                facts.zone = Some(*zone);
                facts.elsewhere = zone.is_elsewhere();
            }
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
            Term::Labels(..) | Term::Timeout(_) | Term::Age(_) | Term::Helper(_) | Term::Predicate(_) => {}
        }
        Ok(facts)
    }

    /// The facts if both selectors match.
    pub(super) fn both(self, other: Self) -> Result<Self, InputError> {
        let zone = both_zones(self.zone, other.zone)?;
        // The kernel can apply only one of two conditions on zones.
        let is_kept = |own: Option<ZoneFilter>| own.is_none() || own == zone || both_imply(zone, own);
        let facts = Self {
            exact: self.exact && other.exact && is_kept(self.zone) && is_kept(other.zone),
            family: same("families", self.family, other.family)?,
            protocol: same("protocols", self.protocol, other.protocol)?,
            ports: self.ports || other.ports,
            icmp: self.icmp || other.icmp,
            state: same("protocols", self.state, other.state)?,
            zone,
            elsewhere: self.elsewhere || other.elsewhere,
            mark: both_masked("marks", self.mark, other.mark)?,
            status: both_masked("status flags", self.status, other.status)?,
            original: both_tuples(self.original, other.original),
            reply: both_tuples(self.reply, other.reply),
        };
        facts.check_protocol()?;
        Ok(facts)
    }

    /// Refuses fields that the protocol does not have.
    fn check_protocol(&self) -> Result<(), InputError> {
        let Some(protocol) = self.protocol else { return Ok(()) };
        let icmp = icmp_family(protocol);
        match (self.family, icmp) {
            _ if self.ports && !protocol.has_ports() => Err(InputError::NoPorts(protocol)),
            _ if self.icmp && icmp.is_none() => Err(InputError::NoIcmp(protocol)),
            // Flows of IPv6 can have the number of ICMP too, but not its parts.
            (Some(family), Some(other)) if self.icmp && family != other => {
                Err(InputError::WrongIcmp { protocol, family })
            }
            _ => match self.state {
                Some(state) if state != protocol => {
                    Err(InputError::WrongProtocolState { state, flow: protocol })
                }
                _ => Ok(()),
            },
        }
    }

    /// The facts if at least one of both selectors matches.
    pub(super) fn either(&self, other: &Self) -> Self {
        Self {
            family: self.family.filter(|_| self.family == other.family),
            protocol: self.protocol.filter(|_| self.protocol == other.protocol),
            ports: self.ports && other.ports,
            icmp: self.icmp && other.icmp,
            state: self.state.filter(|_| self.state == other.state),
            zone: self.zone.zip(other.zone).and_then(|(one, other)| either_zone(one, other)),
            elsewhere: self.elsewhere && other.elsewhere,
            mark: either_masked(self.mark, other.mark),
            status: either_masked(self.status, other.status),
            original: either_tuple(self.original, other.original),
            reply: either_tuple(self.reply, other.reply),
            exact: false,
        }
    }

    /// The kernel's filter. A kernel applies each part or, if it is too old, ignores it.
    pub(super) fn filter(&self) -> Filter {
        let known = |masked: Masked| (masked.mask != 0).then_some(masked);
        let protocol = self.protocol.or(self.state);
        // The kernel takes an ICMP tuple for one of IPv4, which the selector may not require.
        let implied = protocol.and_then(icmp_family);
        let family = self.family.or(implied.filter(|_| self.icmp));
        let protocol = protocol.filter(|_| implied.is_none() || family == implied);
        let tuple = |tuple: TupleParts| Some(TupleParts { protocol, ..tuple }).filter(|it| !it.is_empty());
        Filter {
            family,
            zone: self.zone,
            mark: known(self.mark),
            status: known(self.status),
            original: tuple(self.original),
            reply: tuple(self.reply),
            elsewhere: self.elsewhere,
        }
    }

    /// Those of everything, and of a selector without conditions so far.
    pub(super) fn none() -> Self {
        Self { exact: true, ..Self::default() }
    }

    /// The same as a part of the selector.
    pub(super) fn inexact(self) -> Self {
        Self { exact: false, ..self }
    }

    /// Whether every entry that fulfils them matches.
    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    fn tuple_mut(&mut self, side: Side) -> &mut TupleParts {
        self.direction_mut(side.direction())
    }

    fn direction_mut(&mut self, direction: Direction) -> &mut TupleParts {
        match direction {
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

/// If two differ, nothing matches, and either of them will do.
fn both_tuples(one: TupleParts, other: TupleParts) -> TupleParts {
    TupleParts {
        src: one.src.or(other.src),
        dst: one.dst.or(other.dst),
        src_port: one.src_port.or(other.src_port),
        dst_port: one.dst_port.or(other.dst_port),
        protocol: None,
    }
}

fn either_tuple(one: TupleParts, other: TupleParts) -> TupleParts {
    TupleParts {
        src: one.src.filter(|_| one.src == other.src),
        dst: one.dst.filter(|_| one.dst == other.dst),
        src_port: one.src_port.filter(|_| one.src_port == other.src_port),
        dst_port: one.dst_port.filter(|_| one.dst_port == other.dst_port),
        protocol: None,
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

/// Whether an entry in the one zone is in the other as well.
fn both_imply(zone: Option<ZoneFilter>, other: Option<ZoneFilter>) -> bool {
    use ZoneFilter::{AnyDirection, Exact};
    match (zone, other) {
        (Some(Exact(zone)), Some(AnyDirection(id))) => zone.touches(id),
        _ => false,
    }
}

/// The status flag of a translated flow.
fn done(what: Translation) -> Status {
    match what {
        Translation::Src | Translation::SrcPort => Status::SRC_NAT_DONE,
        Translation::Dst | Translation::DstPort => Status::DST_NAT_DONE,
    }
}

fn icmp_family(protocol: Protocol) -> Option<Family> {
    match protocol {
        Protocol::ICMP => Some(Family::Ipv4),
        Protocol::ICMPV6 => Some(Family::Ipv6),
        _ => None,
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
