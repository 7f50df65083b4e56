//! The attributes that describe a connection: timeout, mark, status, protocol state, counters, …

use super::{
    Attr, HelperName, Labels, ReadOnly, ReadWrite, Rule, State, Text, Timestamp, U8, U32, U64, attributes,
};
use crate::sys;

/// Number of `ATTR_TIMESTAMP_EVENT`, which headers before 1.1.1 do not have.
const TIMESTAMP_EVENT_ID: u32 = 75;

#[cfg(nfct_timestamp_event)]
const _: () = assert!(TIMESTAMP_EVENT_ID == sys::ATTR_TIMESTAMP_EVENT);

attributes! {
    ENTRY;

    /// Time left until the entry expires.
    TIMEOUT = sys::ATTR_TIMEOUT, "ATTR_TIMEOUT": U32, ReadWrite, Rule::Plain;
        "seconds"; "dump, new, update, destroy when some was left"; "create (required), update"; "0.0.80".
    /// The connection's mark.
    MARK = sys::ATTR_MARK, "ATTR_MARK": U32, ReadWrite, Rule::Plain;
        "number; absent in an event means 0"; "dump; new, update, destroy when not 0 or changed"; "create, update (the whole word)"; "0.0.80".
    /// Security mark.
    SECMARK = sys::ATTR_SECMARK, "ATTR_SECMARK": U32, ReadWrite, Rule::Plain;
        "number"; "kernels before 2.6.37"; "sent, ignored by the kernel"; "0.0.92".
    /// The connection's status, as `IPS_…` bits.
    STATUS = sys::ATTR_STATUS, "ATTR_STATUS": U32, ReadWrite, Rule::Plain;
        "bits"; "dump, new, update, destroy"; "create, update, with `IPS_CONFIRMED` added; some bits cannot change"; "0.0.80".
    /// Packets seen in the original direction.
    ORIG_COUNTER_PACKETS = sys::ATTR_ORIG_COUNTER_PACKETS, "ATTR_ORIG_COUNTER_PACKETS": U64, ReadOnly, Rule::Plain;
        "packets"; "dump, destroy, with the sysctl nf_conntrack_acct"; "no"; "0.0.80".
    /// Packets seen in the reply direction.
    REPL_COUNTER_PACKETS = sys::ATTR_REPL_COUNTER_PACKETS, "ATTR_REPL_COUNTER_PACKETS": U64, ReadOnly, Rule::Plain;
        "packets"; "dump, destroy, with the sysctl nf_conntrack_acct"; "no"; "0.0.80".
    /// Bytes seen in the original direction.
    ORIG_COUNTER_BYTES = sys::ATTR_ORIG_COUNTER_BYTES, "ATTR_ORIG_COUNTER_BYTES": U64, ReadOnly, Rule::Plain;
        "bytes"; "dump, destroy, with the sysctl nf_conntrack_acct"; "no"; "0.0.80".
    /// Bytes seen in the reply direction.
    REPL_COUNTER_BYTES = sys::ATTR_REPL_COUNTER_BYTES, "ATTR_REPL_COUNTER_BYTES": U64, ReadOnly, Rule::Plain;
        "bytes"; "dump, destroy, with the sysctl nf_conntrack_acct"; "no"; "0.0.80".
    /// References the kernel holds on the entry.
    USE = sys::ATTR_USE, "ATTR_USE": U32, ReadOnly, Rule::Plain;
        "number"; "dump"; "no"; "0.0.80".
    /// The kernel's id of this very entry.
    ///
    /// Read-only: the C library keeps a value set here but never sends it.
    ID = sys::ATTR_ID, "ATTR_ID": U32, ReadOnly, Rule::Plain;
        "number"; "dump, new, update, destroy"; "not sent by the C library"; "0.0.80".

    /// State of a TCP connection, `TCP_CONNTRACK_…`.
    TCP_STATE = sys::ATTR_TCP_STATE, "ATTR_TCP_STATE": State<10>, ReadWrite, Rule::Plain;
        "number below 10"; "dump; new and update when it changed"; "create, update, of TCP"; "0.0.80".
    /// TCP flags of the original direction. A request with it needs [`TCP_MASK_ORIG`] too.
    TCP_FLAGS_ORIG = sys::ATTR_TCP_FLAGS_ORIG, "ATTR_TCP_FLAGS_ORIG": U8, ReadWrite, Rule::Plain;
        "`IP_CT_TCP_FLAG_…` bits"; "dump; new and update when they changed"; "create, update, of TCP"; "0.0.92".
    /// TCP flags of the reply direction. A request with it needs [`TCP_MASK_REPL`] too.
    TCP_FLAGS_REPL = sys::ATTR_TCP_FLAGS_REPL, "ATTR_TCP_FLAGS_REPL": U8, ReadWrite, Rule::Plain;
        "`IP_CT_TCP_FLAG_…` bits"; "dump; new and update when they changed"; "create, update, of TCP"; "0.0.92".
    /// Which bits of [`TCP_FLAGS_ORIG`] to change.
    TCP_MASK_ORIG = sys::ATTR_TCP_MASK_ORIG, "ATTR_TCP_MASK_ORIG": U8, ReadWrite, Rule::Plain;
        "bits"; "as 0, with the flags"; "create, update, of TCP"; "0.0.92".
    /// Which bits of [`TCP_FLAGS_REPL`] to change.
    TCP_MASK_REPL = sys::ATTR_TCP_MASK_REPL, "ATTR_TCP_MASK_REPL": U8, ReadWrite, Rule::Plain;
        "bits"; "as 0, with the flags"; "create, update, of TCP"; "0.0.92".
    /// Window scale factor of the original direction. The kernel keeps it only when both
    /// directions and their window-scale flags are given.
    TCP_WSCALE_ORIG = sys::ATTR_TCP_WSCALE_ORIG, "ATTR_TCP_WSCALE_ORIG": U8, ReadWrite, Rule::Plain;
        "number"; "dump; new and update when it changed"; "create, update, of TCP"; "0.0.102".
    /// Window scale factor of the reply direction.
    TCP_WSCALE_REPL = sys::ATTR_TCP_WSCALE_REPL, "ATTR_TCP_WSCALE_REPL": U8, ReadWrite, Rule::Plain;
        "number"; "dump; new and update when it changed"; "create, update, of TCP"; "0.0.102".
    /// State of an SCTP connection, `SCTP_CONNTRACK_…`.
    SCTP_STATE = sys::ATTR_SCTP_STATE, "ATTR_SCTP_STATE": State<10>, ReadWrite, Rule::Plain;
        "number below 10"; "dump; new and update when it changed"; "create, update, of SCTP"; "0.0.95".
    /// SCTP verification tag of the original direction.
    SCTP_VTAG_ORIG = sys::ATTR_SCTP_VTAG_ORIG, "ATTR_SCTP_VTAG_ORIG": U32, ReadWrite, Rule::Plain;
        "number"; "dump, new, update"; "create, update, of SCTP"; "0.0.95".
    /// SCTP verification tag of the reply direction.
    SCTP_VTAG_REPL = sys::ATTR_SCTP_VTAG_REPL, "ATTR_SCTP_VTAG_REPL": U32, ReadWrite, Rule::Plain;
        "number"; "dump, new, update"; "create, update, of SCTP"; "0.0.95".
    /// State of a DCCP connection, `DCCP_CONNTRACK_…`.
    DCCP_STATE = sys::ATTR_DCCP_STATE, "ATTR_DCCP_STATE": State<10>, ReadWrite, Rule::Plain;
        "number below 10"; "kernels that track DCCP"; "create, update, of DCCP"; "0.0.100".
    /// Which side of a DCCP connection the original direction is.
    DCCP_ROLE = sys::ATTR_DCCP_ROLE, "ATTR_DCCP_ROLE": State<2>, ReadWrite, Rule::Plain;
        "0 client, 1 server"; "kernels that track DCCP"; "create, update, of DCCP"; "0.0.100".
    /// Sequence number of a DCCP handshake.
    DCCP_HANDSHAKE_SEQ = sys::ATTR_DCCP_HANDSHAKE_SEQ, "ATTR_DCCP_HANDSHAKE_SEQ": U64, ReadWrite, Rule::Plain;
        "number"; "kernels that track DCCP"; "create, update, of DCCP"; "0.0.100".

    /// Where sequence numbers of the original direction begin to be corrected. A request
    /// needs all three of a direction, or none.
    ORIG_NAT_SEQ_CORRECTION_POS = sys::ATTR_ORIG_NAT_SEQ_CORRECTION_POS, "ATTR_ORIG_NAT_SEQ_CORRECTION_POS": U32, ReadWrite, Rule::Plain;
        "number"; "dump; update when changed; with `IPS_SEQ_ADJUST`"; "create, update"; "0.0.92".
    /// Correction before that position, original direction.
    ORIG_NAT_SEQ_OFFSET_BEFORE = sys::ATTR_ORIG_NAT_SEQ_OFFSET_BEFORE, "ATTR_ORIG_NAT_SEQ_OFFSET_BEFORE": U32, ReadWrite, Rule::Plain;
        "number"; "dump; update when changed; with `IPS_SEQ_ADJUST`"; "create, update"; "0.0.92".
    /// Correction after that position, original direction.
    ORIG_NAT_SEQ_OFFSET_AFTER = sys::ATTR_ORIG_NAT_SEQ_OFFSET_AFTER, "ATTR_ORIG_NAT_SEQ_OFFSET_AFTER": U32, ReadWrite, Rule::Plain;
        "number"; "dump; update when changed; with `IPS_SEQ_ADJUST`"; "create, update"; "0.0.92".
    /// Where sequence numbers of the reply direction begin to be corrected.
    REPL_NAT_SEQ_CORRECTION_POS = sys::ATTR_REPL_NAT_SEQ_CORRECTION_POS, "ATTR_REPL_NAT_SEQ_CORRECTION_POS": U32, ReadWrite, Rule::Plain;
        "number"; "dump; update when changed; with `IPS_SEQ_ADJUST`"; "create, update"; "0.0.92".
    /// Correction before that position, reply direction.
    REPL_NAT_SEQ_OFFSET_BEFORE = sys::ATTR_REPL_NAT_SEQ_OFFSET_BEFORE, "ATTR_REPL_NAT_SEQ_OFFSET_BEFORE": U32, ReadWrite, Rule::Plain;
        "number"; "dump; update when changed; with `IPS_SEQ_ADJUST`"; "create, update"; "0.0.92".
    /// Correction after that position, reply direction.
    REPL_NAT_SEQ_OFFSET_AFTER = sys::ATTR_REPL_NAT_SEQ_OFFSET_AFTER, "ATTR_REPL_NAT_SEQ_OFFSET_AFTER": U32, ReadWrite, Rule::Plain;
        "number"; "dump; update when changed; with `IPS_SEQ_ADJUST`"; "create, update"; "0.0.92".
    /// SYN proxy: initial sequence number. A request needs all three `SYNPROXY_` values,
    /// or none.
    SYNPROXY_ISN = sys::ATTR_SYNPROXY_ISN, "ATTR_SYNPROXY_ISN": U32, ReadWrite, Rule::Plain;
        "number"; "dump, update"; "create, update"; "1.0.8".
    /// SYN proxy: initial timestamp.
    SYNPROXY_ITS = sys::ATTR_SYNPROXY_ITS, "ATTR_SYNPROXY_ITS": U32, ReadWrite, Rule::Plain;
        "number"; "dump, update"; "create, update"; "1.0.8".
    /// SYN proxy: timestamp offset.
    SYNPROXY_TSOFF = sys::ATTR_SYNPROXY_TSOFF, "ATTR_SYNPROXY_TSOFF": U32, ReadWrite, Rule::Plain;
        "number"; "dump, update"; "create, update"; "1.0.8".

    /// Name of the helper that reads the connection, such as `ftp`. An update with an empty name takes the helper
    /// and its expectations away up to Linux 6.18; Linux 7.2 refuses it as unsupported.
    HELPER_NAME = sys::ATTR_HELPER_NAME, "ATTR_HELPER_NAME": HelperName, ReadWrite, Rule::Plain;
        "text of at most 15 bytes"; "dump, new, update, when it has one"; "create; update with the same name, or, up to Linux 6.18, empty to remove it; later kernels refuse an empty one (`EOPNOTSUPP`)"; "0.0.98".
    /// Security context, such as SELinux gives.
    SECCTX = sys::ATTR_SECCTX, "ATTR_SECCTX": Text, ReadOnly, Rule::Plain;
        "text"; "dump, new, update, when it has one"; "no"; "0.9.1".
    /// When the connection began.
    TIMESTAMP_START = sys::ATTR_TIMESTAMP_START, "ATTR_TIMESTAMP_START": Timestamp, ReadOnly, Rule::Plain;
        "nanoseconds since 1970"; "dump, destroy, with the sysctl nf_conntrack_timestamp"; "no"; "0.9.1".
    /// When the connection ended.
    TIMESTAMP_STOP = sys::ATTR_TIMESTAMP_STOP, "ATTR_TIMESTAMP_STOP": Timestamp, ReadOnly, Rule::Plain;
        "nanoseconds since 1970"; "destroy, with the sysctl nf_conntrack_timestamp"; "no"; "0.9.1".
    /// When the event happened. An older C library leaves it out; see
    /// [`Conntrack::supports`](crate::nfct::Conntrack::supports).
    TIMESTAMP_EVENT = TIMESTAMP_EVENT_ID, "ATTR_TIMESTAMP_EVENT": Timestamp, ReadOnly, Rule::Plain;
        "nanoseconds since 1970"; "new, update, destroy, with the sysctl nf_conntrack_timestamp, kernels that have it"; "no"; "1.1.1".
    /// The connection's labels. Setting them moves the mask into the object; reading copies it.
    CONNLABELS = sys::ATTR_CONNLABELS, "ATTR_CONNLABELS": Labels, ReadWrite, Rule::Plain;
        "128 bits"; "dump when not empty, update when changed"; "create (failures are not reported), update; needs a user of labels in the namespace"; "1.0.4".
    /// Which bits of [`CONNLABELS`] to change. Labels outside of it are not left alone: the kernel flips
    /// them.
    CONNLABELS_MASK = sys::ATTR_CONNLABELS_MASK, "ATTR_CONNLABELS_MASK": Labels, ReadWrite, Rule::Plain;
        "128 bits"; "never"; "with the labels, of the same size"; "1.0.4".
}
