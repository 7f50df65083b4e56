//! Finds the few of many selectors that an entry can match.
//!
//! Each selector is filed under values that an entry must have to match it: an address, a port or a zone. The
//! choice depends on the conditions of the other selectors: among thousands with one destination, the source
//! is the more selective.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use super::Selector;
use super::expr::Expr;
use super::term::{Side, Term};
use crate::filter::ZoneFilter;
use crate::model::flow::Flow;
use crate::model::zone::Zone;

/// A condition with more values than this is not used to find a selector.
const MOST: usize = 256;

/// A value that an entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Anchor {
    Address(usize, IpAddr),
    Port(usize, u16),
    Zone(Zone),
}

impl Anchor {
    /// How much less selective it is than an address.
    fn weight(self) -> usize {
        match self {
            Self::Address(..) => 1,
            Self::Port(..) => 4,
            Self::Zone(_) => 16,
        }
    }
}

/// Selectors by the values that an entry must have to match them, as their numbers in rising order.
#[derive(Debug, Default)]
pub(super) struct Index {
    addresses: [HashMap<IpAddr, Vec<u32>>; 4],
    ports: [HashMap<u16, Vec<u32>>; 4],
    zones: HashMap<Zone, Vec<u32>>,
    /// Those that can match anything.
    rest: Vec<u32>,
}

impl Index {
    pub(super) fn new(selectors: &[Selector]) -> Self {
        let mut popularity = HashMap::new();
        for selector in selectors {
            count(&selector.expr, &mut popularity);
        }
        let mut index = Self::default();
        for (number, selector) in (0..).zip(selectors) {
            match cover(&selector.expr, &popularity) {
                Some((_, anchors)) => anchors.into_iter().for_each(|anchor| index.file(anchor, number)),
                None => push(&mut index.rest, number),
            }
        }
        index
    }

    fn file(&mut self, anchor: Anchor, number: u32) {
        let list = match anchor {
            Anchor::Address(side, address) => self.addresses[side].entry(address).or_default(),
            Anchor::Port(side, port) => self.ports[side].entry(port).or_default(),
            Anchor::Zone(zone) => self.zones.entry(zone).or_default(),
        };
        push(list, number);
    }

    /// The lists that hold every selector which the entry can match.
    pub(super) fn candidates<'a>(&'a self, flow: &'a Flow) -> impl Iterator<Item = &'a [u32]> + 'a {
        let sides = Side::ALL.into_iter().filter_map(|side| {
            let by_address = look_up(&self.addresses[side.index()], || Some(side.address(flow)));
            let by_port = look_up(&self.ports[side.index()], || side.port(flow));
            (by_address.is_some() || by_port.is_some()).then_some([by_address, by_port])
        });
        let zone = look_up(&self.zones, || Some(flow.zone));
        sides.flatten().chain([zone, Some(self.rest.as_slice())]).flatten()
    }
}

/// An empty map costs no hash.
fn look_up<K: Hash + Eq>(lists: &HashMap<K, Vec<u32>>, key: impl FnOnce() -> Option<K>) -> Option<&[u32]> {
    match lists.is_empty() {
        true => None,
        false => lists.get(&key()?).map(Vec::as_slice),
    }
}

/// The same selector can come under one anchor twice.
fn push(list: &mut Vec<u32>, number: u32) {
    if list.last() != Some(&number) {
        list.push(number);
    }
}

/// The values of which an entry must have one to fulfil a condition, if they are few.
fn anchors(term: &Term) -> Option<Vec<Anchor>> {
    Some(match term {
        Term::Address(side, addresses) => {
            addresses.each(MOST)?.into_iter().map(|address| Anchor::Address(side.index(), address)).collect()
        }
        Term::Port(side, ports) => {
            ports.each(MOST)?.into_iter().map(|port| Anchor::Port(side.index(), port)).collect()
        }
        Term::Zone(ZoneFilter::Exact(zone)) => vec![Anchor::Zone(*zone)],
        Term::Zone(ZoneFilter::AnyDirection(id @ 1..)) => {
            [Zone::new(*id), Zone::original_only(*id), Zone::reply_only(*id)].map(Anchor::Zone).to_vec()
        }
        _ => return None,
    })
}

/// Counts how many selectors require each value.
fn count(expr: &Expr, popularity: &mut HashMap<Anchor, usize>) {
    match expr {
        Expr::Term(term) => {
            for anchor in anchors(term).into_iter().flatten() {
                *popularity.entry(anchor).or_default() += 1;
            }
        }
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| count(part, popularity)),
        Expr::Blank | Expr::Nothing | Expr::All | Expr::Not(_) => {}
    }
}

/// Values of which every matching entry has one, chosen so that few selectors share them, and their cost.
/// `None` if there are no such values.
fn cover(expr: &Expr, popularity: &HashMap<Anchor, usize>) -> Option<(usize, Vec<Anchor>)> {
    match expr {
        Expr::Term(term) => {
            let anchors = anchors(term)?;
            let cost = |anchor: &Anchor| anchor.weight() * popularity.get(anchor).copied().unwrap_or(1);
            Some((anchors.iter().map(cost).sum(), anchors))
        }
        Expr::And(parts) => {
            parts.iter().filter_map(|part| cover(part, popularity)).min_by_key(|(cost, _)| *cost)
        }
        Expr::Or(parts) => {
            let covers = parts.iter().map(|part| cover(part, popularity)).collect::<Option<Vec<_>>>()?;
            let cost = covers.iter().map(|(cost, _)| cost).sum();
            Some((cost, covers.into_iter().flat_map(|(_, anchors)| anchors).collect()))
        }
        // These match nothing.
        Expr::Blank | Expr::Nothing => Some((0, Vec::new())),
        Expr::All | Expr::Not(_) => None,
    }
}
