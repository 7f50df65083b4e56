//! Addresses that are given to this crate: an IPv4 address mapped into IPv6 means the IPv4 address.
//!
//! A dual-stack socket reports an IPv4 peer as `::ffff:192.0.2.1`. Its packets are IPv4, and so is the
//! entry that the kernel makes of them. Every address and network that comes from a program or a file goes
//! through [`meant`] or [`network`]; addresses from the kernel go through neither, so that its entries keep
//! the names that it finds them by.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::model::proto::Family;

/// How many bits of a mapped address come before the IPv4 address.
const MAPPED_BITS: u8 = 96;

/// The address that a program means by this one.
pub(crate) const fn meant(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// As [`meant`], for an address that belongs to an entry of a known family: beside IPv6 addresses that the
/// kernel reported, it stays as it is.
pub(crate) const fn meant_in(family: Family, address: IpAddr) -> IpAddr {
    match family {
        Family::Ipv4 => meant(address),
        Family::Ipv6 => address,
    }
}

/// The network that a program means by this one. A network that is larger than that of all mapped
/// addresses is one of IPv6.
pub(crate) fn network(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let prefix = v6.prefix_len().checked_sub(MAPPED_BITS);
    match (v6.addr().to_ipv4_mapped(), prefix) {
        (Some(v4), Some(prefix)) => Ipv4Net::new(v4, prefix).map_or(network, IpNet::V4),
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_and_networks_are_ipv4() {
        for (given, meant_by_it) in [
            ("::ffff:10.1.2.3/128", "10.1.2.3/32"),
            ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
            ("::ffff:10.1.2.3/104", "10.1.2.3/8"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
            // These have more in them than mapped addresses.
            ("::ffff:0.0.0.0/95", "::ffff:0.0.0.0/95"),
            ("::/0", "::/0"),
            // These are not mapped: compatible, translated (RFC 6145), NAT64.
            ("::10.1.2.3/128", "::10.1.2.3/128"),
            ("::ffff:0:10.1.2.3/128", "::ffff:0:10.1.2.3/128"),
            ("64:ff9b::10.1.2.3/128", "64:ff9b::10.1.2.3/128"),
            ("10.1.2.3/8", "10.1.2.3/8"),
        ] {
            let [given, meant_by_it] = [given, meant_by_it].map(|text| text.parse().expect("a network"));
            assert_eq!(network(given), meant_by_it);
            if given.prefix_len() == given.max_prefix_len() {
                let address = meant(given.addr());
                assert_eq!(IpNet::from(address), meant_by_it);
                assert_eq!(meant_in(Family::Ipv4, given.addr()), address);
                assert_eq!(meant_in(Family::Ipv6, given.addr()), given.addr());
            }
        }
    }
}
