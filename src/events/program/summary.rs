//! The conditions shared by all selectors of a set. A program begins with them, and falls back to them if it
//! has no room for each selector.

use super::asm::Label;
use super::ranges::{self, Ranges};
use super::reader::Reader;
use super::term::{Fit, Leads, numbers_of};
use crate::filter::Masked;
use crate::model::proto::{Family, Protocol};
use crate::select::{Expr, Side, Term};

/// Conditions that every flow fulfils which at least one of some expressions matches.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Summary {
    /// The flow has one of these.
    Family(Vec<Family>),
    Protocol(Vec<Protocol>),
    /// Of IPv4 and of IPv6.
    Address(Side, [Ranges; 2]),
    Port(Side, Ranges),
    Zone(Ranges),
    Mark(Ranges),
    All(Vec<Summary>),
    Any(Vec<Summary>),
}

/// A summary, and whether it is exact, so that every flow that fulfils it is matched.
pub(super) type Judged = (Summary, bool);

impl Summary {
    /// `None` if the expressions share no condition that is known here.
    pub(super) fn of<'e>(exprs: impl Iterator<Item = &'e Expr>) -> Option<Judged> {
        let mut exprs = exprs.filter(|expr| !matches!(expr, Expr::Nothing));
        let (mut summary, mut exact) = match exprs.next() {
            Some(first) => Self::of_one(first)?,
            None => (Self::Any(Vec::new()), true),
        };
        for expr in exprs {
            let (other, same) = Self::of_one(expr)?;
            let (both, joined) = summary.or(other)?;
            exact &= same && joined;
            summary = both;
        }
        summary.tidy();
        Some((summary, exact))
    }

    /// The conditions of one expression, as far as they are known here.
    fn of_one(expr: &Expr) -> Option<Judged> {
        let summary = match expr {
            Expr::And(parts) => {
                let known: Vec<Judged> = parts.iter().filter_map(Self::of_one).collect();
                let exact = known.len() == parts.len() && known.iter().all(|(_, exact)| *exact);
                return Some((Self::All(known.into_iter().map(|(part, _)| part).collect()), exact));
            }
            Expr::Or(parts) => {
                let known: Vec<Judged> = parts.iter().map(Self::of_one).collect::<Option<_>>()?;
                let exact = known.iter().all(|(_, exact)| *exact);
                return Some((Self::Any(known.into_iter().map(|(part, _)| part).collect()), exact));
            }
            Expr::Term(Term::Family(family)) => Self::Family(vec![*family]),
            Expr::Term(Term::Protocol(protocol)) => Self::Protocol(vec![*protocol]),
            Expr::Term(Term::Address(side, set)) => {
                Self::Address(*side, [ranges::wide(set.v4()), ranges::wide(set.v6())])
            }
            Expr::Term(Term::Port(side, ports)) => Self::Port(*side, ranges::wide(ports.ranges())),
            Expr::Term(Term::Zone(zone)) => Self::Zone(numbers_of(*zone)),
            Expr::Term(Term::Mark(Masked { value, mask: u32::MAX })) => {
                Self::Mark(vec![(u128::from(*value), u128::from(*value))])
            }
            _ => return None,
        };
        Some((summary, true))
    }

    /// A condition that holds if either does: for expressions of one form, the same form with more values.
    fn or(self, other: Self) -> Option<Judged> {
        if self == other {
            return Some((self, true));
        }
        let both = match (self, other) {
            (Self::Family(one), Self::Family(other)) => Self::Family(either(one, other)),
            (Self::Protocol(one), Self::Protocol(other)) => Self::Protocol(either(one, other)),
            (Self::Address(side, [v4, v6]), Self::Address(same, [more_v4, more_v6])) if side == same => {
                Self::Address(side, [grown(v4, more_v4), grown(v6, more_v6)])
            }
            (Self::Port(side, one), Self::Port(same, other)) if side == same => {
                Self::Port(side, grown(one, other))
            }
            (Self::Zone(one), Self::Zone(other)) => Self::Zone(grown(one, other)),
            (Self::Mark(one), Self::Mark(other)) => Self::Mark(grown(one, other)),
            (Self::All(one), Self::All(other)) => return Some(common(one, other)),
            (Self::All(parts), other) | (other, Self::All(parts)) => {
                return Some((common(parts, vec![other]).0, false));
            }
            (Self::Any(one), Self::Any(other)) if one.len() == other.len() => {
                let each = one.into_iter().zip(other).map(|(one, other)| one.or(other));
                let each: Vec<Judged> = each.collect::<Option<_>>()?;
                let exact = each.iter().all(|(_, exact)| *exact);
                return Some((Self::Any(each.into_iter().map(|(part, _)| part).collect()), exact));
            }
            _ => return None,
        };
        Some((both, true))
    }

    /// Whether it is of the same form, so that both can be joined.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(side, _), Self::Address(other, _))
            | (Self::Port(side, _), Self::Port(other, _)) => side == other,
            (Self::Any(one), Self::Any(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is_like(other))
            }
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }

    /// Sorts the joined parts, the cheapest to read first.
    fn tidy(&mut self) {
        match self {
            Self::Address(_, sets) => sets.iter_mut().for_each(sort),
            Self::Port(_, set) | Self::Zone(set) | Self::Mark(set) => sort(set),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter_mut().for_each(Self::tidy);
                parts.sort_by_key(Self::cost);
            }
            Self::Family(_) | Self::Protocol(_) => {}
        }
    }

    fn cost(&self) -> u32 {
        match self {
            Self::Family(_) => 0,
            Self::Mark(_) => 1,
            Self::Protocol(_) => 2,
            Self::Zone(_) => 3,
            Self::Port(..) => 4,
            Self::Address(..) => 5,
            Self::All(_) | Self::Any(_) => 6,
        }
    }

    /// Branches on whether it holds. `most`: how many ranges a set can have. Returns whether that was enough.
    pub(super) fn write(&self, reader: &mut Reader, most: usize, yes: Label, no: Label) -> bool {
        let (fit, to) = (Fit { most, wider: true }, Leads { yes, no, unknown: yes });
        let mut same = true;
        match self {
            Self::Family(families) => one_of(reader, families.iter().map(|family| Term::Family(*family)), to),
            Self::Protocol(protocols) => {
                one_of(reader, protocols.iter().map(|protocol| Term::Protocol(*protocol)), to);
            }
            Self::Address(side, sets) => same = reader.address(*side, sets.clone(), fit, to),
            Self::Port(side, set) => same = reader.port(*side, set.clone(), fit, to),
            Self::Zone(set) | Self::Mark(set) => {
                match self {
                    Self::Zone(_) => reader.zone(),
                    _ => reader.mark(),
                }
                let wide = ranges::widened(set, most);
                same = wide.len() == set.len();
                reader.is_loaded_in(&wide, yes, no);
            }
            Self::All(parts) => {
                for part in parts {
                    let next = reader.code.label();
                    same &= part.write(reader, most, next, no);
                    reader.code.place(next);
                }
                reader.code.go(yes);
            }
            Self::Any(parts) => {
                for part in parts {
                    let next = reader.code.label();
                    same &= part.write(reader, most, yes, next);
                    reader.code.place(next);
                }
                reader.code.go(no);
            }
        }
        same
    }
}

/// Branches on whether one of these conditions holds.
fn one_of(reader: &mut Reader, terms: impl Iterator<Item = Term>, to: Leads) {
    for term in terms {
        let other = reader.code.label();
        reader.term(&term, Fit { most: usize::MAX, wider: true }, Leads { no: other, ..to });
        reader.code.place(other);
    }
    reader.code.go(to.no);
}

/// The parts of both that are of one form, joined; the others do not hold for both. It is exact if all parts
/// but one are the same.
fn common(one: Vec<Summary>, other: Vec<Summary>) -> Judged {
    let len = one.len().max(other.len());
    let mut left: Vec<Option<Summary>> = other.into_iter().map(Some).collect();
    let (mut differ, mut exact) = (0, true);
    let join = |part: Summary| {
        let alike = left.iter_mut().find_map(|place| place.take_if(|place| part.is_like(place)))?;
        differ += usize::from(part != alike);
        let (both, joined) = part.or(alike)?;
        exact &= joined;
        Some(both)
    };
    let parts: Vec<Summary> = one.into_iter().filter_map(join).collect();
    let exact = exact && differ <= 1 && parts.len() == len;
    (Summary::All(parts), exact)
}

fn grown(mut one: Ranges, other: Ranges) -> Ranges {
    one.extend(other);
    one
}

fn sort(set: &mut Ranges) {
    *set = ranges::joined(std::mem::take(set));
}

fn either<T: PartialEq>(mut one: Vec<T>, other: Vec<T>) -> Vec<T> {
    other.into_iter().for_each(|value| {
        if !one.contains(&value) {
            one.push(value);
        }
    });
    one
}
