//! From flows to connection objects and back.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::attr::{self, Attr, Kind, ReadOnly};
use super::from_flow::{self, NatAttrs, TupleAttrs};
use super::{Conntrack, ObjectError, build, rules};
use crate::error::{Error, Result};
use crate::model::direction::{Direction, PerDirection};
use crate::model::flow::{
    Counters, DccpInfo, Flow, FlowExtra, FlowExtraParts, HelperName, NatTarget, ProtoInfo, Purpose, SctpInfo,
    SeqAdjust, SynProxy, TcpInfo, TcpPeer, Timestamps,
};
use crate::model::label::Labels;
use crate::model::proto::Protocol;
use crate::model::status::{Status, TcpFlags};
use crate::model::tuple::{Icmp, Ports, Tuple};
use crate::model::zone::Zone;
use crate::netlink::attr::{Malformed, Writer};
use crate::netlink::decode;
use crate::netlink::encode::{self, Zones};
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi::{self, cta, nest};

impl TryFrom<&Flow> for Conntrack {
    type Error = Error;

    /// An object with everything the flow has, parts that are *reported only* included.
    ///
    /// Only the time of an event is left out by a C library before 1.1.1, which has no place for it.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a flow whose parts contradict each other; [`Error::Object`] for
    /// values that an object cannot hold, as a time before 1970.
    fn try_from(flow: &Flow) -> Result<Self> {
        flow.check(Purpose::Describe)?;
        // The C library has no way to set what only the kernel reports, but reads it from a message.
        let mut request = encode::request(uapi::CT_NEW, 0, flow.original.family());
        encode::flow(&mut request, flow, Zones::Exact(flow.zone))?;
        let mut attributes = request.as_bytes()[decode::HEADERS..].to_vec();
        attributes.extend(reported(flow)?);
        let mut ct = Self::parse_payload(&attributes, flow.original.family().number())?;
        // And the other way round for what only requests have.
        from_flow::set_properties(&mut ct, flow)?;
        Ok(ct)
    }
}

/// The attributes that no request carries.
fn reported(flow: &Flow) -> Result<Vec<u8>, ObjectError> {
    let mut writer = Writer::default();
    let numbers = [(cta::ID, flow.id), (cta::USE, flow.use_count)];
    for (kind, number) in numbers.into_iter().filter_map(|(kind, number)| Some((kind, number?))) {
        writer.put(kind, &number.to_be_bytes())?;
    }
    put_counters(&mut writer, cta::COUNTERS_ORIG, flow.counters.original)?;
    put_counters(&mut writer, cta::COUNTERS_REPLY, flow.counters.reply)?;
    let Timestamps { start, stop, event } = flow.timestamps;
    let start = start.map(|time| nanoseconds(time, attr::TIMESTAMP_START)).transpose()?;
    let stop = stop.map(|time| nanoseconds(time, attr::TIMESTAMP_STOP)).transpose()?;
    if start.is_some() || stop.is_some() {
        writer.nested(cta::TIMESTAMP, |times| {
            start.map_or(Ok(()), |time| times.put(nest::TIMESTAMP_START, &time))?;
            stop.map_or(Ok(()), |time| times.put(nest::TIMESTAMP_STOP, &time))
        })?;
    }
    if let Some(event) = event {
        writer.put(cta::TIMESTAMP_EVENT, &nanoseconds(event, attr::TIMESTAMP_EVENT)?)?;
    }
    if let Some(context) = &flow.extra.security_context {
        let mut name = context.as_encoded_bytes().to_vec();
        if name.contains(&0) {
            return Err(ObjectError::invalid("ATTR_SECCTX", "holds a NUL"));
        }
        name.push(0);
        writer.nested(cta::SECCTX, |context| context.put(nest::SECCTX_NAME, &name))?;
    }
    Ok(writer.into_bytes())
}

fn put_counters(writer: &mut Writer, kind: u16, counters: Option<Counters>) -> Result<(), Malformed> {
    let Some(Counters { packets, bytes }) = counters else { return Ok(()) };
    writer.nested(kind, |counters| {
        counters.put(nest::COUNTERS_PACKETS, &packets.to_be_bytes())?;
        counters.put(nest::COUNTERS_BYTES, &bytes.to_be_bytes())
    })
}

fn nanoseconds(time: SystemTime, attr: Attr<attr::Timestamp, ReadOnly>) -> Result<[u8; 8], ObjectError> {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_nanos()).ok())
        .map(u64::to_be_bytes)
        .ok_or(ObjectError::invalid(attr.name(), "before 1970 or after 2554"))
}

impl TryFrom<&Conntrack> for Flow {
    type Error = ObjectError;

    /// The flow that an object describes.
    ///
    /// An object has all fields of a flow, and three more, which are left out: the security mark
    /// ([`SECMARK`](attr::SECMARK)), helper information, and marks for values it never stored. A
    /// mask of TCP flags that is empty, as in every entry that was read from the kernel, or full
    /// is none.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a part of either tuple is missing: see
    /// [`setup_reply`](Conntrack::setup_reply); [`ObjectError::InvalidValue`] for values that no flow has,
    /// as two zones.
    fn try_from(ct: &Conntrack) -> Result<Self, ObjectError> {
        with_tuples(ct, ct.original()?, ct.reply()?, ct.master()?)
    }
}

/// The flow of an object, with tuples that may come from elsewhere.
pub(super) fn with_tuples(
    ct: &Conntrack,
    original: Tuple,
    reply: Tuple,
    master: Option<Tuple>,
) -> Result<Flow, ObjectError> {
    let mut flow = Flow::with_reply(original, reply);
    if !flow.original.is_of_same_kind(&flow.reply) {
        return Err(ObjectError::invalid("CTA_TUPLE_REPLY", "does not fit CTA_TUPLE_ORIG"));
    }
    flow.zone = zone(ct)?;
    flow.id = ct.get(attr::ID);
    flow.status = ct.get(attr::STATUS).map(Status::from_bits_retain);
    flow.timeout = ct.get(attr::TIMEOUT).map(|seconds| Duration::from_secs(seconds.into()));
    flow.mark = ct.get(attr::MARK);
    flow.proto_info = proto_info(ct, flow.original.protocol());
    flow.helper = ct.get(attr::HELPER_NAME).map(|name| helper(&name)).transpose()?;
    flow.labels = labels(ct, attr::CONNLABELS);
    flow.counters = counters(ct);
    flow.timestamps = Timestamps {
        start: ct.get(attr::TIMESTAMP_START),
        stop: ct.get(attr::TIMESTAMP_STOP),
        event: ct.get(attr::TIMESTAMP_EVENT),
    };
    flow.use_count = ct.get(attr::USE);
    flow.synproxy = synproxy(ct);
    let shift = |direction| seq_adjust(ct, direction);
    flow.extra = FlowExtra::from(FlowExtraParts {
        mark_mask: None,
        labels_mask: labels(ct, attr::CONNLABELS_MASK),
        security_context: ct.get(attr::SECCTX),
        master,
        seq_adjust: PerDirection { original: shift(Direction::Original), reply: shift(Direction::Reply) },
        source_nat: nat(ct, &from_flow::SOURCE_NAT),
        destination_nat: nat(ct, &from_flow::DESTINATION_NAT),
    });
    Ok(flow)
}

impl Conntrack {
    /// The tuples of the original direction, of the reply and of the master, those that are complete.
    pub(crate) fn tuples(&self) -> impl Iterator<Item = Tuple> {
        let reply = if self.has_any_of(&build::REPLY) { self.reply().ok() } else { None };
        [self.original().ok(), reply, self.master().ok().flatten()].into_iter().flatten()
    }

    /// Whether a tuple is of a protocol whose tracker a kernel may lack.
    pub(super) fn has_optional_tracker(&self) -> bool {
        let sides = [&build::ORIGINAL, &build::REPLY, &build::MASTER];
        sides.into_iter().any(|side| self.byte(side.protocol).is_some_and(rules::can_lack_ports))
    }

    /// The original tuple; all of it has to be there.
    pub(super) fn original(&self) -> Result<Tuple, ObjectError> {
        let missing = ObjectError::missing("CTA_TUPLE_ORIG");
        self.tuple(&from_flow::ORIGINAL, self.icmp()).ok_or(missing)
    }

    /// The reply tuple; all of it has to be there, and of ICMP the original tuple as well.
    pub(super) fn reply(&self) -> Result<Tuple, ObjectError> {
        let missing = ObjectError::missing("CTA_TUPLE_REPLY");
        // No attribute holds the ICMP part of the reply, which NAT may have given another id.
        match self.icmp() {
            Some(_) => self.built_reply()?.ok_or(missing),
            None => self.tuple(&from_flow::REPLY, None).ok_or(missing),
        }
    }

    pub(super) fn master(&self) -> Result<Option<Tuple>, ObjectError> {
        match self.get(attr::MASTER_L4PROTO) {
            None => Ok(None),
            Some(_) => {
                self.tuple(&from_flow::MASTER, None).map(Some).ok_or(ObjectError::missing("CTA_TUPLE_MASTER"))
            }
        }
    }

    fn tuple(&self, attrs: &TupleAttrs, icmp: Option<Icmp>) -> Option<Tuple> {
        let [src, dst] = [0, 1].map(|end| self.address(attrs, end));
        let protocol = self.get(attrs.protocol).map(Protocol::new)?;
        let [src_port, dst_port] = attrs.ports.map(|port| self.get(port));
        let ports = src_port.zip(dst_port).map(|(src, dst)| Ports { src, dst });
        let layer4 = decode::complete(protocol, ports, icmp).ok()?;
        Tuple::reported(src?, dst?, layer4)
    }

    fn address(&self, attrs: &TupleAttrs, end: usize) -> Option<IpAddr> {
        let v4 = self.get(attrs.v4[end]).map(IpAddr::V4);
        v4.or_else(|| self.get(attrs.v6[end]).map(IpAddr::V6))
    }

    /// The ICMP part of the original tuple.
    fn icmp(&self) -> Option<Icmp> {
        Some(Icmp {
            icmp_type: self.get(attr::ICMP_TYPE)?,
            code: self.get(attr::ICMP_CODE)?,
            id: self.get(attr::ICMP_ID)?,
        })
    }

    /// The reply tuple as the C library writes it into a message.
    fn built_reply(&self) -> Result<Option<Tuple>, ObjectError> {
        let family = self.get(attr::ORIG_L3PROTO).unwrap_or_default();
        let mut message = MessageBuf::new(uapi::CT_NEW, 0, family, 0);
        self.append_to(&mut message)?;
        for attribute in message.attributes() {
            let attribute = attribute?;
            if attribute.kind == cta::TUPLE_REPLY {
                return Ok(Some(decode::tuple(attribute.nested())?));
            }
        }
        Ok(None)
    }
}

/// A zone for both directions or for one.
fn zone(ct: &Conntrack) -> Result<Zone, ObjectError> {
    match (ct.get(attr::ZONE), ct.get(attr::ORIG_ZONE), ct.get(attr::REPL_ZONE)) {
        (zone, None, None) => Ok(zone.map_or(Zone::DEFAULT, Zone::new)),
        (None | Some(0), Some(original), None) => Ok(Zone::original_only(original)),
        (None | Some(0), None, Some(reply)) => Ok(Zone::reply_only(reply)),
        _ => Err(ObjectError::invalid("ATTR_ZONE", "together with the zone of a direction")),
    }
}

fn helper(name: &str) -> Result<HelperName, ObjectError> {
    HelperName::new(name).map_err(|_| ObjectError::invalid("ATTR_HELPER_NAME", "not a name"))
}

fn labels(ct: &Conntrack, attr: Attr<attr::Labels>) -> Option<Labels> {
    ct.with_labels(attr, |mask| Labels::from_words(mask.words()))
}

fn counters(ct: &Conntrack) -> PerDirection<Option<Counters>> {
    let read = |packets, bytes| {
        Some(Counters { packets: ct.get(packets)?, bytes: ct.get::<attr::U64, ReadOnly>(bytes)? })
    };
    PerDirection {
        original: read(attr::ORIG_COUNTER_PACKETS, attr::ORIG_COUNTER_BYTES),
        reply: read(attr::REPL_COUNTER_PACKETS, attr::REPL_COUNTER_BYTES),
    }
}

/// Values that go together: `None` when there is none of them, 0 for a single one that is missing.
fn together<K: Kind<Value = u32>>(ct: &Conntrack, attrs: [Attr<K>; 3]) -> Option<[u32; 3]> {
    let values = attrs.map(|attr| ct.get(attr));
    let any = values.iter().any(Option::is_some);
    any.then(|| values.map(Option::unwrap_or_default))
}

fn seq_adjust(ct: &Conntrack, direction: Direction) -> Option<SeqAdjust> {
    together(ct, from_flow::SEQ_ADJUST[direction]).map(|[correction_pos, offset_before, offset_after]| {
        SeqAdjust { correction_pos, offset_before, offset_after }
    })
}

fn synproxy(ct: &Conntrack) -> Option<SynProxy> {
    together(ct, [attr::SYNPROXY_ISN, attr::SYNPROXY_ITS, attr::SYNPROXY_TSOFF])
        .map(|[isn, its, tsoff]| SynProxy { isn, its, tsoff })
}

pub(super) fn nat(ct: &Conntrack, attrs: &NatAttrs) -> Option<NatTarget> {
    let v4 = ct.get(attrs.v4).map(IpAddr::V4);
    let address = v4.or_else(|| ct.get(attrs.v6).map(IpAddr::V6));
    match (address, ct.get(attrs.port)) {
        (Some(address), Some(port)) => Some(NatTarget::AddressAndPort((address, port).into())),
        (Some(address), None) => Some(NatTarget::Address(address)),
        (None, Some(port)) => Some(NatTarget::Port(port)),
        (None, None) => None,
    }
}

/// The three are kept in one place, and the protocol decides which of them is meant.
fn proto_info(ct: &Conntrack, protocol: Protocol) -> Option<ProtoInfo> {
    match protocol {
        Protocol::TCP => Some(tcp(ct)).filter(|info| *info != TcpInfo::default()).map(ProtoInfo::Tcp),
        Protocol::SCTP => Some(sctp(ct)).filter(|info| *info != SctpInfo::default()).map(ProtoInfo::Sctp),
        Protocol::DCCP => Some(dccp(ct)).filter(|info| *info != DccpInfo::default()).map(ProtoInfo::Dccp),
        _ => None,
    }
}

fn sctp(ct: &Conntrack) -> SctpInfo {
    SctpInfo {
        state: ct.get(attr::SCTP_STATE).map(Into::into),
        tags: PerDirection { original: ct.get(attr::SCTP_VTAG_ORIG), reply: ct.get(attr::SCTP_VTAG_REPL) },
    }
}

fn dccp(ct: &Conntrack) -> DccpInfo {
    DccpInfo {
        state: ct.get(attr::DCCP_STATE).map(Into::into),
        role: ct.get(attr::DCCP_ROLE).map(Into::into),
        handshake_seq: ct.get(attr::DCCP_HANDSHAKE_SEQ),
    }
}

fn tcp(ct: &Conntrack) -> TcpInfo {
    let peer = |flags, mask, scale| TcpPeer {
        flags: ct.get(flags).map(TcpFlags::from_bits_retain),
        flags_mask: ct
            .get::<attr::U8, attr::ReadWrite>(mask)
            .map(TcpFlags::from_bits_retain)
            .filter(|mask| !mask.is_empty() && !mask.is_all()),
        window_scale: ct.get::<attr::U8, attr::ReadWrite>(scale),
    };
    TcpInfo {
        state: ct.get(attr::TCP_STATE).map(Into::into),
        peers: PerDirection {
            original: peer(attr::TCP_FLAGS_ORIG, attr::TCP_MASK_ORIG, attr::TCP_WSCALE_ORIG),
            reply: peer(attr::TCP_FLAGS_REPL, attr::TCP_MASK_REPL, attr::TCP_WSCALE_REPL),
        },
    }
}
