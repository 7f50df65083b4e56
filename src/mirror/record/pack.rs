//! Records made of flows.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::aside::{Aside, Rest};
use super::{Body, Head, NO_SCALE, Record, Wide, bit, layer4};
use crate::model::flow::{Counters, Flow, ProtoInfo, SynProxy, TcpInfo, TcpPeer, Timestamps};
use crate::model::proto::{Family, TcpState};
use crate::model::tuple::Tuple;

/// Whether a part has a place in a record.
type Fits<T = ()> = Option<T>;

impl Body {
    pub(super) const BLANK: Self = Self {
        id: 0,
        status: 0,
        timeout: 0,
        mark: 0,
        seen: 0,
        tcp_state: 0,
        tcp_flags: [0; 2],
        window_scales: 0,
        packets: [0; 2],
        bytes: [0; 2],
        start: 0,
        aside: None,
    };
}

impl Record {
    /// A flow, as of a time and a pass over the table.
    pub(in crate::mirror) fn new(flow: &Flow, seen: u32, pass: u16, watched: bool) -> Self {
        let head = Head { bits: 0, zone: flow.zone.id(), pass, ..Head::FREE };
        let wide = (flow.original.family() == Family::Ipv6).then_some(Wide::BLANK);
        let mut record = Self { head, body: Body { seen, ..Body::BLANK }, wide };
        record.head.set(bit::WATCHED, watched);
        if let Some(only) = flow.zone.only() {
            record.head.set(bit::ONLY[only as usize], true);
        }
        record.body.id = record.part(bit::ID, flow.id);
        record.body.status = record.part(bit::STATUS, flow.status.map(|status| status.bits()));
        record.body.mark = record.part(bit::MARK, flow.mark);
        if record.pack(flow).is_none() {
            record.head.set(bit::WHOLE, true);
            record.body.aside = Some(Box::new(Aside::of_whole(flow.clone())));
        }
        record
    }

    /// Takes all parts that are not there yet, if each has a place.
    fn pack(&mut self, flow: &Flow) -> Fits {
        // Every field is named, so that the compiler rejects this when one is added.
        let Flow {
            original,
            reply,
            zone: _,
            id: _,
            status: _,
            mark: _,
            timeout,
            proto_info,
            helper,
            labels,
            counters,
            timestamps: Timestamps { start, stop: None, event: None },
            use_count: None,
            synproxy,
            extra,
        } = flow
        else {
            return None;
        };
        self.pack_tuples([original, reply])?;
        if let Some(timeout) = timeout {
            self.body.timeout = self.part(bit::TIMEOUT, Some(seconds(*timeout)?));
        }
        for (at, counters) in [counters.original, counters.reply].into_iter().enumerate() {
            if let Some(Counters { packets, bytes }) = counters {
                self.head.set(bit::COUNTERS[at], true);
                (self.body.packets[at], self.body.bytes[at]) = (packets.try_into().ok()?, bytes);
            }
        }
        if let Some(start) = start {
            self.head.set(bit::START, true);
            self.body.start = nanoseconds(*start)?;
        }
        let tcp_fits = match proto_info {
            Some(ProtoInfo::Tcp(info)) => self.pack_tcp(info).is_some(),
            _ => false,
        };
        let is_blank = *synproxy == Some(SynProxy::default());
        self.head.set(bit::TCP, tcp_fits);
        self.head.set(bit::SYNPROXY, is_blank);
        self.head.set(bit::LABELS, labels.is_some());
        let rest = Rest {
            helper: *helper,
            synproxy: synproxy.filter(|_| !is_blank),
            proto_info: proto_info.filter(|_| !tcp_fits),
            extra: extra.clone(),
            whole: None,
        };
        let rest = (!rest.is_none()).then(|| Box::new(rest));
        if labels.is_some() || rest.is_some() {
            self.body.aside = Some(Box::new(Aside { labels: labels.unwrap_or_default(), rest }));
        }
        Some(())
    }

    /// Takes both tuples.
    fn pack_tuples(&mut self, tuples: [&Tuple; 2]) -> Fits {
        let packed = tuples.map(|tuple| layer4::pack(tuple.layer4()));
        let [bits, others] = packed.map(|(bits, _)| bits);
        if bits != others {
            return None;
        }
        self.head.bits |= bits;
        self.head.numbers = packed.map(|(_, numbers)| numbers);
        match tuples.map(|tuple| (tuple.src(), tuple.dst())) {
            [(IpAddr::V4(a), IpAddr::V4(b)), (IpAddr::V4(c), IpAddr::V4(d))] => {
                self.head.addresses = [[a, b], [c, d]].map(|both| both.map(|address| address.to_bits()));
            }
            [(IpAddr::V6(a), IpAddr::V6(b)), (IpAddr::V6(c), IpAddr::V6(d))] => {
                self.head.set(bit::IPV6, true);
                self.wide = Some(Wide([[a, b], [c, d]]));
            }
            _ => return None,
        }
        Some(())
    }

    fn pack_tcp(&mut self, info: &TcpInfo) -> Fits {
        let TcpInfo { state, peers } = info;
        if let Some(state) = state {
            // A number with a name is read back as the named state.
            self.body.tcp_state = Some(state.number()).filter(|number| TcpState::from(*number) == *state)?;
            self.head.set(bit::TCP_STATE, true);
        }
        for (at, peer) in [peers.original, peers.reply].into_iter().enumerate() {
            let TcpPeer { flags, flags_mask: None, window_scale } = peer else { return None };
            if let Some(flags) = flags {
                self.head.set(bit::TCP_FLAGS[at], true);
                self.body.tcp_flags[at] = flags.bits();
            }
            let scale = window_scale.map_or(Some(NO_SCALE), |scale| (scale < NO_SCALE).then_some(scale))?;
            self.body.window_scales |= scale << (4 * at);
        }
        Some(())
    }

    /// A number and, if it is there, its bit.
    fn part(&mut self, bit: u32, number: Option<u32>) -> u32 {
        self.head.set(bit, number.is_some());
        number.unwrap_or_default()
    }
}

/// A timeout as the kernel has it.
fn seconds(timeout: Duration) -> Fits<u32> {
    (timeout.subsec_nanos() == 0).then(|| u32::try_from(timeout.as_secs()).ok())?
}

/// A time as the kernel has it.
fn nanoseconds(time: SystemTime) -> Fits<u64> {
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}
