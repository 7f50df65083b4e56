//! The part of a request that the kernel refused.

use std::fmt;

use crate::model::flow::HelperName;

/// The part of a flow that the kernel refused; see [`Failure::part`](super::Failure::part).
///
/// The variants are in the order in which the kernel applies the parts of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlowPart {
    /// NAT, which an entry can be given only when it is created.
    Nat,
    /// The master, which an entry can be given only when it is created.
    Master,
    /// The helper with this name. The kernel has none with the name for the protocol of the flow (its
    /// module is not loaded, or it is a kind that no request can give, as `nft_ct_expect` is), the entry
    /// has another one, or it was created without any.
    Helper(HelperName),
    /// The timeout.
    Timeout,
    /// The status flags.
    Status,
    /// A shift of sequence numbers. An entry has no room for one unless it was created by a request, or
    /// has NAT or a helper that needs it.
    SeqAdjust,
    /// SYNPROXY's numbers. An entry has no room for them unless it was created by a request or SYNPROXY;
    /// on Linux 5.10 none has while the module `nf_synproxy_core` is not loaded.
    SynProxy,
    /// The labels.
    Labels,
}

/// `the helper ftp`.
impl fmt::Display for FlowPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nat => f.write_str("NAT"),
            Self::Master => f.write_str("the master"),
            Self::Helper(name) => write!(f, "the helper {name}"),
            Self::Timeout => f.write_str("the timeout"),
            Self::Status => f.write_str("the status"),
            Self::SeqAdjust => f.write_str("the shift of sequence numbers"),
            Self::SynProxy => f.write_str("SYNPROXY"),
            Self::Labels => f.write_str("the labels"),
        }
    }
}
