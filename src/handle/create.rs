//! Creating one entry.

use super::Handle;
use crate::error::{Operation, Result};
use crate::model::flow::Flow;

impl Handle {
    /// Creates an entry. It must not exist yet.
    ///
    /// The request contains the tuples, zone, timeout and every other field of your flow that is not
    /// *reported only*. The kernel silently drops labels where [no rule](crate::Labels) makes room for them;
    /// NAT is set up as requested, and the reply tuple changes by it. If you read the flow from a kernel,
    /// pass it through [`Flow::for_creation`] first.
    ///
    /// One request is sent. With a [shift of sequence numbers](crate::Flow::seq_adjust)
    /// or [SYNPROXY's numbers](Flow#structfield.synproxy), which the kernel silently drops where it has no
    /// room for them, the entry is read back, and deleted again if they are missing. So it is with NAT, where
    /// its reply tuple is not the one asked for: [`Error::Misdirected`](crate::Error::Misdirected). A refusal that can have more than
    /// one reason takes a second request, which finds out the [part](crate::error::Failure::part).
    ///
    /// # Full buckets
    ///
    /// Since Linux 5.15 the kernel refuses an entry if one of the two buckets of its hash table where the
    /// entry belongs is full, and drops packets that would begin such a flow. The limit is random for each
    /// insertion, from 52 to 81 entries in Linux 6.1, so another try can succeed. It is reached only if the
    /// table has many times more entries than `nf_conntrack_buckets`, which is one setting for all network
    /// namespaces. [`chain_too_long`](crate::handle::CpuStatistics::chain_too_long) counts these refusals.
    ///
    /// # Errors
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) before anything is sent, as for a flow
    /// [without a timeout](crate::error::InputError::MissingTimeout) or a TCP flow
    /// [without a state](crate::error::InputError::MissingTcpState); [`Error::Exists`](crate::Error::Exists), also where the reply tuple
    /// is that of another entry; [`Error::Misdirected`](crate::Error::Misdirected); [`Error::NotFound`](crate::Error::NotFound) when the master does not
    /// exist; [`Error::Unsupported`](crate::Error::Unsupported) for an unknown helper, and before anything is sent for a tuple that
    /// this kernel [cannot keep](crate::model::Layer4::Other); [`Error::TableFull`](crate::Error::TableFull), also for a full bucket; [`Error::Busy`](crate::Error::Busy) for status
    /// bits that cannot be given; [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_CREATE")]
    pub fn create(&mut self, flow: &Flow) -> Result<()> {
        self.write(Operation::Create, flow)
    }

    /// Creates an entry, or updates the one that exists.
    ///
    /// NAT, a master or a helper that the entry has already is not asked for again, so that a flow
    /// [for creation](Flow::for_creation) can be written twice; see [`update`](Self::update). The kernel
    /// does not compare the reply tuple of an entry that exists.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) and [`update`](Self::update), except that an entry that is
    /// there is [`Error::Exists`](crate::Error::Exists) only if the flow is in a zone for one direction and the entry in
    /// another zone.
    #[doc(alias = "NFCT_Q_CREATE_UPDATE")]
    pub fn create_or_update(&mut self, flow: &Flow) -> Result<()> {
        self.write(Operation::CreateOrUpdate, flow)
    }
}
