//! Conditions as instructions. Each has three exits: it holds, it does not, the event lacks the fields to
//! decide it.
//!
//! They answer as [`Selector::matches_event`](crate::Selector::matches_event) does, with the words of a message
//! in the place of a flow.

use super::asm::{Label, PASS};
use super::known::Place;
use super::ranges::{self, Number, Ranges};
use super::reader::{BYTE, HALF, ORIGINAL_ONLY, REPLY_ONLY, Reader, WORD};
use crate::filter::{Masked, ZoneFilter};
use crate::model::direction::Direction;
use crate::model::label::Labels;
use crate::model::proto::{Family, Protocol};
use crate::model::status::Status;
use crate::model::zone::Zone;
use crate::netlink::uapi::{cta, protoinfo, tuple};
use crate::select::{IcmpPart, Share, Side, Term, Translation};

/// The exits of a condition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leads {
    pub(super) yes: Label,
    pub(super) no: Label,
    pub(super) unknown: Label,
}

/// How to reduce a set with too many ranges: to a superset, or to a subset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    pub(super) most: usize,
    pub(super) wider: bool,
}

impl Fit {
    /// The reduced set, and whether it is unchanged.
    fn of(self, set: Ranges) -> (Ranges, bool) {
        match set.len() <= self.most {
            true => (set, true),
            false if self.wider => (ranges::widened(&set, self.most), false),
            false => (ranges::narrowed(&set, self.most), false),
        }
    }
}

const PORTS: [u8; 5] = [
    Protocol::TCP.number(),
    Protocol::UDP.number(),
    Protocol::SCTP.number(),
    Protocol::UDPLITE.number(),
    Protocol::DCCP.number(),
];
const GRE: [u8; 1] = [Protocol::GRE.number()];

impl Reader {
    /// Adds a condition. Returns `false` if it is approximated, and leads to `yes` or `unknown` more often
    /// than it should; with a [`Fit`] that is not wider, to `no`.
    pub(super) fn term(&mut self, term: &Term, fit: Fit, to: Leads) -> bool {
        match term {
            Term::Family(family) => self.family(*family, to.yes, to.no),
            Term::Protocol(protocol) => self.protocol(&[protocol.number()], false, to.yes, to.no),
            Term::Address(side, addresses) => {
                let sets = [ranges::wide(addresses.v4()), ranges::wide(addresses.v6())];
                return self.address(*side, sets, fit, to);
            }
            Term::Port(side, ports) => return self.port(*side, ranges::wide(ports.ranges()), fit, to),
            Term::Icmp(direction, part, value) => self.icmp(*direction, *part, *value, to),
            Term::GreKey(side, key) => {
                self.go_on(|reader, found| reader.protocol(&GRE, false, found, to.no));
                self.value(Place::port(*side), HALF, 0, to.unknown);
                self.is_equal((*key).into(), to.yes, to.no);
            }
            Term::Translated(what) => self.translated(*what, to),
            Term::Mark(mark) => {
                self.mark();
                self.masked(*mark, to.yes, to.no);
            }
            Term::Status(status) => {
                self.value(Place::top(cta::STATUS), WORD, 0, to.unknown);
                self.masked(*status, to.yes, to.no);
            }
            Term::Zone(zone) => self.in_zone(*zone, to),
            Term::Labels(share, labels) => self.labels(*share, labels, to),
            Term::State(protocol, states) => self.state(*protocol, states, to),
            Term::Timeout(span) => {
                let seconds = span.seconds().map(|(first, last)| (first.into(), last.into()));
                let number = Number::of_words(Place::top(cta::TIMEOUT), u32::BITS, to.unknown);
                self.is_in(number, &seconds.into_iter().collect(), to.yes, to.no);
            }
            Term::Age(_) | Term::Helper(_) | Term::Predicate(_) => {
                self.code.go(to.unknown);
                return false;
            }
        }
        true
    }

    /// Adds a test, and continues where it is true.
    fn go_on(&mut self, test: impl FnOnce(&mut Self, Label)) {
        let found = self.code.label();
        test(self, found);
        self.code.place(found);
    }

    /// Continues if the protocol has ports, or GRE keys in their place.
    fn with_ports(&mut self, or_keys: bool, to: Leads) {
        self.go_on(|reader, found| match or_keys {
            false => reader.protocol(&PORTS, true, found, to.no),
            true => {
                let other = reader.code.label();
                reader.protocol(&PORTS, true, found, other);
                reader.code.place(other);
                reader.protocol(&GRE, false, found, to.no);
            }
        });
    }

    /// `sets`: those of IPv4 and of IPv6.
    pub(super) fn address(&mut self, side: Side, sets: [Ranges; 2], fit: Fit, to: Leads) -> bool {
        let [(v4, same_v4), (v6, same_v6)] = sets.map(|set| fit.of(set));
        let [is_v4, is_v6] = [(); 2].map(|()| self.code.label());
        match (v4.is_empty(), v6.is_empty()) {
            (true, true) => self.code.go(to.no),
            (true, false) => self.family(Family::Ipv6, is_v6, to.no),
            (false, true) => self.family(Family::Ipv4, is_v4, to.no),
            (false, false) => self.family(Family::Ipv4, is_v4, is_v6),
        }
        for (label, family, bits, set) in
            [(is_v4, Family::Ipv4, u32::BITS, v4), (is_v6, Family::Ipv6, u128::BITS, v6)]
        {
            self.code.place(label);
            self.is_in(Number::of_words(Place::address(side, family), bits, PASS), &set, to.yes, to.no);
        }
        same_v4 && same_v6
    }

    pub(super) fn port(&mut self, side: Side, set: Ranges, fit: Fit, to: Leads) -> bool {
        let (set, same) = fit.of(set);
        self.with_ports(false, to);
        // These two are always tracked, so a message without ports is no event of theirs, and the place stays
        // known.
        let protocol = self.code.known().and_then(|known| known.protocol).map(Protocol::new);
        let is_certain = matches!(protocol, Some(Protocol::TCP | Protocol::UDP));
        let absent = if is_certain { PASS } else { to.unknown };
        self.is_in(Number::of_half(Place::port(side), absent), &set, to.yes, to.no);
        same
    }

    fn icmp(&mut self, direction: Direction, part: IcmpPart, value: u16, to: Leads) {
        let (size, kinds) = match part {
            IcmpPart::Type => (BYTE, [tuple::PROTO_ICMP_TYPE, tuple::PROTO_ICMPV6_TYPE]),
            IcmpPart::Code => (BYTE, [tuple::PROTO_ICMP_CODE, tuple::PROTO_ICMPV6_CODE]),
            IcmpPart::Id => (HALF, [tuple::PROTO_ICMP_ID, tuple::PROTO_ICMPV6_ID]),
        };
        for (protocol, kind) in [Protocol::ICMP, Protocol::ICMPV6].into_iter().zip(kinds) {
            let [found, other] = [(); 2].map(|()| self.code.label());
            self.protocol(&[protocol.number()], false, found, other);
            self.code.place(found);
            self.value(Place::tuple(direction).inside(tuple::PROTO).inside(kind), size, 0, PASS);
            self.is_equal(value.into(), to.yes, to.no);
            self.code.place(other);
        }
        self.code.go(to.no);
    }

    /// A flow is translated if its status has the flag, and its reply differs.
    fn translated(&mut self, what: Translation, to: Leads) {
        let (done, [original, reply]) = match what {
            Translation::Src | Translation::SrcPort => (Status::SRC_NAT_DONE, [Side::SRC, Side::REPLY_DST]),
            Translation::Dst | Translation::DstPort => (Status::DST_NAT_DONE, [Side::DST, Side::REPLY_SRC]),
        };
        let compare = self.code.label();
        self.value(Place::top(cta::STATUS), WORD, 0, compare);
        self.test(libc::BPF_JSET, done.bits(), compare, to.no);
        self.code.place(compare);
        if matches!(what, Translation::SrcPort | Translation::DstPort) {
            self.with_ports(true, to);
            return self.differ([Place::port(original), Place::port(reply)], HALF, 1, to);
        }
        let [is_v4, is_v6] = [(); 2].map(|()| self.code.label());
        self.family(Family::Ipv4, is_v4, is_v6);
        for (label, family, words) in [(is_v4, Family::Ipv4, 1), (is_v6, Family::Ipv6, 4)] {
            self.code.place(label);
            self.differ([original, reply].map(|side| Place::address(side, family)), WORD, words, to);
        }
    }

    /// Branches on whether two parts of the same size differ. If both are missing, they do not.
    fn differ(&mut self, [one, other]: [Place; 2], size: u32, words: u32, to: Leads) {
        let absent = self.code.label();
        for word in 0..words {
            self.value(one, size, 4 * word, absent);
            self.store_spare();
            self.value(other, size, 4 * word, to.yes);
            let same = self.code.label();
            self.is_equal_to_spare(same, to.yes);
            self.code.place(same);
        }
        self.code.go(to.no);
        self.code.place(absent);
        self.value(other, size, 0, to.no);
        self.code.go(to.yes);
    }

    /// Compares the bits of a mask in the loaded value.
    fn masked(&mut self, Masked { value, mask }: Masked, yes: Label, no: Label) {
        match mask {
            u32::MAX => self.is_equal(value, yes, no),
            _ if value == 0 => self.test(libc::BPF_JSET, mask, no, yes),
            _ if value == mask && mask.is_power_of_two() => self.test(libc::BPF_JSET, mask, yes, no),
            _ => {
                self.calculate(libc::BPF_AND, mask);
                self.is_equal(value, yes, no);
            }
        }
    }

    fn in_zone(&mut self, zone: ZoneFilter, to: Leads) {
        self.zone();
        self.is_loaded_in(&numbers_of(zone), to.yes, to.no);
    }

    fn state(&mut self, protocol: Protocol, states: &[u8], to: Leads) {
        let kind = match protocol {
            Protocol::TCP => [protoinfo::TCP, protoinfo::TCP_STATE],
            Protocol::SCTP => [protoinfo::SCTP, protoinfo::SCTP_STATE],
            _ => [protoinfo::DCCP, protoinfo::DCCP_STATE],
        };
        self.go_on(|reader, found| reader.protocol(&[protocol.number()], false, found, to.no));
        let place = Place::top(cta::PROTOINFO).inside(kind[0]).inside(kind[1]);
        let number = Number { place, size: BYTE, bits: u8::BITS, absent: to.unknown };
        let states = states.iter().map(|&state| (state.into(), state.into())).collect();
        self.is_in(number, &ranges::joined(states), to.yes, to.no);
    }

    /// A new flow has exactly the labels of its event; an update has them if they changed, unless none are
    /// left.
    fn labels(&mut self, share: Share, labels: &Labels, to: Leads) {
        let place = Place::top(cta::LABELS);
        let [new, update, there] = [(); 3].map(|()| self.code.label());
        self.kind(new, update, to.unknown);
        let (any, all) = match share {
            Share::All => (to.no, to.yes),
            Share::Any => (to.yes, to.no),
            Share::None => (to.no, to.yes),
        };
        let without = if share == Share::None { to.yes } else { to.no };
        for (label, absent) in [(new, without), (update, to.unknown)] {
            self.code.place(label);
            self.value(place, HALF, 0, absent);
            self.code.go(there);
        }
        self.code.place(there);
        self.require_len(place, 16);
        for (word, from) in labels.words().into_iter().zip((0..).step_by(4)).filter(|(word, _)| *word != 0) {
            // Labels are in host order, but a program loads the most significant byte first.
            let word = self.order.word(word);
            self.value(place, WORD, from, PASS);
            let next = self.code.label();
            if share == Share::All {
                self.calculate(libc::BPF_AND, word);
                self.is_equal(word, next, any);
            } else {
                self.test(libc::BPF_JSET, word, any, next);
            }
            self.code.place(next);
        }
        self.code.go(all);
    }
}

/// The zones as they are loaded.
pub(super) fn numbers_of(zone: ZoneFilter) -> Ranges {
    let one = |zone| (u128::from(number_of(zone)), u128::from(number_of(zone)));
    match zone {
        ZoneFilter::Exact(zone) => vec![one(zone)],
        ZoneFilter::AnyDirection(0) => vec![(0, 0), (ORIGINAL_ONLY.into(), u32::MAX.into())],
        ZoneFilter::AnyDirection(id) => {
            [Zone::new(id), Zone::original_only(id), Zone::reply_only(id)].map(one).into()
        }
    }
}

/// A zone as it is loaded.
fn number_of(zone: Zone) -> u32 {
    let direction = match zone.only() {
        None => 0,
        Some(Direction::Original) => ORIGINAL_ONLY,
        Some(Direction::Reply) => REPLY_ONLY,
    };
    direction | u32::from(zone.id())
}
