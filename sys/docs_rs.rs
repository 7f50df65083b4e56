pub use libc::nlmsghdr;
pub const NF_NETLINK_CONNTRACK_NEW: u32 = 1;
pub const NF_NETLINK_CONNTRACK_UPDATE: u32 = 2;
pub const NF_NETLINK_CONNTRACK_DESTROY: u32 = 4;
pub const NF_NETLINK_CONNTRACK_EXP_NEW: u32 = 8;
pub const NF_NETLINK_CONNTRACK_EXP_UPDATE: u32 = 16;
pub const NF_NETLINK_CONNTRACK_EXP_DESTROY: u32 = 32;
pub const NFNL_SUBSYS_CTNETLINK: u32 = 1;
pub const NFNL_SUBSYS_CTNETLINK_EXP: u32 = 2;
pub const NF_CT_STATE_INVALID_BIT: u32 = 1;
pub const NF_CT_STATE_UNTRACKED_BIT: u32 = 64;
pub const NF_CT_EXPECT_PERMANENT: u32 = 1;
pub const NF_CT_EXPECT_INACTIVE: u32 = 2;
pub const NF_CT_EXPECT_USERSPACE: u32 = 4;
pub const NFCT_ALL_CT_GROUPS: u32 = 7;
pub const IP_CT_TCP_FLAG_WINDOW_SCALE: u32 = 1;
pub const IP_CT_TCP_FLAG_SACK_PERM: u32 = 2;
pub const IP_CT_TCP_FLAG_CLOSE_INIT: u32 = 4;
pub const IP_CT_TCP_FLAG_BE_LIBERAL: u32 = 8;
pub const NFCT_DIR_ORIGINAL: u32 = 0;
pub const NFCT_DIR_REPLY: u32 = 1;
pub const NFCT_DIR_MAX: u32 = 2;
pub const NFCT_HELPER_NAME_MAX: u32 = 16;
#[repr(C)]
#[derive(Debug)]
pub struct nfnl_handle {
    _unused: [u8; 0],
}
pub const IP_CT_ESTABLISHED: ip_conntrack_info = 0;
pub const IP_CT_RELATED: ip_conntrack_info = 1;
pub const IP_CT_NEW: ip_conntrack_info = 2;
pub const IP_CT_IS_REPLY: ip_conntrack_info = 3;
pub const IP_CT_ESTABLISHED_REPLY: ip_conntrack_info = 3;
pub const IP_CT_RELATED_REPLY: ip_conntrack_info = 4;
pub const IP_CT_NUMBER: ip_conntrack_info = 5;
pub const IP_CT_NEW_REPLY: ip_conntrack_info = 5;
pub type ip_conntrack_info = ::core::ffi::c_uint;
pub const IPS_EXPECTED_BIT: ip_conntrack_status = 0;
pub const IPS_EXPECTED: ip_conntrack_status = 1;
pub const IPS_SEEN_REPLY_BIT: ip_conntrack_status = 1;
pub const IPS_SEEN_REPLY: ip_conntrack_status = 2;
pub const IPS_ASSURED_BIT: ip_conntrack_status = 2;
pub const IPS_ASSURED: ip_conntrack_status = 4;
pub const IPS_CONFIRMED_BIT: ip_conntrack_status = 3;
pub const IPS_CONFIRMED: ip_conntrack_status = 8;
pub const IPS_SRC_NAT_BIT: ip_conntrack_status = 4;
pub const IPS_SRC_NAT: ip_conntrack_status = 16;
pub const IPS_DST_NAT_BIT: ip_conntrack_status = 5;
pub const IPS_DST_NAT: ip_conntrack_status = 32;
pub const IPS_NAT_MASK: ip_conntrack_status = 48;
pub const IPS_SEQ_ADJUST_BIT: ip_conntrack_status = 6;
pub const IPS_SEQ_ADJUST: ip_conntrack_status = 64;
pub const IPS_SRC_NAT_DONE_BIT: ip_conntrack_status = 7;
pub const IPS_SRC_NAT_DONE: ip_conntrack_status = 128;
pub const IPS_DST_NAT_DONE_BIT: ip_conntrack_status = 8;
pub const IPS_DST_NAT_DONE: ip_conntrack_status = 256;
pub const IPS_NAT_DONE_MASK: ip_conntrack_status = 384;
pub const IPS_DYING_BIT: ip_conntrack_status = 9;
pub const IPS_DYING: ip_conntrack_status = 512;
pub const IPS_FIXED_TIMEOUT_BIT: ip_conntrack_status = 10;
pub const IPS_FIXED_TIMEOUT: ip_conntrack_status = 1024;
pub const IPS_TEMPLATE_BIT: ip_conntrack_status = 11;
pub const IPS_TEMPLATE: ip_conntrack_status = 2048;
pub const IPS_UNTRACKED_BIT: ip_conntrack_status = 12;
pub const IPS_UNTRACKED: ip_conntrack_status = 4096;
pub const IPS_HELPER_BIT: ip_conntrack_status = 13;
pub const IPS_HELPER: ip_conntrack_status = 8192;
pub const IPS_OFFLOAD_BIT: ip_conntrack_status = 14;
pub const IPS_OFFLOAD: ip_conntrack_status = 16384;
pub const IPS_HW_OFFLOAD_BIT: ip_conntrack_status = 15;
pub const IPS_HW_OFFLOAD: ip_conntrack_status = 32768;
pub const IPS_UNCHANGEABLE_MASK: ip_conntrack_status = 56313;
pub const __IPS_MAX_BIT: ip_conntrack_status = 16;
pub type ip_conntrack_status = ::core::ffi::c_uint;
pub const IPCT_NEW: ip_conntrack_events = 0;
pub const IPCT_RELATED: ip_conntrack_events = 1;
pub const IPCT_DESTROY: ip_conntrack_events = 2;
pub const IPCT_REPLY: ip_conntrack_events = 3;
pub const IPCT_ASSURED: ip_conntrack_events = 4;
pub const IPCT_PROTOINFO: ip_conntrack_events = 5;
pub const IPCT_HELPER: ip_conntrack_events = 6;
pub const IPCT_MARK: ip_conntrack_events = 7;
pub const IPCT_SEQADJ: ip_conntrack_events = 8;
pub const IPCT_NATSEQADJ: ip_conntrack_events = 8;
pub const IPCT_SECMARK: ip_conntrack_events = 9;
pub const IPCT_LABEL: ip_conntrack_events = 10;
pub const IPCT_SYNPROXY: ip_conntrack_events = 11;
pub type ip_conntrack_events = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug)]
pub struct nfct_handle {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug)]
pub struct nf_conntrack {
    _unused: [u8; 0],
}
pub const ATTR_ORIG_IPV4_SRC: nf_conntrack_attr = 0;
pub const ATTR_IPV4_SRC: nf_conntrack_attr = 0;
pub const ATTR_ORIG_IPV4_DST: nf_conntrack_attr = 1;
pub const ATTR_IPV4_DST: nf_conntrack_attr = 1;
pub const ATTR_REPL_IPV4_SRC: nf_conntrack_attr = 2;
pub const ATTR_REPL_IPV4_DST: nf_conntrack_attr = 3;
pub const ATTR_ORIG_IPV6_SRC: nf_conntrack_attr = 4;
pub const ATTR_IPV6_SRC: nf_conntrack_attr = 4;
pub const ATTR_ORIG_IPV6_DST: nf_conntrack_attr = 5;
pub const ATTR_IPV6_DST: nf_conntrack_attr = 5;
pub const ATTR_REPL_IPV6_SRC: nf_conntrack_attr = 6;
pub const ATTR_REPL_IPV6_DST: nf_conntrack_attr = 7;
pub const ATTR_ORIG_PORT_SRC: nf_conntrack_attr = 8;
pub const ATTR_PORT_SRC: nf_conntrack_attr = 8;
pub const ATTR_ORIG_PORT_DST: nf_conntrack_attr = 9;
pub const ATTR_PORT_DST: nf_conntrack_attr = 9;
pub const ATTR_REPL_PORT_SRC: nf_conntrack_attr = 10;
pub const ATTR_REPL_PORT_DST: nf_conntrack_attr = 11;
pub const ATTR_ICMP_TYPE: nf_conntrack_attr = 12;
pub const ATTR_ICMP_CODE: nf_conntrack_attr = 13;
pub const ATTR_ICMP_ID: nf_conntrack_attr = 14;
pub const ATTR_ORIG_L3PROTO: nf_conntrack_attr = 15;
pub const ATTR_L3PROTO: nf_conntrack_attr = 15;
pub const ATTR_REPL_L3PROTO: nf_conntrack_attr = 16;
pub const ATTR_ORIG_L4PROTO: nf_conntrack_attr = 17;
pub const ATTR_L4PROTO: nf_conntrack_attr = 17;
pub const ATTR_REPL_L4PROTO: nf_conntrack_attr = 18;
pub const ATTR_TCP_STATE: nf_conntrack_attr = 19;
pub const ATTR_SNAT_IPV4: nf_conntrack_attr = 20;
pub const ATTR_DNAT_IPV4: nf_conntrack_attr = 21;
pub const ATTR_SNAT_PORT: nf_conntrack_attr = 22;
pub const ATTR_DNAT_PORT: nf_conntrack_attr = 23;
pub const ATTR_TIMEOUT: nf_conntrack_attr = 24;
pub const ATTR_MARK: nf_conntrack_attr = 25;
pub const ATTR_ORIG_COUNTER_PACKETS: nf_conntrack_attr = 26;
pub const ATTR_REPL_COUNTER_PACKETS: nf_conntrack_attr = 27;
pub const ATTR_ORIG_COUNTER_BYTES: nf_conntrack_attr = 28;
pub const ATTR_REPL_COUNTER_BYTES: nf_conntrack_attr = 29;
pub const ATTR_USE: nf_conntrack_attr = 30;
pub const ATTR_ID: nf_conntrack_attr = 31;
pub const ATTR_STATUS: nf_conntrack_attr = 32;
pub const ATTR_TCP_FLAGS_ORIG: nf_conntrack_attr = 33;
pub const ATTR_TCP_FLAGS_REPL: nf_conntrack_attr = 34;
pub const ATTR_TCP_MASK_ORIG: nf_conntrack_attr = 35;
pub const ATTR_TCP_MASK_REPL: nf_conntrack_attr = 36;
pub const ATTR_MASTER_IPV4_SRC: nf_conntrack_attr = 37;
pub const ATTR_MASTER_IPV4_DST: nf_conntrack_attr = 38;
pub const ATTR_MASTER_IPV6_SRC: nf_conntrack_attr = 39;
pub const ATTR_MASTER_IPV6_DST: nf_conntrack_attr = 40;
pub const ATTR_MASTER_PORT_SRC: nf_conntrack_attr = 41;
pub const ATTR_MASTER_PORT_DST: nf_conntrack_attr = 42;
pub const ATTR_MASTER_L3PROTO: nf_conntrack_attr = 43;
pub const ATTR_MASTER_L4PROTO: nf_conntrack_attr = 44;
pub const ATTR_SECMARK: nf_conntrack_attr = 45;
pub const ATTR_ORIG_NAT_SEQ_CORRECTION_POS: nf_conntrack_attr = 46;
pub const ATTR_ORIG_NAT_SEQ_OFFSET_BEFORE: nf_conntrack_attr = 47;
pub const ATTR_ORIG_NAT_SEQ_OFFSET_AFTER: nf_conntrack_attr = 48;
pub const ATTR_REPL_NAT_SEQ_CORRECTION_POS: nf_conntrack_attr = 49;
pub const ATTR_REPL_NAT_SEQ_OFFSET_BEFORE: nf_conntrack_attr = 50;
pub const ATTR_REPL_NAT_SEQ_OFFSET_AFTER: nf_conntrack_attr = 51;
pub const ATTR_SCTP_STATE: nf_conntrack_attr = 52;
pub const ATTR_SCTP_VTAG_ORIG: nf_conntrack_attr = 53;
pub const ATTR_SCTP_VTAG_REPL: nf_conntrack_attr = 54;
pub const ATTR_HELPER_NAME: nf_conntrack_attr = 55;
pub const ATTR_DCCP_STATE: nf_conntrack_attr = 56;
pub const ATTR_DCCP_ROLE: nf_conntrack_attr = 57;
pub const ATTR_DCCP_HANDSHAKE_SEQ: nf_conntrack_attr = 58;
pub const ATTR_TCP_WSCALE_ORIG: nf_conntrack_attr = 59;
pub const ATTR_TCP_WSCALE_REPL: nf_conntrack_attr = 60;
pub const ATTR_ZONE: nf_conntrack_attr = 61;
pub const ATTR_SECCTX: nf_conntrack_attr = 62;
pub const ATTR_TIMESTAMP_START: nf_conntrack_attr = 63;
pub const ATTR_TIMESTAMP_STOP: nf_conntrack_attr = 64;
pub const ATTR_HELPER_INFO: nf_conntrack_attr = 65;
pub const ATTR_CONNLABELS: nf_conntrack_attr = 66;
pub const ATTR_CONNLABELS_MASK: nf_conntrack_attr = 67;
pub const ATTR_ORIG_ZONE: nf_conntrack_attr = 68;
pub const ATTR_REPL_ZONE: nf_conntrack_attr = 69;
pub const ATTR_SNAT_IPV6: nf_conntrack_attr = 70;
pub const ATTR_DNAT_IPV6: nf_conntrack_attr = 71;
pub const ATTR_SYNPROXY_ISN: nf_conntrack_attr = 72;
pub const ATTR_SYNPROXY_ITS: nf_conntrack_attr = 73;
pub const ATTR_SYNPROXY_TSOFF: nf_conntrack_attr = 74;
pub const ATTR_TIMESTAMP_EVENT: nf_conntrack_attr = 75;
pub const ATTR_MAX: nf_conntrack_attr = 76;
pub type nf_conntrack_attr = ::core::ffi::c_uint;
pub const ATTR_GRP_ORIG_IPV4: nf_conntrack_attr_grp = 0;
pub const ATTR_GRP_REPL_IPV4: nf_conntrack_attr_grp = 1;
pub const ATTR_GRP_ORIG_IPV6: nf_conntrack_attr_grp = 2;
pub const ATTR_GRP_REPL_IPV6: nf_conntrack_attr_grp = 3;
pub const ATTR_GRP_ORIG_PORT: nf_conntrack_attr_grp = 4;
pub const ATTR_GRP_REPL_PORT: nf_conntrack_attr_grp = 5;
pub const ATTR_GRP_ICMP: nf_conntrack_attr_grp = 6;
pub const ATTR_GRP_MASTER_IPV4: nf_conntrack_attr_grp = 7;
pub const ATTR_GRP_MASTER_IPV6: nf_conntrack_attr_grp = 8;
pub const ATTR_GRP_MASTER_PORT: nf_conntrack_attr_grp = 9;
pub const ATTR_GRP_ORIG_COUNTERS: nf_conntrack_attr_grp = 10;
pub const ATTR_GRP_REPL_COUNTERS: nf_conntrack_attr_grp = 11;
pub const ATTR_GRP_ORIG_ADDR_SRC: nf_conntrack_attr_grp = 12;
pub const ATTR_GRP_ORIG_ADDR_DST: nf_conntrack_attr_grp = 13;
pub const ATTR_GRP_REPL_ADDR_SRC: nf_conntrack_attr_grp = 14;
pub const ATTR_GRP_REPL_ADDR_DST: nf_conntrack_attr_grp = 15;
pub const ATTR_GRP_MAX: nf_conntrack_attr_grp = 16;
pub type nf_conntrack_attr_grp = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nfct_attr_grp_ipv4 {
    pub src: u32,
    pub dst: u32,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nfct_attr_grp_ipv6 {
    pub src: [u32; 4usize],
    pub dst: [u32; 4usize],
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nfct_attr_grp_port {
    pub sport: u16,
    pub dport: u16,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nfct_attr_grp_icmp {
    pub id: u16,
    pub code: u8,
    pub type_: u8,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nfct_attr_grp_ctrs {
    pub packets: u64,
    pub bytes: u64,
}
#[repr(C)]
#[derive(Copy, Clone)]
pub union nfct_attr_grp_addr {
    pub ip: u32,
    pub ip6: [u32; 4usize],
    pub addr: [u32; 4usize],
}
impl Default for nfct_attr_grp_addr {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s . as_mut_ptr(), 0, 1);
            s . assume_init()
        }
    }
}
pub const NFCT_T_UNKNOWN: nf_conntrack_msg_type = 0;
pub const NFCT_T_NEW_BIT: nf_conntrack_msg_type = 0;
pub const NFCT_T_NEW: nf_conntrack_msg_type = 1;
pub const NFCT_T_UPDATE_BIT: nf_conntrack_msg_type = 1;
pub const NFCT_T_UPDATE: nf_conntrack_msg_type = 2;
pub const NFCT_T_DESTROY_BIT: nf_conntrack_msg_type = 2;
pub const NFCT_T_DESTROY: nf_conntrack_msg_type = 4;
pub const NFCT_T_ALL: nf_conntrack_msg_type = 7;
pub const NFCT_T_ERROR_BIT: nf_conntrack_msg_type = 31;
pub const NFCT_T_ERROR: nf_conntrack_msg_type = - 2147483648;
pub type nf_conntrack_msg_type = ::core::ffi::c_int;
pub const NFCT_SOPT_UNDO_SNAT: ::core::ffi::c_uint = 0;
pub const NFCT_SOPT_UNDO_DNAT: ::core::ffi::c_uint = 1;
pub const NFCT_SOPT_UNDO_SPAT: ::core::ffi::c_uint = 2;
pub const NFCT_SOPT_UNDO_DPAT: ::core::ffi::c_uint = 3;
pub const NFCT_SOPT_SETUP_ORIGINAL: ::core::ffi::c_uint = 4;
pub const NFCT_SOPT_SETUP_REPLY: ::core::ffi::c_uint = 5;
pub const __NFCT_SOPT_MAX: ::core::ffi::c_uint = 6;
pub const NFCT_GOPT_IS_SNAT: ::core::ffi::c_uint = 0;
pub const NFCT_GOPT_IS_DNAT: ::core::ffi::c_uint = 1;
pub const NFCT_GOPT_IS_SPAT: ::core::ffi::c_uint = 2;
pub const NFCT_GOPT_IS_DPAT: ::core::ffi::c_uint = 3;
pub const __NFCT_GOPT_MAX: ::core::ffi::c_uint = 4;
pub const NFCT_CB_FAILURE: ::core::ffi::c_int = - 1;
pub const NFCT_CB_STOP: ::core::ffi::c_int = 0;
pub const NFCT_CB_CONTINUE: ::core::ffi::c_int = 1;
pub const NFCT_CB_STOLEN: ::core::ffi::c_int = 2;
#[repr(C)]
#[derive(Debug)]
pub struct nfct_bitmask {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug)]
pub struct nfct_labelmap {
    _unused: [u8; 0],
}
pub const NFCT_O_PLAIN: ::core::ffi::c_uint = 0;
pub const NFCT_O_DEFAULT: ::core::ffi::c_uint = 0;
pub const NFCT_O_XML: ::core::ffi::c_uint = 1;
pub const NFCT_O_MAX: ::core::ffi::c_uint = 2;
pub const NFCT_OF_SHOW_LAYER3_BIT: ::core::ffi::c_uint = 0;
pub const NFCT_OF_SHOW_LAYER3: ::core::ffi::c_uint = 1;
pub const NFCT_OF_TIME_BIT: ::core::ffi::c_uint = 1;
pub const NFCT_OF_TIME: ::core::ffi::c_uint = 2;
pub const NFCT_OF_ID_BIT: ::core::ffi::c_uint = 2;
pub const NFCT_OF_ID: ::core::ffi::c_uint = 4;
pub const NFCT_OF_TIMESTAMP_BIT: ::core::ffi::c_uint = 3;
pub const NFCT_OF_TIMESTAMP: ::core::ffi::c_uint = 8;
pub const NFCT_CMP_ALL: ::core::ffi::c_uint = 0;
pub const NFCT_CMP_ORIG: ::core::ffi::c_uint = 1;
pub const NFCT_CMP_REPL: ::core::ffi::c_uint = 2;
pub const NFCT_CMP_TIMEOUT_EQ: ::core::ffi::c_uint = 4;
pub const NFCT_CMP_TIMEOUT_GT: ::core::ffi::c_uint = 8;
pub const NFCT_CMP_TIMEOUT_GE: ::core::ffi::c_uint = 12;
pub const NFCT_CMP_TIMEOUT_LT: ::core::ffi::c_uint = 16;
pub const NFCT_CMP_TIMEOUT_LE: ::core::ffi::c_uint = 20;
pub const NFCT_CMP_MASK: ::core::ffi::c_uint = 32;
pub const NFCT_CMP_STRICT: ::core::ffi::c_uint = 64;
pub const NFCT_Q_CREATE: nf_conntrack_query = 0;
pub const NFCT_Q_UPDATE: nf_conntrack_query = 1;
pub const NFCT_Q_DESTROY: nf_conntrack_query = 2;
pub const NFCT_Q_GET: nf_conntrack_query = 3;
pub const NFCT_Q_FLUSH: nf_conntrack_query = 4;
pub const NFCT_Q_DUMP: nf_conntrack_query = 5;
pub const NFCT_Q_DUMP_RESET: nf_conntrack_query = 6;
pub const NFCT_Q_CREATE_UPDATE: nf_conntrack_query = 7;
pub const NFCT_Q_DUMP_FILTER: nf_conntrack_query = 8;
pub const NFCT_Q_DUMP_FILTER_RESET: nf_conntrack_query = 9;
pub const NFCT_Q_FLUSH_FILTER: nf_conntrack_query = 10;
pub type nf_conntrack_query = ::core::ffi::c_uint;
pub const NFCT_CP_ALL: ::core::ffi::c_uint = 0;
pub const NFCT_CP_ORIG: ::core::ffi::c_uint = 1;
pub const NFCT_CP_REPL: ::core::ffi::c_uint = 2;
pub const NFCT_CP_META: ::core::ffi::c_uint = 4;
pub const NFCT_CP_OVERRIDE: ::core::ffi::c_uint = 8;
#[repr(C)]
#[derive(Debug)]
pub struct nfct_filter {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nfct_filter_proto {
    pub proto: u16,
    pub state: u16,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nfct_filter_ipv4 {
    pub addr: u32,
    pub mask: u32,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nfct_filter_ipv6 {
    pub addr: [u32; 4usize],
    pub mask: [u32; 4usize],
}
pub const NFCT_FILTER_L4PROTO: nfct_filter_attr = 0;
pub const NFCT_FILTER_L4PROTO_STATE: nfct_filter_attr = 1;
pub const NFCT_FILTER_SRC_IPV4: nfct_filter_attr = 2;
pub const NFCT_FILTER_DST_IPV4: nfct_filter_attr = 3;
pub const NFCT_FILTER_SRC_IPV6: nfct_filter_attr = 4;
pub const NFCT_FILTER_DST_IPV6: nfct_filter_attr = 5;
pub const NFCT_FILTER_MARK: nfct_filter_attr = 6;
pub const NFCT_FILTER_ZONE: nfct_filter_attr = 7;
pub const NFCT_FILTER_MAX: nfct_filter_attr = 8;
pub type nfct_filter_attr = ::core::ffi::c_uint;
pub const NFCT_FILTER_LOGIC_POSITIVE: nfct_filter_logic = 0;
pub const NFCT_FILTER_LOGIC_NEGATIVE: nfct_filter_logic = 1;
pub const NFCT_FILTER_LOGIC_MAX: nfct_filter_logic = 2;
pub type nfct_filter_logic = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug)]
pub struct nfct_filter_dump {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct nfct_filter_dump_mark {
    pub val: u32,
    pub mask: u32,
}
pub const NFCT_FILTER_DUMP_MARK: nfct_filter_dump_attr = 0;
pub const NFCT_FILTER_DUMP_L3NUM: nfct_filter_dump_attr = 1;
pub const NFCT_FILTER_DUMP_STATUS: nfct_filter_dump_attr = 2;
pub const NFCT_FILTER_DUMP_ZONE: nfct_filter_dump_attr = 3;
pub const NFCT_FILTER_DUMP_TUPLE: nfct_filter_dump_attr = 4;
pub const NFCT_FILTER_DUMP_MAX: nfct_filter_dump_attr = 5;
pub type nfct_filter_dump_attr = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug)]
pub struct nf_expect {
    _unused: [u8; 0],
}
pub const ATTR_EXP_MASTER: nf_expect_attr = 0;
pub const ATTR_EXP_EXPECTED: nf_expect_attr = 1;
pub const ATTR_EXP_MASK: nf_expect_attr = 2;
pub const ATTR_EXP_TIMEOUT: nf_expect_attr = 3;
pub const ATTR_EXP_ZONE: nf_expect_attr = 4;
pub const ATTR_EXP_FLAGS: nf_expect_attr = 5;
pub const ATTR_EXP_HELPER_NAME: nf_expect_attr = 6;
pub const ATTR_EXP_CLASS: nf_expect_attr = 7;
pub const ATTR_EXP_NAT_TUPLE: nf_expect_attr = 8;
pub const ATTR_EXP_NAT_DIR: nf_expect_attr = 9;
pub const ATTR_EXP_FN: nf_expect_attr = 10;
pub const ATTR_EXP_MAX: nf_expect_attr = 11;
pub type nf_expect_attr = ::core::ffi::c_uint;
pub const TCP_CONNTRACK_NONE: tcp_state = 0;
pub const TCP_CONNTRACK_SYN_SENT: tcp_state = 1;
pub const TCP_CONNTRACK_SYN_RECV: tcp_state = 2;
pub const TCP_CONNTRACK_ESTABLISHED: tcp_state = 3;
pub const TCP_CONNTRACK_FIN_WAIT: tcp_state = 4;
pub const TCP_CONNTRACK_CLOSE_WAIT: tcp_state = 5;
pub const TCP_CONNTRACK_LAST_ACK: tcp_state = 6;
pub const TCP_CONNTRACK_TIME_WAIT: tcp_state = 7;
pub const TCP_CONNTRACK_CLOSE: tcp_state = 8;
pub const TCP_CONNTRACK_LISTEN: tcp_state = 9;
pub const TCP_CONNTRACK_MAX: tcp_state = 10;
pub const TCP_CONNTRACK_IGNORE: tcp_state = 11;
pub type tcp_state = ::core::ffi::c_uint;
pub const SCTP_CONNTRACK_NONE: sctp_state = 0;
pub const SCTP_CONNTRACK_CLOSED: sctp_state = 1;
pub const SCTP_CONNTRACK_COOKIE_WAIT: sctp_state = 2;
pub const SCTP_CONNTRACK_COOKIE_ECHOED: sctp_state = 3;
pub const SCTP_CONNTRACK_ESTABLISHED: sctp_state = 4;
pub const SCTP_CONNTRACK_SHUTDOWN_SENT: sctp_state = 5;
pub const SCTP_CONNTRACK_SHUTDOWN_RECD: sctp_state = 6;
pub const SCTP_CONNTRACK_SHUTDOWN_ACK_SENT: sctp_state = 7;
pub const SCTP_CONNTRACK_HEARTBEAT_SENT: sctp_state = 8;
pub const SCTP_CONNTRACK_HEARTBEAT_ACKED: sctp_state = 9;
pub const SCTP_CONNTRACK_MAX: sctp_state = 10;
pub type sctp_state = ::core::ffi::c_uint;
pub const DCCP_CONNTRACK_NONE: dccp_state = 0;
pub const DCCP_CONNTRACK_REQUEST: dccp_state = 1;
pub const DCCP_CONNTRACK_RESPOND: dccp_state = 2;
pub const DCCP_CONNTRACK_PARTOPEN: dccp_state = 3;
pub const DCCP_CONNTRACK_OPEN: dccp_state = 4;
pub const DCCP_CONNTRACK_CLOSEREQ: dccp_state = 5;
pub const DCCP_CONNTRACK_CLOSING: dccp_state = 6;
pub const DCCP_CONNTRACK_TIMEWAIT: dccp_state = 7;
pub const DCCP_CONNTRACK_IGNORE: dccp_state = 8;
pub const DCCP_CONNTRACK_INVALID: dccp_state = 9;
pub const DCCP_CONNTRACK_MAX: dccp_state = 10;
pub type dccp_state = ::core::ffi::c_uint;
unsafe extern "C" {
    pub fn nfct_open(arg1: u8, arg2: ::core::ffi::c_uint) -> *mut nfct_handle;
    pub fn nfct_open_nfnl(nfnlh: *mut nfnl_handle, subsys_id: u8, subscriptions: ::core::ffi::c_uint,) -> *mut nfct_handle;
    pub fn nfct_close(cth: *mut nfct_handle) -> ::core::ffi::c_int;
    pub fn nfct_fd(cth: *mut nfct_handle) -> ::core::ffi::c_int;
    pub fn nfct_nfnlh(cth: *mut nfct_handle) -> *const nfnl_handle;
    pub fn nfct_new() -> *mut nf_conntrack;
    pub fn nfct_destroy(ct: *mut nf_conntrack);
    pub fn nfct_clone(ct: *const nf_conntrack) -> *mut nf_conntrack;
    pub fn nfct_sizeof(ct: *const nf_conntrack) -> usize;
    pub fn nfct_maxsize() -> usize;
    pub fn nfct_setobjopt(ct: *mut nf_conntrack, option: ::core::ffi::c_uint) -> ::core::ffi::c_int;
    pub fn nfct_getobjopt(ct: *const nf_conntrack, option: ::core::ffi::c_uint,) -> ::core::ffi::c_int;
    pub fn nfct_callback_register(h: *mut nfct_handle, type_: nf_conntrack_msg_type, cb: ::core::option::Option<unsafe extern "C" fn(type_: nf_conntrack_msg_type, ct: *mut nf_conntrack, data: *mut ::core::ffi::c_void,) -> ::core::ffi::c_int, >, data: *mut ::core::ffi::c_void,) -> ::core::ffi::c_int;
    pub fn nfct_callback_unregister(h: *mut nfct_handle);
    pub fn nfct_callback_register2(h: *mut nfct_handle, type_: nf_conntrack_msg_type, cb: ::core::option::Option<unsafe extern "C" fn(nlh: *const nlmsghdr, type_: nf_conntrack_msg_type, ct: *mut nf_conntrack, data: *mut ::core::ffi::c_void,) -> ::core::ffi::c_int, >, data: *mut ::core::ffi::c_void,) -> ::core::ffi::c_int;
    pub fn nfct_callback_unregister2(h: *mut nfct_handle);
    pub fn nfct_bitmask_new(maxbit: ::core::ffi::c_uint) -> *mut nfct_bitmask;
    pub fn nfct_bitmask_clone(arg1: *const nfct_bitmask) -> *mut nfct_bitmask;
    pub fn nfct_bitmask_maxbit(arg1: *const nfct_bitmask) -> ::core::ffi::c_uint;
    pub fn nfct_bitmask_set_bit(arg1: *mut nfct_bitmask, bit: ::core::ffi::c_uint);
    pub fn nfct_bitmask_test_bit(arg1: *const nfct_bitmask, bit: ::core::ffi::c_uint,) -> ::core::ffi::c_int;
    pub fn nfct_bitmask_unset_bit(arg1: *mut nfct_bitmask, bit: ::core::ffi::c_uint);
    pub fn nfct_bitmask_destroy(arg1: *mut nfct_bitmask);
    pub fn nfct_bitmask_clear(arg1: *mut nfct_bitmask);
    pub fn nfct_bitmask_equal(arg1: *const nfct_bitmask, arg2: *const nfct_bitmask) -> bool;
    pub fn nfct_labels_get_path() -> *const ::core::ffi::c_char;
    pub fn nfct_labelmap_new(mapfile: *const ::core::ffi::c_char) -> *mut nfct_labelmap;
    pub fn nfct_labelmap_destroy(map: *mut nfct_labelmap);
    pub fn nfct_labelmap_get_name(m: *mut nfct_labelmap, bit: ::core::ffi::c_uint,) -> *const ::core::ffi::c_char;
    pub fn nfct_labelmap_get_bit(m: *mut nfct_labelmap, name: *const ::core::ffi::c_char,) -> ::core::ffi::c_int;
    pub fn nfct_set_attr(ct: *mut nf_conntrack, type_: nf_conntrack_attr, value: *const ::core::ffi::c_void,);
    pub fn nfct_set_attr_u8(ct: *mut nf_conntrack, type_: nf_conntrack_attr, value: u8);
    pub fn nfct_set_attr_u16(ct: *mut nf_conntrack, type_: nf_conntrack_attr, value: u16);
    pub fn nfct_set_attr_u32(ct: *mut nf_conntrack, type_: nf_conntrack_attr, value: u32);
    pub fn nfct_set_attr_u64(ct: *mut nf_conntrack, type_: nf_conntrack_attr, value: u64);
    pub fn nfct_set_attr_l(ct: *mut nf_conntrack, type_: nf_conntrack_attr, value: *const ::core::ffi::c_void, len: usize,);
    pub fn nfct_get_attr(ct: *const nf_conntrack, type_: nf_conntrack_attr,) -> *const ::core::ffi::c_void;
    pub fn nfct_get_attr_u8(ct: *const nf_conntrack, type_: nf_conntrack_attr) -> u8;
    pub fn nfct_get_attr_u16(ct: *const nf_conntrack, type_: nf_conntrack_attr) -> u16;
    pub fn nfct_get_attr_u32(ct: *const nf_conntrack, type_: nf_conntrack_attr) -> u32;
    pub fn nfct_get_attr_u64(ct: *const nf_conntrack, type_: nf_conntrack_attr) -> u64;
    pub fn nfct_attr_is_set(ct: *const nf_conntrack, type_: nf_conntrack_attr,) -> ::core::ffi::c_int;
    pub fn nfct_attr_is_set_array(ct: *const nf_conntrack, type_array: *const nf_conntrack_attr, size: ::core::ffi::c_int,) -> ::core::ffi::c_int;
    pub fn nfct_attr_unset(ct: *mut nf_conntrack, type_: nf_conntrack_attr) -> ::core::ffi::c_int;
    pub fn nfct_set_attr_grp(ct: *mut nf_conntrack, type_: nf_conntrack_attr_grp, value: *const ::core::ffi::c_void,);
    pub fn nfct_get_attr_grp(ct: *const nf_conntrack, type_: nf_conntrack_attr_grp, data: *mut ::core::ffi::c_void,) -> ::core::ffi::c_int;
    pub fn nfct_attr_grp_is_set(ct: *const nf_conntrack, type_: nf_conntrack_attr_grp,) -> ::core::ffi::c_int;
    pub fn nfct_attr_grp_unset(ct: *mut nf_conntrack, type_: nf_conntrack_attr_grp,) -> ::core::ffi::c_int;
    pub fn nfct_snprintf(buf: *mut ::core::ffi::c_char, size: ::core::ffi::c_uint, ct: *const nf_conntrack, msg_type: ::core::ffi::c_uint, out_type: ::core::ffi::c_uint, out_flags: ::core::ffi::c_uint,) -> ::core::ffi::c_int;
    pub fn nfct_snprintf_labels(buf: *mut ::core::ffi::c_char, size: ::core::ffi::c_uint, ct: *const nf_conntrack, msg_type: ::core::ffi::c_uint, out_type: ::core::ffi::c_uint, out_flags: ::core::ffi::c_uint, map: *mut nfct_labelmap,) -> ::core::ffi::c_int;
    pub fn nfct_compare(ct1: *const nf_conntrack, ct2: *const nf_conntrack) -> ::core::ffi::c_int;
    pub fn nfct_cmp(ct1: *const nf_conntrack, ct2: *const nf_conntrack, flags: ::core::ffi::c_uint,) -> ::core::ffi::c_int;
    pub fn nfct_query(h: *mut nfct_handle, query: nf_conntrack_query, data: *const ::core::ffi::c_void,) -> ::core::ffi::c_int;
    pub fn nfct_send(h: *mut nfct_handle, query: nf_conntrack_query, data: *const ::core::ffi::c_void,) -> ::core::ffi::c_int;
    pub fn nfct_catch(h: *mut nfct_handle) -> ::core::ffi::c_int;
    pub fn nfct_copy(dest: *mut nf_conntrack, source: *const nf_conntrack, flags: ::core::ffi::c_uint,);
    pub fn nfct_copy_attr(ct1: *mut nf_conntrack, ct2: *const nf_conntrack, type_: nf_conntrack_attr,);
    pub fn nfct_filter_create() -> *mut nfct_filter;
    pub fn nfct_filter_destroy(filter: *mut nfct_filter);
    pub fn nfct_filter_add_attr(filter: *mut nfct_filter, attr: nfct_filter_attr, value: *const ::core::ffi::c_void,);
    pub fn nfct_filter_add_attr_u32(filter: *mut nfct_filter, attr: nfct_filter_attr, value: u32);
    pub fn nfct_filter_set_logic(filter: *mut nfct_filter, attr: nfct_filter_attr, logic: nfct_filter_logic,) -> ::core::ffi::c_int;
    pub fn nfct_filter_attach(fd: ::core::ffi::c_int, filter: *mut nfct_filter,) -> ::core::ffi::c_int;
    pub fn nfct_filter_detach(fd: ::core::ffi::c_int) -> ::core::ffi::c_int;
    pub fn nfct_filter_dump_create() -> *mut nfct_filter_dump;
    pub fn nfct_filter_dump_destroy(filter: *mut nfct_filter_dump);
    pub fn nfct_filter_dump_set_attr(filter_dump: *mut nfct_filter_dump, type_: nfct_filter_dump_attr, data: *const ::core::ffi::c_void,);
    pub fn nfct_filter_dump_set_attr_u8(filter_dump: *mut nfct_filter_dump, type_: nfct_filter_dump_attr, data: u8,);
    pub fn nfct_filter_dump_set_attr_u16(filter_dump: *mut nfct_filter_dump, type_: nfct_filter_dump_attr, data: u16,);
    pub fn nfct_nlmsg_build(nlh: *mut nlmsghdr, ct: *const nf_conntrack) -> ::core::ffi::c_int;
    pub fn nfct_nlmsg_build_filter(nlh: *mut nlmsghdr, filter_dump: *const nfct_filter_dump,) -> ::core::ffi::c_int;
    pub fn nfct_nlmsg_parse(nlh: *const nlmsghdr, ct: *mut nf_conntrack) -> ::core::ffi::c_int;
    pub fn nfct_payload_parse(payload: *const ::core::ffi::c_void, payload_len: usize, l3num: u16, ct: *mut nf_conntrack,) -> ::core::ffi::c_int;
    pub fn nfexp_new() -> *mut nf_expect;
    pub fn nfexp_destroy(exp: *mut nf_expect);
    pub fn nfexp_clone(exp: *const nf_expect) -> *mut nf_expect;
    pub fn nfexp_sizeof(exp: *const nf_expect) -> usize;
    pub fn nfexp_maxsize() -> usize;
    pub fn nfexp_callback_register(h: *mut nfct_handle, type_: nf_conntrack_msg_type, cb: ::core::option::Option<unsafe extern "C" fn(type_: nf_conntrack_msg_type, exp: *mut nf_expect, data: *mut ::core::ffi::c_void,) -> ::core::ffi::c_int, >, data: *mut ::core::ffi::c_void,) -> ::core::ffi::c_int;
    pub fn nfexp_callback_unregister(h: *mut nfct_handle);
    pub fn nfexp_callback_register2(h: *mut nfct_handle, type_: nf_conntrack_msg_type, cb: ::core::option::Option<unsafe extern "C" fn(nlh: *const nlmsghdr, type_: nf_conntrack_msg_type, exp: *mut nf_expect, data: *mut ::core::ffi::c_void,) -> ::core::ffi::c_int, >, data: *mut ::core::ffi::c_void,) -> ::core::ffi::c_int;
    pub fn nfexp_callback_unregister2(h: *mut nfct_handle);
    pub fn nfexp_set_attr(exp: *mut nf_expect, type_: nf_expect_attr, value: *const ::core::ffi::c_void,);
    pub fn nfexp_set_attr_u8(exp: *mut nf_expect, type_: nf_expect_attr, value: u8);
    pub fn nfexp_set_attr_u16(exp: *mut nf_expect, type_: nf_expect_attr, value: u16);
    pub fn nfexp_set_attr_u32(exp: *mut nf_expect, type_: nf_expect_attr, value: u32);
    pub fn nfexp_get_attr(exp: *const nf_expect, type_: nf_expect_attr,) -> *const ::core::ffi::c_void;
    pub fn nfexp_get_attr_u8(exp: *const nf_expect, type_: nf_expect_attr) -> u8;
    pub fn nfexp_get_attr_u16(exp: *const nf_expect, type_: nf_expect_attr) -> u16;
    pub fn nfexp_get_attr_u32(exp: *const nf_expect, type_: nf_expect_attr) -> u32;
    pub fn nfexp_attr_is_set(exp: *const nf_expect, type_: nf_expect_attr) -> ::core::ffi::c_int;
    pub fn nfexp_attr_unset(exp: *mut nf_expect, type_: nf_expect_attr) -> ::core::ffi::c_int;
    pub fn nfexp_query(h: *mut nfct_handle, qt: nf_conntrack_query, data: *const ::core::ffi::c_void,) -> ::core::ffi::c_int;
    pub fn nfexp_snprintf(buf: *mut ::core::ffi::c_char, size: ::core::ffi::c_uint, exp: *const nf_expect, msg_type: ::core::ffi::c_uint, out_type: ::core::ffi::c_uint, out_flags: ::core::ffi::c_uint,) -> ::core::ffi::c_int;
    pub fn nfexp_cmp(exp1: *const nf_expect, exp2: *const nf_expect, flags: ::core::ffi::c_uint,) -> ::core::ffi::c_int;
    pub fn nfexp_send(h: *mut nfct_handle, qt: nf_conntrack_query, data: *const ::core::ffi::c_void,) -> ::core::ffi::c_int;
    pub fn nfexp_catch(h: *mut nfct_handle) -> ::core::ffi::c_int;
    pub fn nfexp_nlmsg_build(nlh: *mut nlmsghdr, exp: *const nf_expect) -> ::core::ffi::c_int;
    pub fn nfexp_nlmsg_parse(nlh: *const nlmsghdr, exp: *mut nf_expect) -> ::core::ffi::c_int;
}
