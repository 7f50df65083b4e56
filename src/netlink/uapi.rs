//! Numbers of the kernel's interface (`linux/netfilter/nfnetlink_conntrack.h` and friends).
//!
//! They are written down here rather than taken from the C library's headers, because the messages of a
//! kernel do not depend on the age of those headers.

use std::ffi::c_int;

/// `nlmsg_type` of connection tracking: the subsystem in the high byte, the message in the low one.
pub(crate) const SUBSYS_CTNETLINK: u16 = 1 << 8;
pub(crate) const SUBSYS_CTNETLINK_EXP: u16 = 2 << 8;

pub(crate) const CT_NEW: u16 = SUBSYS_CTNETLINK;
pub(crate) const CT_GET: u16 = SUBSYS_CTNETLINK | 1;
pub(crate) const CT_DELETE: u16 = SUBSYS_CTNETLINK | 2;
pub(crate) const CT_GET_CTRZERO: u16 = SUBSYS_CTNETLINK | 3;
pub(crate) const CT_GET_STATS_CPU: u16 = SUBSYS_CTNETLINK | 4;
pub(crate) const CT_GET_STATS: u16 = SUBSYS_CTNETLINK | 5;
pub(crate) const CT_GET_DYING: u16 = SUBSYS_CTNETLINK | 6;
pub(crate) const CT_GET_UNCONFIRMED: u16 = SUBSYS_CTNETLINK | 7;

pub(crate) const EXP_NEW: u16 = SUBSYS_CTNETLINK_EXP;
pub(crate) const EXP_GET: u16 = SUBSYS_CTNETLINK_EXP | 1;
pub(crate) const EXP_DELETE: u16 = SUBSYS_CTNETLINK_EXP | 2;
pub(crate) const EXP_GET_STATS_CPU: u16 = SUBSYS_CTNETLINK_EXP | 3;

/// Flags of an acknowledgement (`linux/netlink.h`, Linux 4.12). The crate libc has them from 0.2.172 on.
pub(crate) const NLM_F_CAPPED: u16 = 0x100;
pub(crate) const NLM_F_ACK_TLVS: u16 = 0x200;

/// The socket option with the cookie of its namespace (`asm/socket.h`, Linux 5.14). The crate libc has
/// it from 0.2.172 on. Among the architectures of Rust only SPARC has numbers of its own.
pub(crate) const SO_NETNS_COOKIE: c_int = if cfg!(target_arch = "sparc64") { 0x50 } else { 71 };

/// Attributes of an expectation (`enum ctattr_expect` and `enum ctattr_expect_nat`).
pub(crate) mod expect {
    pub(crate) const MASTER: u16 = 1;
    pub(crate) const TUPLE: u16 = 2;
    pub(crate) const MASK: u16 = 3;
    pub(crate) const TIMEOUT: u16 = 4;
    pub(crate) const ID: u16 = 5;
    pub(crate) const HELP_NAME: u16 = 6;
    pub(crate) const ZONE: u16 = 7;
    pub(crate) const FLAGS: u16 = 8;
    pub(crate) const CLASS: u16 = 9;
    pub(crate) const NAT: u16 = 10;
    pub(crate) const FN: u16 = 11;

    pub(crate) const NAT_DIR: u16 = 1;
    pub(crate) const NAT_TUPLE: u16 = 2;
}

/// Attributes of an entry (`enum ctattr_type`).
pub(crate) mod cta {
    pub(crate) const TUPLE_ORIG: u16 = 1;
    pub(crate) const TUPLE_REPLY: u16 = 2;
    pub(crate) const STATUS: u16 = 3;
    pub(crate) const PROTOINFO: u16 = 4;
    pub(crate) const HELP: u16 = 5;
    pub(crate) const NAT_SRC: u16 = 6;
    pub(crate) const TIMEOUT: u16 = 7;
    pub(crate) const MARK: u16 = 8;
    pub(crate) const COUNTERS_ORIG: u16 = 9;
    pub(crate) const COUNTERS_REPLY: u16 = 10;
    pub(crate) const USE: u16 = 11;
    pub(crate) const ID: u16 = 12;
    pub(crate) const NAT_DST: u16 = 13;
    pub(crate) const TUPLE_MASTER: u16 = 14;
    pub(crate) const SEQ_ADJ_ORIG: u16 = 15;
    pub(crate) const SEQ_ADJ_REPLY: u16 = 16;
    pub(crate) const ZONE: u16 = 18;
    pub(crate) const SECCTX: u16 = 19;
    pub(crate) const TIMESTAMP: u16 = 20;
    pub(crate) const MARK_MASK: u16 = 21;
    pub(crate) const LABELS: u16 = 22;
    pub(crate) const LABELS_MASK: u16 = 23;
    pub(crate) const SYNPROXY: u16 = 24;
    pub(crate) const FILTER: u16 = 25;
    pub(crate) const STATUS_MASK: u16 = 26;
    pub(crate) const TIMESTAMP_EVENT: u16 = 27;
}

/// Attributes of a tuple, its addresses and its protocol.
pub(crate) mod tuple {
    pub(crate) const IP: u16 = 1;
    pub(crate) const PROTO: u16 = 2;
    pub(crate) const ZONE: u16 = 3;

    pub(crate) const IP_V4_SRC: u16 = 1;
    pub(crate) const IP_V4_DST: u16 = 2;
    pub(crate) const IP_V6_SRC: u16 = 3;
    pub(crate) const IP_V6_DST: u16 = 4;

    pub(crate) const PROTO_NUM: u16 = 1;
    pub(crate) const PROTO_SRC_PORT: u16 = 2;
    pub(crate) const PROTO_DST_PORT: u16 = 3;
    pub(crate) const PROTO_ICMP_ID: u16 = 4;
    pub(crate) const PROTO_ICMP_TYPE: u16 = 5;
    pub(crate) const PROTO_ICMP_CODE: u16 = 6;
    pub(crate) const PROTO_ICMPV6_ID: u16 = 7;
    pub(crate) const PROTO_ICMPV6_TYPE: u16 = 8;
    pub(crate) const PROTO_ICMPV6_CODE: u16 = 9;
}

/// The state of a protocol (`enum ctattr_protoinfo` and below).
pub(crate) mod protoinfo {
    pub(crate) const TCP: u16 = 1;
    pub(crate) const DCCP: u16 = 2;
    pub(crate) const SCTP: u16 = 3;

    pub(crate) const TCP_STATE: u16 = 1;
    pub(crate) const TCP_WSCALE_ORIGINAL: u16 = 2;
    pub(crate) const TCP_WSCALE_REPLY: u16 = 3;
    pub(crate) const TCP_FLAGS_ORIGINAL: u16 = 4;
    pub(crate) const TCP_FLAGS_REPLY: u16 = 5;

    pub(crate) const DCCP_STATE: u16 = 1;
    pub(crate) const DCCP_ROLE: u16 = 2;
    pub(crate) const DCCP_HANDSHAKE_SEQ: u16 = 3;

    pub(crate) const SCTP_STATE: u16 = 1;
    pub(crate) const SCTP_VTAG_ORIGINAL: u16 = 2;
    pub(crate) const SCTP_VTAG_REPLY: u16 = 3;
}

/// Requested NAT (`enum ctattr_nat` and `enum ctattr_protonat`).
pub(crate) mod nat {
    pub(crate) const V4_MINIP: u16 = 1;
    pub(crate) const PROTO: u16 = 3;
    pub(crate) const V6_MINIP: u16 = 4;

    pub(crate) const PORT_MIN: u16 = 1;
    pub(crate) const PORT_MAX: u16 = 2;
}

/// Attributes of the smaller nests.
pub(crate) mod nest {
    pub(crate) const HELP_NAME: u16 = 1;
    pub(crate) const SECCTX_NAME: u16 = 1;

    pub(crate) const COUNTERS_PACKETS: u16 = 1;
    pub(crate) const COUNTERS_BYTES: u16 = 2;

    pub(crate) const TIMESTAMP_START: u16 = 1;
    pub(crate) const TIMESTAMP_STOP: u16 = 2;

    pub(crate) const SEQ_ADJ_CORRECTION_POS: u16 = 1;
    pub(crate) const SEQ_ADJ_OFFSET_BEFORE: u16 = 2;
    pub(crate) const SEQ_ADJ_OFFSET_AFTER: u16 = 3;

    pub(crate) const SYNPROXY_ISN: u16 = 1;
    pub(crate) const SYNPROXY_ITS: u16 = 2;
    pub(crate) const SYNPROXY_TSOFF: u16 = 3;
}

/// Statistics (`enum ctattr_stats_cpu`, `ctattr_stats_global` and `ctattr_expect_stats`).
pub(crate) mod stats {
    pub(crate) const FOUND: u16 = 2;
    pub(crate) const INVALID: u16 = 4;
    pub(crate) const INSERT: u16 = 8;
    pub(crate) const INSERT_FAILED: u16 = 9;
    pub(crate) const DROP: u16 = 10;
    pub(crate) const EARLY_DROP: u16 = 11;
    pub(crate) const ERROR: u16 = 12;
    pub(crate) const SEARCH_RESTART: u16 = 13;
    pub(crate) const CLASH_RESOLVE: u16 = 14;
    pub(crate) const CHAIN_TOO_LONG: u16 = 15;

    pub(crate) const GLOBAL_ENTRIES: u16 = 1;
    pub(crate) const GLOBAL_MAX_ENTRIES: u16 = 2;

    pub(crate) const EXP_NEW: u16 = 1;
    pub(crate) const EXP_CREATE: u16 = 2;
    pub(crate) const EXP_DELETE: u16 = 3;
}
