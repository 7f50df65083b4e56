//! Conditions on the ends of a flow: addresses, ports, ICMP fields and GRE keys.

use ipnet::IpNet;

use super::PortSet;
use super::Selector;
use super::term::{IcmpPart, Side, Term};
use super::value::Addresses;
use crate::model::direction::Direction;

/// Conditions on one end of one direction: a network, networks, ports, a key of GRE.
macro_rules! side {
    (
        $side:ident, $what:literal, $one:ident, $many:ident, $port:ident, $key:ident,
        $address_attr:literal, $port_attr:literal
    ) => {
        #[doc = concat!("And ", $what, " address is in this network: an `IpNet`, or an `IpAddr`, which is a")]
        /// network of one. A network of [mapped](crate::Tuple#mapped-addresses) addresses
        /// (`::ffff:10.0.0.0/104`) is the IPv4 network (`10.0.0.0/8`).
        #[doc(alias = $address_attr)]
        pub fn $one(self, network: impl Into<IpNet>) -> Self {
            self.$many([network])
        }

        #[doc = concat!("And ", $what, " address is in one of these networks: [`IpNet`]s or `IpAddr`s,")]
        /// as many as you like. None of them: nothing matches.
        #[doc(alias = $address_attr)]
        pub fn $many(self, networks: impl IntoIterator<Item = impl Into<IpNet>>) -> Self {
            self.in_networks(Side::$side, networks.into_iter().map(Into::into).collect())
        }

        #[doc = concat!("And ", $what, " port is this one, in this range or in this set, in host order.")]
        /// Protocols without ports do not match. An entry of a protocol with ports, which this kernel
        /// [tracks without them](crate::model::Layer4::Other), matches neither this nor its opposite. No port at
        /// all: nothing matches.
        #[doc(alias = $port_attr)]
        pub fn $port(self, ports: impl Into<PortSet>) -> Self {
            self.in_ports(Side::$side, ports.into())
        }

        #[doc = concat!("And it is GRE, and ", $what, " key is this one, in host order.")]
        /// An entry that this kernel [tracks without keys](crate::model::Layer4::Other) matches neither this nor
        /// its opposite.
        #[doc(alias = $port_attr)]
        pub fn $key(self, key: u16) -> Self {
            self.when(Term::GreKey(Side::$side, key))
        }
    };
}

/// Conditions on the ICMP part of one direction.
macro_rules! icmp {
    ($direction:ident, $what:literal, $kind:ident, $code:ident, $id:ident) => {
        #[doc = concat!("And it is ICMP or ICMPv6, with this message type in ", $what, " tuple.")]
        #[doc(alias = "ATTR_ICMP_TYPE")]
        pub fn $kind(self, kind: u8) -> Self {
            self.when(Term::Icmp(Direction::$direction, IcmpPart::Type, kind.into()))
        }

        #[doc = concat!("And it is ICMP or ICMPv6, with this code in ", $what, " tuple.")]
        #[doc(alias = "ATTR_ICMP_CODE")]
        pub fn $code(self, code: u8) -> Self {
            self.when(Term::Icmp(Direction::$direction, IcmpPart::Code, code.into()))
        }

        #[doc = concat!("And it is ICMP or ICMPv6, with this identifier, in host order, in ", $what, " tuple.")]
        #[doc(alias = "ATTR_ICMP_ID")]
        pub fn $id(self, id: u16) -> Self {
            self.when(Term::Icmp(Direction::$direction, IcmpPart::Id, id))
        }
    };
}

impl Selector {
    side!(SRC, "the source", src, src_in, src_port, gre_src_key, "ATTR_ORIG_IPV4_SRC", "ATTR_ORIG_PORT_SRC");
    side!(
        DST,
        "the destination",
        dst,
        dst_in,
        dst_port,
        gre_dst_key,
        "ATTR_ORIG_IPV4_DST",
        "ATTR_ORIG_PORT_DST"
    );
    side!(
        REPLY_SRC,
        "the reply's source",
        reply_src,
        reply_src_in,
        reply_src_port,
        reply_gre_src_key,
        "ATTR_REPL_IPV4_SRC",
        "ATTR_REPL_PORT_SRC"
    );
    side!(
        REPLY_DST,
        "the reply's destination",
        reply_dst,
        reply_dst_in,
        reply_dst_port,
        reply_gre_dst_key,
        "ATTR_REPL_IPV4_DST",
        "ATTR_REPL_PORT_DST"
    );
    icmp!(Original, "the original", icmp_type, icmp_code, icmp_id);
    icmp!(Reply, "the reply", reply_icmp_type, reply_icmp_code, reply_icmp_id);

    /// And it is GRE, and this is one of its keys, of either end, in either direction. See
    /// [`gre_src_key`](Self::gre_src_key).
    pub fn gre_key(self, key: u16) -> Self {
        self.and(Self::any_of(Side::ALL.map(|side| Self::term(Term::GreKey(side, key)))))
    }

    /// And this is an address of the flow: the source or the destination of its original or of its reply
    /// tuple.
    ///
    /// Both tuples count, since with NAT one has the address that a client uses, and the other the server's
    /// own. See [`endpoint`](Self::endpoint).
    pub fn address(self, network: impl Into<IpNet>) -> Self {
        let network = network.into();
        let at = |side| Self::any_zone().in_networks(side, Addresses::from_iter([network]));
        self.and(Self::any_of(Side::ALL.map(at)))
    }

    /// And this is either end of the flow: in its original or its reply tuple, as source or as destination,
    /// it has an address of this network together with one of these ports.
    ///
    /// Use it if you do not know which side the kernel takes for a flow's source. A deleted TCP flow comes
    /// back with the next packet of either side, and if that is the answering side's, the server is its
    /// source (see [`Handle::delete`](crate::Handle::delete)). A condition on the [destination](Self::dst)
    /// misses that flow, and this one matches both:
    ///
    /// ```
    /// use netfilter_conntrack::{Flow, Selector, Tuple};
    /// use std::net::IpAddr;
    ///
    /// let server: IpAddr = "10.0.0.2".parse()?;
    /// let of_server = Selector::zone(0).tcp().endpoint(server, 80);
    /// let flow = Tuple::tcp("10.0.0.1:5000".parse()?, "10.0.0.2:80".parse()?)?;
    /// assert!(of_server.matches(&Flow::new(flow)));
    /// assert!(of_server.matches(&Flow::new(flow.inverse())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Address and port belong together: a flow from port 80 of another address to another port of the server
    /// does not match. For ports see [`src_port`](Self::src_port). The kernel filters events by this, but not
    /// dumps; to look for thousands of endpoints at once, use a [`SelectorSet`](crate::select::SelectorSet).
    pub fn endpoint(self, network: impl Into<IpNet>, ports: impl Into<PortSet>) -> Self {
        let (network, ports) = (network.into(), ports.into());
        let at = |side| {
            let there = Self::any_zone().in_networks(side, Addresses::from_iter([network]));
            there.in_ports(side, ports.clone())
        };
        self.and(Self::any_of(Side::ALL.map(at)))
    }

    fn in_networks(self, side: Side, addresses: Addresses) -> Self {
        match addresses.is_empty() {
            true => self.and(Self::nothing()),
            false => self.when(Term::Address(side, addresses)),
        }
    }

    fn in_ports(self, side: Side, ports: PortSet) -> Self {
        match ports.is_empty() && !ports.reversed {
            true => self.and(Self::nothing()),
            false => self.when(Term::Port(side, ports)),
        }
    }
}
