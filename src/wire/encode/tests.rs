//! Requests beside those that the C library builds of the same flow.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::direction::PerDirection;
use crate::flow::{DccpRole, HelperName};
use crate::object::fill::{self, ORIGINAL, REPLY};
use crate::object::{Conntrack, attr};
use crate::proto::{DccpState, SctpState, TcpState};
use crate::wire::encode_expect;
use crate::wire::uapi::CT_NEW;

/// Marsaglia's xorshift: the same numbers in every run.
struct Chance(u64);

impl Chance {
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.number() as usize % of.len()]
    }

    /// Something by chance, every second time.
    fn some<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.number() % 2 == 0).then(|| make(self))
    }

    fn u32(&mut self) -> u32 {
        self.number() as u32
    }

    fn u16(&mut self) -> u16 {
        self.number() as u16
    }

    fn address(&mut self, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => self.u32().to_be_bytes().into(),
            Family::Ipv6 => std::array::from_fn::<u16, 8, _>(|_| self.u16()).into(),
        }
    }

    /// Whatever a kernel can report.
    fn layer4(&mut self, family: Family, protocol: u8) -> Layer4 {
        let ports = Ports { src: self.u16(), dst: self.u16() };
        let icmp = Icmp { kind: self.number() as u8, code: self.number() as u8, id: self.u16() };
        match (protocol, family) {
            (6, _) => Layer4::Tcp(ports),
            (17, _) => Layer4::Udp(ports),
            (136, _) => Layer4::UdpLite(ports),
            (132, _) if self.number() % 4 > 0 => Layer4::Sctp(ports),
            (33, _) if self.number() % 4 > 0 => Layer4::Dccp(ports),
            (47, _) if self.number() % 4 > 0 => Layer4::Gre { src_key: ports.src, dst_key: ports.dst },
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
        match (protocol, self.number() % 3) {
            (6 | 17, 0) => NatTarget::Port(port),
            (6 | 17, 1) => NatTarget::AddressAndPort(SocketAddr::new(address, port)),
            _ => NatTarget::Address(address),
        }
    }

    fn peer(&mut self) -> TcpPeer {
        let flags = self.some(|chance| TcpFlags::from_bits_retain(chance.number() as u8));
        let flags_mask = self.some(|chance| TcpFlags::from_bits_retain(chance.number() as u8));
        TcpPeer { flags, flags_mask, window_scale: self.some(|chance| chance.number() as u8) }
    }

    fn proto_info(&mut self, protocol: u8) -> Option<ProtoInfo> {
        match protocol {
            6 => Some(ProtoInfo::Tcp(TcpInfo {
                state: self.some(|chance| TcpState::from(chance.number() as u8 % 8)),
                peers: PerDirection { original: self.peer(), reply: self.peer() },
            })),
            132 => Some(ProtoInfo::Sctp(SctpInfo {
                state: self.some(|chance| SctpState::from(chance.number() as u8 % 8)),
                tags: PerDirection { original: self.some(Self::u32), reply: self.some(Self::u32) },
            })),
            33 => Some(ProtoInfo::Dccp(DccpInfo {
                state: self.some(|chance| DccpState::from(chance.number() as u8 % 8)),
                role: self.some(|chance| DccpRole::from(chance.number() as u8 % 2)),
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

    /// A flow with every part that a request can carry there or not.
    fn flow(&mut self) -> Flow {
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

fn set_zones(ct: &mut Conntrack, zones: Zones) -> Result<(), ObjectError> {
    let (attr, id) = match zones {
        Zones::Lookup(id) => (attr::ZONE, id),
        Zones::Exact(zone) => match zone.only() {
            None => (attr::ZONE, zone.id()),
            Some(Direction::Original) => (attr::ORIG_ZONE, zone.id()),
            Some(Direction::Reply) => (attr::REPL_ZONE, zone.id()),
        },
    };
    if id == 0 { Ok(()) } else { ct.set(attr, id) }
}

/// The request as the C library builds it of an object, and behind it what the library cannot say.
fn built_by_the_library(of: &Flow, zones: Zones) -> Result<MessageBuf> {
    let mut request = request(CT_NEW, 0, of.original.family());
    let mut ct = Conntrack::new()?;
    fill::set_tuple(&mut ct, &ORIGINAL, &of.original)?;
    fill::set_tuple(&mut ct, &REPLY, &of.reply)?;
    fill::set_icmp(&mut ct, &of.original)?;
    set_zones(&mut ct, zones)?;
    fill::set_properties(&mut ct, of)?;
    ct.append_to(&mut request)?;
    if let Some(mask) = of.extra.mark_mask {
        request.put(cta::MARK_MASK, &mask.to_be_bytes())?;
    }
    encode_expect::put_icmp(&mut request, cta::TUPLE_ORIG, &of.original)?;
    encode_expect::put_icmp(&mut request, cta::TUPLE_REPLY, &of.reply)?;
    if let Some(master) = &of.extra.master {
        encode_expect::put_icmp(&mut request, cta::TUPLE_MASTER, master)?;
    }
    Ok(request)
}

fn same_as_the_library(of: &Flow, zones: Zones) -> usize {
    let mut ours = request(CT_NEW, 0, of.original.family());
    flow(&mut ours, of, zones).unwrap_or_else(|error| panic!("{of:?}: {error}"));
    let theirs = built_by_the_library(of, zones).unwrap_or_else(|error| panic!("{of:?}: {error}"));
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
        key(&mut ours, &named, Direction::Original).expect("a request");

        let mut theirs = request(CT_NEW, 0, family);
        let mut ct = fill::tuple_object(&named.tuple).expect("an object");
        set_zones(&mut ct, Zones::of_original(named.zone)).expect("a zone");
        ct.append_to(&mut theirs).expect("a request");
        encode_expect::put_icmp(&mut theirs, cta::TUPLE_ORIG, &named.tuple).expect("an ICMP part");
        assert_eq!(ours.as_bytes(), theirs.as_bytes(), "{named:?}");

        // The id, which the library does not know, comes behind it.
        let mut with_id = request(CT_NEW, 0, family);
        key(&mut with_id, &Key { id: Some(7), ..named }, Direction::Original).expect("a request");
        theirs.put(cta::ID, &7u32.to_be_bytes()).expect("room");
        assert_eq!(with_id.as_bytes(), theirs.as_bytes());
    }
}

/// By the reply tuple, in the zone that packets of that direction are looked up in.
#[test]
fn an_entry_can_be_named_by_its_reply() {
    let tuple = Tuple::udp("10.0.0.1:1".parse().expect("src"), "10.0.0.2:2".parse().expect("dst"));
    let tuple = tuple.expect("a tuple");
    for (zone, kinds) in [
        (Zone::reply_only(7), &[cta::TUPLE_REPLY, cta::ZONE][..]),
        (Zone::original_only(7), &[cta::TUPLE_REPLY]),
    ] {
        let mut message = request(CT_NEW, 0, Family::Ipv4);
        key(&mut message, &tuple.in_zone(zone), Direction::Reply).expect("a request");
        let found: Vec<u16> = message.attributes().map(|part| part.expect("an attribute").kind).collect();
        assert_eq!(found, kinds);
        let first = message.attributes().next().expect("a tuple").expect("an attribute");
        assert_eq!(decode::tuple(first.nested()), Ok(tuple));
        assert_eq!(first.nested().count(), 2, "no zone in the tuple");
    }
}

#[test]
fn a_request_without_the_tuple_it_is_about_is_not_let_out() {
    let mut chance = Chance(7);
    let tuple = chance.tuple(Family::Ipv4, 6);
    let other = chance.tuple(Family::Ipv4, 6);
    let empty = request(CT_NEW, 0, Family::Ipv4);
    assert!(check_named(&empty, cta::TUPLE_ORIG, &tuple).is_err());
    let mut zone_alone = empty.clone();
    put_zone(&mut zone_alone, cta::ZONE, 5).expect("room");
    assert!(check_named(&zone_alone, cta::TUPLE_ORIG, &tuple).is_err());
    let mut half = empty.clone();
    let ip = |nest: &mut MessageBuf| nest.nested(tuple::IP, |ip| put_addresses(ip, tuple.src(), tuple.dst()));
    half.nested(cta::TUPLE_ORIG, ip).expect("room");
    assert!(check_named(&half, cta::TUPLE_ORIG, &tuple).is_err());
    let mut whole = empty;
    put_tuple(&mut whole, cta::TUPLE_ORIG, &tuple, 0).expect("room");
    assert!(check_named(&whole, cta::TUPLE_ORIG, &tuple).is_ok());
    assert!(check_named(&whole, cta::TUPLE_REPLY, &tuple).is_err(), "the other direction");
    assert!(check_named(&whole, cta::TUPLE_ORIG, &other).is_err(), "another entry");
}
