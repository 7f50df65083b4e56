//! Requests beside those that the C library builds of the same flow.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::error::Result;
use crate::model::direction::Direction;
use crate::model::direction::PerDirection;
use crate::model::expectation::{Expectation, ExpectationFlags, ExpectationNat, SourceMask};
use crate::model::flow::{
    DccpInfo, Flow, NatTarget, ProtoInfo, SctpInfo, SeqAdjust, SynProxy, TcpInfo, TcpPeer,
};
use crate::model::flow::{DccpRole, HelperName};
use crate::model::key::Key;
use crate::model::label::Labels;
use crate::model::proto::Family;
use crate::model::proto::{DccpState, Protocol, SctpState, TcpState};
use crate::model::status::{Status, TcpFlags};
use crate::model::tuple::{Icmp, Layer4, Ports, Tuple};
use crate::model::zone::Zone;
use crate::netlink::encode::{self, Zones, request};
use crate::netlink::encode_expect;
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi::{CT_NEW, EXP_NEW};
use crate::nfct::codec;

/// Marsaglia's xorshift: the same numbers in every run.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn number(&mut self) -> u64 {
        #[cfg(nfct_fuzz)]
        if let Some(number) = crate::fuzz::source::number() {
            return number;
        }
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        #[cfg(nfct_fuzz)]
        if let Some(number) = crate::fuzz::source::below(end) {
            return number;
        }
        self.number() % end
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Something by chance, every second time.
    fn some<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| make(self))
    }

    fn u32(&mut self) -> u32 {
        self.below(1 << 32) as u32
    }

    fn u16(&mut self) -> u16 {
        self.below(1 << 16) as u16
    }

    fn address(&mut self, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => self.u32().to_be_bytes().into(),
            Family::Ipv6 => std::array::from_fn::<u16, 8, _>(|_| self.u16()).into(),
        }
    }

    /// Any layer 4 part that a kernel can report.
    fn layer4(&mut self, family: Family, protocol: u8) -> Layer4 {
        let ports = Ports { src: self.u16(), dst: self.u16() };
        let icmp =
            Icmp { icmp_type: self.below(1 << 8) as u8, code: self.below(1 << 8) as u8, id: self.u16() };
        match (protocol, family) {
            (6, _) => Layer4::Tcp(ports),
            (17, _) => Layer4::Udp(ports),
            (136, _) if ports.src % 4 > 0 => Layer4::UdpLite(ports),
            (132, _) if self.below(4) > 0 => Layer4::Sctp(ports),
            (33, _) if self.below(4) > 0 => Layer4::Dccp(ports),
            (47, _) if self.below(4) > 0 => Layer4::Gre { src_key: ports.src, dst_key: ports.dst },
            (1, Family::Ipv4) => Layer4::Icmp(icmp),
            (1, Family::Ipv6) => Layer4::IcmpV6(icmp),
            (other, _) => Layer4::Other(Protocol::new(other)),
        }
    }

    fn tuple(&mut self, family: Family, protocol: u8) -> Tuple {
        let (src, dst) = (self.address(family), self.address(family));
        Tuple::reported(src, dst, self.layer4(family, protocol)).expect("of one family")
    }

    fn protocol(&mut self) -> u8 {
        self.one(&[6, 6, 17, 136, 132, 33, 47, 1, 50, 253])
    }

    fn zone(&mut self) -> Zone {
        let id = self.one(&[0, 1, 10, u16::MAX]);
        self.one(&[Zone::new(id), Zone::original_only(id), Zone::reply_only(id)])
    }

    fn nat(&mut self, family: Family, protocol: u8) -> NatTarget {
        let (address, port) = (self.address(family), self.u16());
        match (protocol, self.below(3)) {
            (6 | 17, 0) => NatTarget::Port(port),
            (6 | 17, 1) => NatTarget::AddressAndPort(SocketAddr::new(address, port)),
            _ => NatTarget::Address(address),
        }
    }

    fn peer(&mut self) -> TcpPeer {
        let flags = self.some(|chance| TcpFlags::from_bits_retain(chance.below(1 << 8) as u8));
        let flags_mask = self.some(|chance| TcpFlags::from_bits_retain(chance.below(1 << 8) as u8));
        TcpPeer { flags, flags_mask, window_scale: self.some(|chance| chance.below(1 << 8) as u8) }
    }

    fn proto_info(&mut self, protocol: u8) -> Option<ProtoInfo> {
        match protocol {
            6 => Some(ProtoInfo::Tcp(TcpInfo {
                state: self.some(|chance| TcpState::from(chance.below(8) as u8)),
                peers: PerDirection { original: self.peer(), reply: self.peer() },
            })),
            132 => Some(ProtoInfo::Sctp(SctpInfo {
                state: self.some(|chance| SctpState::from(chance.below(8) as u8)),
                tags: PerDirection { original: self.some(Self::u32), reply: self.some(Self::u32) },
            })),
            33 => Some(ProtoInfo::Dccp(DccpInfo {
                state: self.some(|chance| DccpState::from(chance.below(8) as u8)),
                role: self.some(|chance| DccpRole::from(chance.below(2) as u8)),
                handshake_seq: self.some(Self::number),
            })),
            _ => None,
        }
    }

    fn seq_adjust(&mut self) -> SeqAdjust {
        SeqAdjust { correction_pos: self.u32(), offset_before: self.u32(), offset_after: self.u32() }
    }

    fn labels(&mut self) -> Labels {
        Labels::from_words([self.u32(), self.u32(), self.u32(), self.u32()])
    }

    /// An expectation with every part that a request can carry there or not.
    pub(crate) fn expectation(&mut self) -> Expectation {
        let family = self.one(&[Family::Ipv4, Family::Ipv6]);
        let (of_master, of_expected) = (self.protocol(), self.protocol());
        let mut expectation =
            Expectation::new(self.tuple(family, of_master), self.tuple(family, of_expected));
        let masks = [SourceMask::exact(family), SourceMask::any_port(family), SourceMask::anything(family)];
        expectation.mask = self.one(&masks);
        expectation.zone = self.some(Self::zone);
        expectation.id = self.some(Self::u32);
        expectation.timeout = self.some(|chance| Duration::from_secs(1 + u64::from(chance.u16())));
        expectation.flags = ExpectationFlags::from_bits_retain(self.one(&[0, 1, 2, 4, 7]));
        expectation.helper = self.some(|chance| HelperName::new(chance.one(&["sip", "a"])).expect("a name"));
        expectation.class = self.some(Self::u32);
        expectation.nat = self.some(|chance| ExpectationNat {
            direction: chance.one(&[Direction::Original, Direction::Reply]),
            address: chance.some(|chance| chance.address(family)),
            port: chance.u16(),
        });
        expectation.function = self.some(|_| Expectation::NAT_FOLLOW_MASTER.to_owned());
        expectation
    }

    /// A flow with every part that a request can carry there or not.
    pub(crate) fn flow(&mut self) -> Flow {
        let (family, protocol) = (self.one(&[Family::Ipv4, Family::Ipv6]), self.protocol());
        let other = self.protocol();
        let mut flow = Flow::with_reply(self.tuple(family, protocol), self.tuple(family, protocol));
        flow.zone = self.zone();
        flow.status = self.some(|chance| Status::from_bits_retain(chance.u32()));
        flow.timeout = self.some(|chance| Duration::from_secs(chance.u32().into()));
        flow.mark = self.some(Self::u32);
        flow.extra.mark_mask = self.some(Self::u32);
        flow.proto_info = self.some(|chance| chance.proto_info(protocol)).flatten();
        flow.helper = self
            .some(|chance| HelperName::new(chance.one(&["ftp", "a", "fifteen-letters"])).expect("a name"));
        flow.labels = self.some(Self::labels);
        // A mask alone is refused before anything is written.
        flow.extra.labels_mask = flow.labels.and_then(|_| self.some(Self::labels));
        flow.extra.master = self.some(|chance| chance.tuple(family, other));
        flow.extra.source_nat = self.some(|chance| chance.nat(family, protocol));
        flow.extra.destination_nat = self.some(|chance| chance.nat(family, protocol));
        flow.extra.seq_adjust =
            PerDirection { original: self.some(Self::seq_adjust), reply: self.some(Self::seq_adjust) };
        flow.synproxy =
            self.some(|chance| SynProxy { isn: chance.u32(), its: chance.u32(), tsoff: chance.u32() });
        flow
    }
}

fn same_as_the_library(of: &Flow, zones: Zones) -> usize {
    let mut ours = request(CT_NEW, 0, of.original.family());
    encode::own_flow(&mut ours, of, zones).unwrap_or_else(|error| panic!("{of:?}: {error}"));
    let mut theirs = request(CT_NEW, 0, of.original.family());
    codec::flow(&mut theirs, of, zones).unwrap_or_else(|error| panic!("{of:?}: {error}"));
    assert_eq!(ours.as_bytes(), theirs.as_bytes(), "{of:?}\nin {zones:?}");
    ours.as_bytes().len()
}

#[test]
fn what_is_written_of_a_flow_is_what_the_library_builds_of_it() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut longest = 0;
    for _ in 0..5_000 {
        let flow = chance.flow();
        let exact = same_as_the_library(&flow, Zones::Exact(flow.zone));
        same_as_the_library(&flow, Zones::of_original(flow.zone));
        longest = longest.max(exact);
    }
    // The smallest send buffer that a socket can have takes several.
    assert!((500..700).contains(&longest), "{longest}");
}

#[test]
fn what_names_an_entry_is_what_the_library_builds_of_it() {
    let mut chance = Chance(0x0123_4567_89ab_cdef);
    for _ in 0..1_000 {
        let (family, protocol) = (chance.one(&[Family::Ipv4, Family::Ipv6]), chance.protocol());
        let named = Key { tuple: chance.tuple(family, protocol), zone: chance.zone(), id: None };
        let mut ours = request(CT_NEW, 0, family);
        encode::own_key(&mut ours, &named, Direction::Original).expect("a request");

        let mut theirs = request(CT_NEW, 0, family);
        codec::key(&mut theirs, &named, Direction::Original).expect("a request");
        assert_eq!(ours.as_bytes(), theirs.as_bytes(), "{named:?}");

        // The id, which the library does not know, comes behind it.
        let mut with_id = request(CT_NEW, 0, family);
        encode::own_key(&mut with_id, &Key { id: Some(7), ..named }, Direction::Original).expect("a request");
        let mut theirs = request(CT_NEW, 0, family);
        codec::key(&mut theirs, &Key { id: Some(7), ..named }, Direction::Original).expect("a request");
        assert_eq!(with_id.as_bytes(), theirs.as_bytes());
    }
}

/// Every shape of an expectation, with its key and that of its master.
#[test]
fn what_is_written_of_an_expectation_is_what_the_library_builds_of_it() {
    let mut chance = Chance(0x0bad_cafe_0bad_cafe);
    let mut different = std::collections::HashSet::new();
    for _ in 0..2_000 {
        let expectation = chance.expectation();
        let family = expectation.expected.family();
        let written = |write: &dyn Fn(&mut MessageBuf) -> Result<()>| {
            let mut message = request(EXP_NEW, 0, family);
            write(&mut message).unwrap_or_else(|error| panic!("{expectation:?}: {error}"));
            message.as_bytes().to_vec()
        };
        let ours = written(&|message| encode_expect::own_expectation(message, &expectation));
        let theirs = written(&|message| codec::expectation(message, &expectation));
        assert_eq!(ours, theirs, "{expectation:?}");
        different.insert(ours);

        let key = expectation.key();
        let [ours, theirs] =
            [encode_expect::own_key, codec::expectation_key].map(|of| written(&|to| of(to, &key)));
        assert_eq!(ours, theirs, "{key:?}");

        let master = expectation.master_key();
        let [ours, theirs] =
            [encode_expect::own_master, codec::master].map(|of| written(&|to| of(to, &master)));
        assert_eq!(ours, theirs, "{master:?}");
    }
    assert_eq!(different.len(), 2_000, "each is another one");
}
