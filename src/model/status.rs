//! The status word of a flow.

use std::fmt;
use std::str::FromStr;

use super::input::InputError;
use super::text;

bitflags::bitflags! {
    /// The status flags of a flow (`enum ip_conntrack_status` of the kernel).
    ///
    /// Bits without a name here are kept, shown and sent back unchanged.
    #[doc(alias = "ATTR_STATUS")]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Status: u32 {
        /// It was expected by a helper: it belongs to a [master](crate::Flow::master) flow. Cannot be changed.
        const EXPECTED = 1 << 0;
        /// Packets were seen in both directions. Can be set, not cleared.
        const SEEN_REPLY = 1 << 1;
        /// It is not dropped early when the table is full. Can be set, not cleared.
        const ASSURED = 1 << 2;
        /// It is in the table. The C library sets it in every request that has a status.
        const CONFIRMED = 1 << 3;
        /// Its source is translated, or may be.
        const SRC_NAT = 1 << 4;
        /// Its destination is translated, or may be.
        const DST_NAT = 1 << 5;
        /// Its TCP sequence numbers are shifted.
        const SEQ_ADJUST = 1 << 6;
        /// Source NAT was decided, be it to change nothing. Cannot be changed.
        const SRC_NAT_DONE = 1 << 7;
        /// Destination NAT was decided, be it to change nothing. Cannot be changed.
        const DST_NAT_DONE = 1 << 8;
        /// It is being removed. Cannot be changed.
        const DYING = 1 << 9;
        /// Its timeout does not move with its packets.
        const FIXED_TIMEOUT = 1 << 10;
        /// It was made from a template (`iptables -j CT`). Cannot be changed.
        const TEMPLATE = 1 << 11;
        /// Tracking was switched off for it. Kernels since 4.12 use the bit for themselves.
        const UNTRACKED = 1 << 12;
        /// Its helper was assigned by a rule. Cannot be changed.
        const HELPER = 1 << 13;
        /// Its packets are forwarded by a flow table. Cannot be changed. Listings and lookups report
        /// neither timeout nor TCP state of such a flow, and it sends no events. Since Linux 6.17 a closed
        /// connection keeps the flag for 30 seconds more (`net.netfilter.nf_flowtable_tcp_timeout`).
        const OFFLOAD = 1 << 14;
        /// Its packets are forwarded by hardware. Cannot be changed. Linux 5.8.
        const HW_OFFLOAD = 1 << 15;

        // Bits of kernels to come are kept.
        const _ = !0;
    }
}

/// `SEEN_REPLY|ASSURED|0x10000`; `0x0` when empty.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flags(f, self.is_empty(), |f| bitflags::parser::to_writer(self, f))
    }
}

/// As `Display` shows it; names in any case, and blanks around the bars, are understood too.
impl FromStr for Status {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        text::flags(text, "a status flag, or a bit as 0x80")
    }
}

bitflags::bitflags! {
    /// The flags that the TCP tracker keeps for one side of a connection (`IP_CT_TCP_FLAG_*` of the kernel).
    ///
    /// Bits without a name here are kept.
    #[doc(alias = "ATTR_TCP_FLAGS_ORIG")]
    #[doc(alias = "ATTR_TCP_FLAGS_REPL")]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct TcpFlags: u8 {
        /// It offered window scaling.
        const WINDOW_SCALE = 1 << 0;
        /// It permitted selective acknowledgements.
        const SACK_PERMITTED = 1 << 1;
        /// It sent a FIN.
        const CLOSE_INIT = 1 << 2;
        /// Packets outside the window pass. Set it when your firewall takes over connections from another.
        const BE_LIBERAL = 1 << 3;
        /// Some of its data was not acknowledged.
        const DATA_UNACKNOWLEDGED = 1 << 4;
        /// Its maximum acknowledgement is set.
        const MAXACK_SET = 1 << 5;
        /// A challenge ACK was let through (RFC 5961).
        const EXP_CHALLENGE_ACK = 1 << 6;
        /// Its connection was simultaneously opened (RFC 9293, section 3.5).
        const SIMULTANEOUS_OPEN = 1 << 7;
    }
}

/// `WINDOW_SCALE|SACK_PERMITTED`; `0x0` when empty.
impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flags(f, self.is_empty(), |f| bitflags::parser::to_writer(self, f))
    }
}

/// As `Display` shows it; names in any case, and blanks around the bars, are understood too.
impl FromStr for TcpFlags {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        text::flags(text, "a TCP flag, or a bit as 0x80")
    }
}

pub(crate) fn write_flags(
    f: &mut fmt::Formatter<'_>,
    empty: bool,
    names: impl FnOnce(&mut String) -> fmt::Result,
) -> fmt::Result {
    if empty {
        return f.pad("0x0");
    }
    let mut text = String::new();
    names(&mut text)?;
    // The bitflags text form puts blanks around the bars.
    f.pad(&text.replace(' ', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bits_are_kept_and_shown() {
        let status = Status::from_bits_retain(1 << 1 | 1 << 31);
        assert_eq!(status.bits(), 1 << 1 | 1 << 31);
        assert_eq!(status.to_string(), "SEEN_REPLY|0x80000000");
        assert_eq!(Status::empty().to_string(), "0x0");
        assert_eq!((TcpFlags::BE_LIBERAL | TcpFlags::WINDOW_SCALE).to_string(), "WINDOW_SCALE|BE_LIBERAL");
    }
}
