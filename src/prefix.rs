//! Networks: an address and how many of its leading bits count.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::InputError;
use crate::proto::Family;

/// A network, such as `10.0.0.0/8`: the addresses that share their leading bits with it.
///
/// ```
/// use netfilter_conntrack::Prefix;
///
/// let network: Prefix = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse()?));
/// assert_eq!(Prefix::containing("10.1.2.3".parse()?, 8)?, network);
/// assert!("10.1.2.3/8".parse::<Prefix>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

impl Prefix {
    /// The network with this address and prefix length.
    ///
    /// # Errors
    /// [`InputError::PrefixLength`] above 32 (IPv4) or 128 (IPv6); [`InputError::HostBits`] when the
    /// address has bits behind the prefix: it is the address of a host, and whether the host or
    /// its network was meant cannot be told.
    pub fn new(address: IpAddr, len: u8) -> Result<Self, InputError> {
        let network = Self::containing(address, len)?;
        match network.address == address {
            true => Ok(network),
            false => Err(InputError::HostBits { address, len }),
        }
    }

    /// The network of this prefix length that an address is in.
    ///
    /// # Errors
    /// [`InputError::PrefixLength`] above 32 (IPv4) or 128 (IPv6).
    pub fn containing(address: IpAddr, len: u8) -> Result<Self, InputError> {
        let family = Family::of(&address);
        let bits = match family {
            Family::Ipv4 => 32,
            Family::Ipv6 => 128,
        };
        if len > bits {
            return Err(InputError::PrefixLength { family, len });
        }
        let mask = Self { address, len }.mask();
        let address = match (address, mask) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => IpAddr::V4(address & mask),
            (IpAddr::V6(address), IpAddr::V6(mask)) => IpAddr::V6(address & mask),
            _ => unreachable!("a mask is of its address's family"),
        };
        Ok(Self { address, len })
    }

    /// The first address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits count.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a prefix length is no number of elements")]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// The family of its addresses.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(&self.address)
    }

    /// The address with the leading bits set.
    #[must_use]
    pub fn mask(&self) -> IpAddr {
        let len = u32::from(self.len);
        match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::MAX.checked_shl(32 - len).unwrap_or(0).into()),
            IpAddr::V6(_) => IpAddr::V6(u128::MAX.checked_shl(128 - len).unwrap_or(0).into()),
        }
    }

    /// Whether an address is in the network; one of the other family never is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::containing(address, self.len).is_ok_and(|network| network == *self)
    }
}

/// The network of one address alone.
impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self { address, len: if address.is_ipv4() { 32 } else { 128 } }
    }
}

/// Reads `10.0.0.0/8`, or an address alone.
impl FromStr for Prefix {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let parse = |address: &str| address.parse::<IpAddr>().map_err(|_| InputError::NotAPrefix);
        let Some((address, len)) = text.split_once('/') else { return parse(text).map(Self::from) };
        // A number alone: `parse` would let a sign pass.
        if !len.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InputError::NotAPrefix);
        }
        Self::new(parse(address)?, len.parse().map_err(|_| InputError::NotAPrefix)?)
    }
}

/// `10.0.0.0/8`.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn prefixes_contain_what_shares_their_bits() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.4/30", "10.0.0.7", "10.0.0.8"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "ffff::1", "0.0.0.0"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("2001:db8::1/128", "2001:db8::1", "2001:db8::"),
        ] {
            let prefix: Prefix = text.parse().expect(text);
            assert!(prefix.contains(ip(inside)) && !prefix.contains(ip(outside)), "{text}");
            assert_eq!(prefix.to_string().parse(), Ok(prefix), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let host = ip("10.0.0.1");
        assert_eq!(Prefix::new(host, 8), Err(InputError::HostBits { address: host, len: 8 }));
        assert_eq!(Prefix::new(host, 33), Err(InputError::PrefixLength { family: Family::Ipv4, len: 33 }));
        assert_eq!(
            Prefix::new(ip("::"), 129),
            Err(InputError::PrefixLength { family: Family::Ipv6, len: 129 })
        );
        for text in ["", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "10.0.0.0/8/8", "10.0.0.0/256", "ten/8"] {
            assert_eq!(text.parse::<Prefix>(), Err(InputError::NotAPrefix), "{text}");
        }
    }
}
