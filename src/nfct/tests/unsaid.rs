//! The parts of a request that the library's builder leaves out, and those that this crate adds.

use std::net::{IpAddr, SocketAddr};

use super::sample::{ICMP, TCP, UDP, V4, V6, add_icmp, add_ports, built, ipv4, ipv6, set};
use crate::model::flow::{Flow, NatTarget};
use crate::netlink::encode::{self, Zones};
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi::{CT_NEW, cta, nat};
use crate::nfct::{Conntrack, ObjectError, attr};

const SCTP: u8 = 132;
const GRE: u8 = 47;

/// The targets that a request has, as the kernel reads it. Each is there once at most.
fn asked(request: &MessageBuf) -> [Option<NatTarget>; 2] {
    let of = |kind| {
        let mut nests = request.attributes().flatten().filter(|attribute| attribute.kind == kind);
        let nest = nests.next()?;
        assert!(nests.next().is_none(), "twice");
        let (mut address, mut ports) = (None, Vec::new());
        for part in nest.nested().flatten() {
            match part.kind {
                nat::V4_MINIP => address = <[u8; 4]>::try_from(part.value).ok().map(IpAddr::from),
                nat::V6_MINIP => address = <[u8; 16]>::try_from(part.value).ok().map(IpAddr::from),
                nat::PROTO => {
                    ports.extend(part.nested().flatten().map(|port| (port.kind, port.value.to_vec())))
                }
                other => panic!("{other}"),
            }
        }
        let port = match &ports[..] {
            [] => None,
            [(nat::PORT_MIN, from), (nat::PORT_MAX, to)] if from == to => {
                Some(u16::from_be_bytes(from[..].try_into().expect("two bytes")))
            }
            other => panic!("{other:?}"),
        };
        match (address, port) {
            (Some(address), Some(port)) => Some(NatTarget::AddressAndPort(SocketAddr::new(address, port))),
            (Some(address), None) => Some(NatTarget::Address(address)),
            (None, port) => port.map(NatTarget::Port),
        }
    };
    [cta::NAT_SRC, cta::NAT_DST].map(of)
}

/// From the flow over the object to the bytes that the kernel reads, and back.
#[test]
fn every_port_and_id_is_sent() {
    let [v4, v6] = ["192.0.2.1", "2001:db8::1"].map(|ip| ip.parse::<IpAddr>().expect("an address"));
    let objects = [
        (add_ports(ipv4(TCP)), v4),
        (add_ports(ipv6(UDP)), v6),
        (add_ports(ipv4(SCTP)), v4),
        (add_ports(ipv6(136)), v6),
        (add_ports(ipv4(33)), v4),
        (add_icmp(ipv4(ICMP), 8), v4),
        (add_icmp(ipv6(58), 128), v6),
    ];
    for (object, address) in objects {
        let plain = Flow::try_from(&object).expect("a flow");
        let family = plain.original.family().number();
        let both = NatTarget::AddressAndPort(SocketAddr::new(address, 0x1234));
        for target in [NatTarget::Address(address), NatTarget::Port(0x1234), both] {
            for targets in [[Some(target), None], [None, Some(target)], [Some(both), Some(target)]] {
                let mut flow = plain.clone();
                [flow.extra.source_nat, flow.extra.destination_nat] = targets;
                let object = Conntrack::try_from(&flow).expect("an object");
                assert_eq!(object.check_said(), Ok(()));
                assert_eq!(asked(&built(&object, family)), targets, "{flow}");
                let mut request = encode::request(CT_NEW, 0, flow.original.family());
                encode::flow(&mut request, &flow, Zones::Exact(flow.zone)).expect("a request");
                assert_eq!(asked(&request), targets, "{flow}");
                assert_eq!(Flow::try_from(&object), Ok(flow));
            }
        }
    }
}

#[test]
fn what_would_be_left_out_is_refused() {
    let refused = |ct: &Conntrack| match ct.check_said() {
        Ok(()) => None,
        Err(ObjectError::InvalidValue { attribute, .. }) => Some(attribute),
        Err(other) => panic!("{other}"),
    };
    let asks = |mut ct: Conntrack| {
        set!(ct; SNAT_IPV4 = [192, 0, 2, 1].into(), DNAT_PORT = 7);
        ct
    };
    for (ct, attribute) in [
        (asks(add_ports(ipv4(TCP))), None),
        (asks(add_ports(ipv4(SCTP))), None),
        (asks(add_icmp(ipv4(ICMP), 8)), None),
        // Keys, of a kernel without the tracker, and a protocol without ports.
        (asks(add_ports(ipv4(GRE))), Some("ATTR_DNAT_PORT")),
        (asks(ipv4(SCTP)), Some("ATTR_DNAT_PORT")),
        (asks(ipv4(50)), Some("ATTR_DNAT_PORT")),
    ] {
        assert_eq!(refused(&ct), attribute);
    }
    let mut two = add_icmp(ipv4(ICMP), 8);
    set!(two; SNAT_PORT = 7, DNAT_PORT = 7);
    assert_eq!(refused(&two), None);
    set!(two; SNAT_PORT = 8);
    assert_eq!(refused(&two), Some("ATTR_DNAT_PORT"));
    let mut ct = add_ports(ipv6(TCP));
    set!(ct; MASTER_L3PROTO = V6, MASTER_L4PROTO = 58);
    assert_eq!(refused(&ct), Some("CTA_TUPLE_MASTER"));
    let mut address = add_ports(ipv4(SCTP));
    set!(address; SNAT_IPV4 = [192, 0, 2, 1].into());
    assert_eq!(refused(&address), None);
    assert_eq!(asked(&built(&address, V4))[1], None);
}

/// Parts that are sent together or not at all, and parts of one protocol alone: in a request that creates an
/// entry and in one that updates it.
#[test]
fn a_part_alone_and_the_state_of_another_protocol_are_refused() {
    let refused = |ct: &Conntrack| {
        let [create, update] = [ct.check_said(), ct.check_changes_said()].map(Result::err);
        assert_eq!(create, update);
        create.map(|error| error.to_string())
    };
    macro_rules! groups {
        ($($protocol:expr => $($name:ident),+;)+) => {$(
            let mut whole = add_ports(ipv4($protocol));
            set!(whole; $($name = 1),+);
            assert_eq!(refused(&whole), None);
            $(
                let (mut alone, mut lacking) = (add_ports(ipv4($protocol)), whole.try_clone().unwrap());
                set!(alone; $name = 1);
                let error = refused(&alone).expect(stringify!($name));
                assert!(error.starts_with(concat!("ATTR_", stringify!($name))), "{error}");
                lacking.unset(attr::$name);
                assert!(refused(&lacking).is_some(), "{}", stringify!($name));
            )+
        )+};
    }
    groups! {
        TCP => TCP_FLAGS_ORIG, TCP_MASK_ORIG;
        TCP => TCP_FLAGS_REPL, TCP_MASK_REPL;
        TCP => ORIG_NAT_SEQ_CORRECTION_POS, ORIG_NAT_SEQ_OFFSET_BEFORE, ORIG_NAT_SEQ_OFFSET_AFTER;
        TCP => REPL_NAT_SEQ_CORRECTION_POS, REPL_NAT_SEQ_OFFSET_BEFORE, REPL_NAT_SEQ_OFFSET_AFTER;
        TCP => SYNPROXY_ISN, SYNPROXY_ITS, SYNPROXY_TSOFF;
    }
    macro_rules! states {
        ($($protocol:expr => $($name:ident),+;)+) => {$($(
            for protocol in [TCP, UDP, SCTP, 33] {
                let mut ct = add_ports(ipv4(protocol));
                set!(ct; $name = 1);
                let error = refused(&ct);
                assert_eq!(error.is_none(), protocol == $protocol, "{error:?}");
                assert!(error.is_none_or(|error| error.starts_with(concat!("ATTR_", stringify!($name)))));
            }
        )+)+};
    }
    states! {
        TCP => TCP_STATE, TCP_WSCALE_ORIG, TCP_WSCALE_REPL;
        SCTP => SCTP_STATE, SCTP_VTAG_ORIG, SCTP_VTAG_REPL;
        33 => DCCP_STATE, DCCP_ROLE, DCCP_HANDSHAKE_SEQ;
    }
    assert_eq!(refused(&super::sample::largest()), None, "everything together is sent");
}

#[test]
fn nat_to_the_other_family_is_refused() {
    let [mut four, mut six] = [add_ports(ipv4(TCP)), add_ports(ipv6(TCP))];
    set!(four; DNAT_IPV6 = "2001:db8::1".parse().unwrap());
    set!(six; SNAT_IPV4 = [192, 0, 2, 1].into());
    for (ct, name) in [(four, "ATTR_DNAT_IPV6"), (six, "ATTR_SNAT_IPV4")] {
        let error = ct.check_said().unwrap_err();
        assert!(matches!(error, ObjectError::InvalidValue { attribute, .. } if attribute == name), "{error}");
        // An update with NAT is the kernel's to refuse.
        assert_eq!(ct.check_changes_said(), Ok(()));
    }
}
