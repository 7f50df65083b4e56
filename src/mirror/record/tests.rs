//! Flows of every kind, by chance: each is read back as it was.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use crate::model::flow::{DccpInfo, HelperName, NatTarget, SctpInfo, SeqAdjust};
use crate::model::label::Labels;
use crate::model::proto::{DccpState, Protocol, SctpState};
use crate::model::tuple::{Icmp, Layer4, Ports};
use crate::select::random::Chance;

/// How many flows; a slow checker such as valgrind asks for fewer.
fn cases() -> u64 {
    let asked = std::env::var("NFCT_TEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.map_or(200_000, |cases: u64| cases * 20)
}

/// The parts of flows: mostly numbers as a kernel reports them, and their limits and neighbours.
impl Chance {
    fn u64(&mut self) -> u64 {
        let any = self.below(1 << 32) << 32 | self.below(1 << 32);
        let limits = [0, 1, u64::from(u32::MAX), 1 << 32, u64::MAX, any, any >> 40];
        self.one(&limits)
    }

    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }

    fn u16(&mut self) -> u16 {
        self.u64() as u16
    }

    /// As often there as not.
    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| make(self))
    }

    /// Seldom there.
    fn hardly<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(8) == 0).then(|| make(self))
    }

    fn any_address(&mut self, is_v6: bool) -> IpAddr {
        match is_v6 {
            true => Ipv6Addr::from(u128::from(self.u64()) << 64 | u128::from(self.u64())).into(),
            false => Ipv4Addr::from(self.u32()).into(),
        }
    }

    /// With a protocol of a number that may have a name.
    fn layer4(&mut self, kind: u64) -> Layer4 {
        let ports = Ports { src: self.u16(), dst: self.u16() };
        let icmp =
            Icmp { icmp_type: self.one(&[0, 8, 13, 128, 129, 255]), code: self.u32() as u8, id: self.u16() };
        match kind {
            0 => Layer4::Tcp(ports),
            1 => Layer4::Udp(ports),
            2 => Layer4::UdpLite(ports),
            3 => Layer4::Sctp(ports),
            4 => Layer4::Dccp(ports),
            5 => Layer4::Gre { src_key: ports.src, dst_key: ports.dst },
            6 => Layer4::Icmp(icmp),
            7 => Layer4::IcmpV6(icmp),
            _ => Layer4::Other(Protocol::new(self.one(&[0, 1, 6, 17, 33, 47, 50, 58, 132, 136, 255]))),
        }
    }

    fn any_tuple(&mut self, is_v6: bool, kind: u64) -> Tuple {
        let (src, dst) = (self.any_address(is_v6), self.any_address(is_v6));
        Tuple::reported(src, dst, self.layer4(kind)).expect("of one family")
    }

    fn timestamp(&mut self) -> SystemTime {
        match self.hardly(Self::u32) {
            Some(before) => UNIX_EPOCH - Duration::from_nanos(before.into()),
            None => UNIX_EPOCH + Duration::from_nanos(self.u64()),
        }
    }

    fn peer(&mut self) -> TcpPeer {
        TcpPeer {
            flags: self.maybe(|chance| TcpFlags::from_bits_retain(chance.u32() as u8)),
            flags_mask: self.hardly(|_| TcpFlags::all()),
            window_scale: self.maybe(|chance| chance.one(&[0, 7, 14, 15, 16, 255])),
        }
    }

    fn proto_info(&mut self) -> ProtoInfo {
        match self.below(8) {
            0 => ProtoInfo::Sctp(SctpInfo {
                state: self.maybe(|chance| SctpState::from(chance.u32() as u8)),
                tags: PerDirection { original: self.maybe(Self::u32), reply: self.maybe(Self::u32) },
            }),
            1 => ProtoInfo::Dccp(DccpInfo {
                state: self.maybe(|chance| DccpState::from(chance.u32() as u8)),
                role: self.maybe(|chance| chance.one(&[0, 1, 2]).into()),
                handshake_seq: self.maybe(Self::u64),
            }),
            _ => ProtoInfo::Tcp(TcpInfo {
                state: self.maybe(|chance| match chance.hardly(|chance| chance.below(256) as u8) {
                    Some(number) => TcpState::Other(number),
                    None => TcpState::from(chance.u32() as u8),
                }),
                peers: PerDirection { original: self.peer(), reply: self.peer() },
            }),
        }
    }

    fn helper(&mut self) -> HelperName {
        let bytes: Vec<_> = (0..=self.below(14)).map(|_| 1 + self.below(255) as u8).collect();
        HelperName::from_bytes(&bytes).expect("a name")
    }

    fn seq_adjust(&mut self) -> SeqAdjust {
        SeqAdjust { correction_pos: self.u32(), offset_before: self.u32(), offset_after: self.u32() }
    }

    fn counters(&mut self) -> Counters {
        Counters::new(self.u64(), self.u64())
    }

    /// Any flow at all, also one that no kernel reports.
    fn any_flow(&mut self) -> Flow {
        let (is_v6, kind) = (self.below(2) == 0, self.below(9));
        let original = self.any_tuple(is_v6, kind);
        let mut flow = Flow::new(original);
        if self.below(3) == 0 {
            flow.reply = self.any_tuple(is_v6, kind);
        }
        // A master of another kind, and even a reply, are no matter here.
        let (other_family, other_kind) = (self.below(2) == 0, self.below(9));
        if let Some(odd) = self.hardly(|chance| chance.any_tuple(other_family, other_kind)) {
            flow.reply = odd;
        }
        let id = self.u16();
        flow.zone = self.one(&[Zone::new(0), Zone::new(id), Zone::original_only(id), Zone::reply_only(id)]);
        flow.id = self.maybe(Self::u32);
        flow.status = self.maybe(|chance| Status::from_bits_retain(chance.u32()));
        flow.timeout = self.maybe(|chance| Duration::from_secs(chance.u32().into()));
        if let Some(odd) = self.hardly(|chance| Duration::new(chance.u64(), chance.below(1000) as u32)) {
            flow.timeout = Some(odd);
        }
        flow.mark = self.maybe(Self::u32);
        flow.proto_info = self.maybe(Self::proto_info);
        flow.helper = self.hardly(Self::helper);
        flow.labels = self.hardly(|chance| Labels::from_words([chance.u32(), 0, 0, chance.u32()]));
        flow.counters =
            PerDirection { original: self.maybe(Self::counters), reply: self.maybe(Self::counters) };
        flow.timestamps.start = self.maybe(Self::timestamp);
        flow.timestamps.stop = self.hardly(Self::timestamp);
        flow.timestamps.event = self.hardly(Self::timestamp);
        flow.use_count = self.hardly(Self::u32);
        flow.synproxy = self.maybe(|chance| match chance.below(2) {
            0 => SynProxy::default(),
            _ => SynProxy { isn: chance.u32(), its: chance.u32(), tsoff: chance.u32() },
        });
        if self.below(8) == 0 {
            self.add_extra(&mut flow);
        }
        flow
    }

    fn add_extra(&mut self, flow: &mut Flow) {
        let (is_v6, kind) = (self.below(2) == 0, self.below(9));
        // One that was written to, and has nothing, is as good as one that was not.
        flow.extra.master = self.maybe(|chance| chance.any_tuple(is_v6, kind));
        flow.extra.security_context = self.hardly(|chance| {
            OsString::from_vec((0..chance.below(40)).map(|_| chance.below(256) as u8).collect())
        });
        flow.extra.seq_adjust.original = self.hardly(Self::seq_adjust);
        flow.extra.seq_adjust.reply = self.hardly(Self::seq_adjust);
        flow.extra.mark_mask = self.hardly(Self::u32);
        flow.extra.labels_mask = self.hardly(|_| Labels::all());
        flow.extra.source_nat = self.hardly(|chance| NatTarget::Port(chance.u16()));
        flow.extra.destination_nat = self.hardly(|chance| NatTarget::Address(chance.any_address(is_v6)));
    }
}

/// Everything that an entry is asked for is as in the flow.
fn assert_holds(held: Held<'_>, flow: &Flow) {
    assert_eq!(held.flow(), *flow, "{held:?}");
    assert_eq!((held.zone(), held.id(), held.status()), (flow.zone, flow.id, flow.status));
    assert_eq!((held.mark(), held.timeout()), (flow.mark, flow.timeout));
    assert_eq!(held.key_of_any(), Key { id: None, ..flow.key() });
    assert!(held.is_entry_of(flow) && !held.head.is_free());
    assert!(!held.is_entry_of(&Flow { id: flow.id.map_or(Some(0), |id| Some(!id)), ..flow.clone() }));
    let zones = [Direction::Original, Direction::Reply].map(|way| flow.zone.in_direction(way));
    assert_eq!(held.is_plain(), flow.reply == flow.original.inverse() && zones[0] == zones[1]);
    for (direction, tuple) in [(Direction::Original, flow.original), (Direction::Reply, flow.reply)] {
        let zone = flow.zone.in_direction(direction);
        let sought = held.sought(direction);
        assert_eq!((held.tuple(direction), sought.tuple, sought.zone), (tuple, tuple, zone));
        assert!(held.is(direction, &Sought::new(&tuple, zone)));
        assert!(!held.is(direction, &Sought::new(&tuple, !zone)));
    }
}

#[test]
fn a_flow_is_read_back_as_it_was() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut before: Option<Record> = None;
    let mut kinds = [0; 4];
    for _ in 0..cases() {
        let flow = chance.any_flow();
        let (seen, pass, watched) = (chance.u32(), chance.u16(), chance.below(2) == 0);
        let mut record = Record::new(&flow, seen, pass, watched);
        let held = record.held();
        assert_holds(held, &flow);
        assert_eq!((held.seen(), held.head.pass(), held.head.is_watched()), (seen, pass, watched));
        if let Some(other) = &before {
            for direction in [Direction::Original, Direction::Reply] {
                let (one, other) = (held.sought(direction), other.held());
                let is_same = other.tuple(direction) == one.tuple && other.sought(direction).zone == one.zone;
                assert_eq!(other.is(direction, &one), is_same);
            }
        }
        kinds[match &record.body.aside {
            None => 0,
            Some(aside) if aside.rest.is_none() => 1,
            Some(aside) if aside.whole().is_none() => 2,
            Some(_) => 3,
        }] += 1;
        // It is met again, which is no matter to the flow.
        let (seen, pass, heard) = (chance.u32(), chance.u16(), chance.below(2) == 0);
        record.body.see(seen);
        assert_eq!(record.head.meet(pass, heard), heard && !watched);
        let held = record.held();
        assert_eq!((held.seen(), held.head.pass(), held.head.is_watched()), (seen, pass, watched || heard));
        assert_holds(held, &flow);
        before = Some(record);
    }
    assert!(kinds.iter().all(|count| *count > cases() / 100), "{kinds:?}");
}

/// Tuples that differ in one thing each.
#[test]
fn a_tuple_that_differs_in_anything_is_another() {
    let mut chance = Chance(77);
    for _ in 0..cases() / 10 {
        let (is_v6, kind) = (chance.below(2) == 0, chance.below(9));
        let tuple = chance.any_tuple(is_v6, kind);
        let record = Record::new(&Flow::with_reply(tuple, tuple), 0, 0, true);
        let (other_src, other_dst) = (chance.any_address(is_v6), chance.any_address(is_v6));
        let (same_kind, other_kind) = (chance.layer4(kind), chance.below(9));
        let other_kind = chance.layer4(other_kind);
        for (src, dst, layer4) in [
            (other_src, tuple.dst(), tuple.layer4()),
            (tuple.src(), other_dst, tuple.layer4()),
            (tuple.dst(), tuple.src(), tuple.layer4()),
            (tuple.src(), tuple.dst(), same_kind),
            (tuple.src(), tuple.dst(), other_kind),
        ] {
            let other = Tuple::reported(src, dst, layer4).expect("of one family");
            for direction in [Direction::Original, Direction::Reply] {
                assert_eq!(
                    record.held().is(direction, &Sought::new(&other, 0)),
                    other == tuple,
                    "{other:?}, {tuple:?}"
                );
            }
        }
    }
}

/// The flows of a plain firewall, and of one that translates: no part of them is aside.
#[test]
fn what_nearly_every_entry_has_is_in_place() {
    assert_eq!((size_of::<Head>(), size_of::<Body>()), (32, 64));
    let tuple = Tuple::tcp(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into()).expect("a tuple");
    let mut flow = Flow::new(tuple).zone(Zone::reply_only(7)).tcp_state(TcpState::Established).mark(7);
    flow = flow.status(Status::from_bits_retain(u32::MAX)).timeout(Duration::from_secs(u32::MAX.into()));
    flow.reply = Tuple::tcp(([10, 0, 0, 2], 2).into(), ([192, 0, 2, 1], 4000).into()).expect("a tuple");
    for side in [Direction::Original, Direction::Reply] {
        flow = flow.tcp_flags(side, TcpFlags::all()).tcp_window_scale(side, 14);
        flow.counters[side] = Some(Counters::new(u32::MAX.into(), u64::MAX));
    }
    (flow.id, flow.synproxy) = (Some(u32::MAX), Some(SynProxy::default()));
    flow.timestamps.start = Some(UNIX_EPOCH + Duration::from_nanos(u64::MAX));
    let record = Record::new(&flow, 0, 0, true);
    assert_eq!(record.held().bytes_aside(), 0);
    assert_holds(record.held(), &flow);

    // Labels take 24 bytes more, and all of the rest 88.
    let aside = |flow: &Flow| Record::new(flow, 0, 0, true).held().bytes_aside();
    assert_eq!(aside(&flow.clone().labels(Labels::new())), size_of::<Aside>());
    let with_helper = flow.clone().helper("ftp".parse().expect("a name"));
    assert_eq!(aside(&with_helper), size_of::<Aside>() + size_of::<aside::Rest>());
    assert!(size_of::<Aside>() <= 24 && size_of::<aside::Rest>() <= 88);
    flow.use_count = Some(1);
    assert!(aside(&flow) > size_of::<Flow>());
}

#[test]
fn a_free_place_knows_the_next() {
    for next in [None, Some(0), Some(7), Some(u32::MAX - 1)] {
        assert_eq!(Body::free(next).next_free(), next);
    }
    assert!(Head::FREE.is_free());
}
