//! Selectors as text, for logs.

use std::fmt::{self, Display as _};

use super::expr::Expr;
use super::term::{IcmpPart, Share, Term, Translation};
use super::{Selector, SelectorSet};
use crate::filter::{Masked, ZoneFilter};
use crate::model::direction::Direction;
use crate::model::proto::{DccpState, Protocol, SctpState, TcpState};
use crate::model::status::Status;

/// The most selectors of a set to write; the others are counted.
const MOST: usize = 16;

/// `zone 10 and udp and dst 10.0.0.0/8 and (dst port 53 or reply src port 53)`. An invalid selector is
/// followed by the reason. The wording may change.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        match self.check() {
            Ok(()) => Ok(()),
            Err(error) => write!(f, " (refused: {error})"),
        }
    }
}

/// The [selectors](Selector#impl-Display-for-Selector), joined by `or`: `(zone 3 and dst 10.0.0.7) or zone 5`.
/// Of a large set the first 16 are written, and the others counted.
impl fmt::Display for SelectorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selectors = self.selectors();
        for (number, selector) in selectors.iter().enumerate().take(MOST) {
            f.write_str(if number == 0 { "" } else { " or " })?;
            match selectors.len() > 1 && !matches!(selector.expr, Expr::Term(_)) {
                true => write!(f, "({selector})")?,
                false => write!(f, "{selector}")?,
            }
        }
        match selectors.len() {
            0 => f.write_str("nothing"),
            len if len > MOST => write!(f, " or {} more", len - MOST),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("no condition"),
            Self::Nothing => f.write_str("nothing"),
            Self::All => f.write_str("everything"),
            Self::Term(term) => term.fmt(f),
            Self::And(parts) => join(f, parts, " and "),
            Self::Or(parts) => join(f, parts, " or "),
            Self::Not(inner) => {
                f.write_str("not ")?;
                inside(f, inner)
            }
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expr], word: &str) -> fmt::Result {
    for (number, part) in parts.iter().enumerate() {
        f.write_str(if number == 0 { "" } else { word })?;
        inside(f, part)?;
    }
    Ok(())
}

/// A part of an expression, in parentheses where it is one that joins others.
fn inside(f: &mut fmt::Formatter<'_>, part: &Expr) -> fmt::Result {
    match part {
        Expr::And(_) | Expr::Or(_) => write!(f, "({part})"),
        _ => part.fmt(f),
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Family(family) => family.fmt(f),
            Self::Protocol(protocol) => protocol.fmt(f),
            Self::Address(side, addresses) => write!(f, "{} {addresses}", side.name()),
            Self::Port(side, ports) => {
                write!(f, "{} port ", side.name())?;
                ports.write_short(f)
            }
            Self::Icmp(direction, part, value) => {
                let part = match part {
                    IcmpPart::Type => "type",
                    IcmpPart::Code => "code",
                    IcmpPart::Id => "id",
                };
                let reply = if *direction == Direction::Reply { "reply " } else { "" };
                write!(f, "{reply}icmp {part} {value}")
            }
            Self::GreKey(side, key) => write!(f, "{} gre key {key}", side.name()),
            Self::Translated(what) => f.write_str(match what {
                Translation::Src => "snat",
                Translation::Dst => "dnat",
                Translation::SrcPort => "port snat",
                Translation::DstPort => "port dnat",
            }),
            Self::Mark(Masked { value, mask: u32::MAX }) => write!(f, "mark {value:#x}"),
            Self::Mark(Masked { value, mask }) => write!(f, "mark {value:#x}/{mask:#x}"),
            Self::Status(Masked { value: 0, mask }) => {
                write!(f, "status without {}", Status::from_bits_retain(*mask))
            }
            Self::Status(Masked { value, .. }) => write!(f, "status {}", Status::from_bits_retain(*value)),
            Self::Zone(ZoneFilter::Exact(zone)) => zone.fmt(f),
            Self::Zone(ZoneFilter::AnyDirection(id)) => write!(f, "zone {id} in any direction"),
            Self::Labels(share, labels) => {
                let share = match share {
                    Share::All => "all",
                    Share::Any => "any",
                    Share::None => "none",
                };
                write!(f, "labels {share} of {labels}")
            }
            Self::State(protocol, states) => write_states(f, *protocol, states),
            Self::Timeout(span) => write!(f, "timeout {span}"),
            Self::Age(span) => write!(f, "age {span}"),
            Self::Helper(name) => write!(f, "helper {name}"),
            Self::Predicate(_) => f.write_str("a closure's condition"),
        }
    }
}

/// `tcp state ESTABLISHED|TIME_WAIT`.
fn write_states(f: &mut fmt::Formatter<'_>, protocol: Protocol, states: &[u8]) -> fmt::Result {
    write!(f, "{protocol} state ")?;
    for (number, &state) in states.iter().enumerate() {
        f.write_str(if number == 0 { "" } else { "|" })?;
        match protocol {
            Protocol::SCTP => SctpState::from(state).fmt(f)?,
            Protocol::DCCP => DccpState::from(state).fmt(f)?,
            _ => TcpState::from(state).fmt(f)?,
        }
    }
    Ok(())
}
