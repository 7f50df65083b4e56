//! Updating one entry.

use super::Handle;
use crate::error::{Operation, Result};
use crate::model::flow::Flow;

impl Handle {
    /// Updates an entry, which must exist.
    ///
    /// Every field that your flow has is written, fields that are `None` stay as they are. To change a single part,
    /// start with [`Flow::identity`]. Status flags are set, and none is cleared: those that the entry has
    /// stay. A helper that the entry has already stays too, also one that the kernel lists and gives to no
    /// entry on request (`nft_ct_expect`, or of a module that was removed).
    ///
    /// One request is sent. When the kernel refuses the status or the helper, the entry is looked up and the
    /// update sent again without the parts that the entry has already. With a
    /// [shift of sequence numbers](crate::Flow::seq_adjust) or
    /// [SYNPROXY's numbers](Flow#structfield.synproxy) the entry is read back, since the kernel silently drops
    /// them where an entry has no room for them.
    ///
    /// The kernel applies parts one after the other, so when one is refused, earlier ones have been applied:
    /// [`Failure::part`](crate::error::Failure::part) is the one that was refused, and has the order. Linux
    /// 5.10 changes a [fixed timeout](crate::Status::FIXED_TIMEOUT) like any other; 6.1 and later refuse to.
    ///
    /// The entry is found by its original tuple and zone, as the kernel finds any: a flow whose reply
    /// has the tuple is changed too, and so is a new flow that took over the tuple, since the kernel
    /// does not look at the id here. Of the zone it looks at the number that packets of the original
    /// direction have. A flow in a zone for one direction is therefore looked up first, and must be
    /// in that very zone; one in a zone for both stands for entries with the number in the original
    /// direction alone as well.
    ///
    /// # Errors
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) before anything is sent, as for NAT or a
    /// master; [`Error::NotFound`](crate::Error::NotFound); [`Error::Busy`](crate::Error::Busy) for status bits
    /// or a helper that cannot be changed; [`Error::LabelsOff`](crate::Error::LabelsOff);
    /// [`Error::FixedTimeout`](crate::Error::FixedTimeout); [`Error::Dying`](crate::Error::Dying);
    /// [`Error::Unsupported`](crate::Error::Unsupported) for a helper on a flow that never had one, and for a
    /// tuple as in [`create`](Self::create); [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_UPDATE")]
    pub fn update(&mut self, flow: &Flow) -> Result<()> {
        self.write(Operation::Update, flow)
    }
}
