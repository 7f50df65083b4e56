//! Tuples and their parts, and keys.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{through, zone};
use crate::model::address;
use crate::model::direction::Direction;
use crate::model::expectation::ExpectationKey;
use crate::model::key::Key;
use crate::model::proto::{Family, Protocol};
use crate::model::tuple::{Icmp, Layer4, Ports, Tuple};
use crate::netlink::decode;

/// The serialized form of a tuple; without addresses, of its layer 4 part.
#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Written if the addresses could be taken for those of another family.
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<Family>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<IpAddr>,
    protocol: Protocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_key: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_key: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_id: Option<u16>,
}

impl Fields {
    fn new(layer4: Layer4, addresses: Option<(IpAddr, IpAddr)>) -> Self {
        let (protocol, ports) = match layer4 {
            Layer4::Tcp(ports) => (Protocol::TCP, Some(ports)),
            Layer4::Udp(ports) => (Protocol::UDP, Some(ports)),
            Layer4::UdpLite(ports) => (Protocol::UDPLITE, Some(ports)),
            Layer4::Sctp(ports) => (Protocol::SCTP, Some(ports)),
            Layer4::Dccp(ports) => (Protocol::DCCP, Some(ports)),
            Layer4::Gre { .. } => (Protocol::GRE, None),
            Layer4::Icmp(_) => (Protocol::ICMP, None),
            Layer4::IcmpV6(_) => (Protocol::ICMPV6, None),
            Layer4::Other(protocol) => (protocol, None),
        };
        let keys = match layer4 {
            Layer4::Gre { src_key, dst_key } => Some((src_key, dst_key)),
            _ => None,
        };
        let icmp = match layer4 {
            Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => Some(icmp),
            _ => None,
        };
        Self {
            family: None,
            src: addresses.map(|(src, _)| src),
            dst: addresses.map(|(_, dst)| dst),
            protocol,
            src_port: ports.map(|ports| ports.src),
            dst_port: ports.map(|ports| ports.dst),
            src_key: keys.map(|(src, _)| src),
            dst_key: keys.map(|(_, dst)| dst),
            icmp_type: icmp.map(|icmp| icmp.icmp_type),
            icmp_code: icmp.map(|icmp| icmp.code),
            icmp_id: icmp.map(|icmp| icmp.id),
        }
    }

    /// The layer 4 part, if it is complete, and no other field is present.
    ///
    /// Accepts everything that a kernel can report, even if [`Tuple::new`] refuses it: a protocol that it has
    /// no tracker for, without ports; and ICMP types that a newer one may know.
    fn layer4(&self) -> Result<Layer4, String> {
        let pair = match self.protocol {
            Protocol::GRE => self.src_key.zip(self.dst_key),
            _ => self.src_port.zip(self.dst_port),
        };
        let icmp = self.icmp_type.zip(self.icmp_code).zip(self.icmp_id);
        let icmp = icmp.map(|((kind, code), id)| Icmp { icmp_type: kind, code, id });
        decode::complete(self.protocol, pair.map(|(src, dst)| Ports { src, dst }), icmp)
            .ok()
            .filter(|layer4| {
                *self == Self { family: self.family, ..Self::new(*layer4, self.src.zip(self.dst)) }
            })
            .ok_or_else(|| {
                let parts = match self.protocol {
                    Protocol::GRE => "src_key and dst_key",
                    Protocol::ICMP | Protocol::ICMPV6 => "icmp_type, icmp_code and icmp_id",
                    protocol if protocol.has_ports() => "src_port and dst_port",
                    _ => "nothing",
                };
                format!("a tuple of {} has {parts} beside its addresses", self.protocol)
            })
    }
}

through!(Tuple, Fields);
through!(Layer4, Fields);

impl From<&Tuple> for Fields {
    fn from(tuple: &Tuple) -> Self {
        let fields = Self::new(tuple.layer4(), Some((tuple.src(), tuple.dst())));
        let is_mapped = |address| address::meant(address) != address;
        let family = (is_mapped(tuple.src()) || is_mapped(tuple.dst())).then_some(Family::Ipv6);
        Self { family, ..fields }
    }
}

impl From<&Layer4> for Fields {
    fn from(layer4: &Layer4) -> Self {
        Self::new(*layer4, None)
    }
}

impl TryFrom<Fields> for Tuple {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let (src, dst) = fields.src.zip(fields.dst).ok_or("a tuple has src and dst")?;
        let layer4 = fields.layer4()?;
        // Without a family, another program wrote it.
        let given = |address| address::meant_in(fields.family.unwrap_or(Family::Ipv4), address);
        let tuple = Self::reported(given(src), given(dst), layer4)
            .ok_or_else(|| format!("{src} and {dst} are not of one address family"))?;
        match fields.family {
            Some(family) if family != tuple.family() => Err(format!("{src} and {dst} are not {family}")),
            _ => Ok(tuple),
        }
    }
}

impl TryFrom<Fields> for Layer4 {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        match (fields.family, fields.src, fields.dst) {
            (None, None, None) => fields.layer4(),
            _ => Err("there are no addresses here".to_owned()),
        }
    }
}

/// The serialized form of an entry's key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFields {
    tuple: Tuple,
    zone: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
}

through!(Key, KeyFields);

impl From<&Key> for KeyFields {
    fn from(key: &Key) -> Self {
        let Key { tuple, zone, id } = *key;
        Self { tuple, zone: zone.id(), zone_direction: zone.only(), id }
    }
}

impl TryFrom<KeyFields> for Key {
    type Error = &'static str;

    fn try_from(fields: KeyFields) -> Result<Self, Self::Error> {
        let zone = zone::zone(fields.zone, fields.zone_direction)?;
        Ok(Self { tuple: fields.tuple, zone, id: fields.id })
    }
}

/// The serialized form of an expectation's key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectationKeyFields {
    expected: Tuple,
    zone: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
}

through!(ExpectationKey, ExpectationKeyFields);

impl From<&ExpectationKey> for ExpectationKeyFields {
    fn from(key: &ExpectationKey) -> Self {
        let ExpectationKey { expected, zone, id } = *key;
        Self { expected, zone: zone.id(), zone_direction: zone.only(), id }
    }
}

impl TryFrom<ExpectationKeyFields> for ExpectationKey {
    type Error = &'static str;

    fn try_from(fields: ExpectationKeyFields) -> Result<Self, Self::Error> {
        let zone = zone::zone(fields.zone, fields.zone_direction)?;
        Ok(Self { expected: fields.expected, zone, id: fields.id })
    }
}
