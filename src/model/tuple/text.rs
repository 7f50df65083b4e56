//! Tuples and their parts as text, and back.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::{Icmp, Layer4, Ports, Tuple};
use crate::model::input::InputError;
use crate::model::proto::Protocol;
use crate::model::text::{expect, expect_number, hexadecimal};

/// `tcp 10.0.0.1:5000 -> 10.0.0.2:80`; ICMP and GRE have their fields after the addresses.
impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (src, dst) = (self.src, self.dst);
        write!(f, "{} ", self.protocol())?;
        if let Some(ports) = self.ports() {
            let (src, dst) = (SocketAddr::new(src, ports.src), SocketAddr::new(dst, ports.dst));
            return write!(f, "{src} -> {dst}");
        }
        write!(f, "{src} -> {dst}")?;
        write_fields(f, self.layer4)
    }
}

/// Writes the fields that a protocol has besides ports, with a blank before them.
fn write_fields(f: &mut fmt::Formatter<'_>, layer4: Layer4) -> fmt::Result {
    match layer4 {
        Layer4::Gre { src_key: 0, dst_key: 0 } => Ok(()),
        Layer4::Gre { src_key, dst_key } => write!(f, " keys {src_key:#x} {dst_key:#x}"),
        // Of a kernel without the tracker: another tuple than one with keys of 0.
        Layer4::Other(Protocol::GRE) => f.write_str(" without keys"),
        Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => write!(f, " {icmp}"),
        _ => Ok(()),
    }
}

/// As `Display` shows it. The protocol can also be given by its number, and ports can be left out of
/// UDP-Lite, SCTP and DCCP for a kernel that [tracks them without](Layer4::Other).
///
/// ```
/// use netfilter_conntrack::error::InputError;
/// use netfilter_conntrack::Tuple;
///
/// let tuple: Tuple = "udp 10.0.0.1:5353 -> 10.0.0.2:53".parse()?;
/// assert_eq!(tuple, Tuple::udp("10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?);
/// let error = "udp 10.0.0.1:5353 -> 10.0.0.2:dns".parse::<Tuple>().unwrap_err();
/// assert_eq!(error.to_string(), r#""10.0.0.2:dns" is not an address with a port"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`InputError::Text`] with the part that is not understood; those of [`Tuple::new`].
impl FromStr for Tuple {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let whole = || InputError::text(text, "a tuple, as `tcp 10.0.0.1:5000 -> 10.0.0.2:80`");
        let (from, to) = text.split_once(" -> ").ok_or_else(whole)?;
        let (protocol, src) = from.rsplit_once(' ').ok_or_else(whole)?;
        let (dst, fields) = to.split_once(' ').map_or((to, None), |(dst, fields)| (dst, Some(fields)));
        let protocol: Protocol = protocol.parse()?;
        match (protocol, fields) {
            (Protocol::ICMP, Some(fields)) => of_addresses(src, dst, Layer4::Icmp(fields.parse()?)),
            (Protocol::ICMPV6, Some(fields)) => of_addresses(src, dst, Layer4::IcmpV6(fields.parse()?)),
            (Protocol::GRE, fields) => of_addresses(src, dst, keys(fields)?),
            (_, Some(fields)) => Err(InputError::text(fields, "the end of a tuple")),
            (protocol, None) if protocol.has_ports() && !lacks_ports(protocol, src, dst) => {
                let end = |text| expect(text, "an address with a port");
                Self::with_ports(protocol, end(src)?, end(dst)?)
            }
            (protocol, None) => of_addresses(src, dst, Layer4::Other(protocol)),
        }
    }
}

fn of_addresses(src: &str, dst: &str, layer4: Layer4) -> Result<Tuple, InputError> {
    let address = |text| expect(text, "an address");
    Tuple::new(address(src)?, address(dst)?, layer4)
}

/// Whether these are addresses alone, of a protocol that some kernels track by them.
fn lacks_ports(protocol: Protocol, src: &str, dst: &str) -> bool {
    let optional = !matches!(protocol, Protocol::TCP | Protocol::UDP);
    optional && [src, dst].iter().all(|text| text.parse::<IpAddr>().is_ok())
}

/// The fields of GRE.
fn keys(fields: Option<&str>) -> Result<Layer4, InputError> {
    let Some(fields) = fields else { return Ok(Layer4::Gre { src_key: 0, dst_key: 0 }) };
    if fields == "without keys" {
        return Ok(Layer4::Other(Protocol::GRE));
    }
    let both = fields.strip_prefix("keys ").and_then(|keys| keys.split_once(' '));
    let (src, dst) = both.ok_or_else(|| InputError::text(fields, "the keys of GRE, as `keys 0x1 0x2`"))?;
    Ok(Layer4::Gre { src_key: key(src)?, dst_key: key(dst)? })
}

fn key(text: &str) -> Result<u16, InputError> {
    let digits = text.strip_prefix("0x").and_then(hexadecimal);
    let key = digits.and_then(|key| u16::try_from(key).ok());
    key.ok_or_else(|| InputError::text(text, "a key, as 0x1"))
}

/// `tcp 5000 -> 80`, `icmp type 8 code 0 id 7`, `gre keys 0x1 0x2`, `proto 50`: a tuple without its addresses.
impl fmt::Display for Layer4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.protocol())?;
        match *self {
            Self::Tcp(ports)
            | Self::Udp(ports)
            | Self::UdpLite(ports)
            | Self::Sctp(ports)
            | Self::Dccp(ports) => write!(f, " {ports}"),
            other => write_fields(f, other),
        }
    }
}

/// As `Display` shows it; the protocol can also be given by its number.
///
/// ```
/// use netfilter_conntrack::model::{Layer4, Ports};
///
/// assert_eq!("tcp 5000 -> 80".parse(), Ok(Layer4::Tcp(Ports { src: 5000, dst: 80 })));
/// ```
///
/// # Errors
/// [`InputError::Text`] with the part that is not understood; [`InputError::IncompleteTuple`] for TCP, UDP, ICMP
/// and ICMPv6 without their fields.
impl FromStr for Layer4 {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let (unnamed, rest) = text.strip_prefix("proto ").map_or(("", text), |rest| ("proto ", rest));
        let (number, fields) =
            rest.split_once(' ').map_or((rest, None), |(name, fields)| (name, Some(fields)));
        let protocol: Protocol = format!("{unnamed}{number}").parse()?;
        match (protocol, fields) {
            (Protocol::ICMP, Some(fields)) => Ok(Self::Icmp(fields.parse()?)),
            (Protocol::ICMPV6, Some(fields)) => Ok(Self::IcmpV6(fields.parse()?)),
            (Protocol::GRE, fields) => keys(fields),
            (_, Some(ports)) if protocol.has_ports() => Self::with_ports(protocol, ports.parse()?),
            (_, Some(fields)) => Err(InputError::text(fields, "the end of what a protocol adds")),
            (Protocol::TCP | Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6, None) => {
                Err(InputError::IncompleteTuple(protocol))
            }
            (_, None) => Ok(Self::Other(protocol)),
        }
    }
}

/// `5000 -> 80`.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.src, self.dst)
    }
}

/// As `Display` shows it.
impl FromStr for Ports {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let both = text.split_once(" -> ");
        let (src, dst) = both.ok_or_else(|| InputError::text(text, "two ports, as `5000 -> 80`"))?;
        let port = |text| expect_number(text, "a port");
        Ok(Self { src: port(src)?, dst: port(dst)? })
    }
}

/// `type 8 code 0 id 7`.
impl fmt::Display for Icmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "type {} code {} id {}", self.icmp_type, self.code, self.id)
    }
}

/// As `Display` shows it.
impl FromStr for Icmp {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["type", kind, "code", code, "id", id] => Ok(Self {
                icmp_type: expect_number(kind, "an ICMP type")?,
                code: expect_number(code, "an ICMP code")?,
                id: expect_number(id, "an ICMP id")?,
            }),
            _ => Err(InputError::text(text, "the fields of ICMP, as `type 8 code 0 id 7`")),
        }
    }
}
