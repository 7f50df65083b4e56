//! The attributes that name a connection: both directions, its master, its zones, and NAT.

use super::{Attr, Family, IcmpType, Ipv4, Ipv6, Port, Protocol, ReadWrite, Rule, U8, U16, attributes};
use crate::sys;

const V4: u8 = 2;
const V6: u8 = 10;

/// An address whose family is in the attribute `$layer3`, kept where `$twin` is.
macro_rules! address {
    ($layer3:ident, $family:ident, $twin:ident) => {
        Rule::Address { layer3: sys::$layer3, family: $family, twin: sys::$twin }
    };
}

/// A port of the direction whose protocol is in `$layer4`, kept where `$twin` are.
macro_rules! port {
    ($layer4:ident, $($twin:ident),*) => {
        Rule::Port { layer4: sys::$layer4, twins: &[$(sys::$twin),*] }
    };
}

attributes! {
    TUPLE;

    /// Source address of the original direction, IPv4. Present only when
    /// [`ORIG_L3PROTO`] is IPv4.
    ORIG_IPV4_SRC = sys::ATTR_ORIG_IPV4_SRC, "ATTR_ORIG_IPV4_SRC": Ipv4, ReadWrite, address!(ATTR_ORIG_L3PROTO, V4, ATTR_ORIG_IPV6_SRC);
        "IPv4 address"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// Destination address of the original direction, IPv4.
    ORIG_IPV4_DST = sys::ATTR_ORIG_IPV4_DST, "ATTR_ORIG_IPV4_DST": Ipv4, ReadWrite, address!(ATTR_ORIG_L3PROTO, V4, ATTR_ORIG_IPV6_DST);
        "IPv4 address"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// Source address of the reply direction, IPv4.
    REPL_IPV4_SRC = sys::ATTR_REPL_IPV4_SRC, "ATTR_REPL_IPV4_SRC": Ipv4, ReadWrite, address!(ATTR_REPL_L3PROTO, V4, ATTR_REPL_IPV6_SRC);
        "IPv4 address"; "dump, new, update, destroy"; "create"; "0.0.80".
    /// Destination address of the reply direction, IPv4.
    REPL_IPV4_DST = sys::ATTR_REPL_IPV4_DST, "ATTR_REPL_IPV4_DST": Ipv4, ReadWrite, address!(ATTR_REPL_L3PROTO, V4, ATTR_REPL_IPV6_DST);
        "IPv4 address"; "dump, new, update, destroy"; "create"; "0.0.80".
    /// Source address of the original direction, IPv6. Present only when
    /// [`ORIG_L3PROTO`] is IPv6.
    ORIG_IPV6_SRC = sys::ATTR_ORIG_IPV6_SRC, "ATTR_ORIG_IPV6_SRC": Ipv6, ReadWrite, address!(ATTR_ORIG_L3PROTO, V6, ATTR_ORIG_IPV4_SRC);
        "IPv6 address"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// Destination address of the original direction, IPv6.
    ORIG_IPV6_DST = sys::ATTR_ORIG_IPV6_DST, "ATTR_ORIG_IPV6_DST": Ipv6, ReadWrite, address!(ATTR_ORIG_L3PROTO, V6, ATTR_ORIG_IPV4_DST);
        "IPv6 address"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// Source address of the reply direction, IPv6.
    REPL_IPV6_SRC = sys::ATTR_REPL_IPV6_SRC, "ATTR_REPL_IPV6_SRC": Ipv6, ReadWrite, address!(ATTR_REPL_L3PROTO, V6, ATTR_REPL_IPV4_SRC);
        "IPv6 address"; "dump, new, update, destroy"; "create"; "0.0.80".
    /// Destination address of the reply direction, IPv6.
    REPL_IPV6_DST = sys::ATTR_REPL_IPV6_DST, "ATTR_REPL_IPV6_DST": Ipv6, ReadWrite, address!(ATTR_REPL_L3PROTO, V6, ATTR_REPL_IPV4_DST);
        "IPv6 address"; "dump, new, update, destroy"; "create"; "0.0.80".
    /// Source port of the original direction, or the GRE key. Present only when
    /// [`ORIG_L4PROTO`] is TCP, UDP, UDPLITE, SCTP, DCCP or GRE.
    ORIG_PORT_SRC = sys::ATTR_ORIG_PORT_SRC, "ATTR_ORIG_PORT_SRC": Port, ReadWrite, port!(ATTR_ORIG_L4PROTO, ATTR_ICMP_ID);
        "number"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// Destination port of the original direction, or the GRE key.
    ORIG_PORT_DST = sys::ATTR_ORIG_PORT_DST, "ATTR_ORIG_PORT_DST": Port, ReadWrite, port!(ATTR_ORIG_L4PROTO, ATTR_ICMP_TYPE, ATTR_ICMP_CODE);
        "number"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// Source port of the reply direction, or the GRE key.
    REPL_PORT_SRC = sys::ATTR_REPL_PORT_SRC, "ATTR_REPL_PORT_SRC": Port, ReadWrite, port!(ATTR_REPL_L4PROTO, ATTR_ICMP_ID);
        "number"; "dump, new, update, destroy"; "create"; "0.0.80".
    /// Destination port of the reply direction, or the GRE key.
    REPL_PORT_DST = sys::ATTR_REPL_PORT_DST, "ATTR_REPL_PORT_DST": Port, ReadWrite, port!(ATTR_REPL_L4PROTO, ATTR_ICMP_TYPE, ATTR_ICMP_CODE);
        "number"; "dump, new, update, destroy"; "create"; "0.0.80".
    /// ICMP type of the original direction.
    ///
    /// Setting it also sets the reply's type, which depends on the family. So [`ORIG_L3PROTO`] and
    /// [`ORIG_L4PROTO`] have to be set before, and only types that have a reply are taken.
    ICMP_TYPE = sys::ATTR_ICMP_TYPE, "ATTR_ICMP_TYPE": IcmpType, ReadWrite, Rule::IcmpType { twins: &[sys::ATTR_ORIG_PORT_DST, sys::ATTR_REPL_PORT_DST] };
        "number"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// ICMP code; setting it sets both directions. [`ORIG_L4PROTO`] has to be set before.
    ICMP_CODE = sys::ATTR_ICMP_CODE, "ATTR_ICMP_CODE": U8, ReadWrite, Rule::Icmp { twins: &[sys::ATTR_ORIG_PORT_DST, sys::ATTR_REPL_PORT_DST] };
        "number"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// ICMP id; setting it sets both directions. [`ORIG_L4PROTO`] has to be set before.
    ICMP_ID = sys::ATTR_ICMP_ID, "ATTR_ICMP_ID": Port, ReadWrite, Rule::Icmp { twins: &[sys::ATTR_ORIG_PORT_SRC, sys::ATTR_REPL_PORT_SRC] };
        "number"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// Address family of the original direction, and so of the whole connection.
    ORIG_L3PROTO = sys::ATTR_ORIG_L3PROTO, "ATTR_ORIG_L3PROTO": Family, ReadWrite, Rule::OriginalFamily;
        "`AF_INET` (2) or `AF_INET6` (10)"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// Address family of the reply direction: the same as the original's.
    REPL_L3PROTO = sys::ATTR_REPL_L3PROTO, "ATTR_REPL_L3PROTO": Family, ReadWrite, Rule::Plain;
        "`AF_INET` (2) or `AF_INET6` (10)"; "dump, new, update, destroy"; "create"; "0.0.80".
    /// Protocol of the original direction.
    ORIG_L4PROTO = sys::ATTR_ORIG_L4PROTO, "ATTR_ORIG_L4PROTO": Protocol, ReadWrite, Rule::Plain;
        "number, as in the IP header"; "dump, new, update, destroy"; "key"; "0.0.80".
    /// Protocol of the reply direction: the same as the original's.
    REPL_L4PROTO = sys::ATTR_REPL_L4PROTO, "ATTR_REPL_L4PROTO": Protocol, ReadWrite, Rule::Plain;
        "number, as in the IP header"; "dump, new, update, destroy"; "create"; "0.0.80".

    /// Source address to translate to, IPv4. A request only: an entry's own translation shows in
    /// its reply tuple.
    SNAT_IPV4 = sys::ATTR_SNAT_IPV4, "ATTR_SNAT_IPV4": Ipv4, ReadWrite, Rule::Nat { twin: sys::ATTR_SNAT_IPV6, loses: false };
        "IPv4 address"; "never"; "create"; "0.0.80".
    /// Destination address to translate to, IPv4. A request only.
    DNAT_IPV4 = sys::ATTR_DNAT_IPV4, "ATTR_DNAT_IPV4": Ipv4, ReadWrite, Rule::Nat { twin: sys::ATTR_DNAT_IPV6, loses: false };
        "IPv4 address"; "never"; "create"; "0.0.80".
    /// Source address to translate to, IPv6. A request only. In the same place as [`SNAT_IPV4`]:
    /// setting one unsets the other.
    SNAT_IPV6 = sys::ATTR_SNAT_IPV6, "ATTR_SNAT_IPV6": Ipv6, ReadWrite, Rule::Nat { twin: sys::ATTR_SNAT_IPV4, loses: true };
        "IPv6 address"; "never"; "create"; "1.0.6".
    /// Destination address to translate to, IPv6. A request only. In the same place as
    /// [`DNAT_IPV4`]: setting one unsets the other.
    DNAT_IPV6 = sys::ATTR_DNAT_IPV6, "ATTR_DNAT_IPV6": Ipv6, ReadWrite, Rule::Nat { twin: sys::ATTR_DNAT_IPV4, loses: true };
        "IPv6 address"; "never"; "create"; "1.0.6".
    /// Source port to translate to, or of ICMP the id. A request only. The library sends that of TCP and
    /// UDP, [`Message::for_object`](crate::message::Message::for_object) any.
    SNAT_PORT = sys::ATTR_SNAT_PORT, "ATTR_SNAT_PORT": Port, ReadWrite, Rule::Plain;
        "number"; "never"; "create"; "0.0.80".
    /// Destination port to translate to: as [`SNAT_PORT`].
    DNAT_PORT = sys::ATTR_DNAT_PORT, "ATTR_DNAT_PORT": Port, ReadWrite, Rule::Plain;
        "number"; "never"; "create"; "0.0.80".

    /// Source address of the original direction of the connection this one belongs to, IPv4.
    MASTER_IPV4_SRC = sys::ATTR_MASTER_IPV4_SRC, "ATTR_MASTER_IPV4_SRC": Ipv4, ReadWrite, address!(ATTR_MASTER_L3PROTO, V4, ATTR_MASTER_IPV6_SRC);
        "IPv4 address"; "dump and new, of an expected connection"; "create"; "0.0.92".
    /// Destination address of the master, IPv4.
    MASTER_IPV4_DST = sys::ATTR_MASTER_IPV4_DST, "ATTR_MASTER_IPV4_DST": Ipv4, ReadWrite, address!(ATTR_MASTER_L3PROTO, V4, ATTR_MASTER_IPV6_DST);
        "IPv4 address"; "dump and new, of an expected connection"; "create"; "0.0.92".
    /// Source address of the master, IPv6.
    MASTER_IPV6_SRC = sys::ATTR_MASTER_IPV6_SRC, "ATTR_MASTER_IPV6_SRC": Ipv6, ReadWrite, address!(ATTR_MASTER_L3PROTO, V6, ATTR_MASTER_IPV4_SRC);
        "IPv6 address"; "dump and new, of an expected connection"; "create"; "0.0.92".
    /// Destination address of the master, IPv6.
    MASTER_IPV6_DST = sys::ATTR_MASTER_IPV6_DST, "ATTR_MASTER_IPV6_DST": Ipv6, ReadWrite, address!(ATTR_MASTER_L3PROTO, V6, ATTR_MASTER_IPV4_DST);
        "IPv6 address"; "dump and new, of an expected connection"; "create"; "0.0.92".
    /// Source port of the master.
    MASTER_PORT_SRC = sys::ATTR_MASTER_PORT_SRC, "ATTR_MASTER_PORT_SRC": Port, ReadWrite, port!(ATTR_MASTER_L4PROTO,);
        "number"; "dump and new, of an expected connection"; "create"; "0.0.92".
    /// Destination port of the master.
    MASTER_PORT_DST = sys::ATTR_MASTER_PORT_DST, "ATTR_MASTER_PORT_DST": Port, ReadWrite, port!(ATTR_MASTER_L4PROTO,);
        "number"; "dump and new, of an expected connection"; "create"; "0.0.92".
    /// Address family of the master.
    MASTER_L3PROTO = sys::ATTR_MASTER_L3PROTO, "ATTR_MASTER_L3PROTO": Family, ReadWrite, Rule::Plain;
        "`AF_INET` (2) or `AF_INET6` (10)"; "dump and new, of an expected connection"; "create"; "0.0.92".
    /// Protocol of the master.
    MASTER_L4PROTO = sys::ATTR_MASTER_L4PROTO, "ATTR_MASTER_L4PROTO": Protocol, ReadWrite, Rule::Plain;
        "number, as in the IP header"; "dump and new, of an expected connection"; "create"; "0.0.92".

    /// Zone of both directions. Not together with [`ORIG_ZONE`] or [`REPL_ZONE`].
    ZONE = sys::ATTR_ZONE, "ATTR_ZONE": U16, ReadWrite, Rule::Plain;
        "number; absent means 0"; "dump, new, update, destroy, unless 0"; "key"; "0.0.102".
    /// Zone of the original direction only.
    ORIG_ZONE = sys::ATTR_ORIG_ZONE, "ATTR_ORIG_ZONE": U16, ReadWrite, Rule::Plain;
        "number"; "dump, new, update, destroy, where the zone has this direction only"; "key"; "1.0.6".
    /// Zone of the reply direction only.
    REPL_ZONE = sys::ATTR_REPL_ZONE, "ATTR_REPL_ZONE": U16, ReadWrite, Rule::Plain;
        "number"; "dump, new, update, destroy, where the zone has this direction only"; "key"; "1.0.6".
}
