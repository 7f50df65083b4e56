//! Objects and messages that the tests start from.

use crate::netlink::message::MessageBuf;
use crate::nfct::{Bitmask, Conntrack, attr};

pub(crate) const V4: u8 = 2;
pub(crate) const V6: u8 = 10;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;

/// Sets several attributes at once.
macro_rules! set {
    ($ct:expr; $($name:ident = $value:expr),* $(,)?) => {
        $( $ct.set(attr::$name, $value).expect(stringify!($name)); )*
    };
}
pub(crate) use set;

pub(crate) fn ipv4(protocol: u8) -> Conntrack {
    let mut ct = Conntrack::new().unwrap();
    let (a, b) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    set!(ct; ORIG_L3PROTO = V4, ORIG_IPV4_SRC = a, ORIG_IPV4_DST = b, ORIG_L4PROTO = protocol);
    set!(ct; REPL_L3PROTO = V4, REPL_IPV4_SRC = b, REPL_IPV4_DST = a, REPL_L4PROTO = protocol);
    ct
}

pub(crate) fn ipv6(protocol: u8) -> Conntrack {
    let mut ct = Conntrack::new().unwrap();
    let (a, b) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
    set!(ct; ORIG_L3PROTO = V6, ORIG_IPV6_SRC = a, ORIG_IPV6_DST = b, ORIG_L4PROTO = protocol);
    set!(ct; REPL_L3PROTO = V6, REPL_IPV6_SRC = b, REPL_IPV6_DST = a, REPL_L4PROTO = protocol);
    ct
}

pub(crate) fn add_ports(mut ct: Conntrack) -> Conntrack {
    set!(ct; ORIG_PORT_SRC = 40_000, ORIG_PORT_DST = 80, REPL_PORT_SRC = 80, REPL_PORT_DST = 40_000);
    ct
}

pub(crate) fn add_icmp(mut ct: Conntrack, kind: u8) -> Conntrack {
    set!(ct; ICMP_TYPE = kind, ICMP_CODE = 0, ICMP_ID = 77);
    ct
}

/// Every attribute that is sent, in the family and protocol that make the largest message.
pub(crate) fn largest() -> Conntrack {
    let mut ct = add_ports(ipv6(TCP));
    let (a, b) = ("fd00::3".parse().unwrap(), "fd00::4".parse().unwrap());
    set!(ct;
        MASTER_L3PROTO = V6, MASTER_IPV6_SRC = a, MASTER_IPV6_DST = b,
        MASTER_L4PROTO = TCP, MASTER_PORT_SRC = 1, MASTER_PORT_DST = 2,
        TIMEOUT = 600, MARK = 1, SECMARK = 2, STATUS = 0xff, TCP_STATE = 3,
        TCP_FLAGS_ORIG = 1, TCP_MASK_ORIG = 1, TCP_FLAGS_REPL = 1, TCP_MASK_REPL = 1,
        TCP_WSCALE_ORIG = 7, TCP_WSCALE_REPL = 7,
        SNAT_IPV6 = a, DNAT_IPV6 = b, SNAT_PORT = 3, DNAT_PORT = 4,
        ORIG_NAT_SEQ_CORRECTION_POS = 1, ORIG_NAT_SEQ_OFFSET_BEFORE = 2, ORIG_NAT_SEQ_OFFSET_AFTER = 3,
        REPL_NAT_SEQ_CORRECTION_POS = 4, REPL_NAT_SEQ_OFFSET_BEFORE = 5, REPL_NAT_SEQ_OFFSET_AFTER = 6,
        HELPER_NAME = "fifteen-letters", ZONE = 1, ORIG_ZONE = 2, REPL_ZONE = 3,
        SYNPROXY_ISN = 1, SYNPROXY_ITS = 2, SYNPROXY_TSOFF = 3,
        CONNLABELS = Bitmask::from_words([1, 2, 3, 4]).unwrap(),
        CONNLABELS_MASK = Bitmask::from_words([u32::MAX; 4]).unwrap(),
    );
    ct
}

/// A message as the kernel sends it for a new entry.
pub(crate) fn new_message(family: u8) -> MessageBuf {
    MessageBuf::new(0x100, 0, family, 0)
}

pub(crate) fn built(ct: &Conntrack, family: u8) -> MessageBuf {
    let mut message = new_message(family);
    ct.append_to(&mut message).unwrap();
    message
}

/// Type and value of an attribute.
type Part<'a> = (u16, &'a [u8]);

fn put_all(message: &mut MessageBuf, attributes: &[Part<'_>]) {
    for (kind, value) in attributes {
        message.put(*kind, value).unwrap();
    }
}

/// A message with the parts that only the kernel reports: counters, use, id, security context, times, labels,
/// helper.
pub(crate) fn kernel_message() -> MessageBuf {
    let mut message = built(&add_ports(ipv4(TCP)), V4);
    let nests: &[(u16, &[Part<'_>])] = &[
        (9, &[(1, &5u64.to_be_bytes()), (2, &500u64.to_be_bytes())]),
        (10, &[(1, &6u64.to_be_bytes()), (2, &600u64.to_be_bytes())]),
        (5, &[(1, b"ftp\0"), (2, &[1, 2, 3, 4, 5, 6, 7])]),
        (19, &[(1, b"system_u:object_r:unlabeled_t:s0\0")]),
        (
            20,
            &[
                (1, &1_700_000_000_000_000_001u64.to_be_bytes()),
                (2, &1_800_000_000_000_000_000u64.to_be_bytes()),
            ],
        ),
        (15, &[(1, &[0, 0, 0, 1]), (2, &[0, 0, 0, 2]), (3, &[0, 0, 0, 3])]),
        (24, &[(1, &[0, 0, 0, 1]), (2, &[0, 0, 0, 2]), (3, &[0, 0, 0, 3])]),
    ];
    for (kind, inside) in nests {
        message
            .nested(*kind, |nest| {
                put_all(nest, inside);
                Ok(())
            })
            .unwrap();
    }
    message
        .nested(4, |info| {
            info.nested(1, |tcp| {
                put_all(tcp, &[(1, &[3]), (2, &[7]), (3, &[8]), (4, &[0x23, 0]), (5, &[0x33, 0])]);
                Ok(())
            })
        })
        .unwrap();
    put_all(
        &mut message,
        &[
            (3, &0x18eu32.to_be_bytes()),
            (7, &431_999u32.to_be_bytes()),
            (8, &0xdead_beefu32.to_be_bytes()),
            (11, &1u32.to_be_bytes()),
            (12, &0x1234_5678u32.to_be_bytes()),
            (18, &10u16.to_be_bytes()),
            (22, [1, 0, 0, 0x8000_0000].map(u32::to_ne_bytes).as_flattened()),
            (27, &1_750_000_000_000_000_000u64.to_be_bytes()),
            (99, b"from a newer kernel"),
        ],
    );
    message
}

/// A message of another protocol's state.
pub(crate) fn state_message(protocol: u8, info: u16, states: &[Part<'_>]) -> MessageBuf {
    let mut message = built(&add_ports(ipv4(protocol)), V4);
    message
        .nested(4, |nest| {
            nest.nested(info, |state| {
                put_all(state, states);
                Ok(())
            })
        })
        .unwrap();
    message
}

/// An expectation as the kernel reports it, with everything in it.
pub(crate) fn expectation() -> MessageBuf {
    let mut message = MessageBuf::new(0x200, 0, V4, 0);
    let tuple = |nest: &mut MessageBuf| {
        nest.nested(1, |ip| {
            put_all(ip, &[(1, &[10, 0, 0, 1]), (2, &[10, 0, 0, 2])]);
            Ok(())
        })?;
        nest.nested(2, |proto| {
            put_all(proto, &[(1, &[TCP]), (2, &[0, 0]), (3, &[0, 21])]);
            Ok(())
        })
    };
    for kind in [1, 2, 3] {
        message.nested(kind, tuple).unwrap();
    }
    message
        .nested(10, |nat| {
            nat.put(1, &[0, 0, 0, 1])?;
            nat.nested(2, tuple)
        })
        .unwrap();
    put_all(
        &mut message,
        &[
            (4, &[0, 0, 0, 9]),
            (5, &[1, 2, 3, 4]),
            (6, b"ftp\0"),
            (7, &[0, 1]),
            (8, &[0, 0, 0, 1]),
            (9, &[0, 0, 0, 0]),
            (11, b"nat-follow-master\0"),
        ],
    );
    message
}

/// A small generator of repeatable numbers (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        #[cfg(nfct_fuzz)]
        if let Some(number) = crate::fuzz::source::number() {
            return number;
        }
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        #[cfg(nfct_fuzz)]
        if let Some(number) = crate::fuzz::source::below(end.max(1) as u64) {
            return number as usize;
        }
        (self.next() >> 33) as usize % end.max(1)
    }
}
