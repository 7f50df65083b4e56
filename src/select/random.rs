//! Random selectors and flows, from a range so small that they meet.

#![cfg_attr(nfct_fuzz, allow(dead_code, reason = "the tests use more of it than `./dev fuzz`"))]

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::Selector;
use crate::model::{
    Family, Flow, Labels, ProtoInfo, Protocol, SctpInfo, SctpState, Status, TcpState, Tuple, Zone,
};

/// Marsaglia's xorshift: the same numbers in every run.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        #[cfg(nfct_fuzz)]
        if let Some(number) = crate::fuzz::source::below(end) {
            return number;
        }
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    pub(crate) fn address(&mut self, family: Family) -> IpAddr {
        let last = self.below(6) as u8;
        match family {
            Family::Ipv4 => [10, 0, last / 3, last].into(),
            Family::Ipv6 => [0x2001, 0xdb8, 0, 0, 0, 0, u16::from(last / 3), u16::from(last)].into(),
        }
    }

    pub(crate) fn port(&mut self) -> u16 {
        self.one(&[0, 53, 80, 443, 65535])
    }

    pub(crate) fn family(&mut self) -> Family {
        self.one(&[Family::Ipv4, Family::Ipv6])
    }

    pub(crate) fn tuple(&mut self, family: Family, protocol: u64) -> Tuple {
        let (src, dst) = (self.address(family), self.address(family));
        let (from, to) = ((src, self.port()).into(), (dst, self.port()).into());
        match protocol {
            0 => Tuple::tcp(from, to),
            1 => Tuple::udp(from, to),
            2 => Tuple::sctp(from, to),
            3 => Tuple::gre(src, dst, from.port(), to.port()),
            _ => Tuple::ping(src, dst, from.port()),
        }
        .expect("of one family")
    }

    pub(crate) fn flow(&mut self) -> Flow {
        let (family, protocol) = (self.family(), self.below(5));
        let original = self.tuple(family, protocol);
        let mut flow = Flow::new(original);
        if self.below(3) == 0 {
            flow.reply = self.tuple(family, protocol).inverse();
        }
        let id = self.below(3) as u16;
        flow.zone = self.one(&[Zone::new(id), Zone::original_only(id), Zone::reply_only(id)]);
        flow.status = Some(Status::from_bits_retain(self.below(8) as u32 | self.nat()));
        flow.mark = self.one(&[None, Some(0), Some(1), Some(2), Some(3), Some(7)]);
        flow.timeout = self.one(&[None, Some(5), Some(60)]).map(Duration::from_secs);
        flow.timestamps.start =
            self.one(&[None, Some(5), Some(500)]).map(|secs| SystemTime::now() - Duration::from_secs(secs));
        flow.labels = self.one(&[None, Some(1), Some(2)]).map(|word| Labels::from_words([word]));
        match protocol {
            0 if self.below(3) > 0 => flow.tcp_state(self.one(&[TcpState::Established, TcpState::TimeWait])),
            2 if self.below(3) > 0 => Flow { proto_info: Some(self.sctp()), ..flow },
            _ => flow,
        }
    }

    fn sctp(&mut self) -> ProtoInfo {
        let state = Some(self.one(&[SctpState::Established, SctpState::ShutdownSent]));
        ProtoInfo::Sctp(SctpInfo { state, ..SctpInfo::default() })
    }

    /// The flags of translation.
    fn nat(&mut self) -> u32 {
        self.one(&[Status::empty(), Status::SRC_NAT_DONE | Status::DST_NAT_DONE, Status::DST_NAT_DONE]).bits()
    }

    fn condition(&mut self) -> Selector {
        let start = match self.below(4) {
            0 => return Selector::zone(self.below(3) as u16),
            1 => return Selector::zone_in_any_direction(self.below(3) as u16),
            _ => Selector::any_zone(),
        };
        let family = self.family();
        let prefix = self.one(&[0, 23, 24, 32]) + if family == Family::Ipv6 { 96 } else { 0 };
        let network = ipnet::IpNet::new(self.address(family), prefix).expect("a prefix");
        let labels = Labels::from_words([self.below(4) as u32]);
        let (first, last) = (self.port(), self.port());
        match self.below(26) {
            21 => start.icmp_id(first).icmp_type(self.one(&[8, 128])),
            22 => start.reply_icmp_id(last).reply_icmp_code(self.below(2) as u8),
            23 => start.gre_key(first).reply_gre_dst_key(last),
            24 => start.snat_to(network),
            25 => start.sctp_state_in([SctpState::Established, SctpState::Closed]),
            0 => start.family(family),
            1 => start.protocol(self.one(&[Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol::ICMP])),
            2 => start.src(network),
            3 => {
                start.dst_in([network, self.address(Family::Ipv4).into(), self.address(Family::Ipv6).into()])
            }
            4 => start.reply_src(network),
            5 => start.reply_dst(network),
            6 => start.src_port(first),
            7 => start.dst_port(first..=last),
            8 => start.reply_src_port([first, last]),
            9 => start.reply_dst_port(vec![]),
            10 => start.snat(),
            11 => start.dnat(),
            12 | 13 => start.mark_masked(self.below(4) as u32, self.below(8) as u32),
            14 => start.status(Status::from_bits_retain(self.below(8) as u32)),
            15 => start.status_unset(Status::from_bits_retain(self.below(8) as u32)),
            16 => start.labels_all_of(labels),
            17 => start.labels_any_of(labels),
            18 => start.labels_none_of(labels),
            19 => start.tcp_state_in([TcpState::Established]),
            _ => match self.below(3) {
                0 => start.timeout(Duration::from_secs(30)..),
                1 => start.age(..Duration::from_secs(60)),
                _ => start.matching(|flow| flow.original.src() < flow.original.dst()),
            },
        }
    }

    pub(crate) fn selector(&mut self, depth: u64) -> Selector {
        if depth == 0 {
            return self.condition();
        }
        match self.below(8) {
            0..=2 => self.selector(depth - 1).and(self.selector(depth - 1)),
            3 | 4 => self.selector(depth - 1).or(self.selector(depth - 1)),
            5 => self.selector(depth - 1).not(),
            6 => {
                let count = self.below(4);
                Selector::any_of((0..count).map(|_| self.condition()))
            }
            _ => self.condition(),
        }
    }

    /// A selector of single addresses and ports, like the kernel's filter by tuple.
    fn tuple_selector(&mut self) -> Selector {
        let family = self.family();
        let mut selector = Selector::any_zone().family(family);
        if self.below(3) > 0 {
            selector = selector.protocol(self.one(&[Protocol::TCP, Protocol::UDP, Protocol::SCTP]));
        }
        for _ in 0..=self.below(2) {
            let (network, port) = (self.address(family), self.port());
            selector = match self.below(8) {
                0 => selector.src(network),
                1 => selector.dst(network),
                2 => selector.reply_src(network),
                3 => selector.reply_dst(network),
                4 => selector.src_port(port),
                5 => selector.dst_port(port),
                6 => selector.reply_src_port(port),
                _ => selector.reply_dst_port(port),
            };
        }
        match self.below(4) {
            0 => selector.or(self.tuple_selector()),
            _ => selector,
        }
    }

    /// A valid selector.
    pub(crate) fn sound_selector(&mut self, depth: u64) -> Selector {
        loop {
            let selector = self.selector(depth);
            if selector.check().is_ok() {
                return selector;
            }
        }
    }
}
