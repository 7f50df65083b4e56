//! Flows, and their parts with a form other than their fields.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text::SystemText;
use super::{through, zone};
use crate::model::direction::{Direction, PerDirection};
use crate::model::flow::{
    Counters, DccpInfo, Flow, FlowExtraParts, HelperName, NatTarget, ProtoInfo, SctpInfo, SeqAdjust,
    SynProxy, TcpInfo, Timestamps,
};
use crate::model::form::{is_default, or_default, per_direction};
use crate::model::label::Labels;
use crate::model::proto::Family;
use crate::model::status::Status;
use crate::model::tuple::Tuple;

/// The serialized form of a flow.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// For queries: the tuples have it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<Family>,
    original: Tuple,
    reply: Tuple,
    zone: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    timeout_nanos: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark_mask: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<TcpInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sctp: Option<SctpInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dccp: Option<DccpInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    helper: Option<HelperName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Labels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels_mask: Option<Labels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_context: Option<SystemText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    master: Option<Tuple>,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default",
        serialize_with = "per_direction"
    )]
    counters: PerDirection<Option<Counters>>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    timestamps: Timestamps,
    #[serde(skip_serializing_if = "Option::is_none")]
    use_count: Option<u32>,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default",
        serialize_with = "per_direction"
    )]
    seq_adjust: PerDirection<Option<SeqAdjust>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synproxy: Option<SynProxy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_nat: Option<NatTarget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_nat: Option<NatTarget>,
}

through!(Flow, Fields);

impl From<&Flow> for Fields {
    fn from(flow: &Flow) -> Self {
        let info = flow.proto_info.as_ref().map(InfoFields::from).unwrap_or_default();
        Self {
            family: Some(flow.original.family()),
            original: flow.original,
            reply: flow.reply,
            zone: flow.zone.id(),
            zone_direction: flow.zone.only(),
            id: flow.id,
            status: flow.status,
            timeout: flow.timeout.map(|timeout| timeout.as_secs()),
            timeout_nanos: flow.timeout.map_or(0, |timeout| timeout.subsec_nanos()),
            mark: flow.mark,
            mark_mask: flow.extra.mark_mask,
            tcp: info.tcp,
            sctp: info.sctp,
            dccp: info.dccp,
            helper: flow.helper,
            labels: flow.labels,
            labels_mask: flow.extra.labels_mask,
            security_context: flow.extra.security_context.clone().map(SystemText),
            master: flow.extra.master,
            counters: flow.counters,
            timestamps: flow.timestamps,
            use_count: flow.use_count,
            seq_adjust: flow.extra.seq_adjust,
            synproxy: flow.synproxy,
            source_nat: flow.extra.source_nat,
            destination_nat: flow.extra.destination_nat,
        }
    }
}

impl TryFrom<Fields> for Flow {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields { tcp, sctp, dccp, timeout, timeout_nanos, .. } = fields;
        if fields.family.is_some_and(|family| family != fields.original.family()) {
            return Err("the family is not that of the addresses");
        }
        let none = tcp.is_none() && sctp.is_none() && dccp.is_none();
        let proto_info = if none { None } else { Some(ProtoInfo::try_from(InfoFields { tcp, sctp, dccp })?) };
        let extra = FlowExtraParts {
            mark_mask: fields.mark_mask,
            labels_mask: fields.labels_mask,
            security_context: fields.security_context.map(|SystemText(text)| text),
            master: fields.master,
            seq_adjust: fields.seq_adjust,
            source_nat: fields.source_nat,
            destination_nat: fields.destination_nat,
        };
        Ok(Self {
            original: fields.original,
            reply: fields.reply,
            zone: zone::zone(fields.zone, fields.zone_direction)?,
            id: fields.id,
            status: fields.status,
            timeout: duration(timeout, timeout_nanos)?,
            mark: fields.mark,
            proto_info,
            helper: fields.helper,
            labels: fields.labels,
            counters: fields.counters,
            timestamps: fields.timestamps,
            use_count: fields.use_count,
            synproxy: fields.synproxy,
            extra: extra.into(),
        })
    }
}

/// The duration of two fields: seconds, and the fraction that only a program's own flow has.
pub(super) fn duration(secs: Option<u64>, nanos: u32) -> Result<Option<Duration>, &'static str> {
    match (secs, nanos) {
        (None, 0) => Ok(None),
        (None, _) => Err("timeout_nanos without timeout"),
        (Some(_), 1_000_000_000..) => Err("timeout_nanos is a second or more"),
        (Some(secs), nanos) => Ok(Some(Duration::new(secs, nanos))),
    }
}

/// The serialized form of a protocol state: a field named after the protocol.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct InfoFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<TcpInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sctp: Option<SctpInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dccp: Option<DccpInfo>,
}

through!(ProtoInfo, InfoFields);

impl From<&ProtoInfo> for InfoFields {
    fn from(info: &ProtoInfo) -> Self {
        match *info {
            ProtoInfo::Tcp(info) => Self { tcp: Some(info), ..Self::default() },
            ProtoInfo::Sctp(info) => Self { sctp: Some(info), ..Self::default() },
            ProtoInfo::Dccp(info) => Self { dccp: Some(info), ..Self::default() },
        }
    }
}

impl TryFrom<InfoFields> for ProtoInfo {
    type Error = &'static str;

    fn try_from(fields: InfoFields) -> Result<Self, Self::Error> {
        match fields {
            InfoFields { tcp: Some(info), sctp: None, dccp: None } => Ok(Self::Tcp(info)),
            InfoFields { tcp: None, sctp: Some(info), dccp: None } => Ok(Self::Sctp(info)),
            InfoFields { tcp: None, sctp: None, dccp: Some(info) } => Ok(Self::Dccp(info)),
            _ => Err("there is one of tcp, sctp and dccp"),
        }
    }
}

/// The serialized form of a NAT target.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NatFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

through!(NatTarget, NatFields);

impl From<&NatTarget> for NatFields {
    fn from(target: &NatTarget) -> Self {
        Self { address: target.address(), port: target.port() }
    }
}

impl TryFrom<NatFields> for NatTarget {
    type Error = &'static str;

    fn try_from(fields: NatFields) -> Result<Self, Self::Error> {
        match (fields.address, fields.port) {
            (Some(address), None) => Ok(Self::Address(address)),
            (None, Some(port)) => Ok(Self::Port(port)),
            (Some(address), Some(port)) => Ok(Self::AddressAndPort(SocketAddr::new(address, port))),
            (None, None) => Err("NAT leads to an address, a port, or both"),
        }
    }
}
