//! Changes that the verdict on a queued packet makes to its flow.

use crate::error::Result;
use crate::handle::Change;
use crate::netlink::decode;
use crate::netlink::message::MessageBuf;

/// Returns the attributes that change the flow of a queued packet, to be the content of `NFQA_CT` in the
/// verdict on it. The packet names the flow, so they have no tuple and no zone.
///
/// ```
/// use netfilter_conntrack::message::verdict_attributes;
/// use netfilter_conntrack::Change;
///
/// let attributes = verdict_attributes(&Change::new().mark_masked(0x10, 0xf0))?;
/// // NFQNL_MSG_VERDICT: nfgenmsg, NFQA_VERDICT_HDR, NFQA_CT:
/// let mut nfqa_ct = Vec::new();
/// nfqa_ct.extend((4 + attributes.len() as u16).to_ne_bytes()); // nla_len
/// nfqa_ct.extend((libc::NLA_F_NESTED as u16 | 11).to_ne_bytes()); // NFQA_CT
/// nfqa_ct.extend(attributes);
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// The queue needs no flag for this (`NFQA_CFG_F_CONNTRACK` makes the kernel send the attributes of flows with
/// the packets: see [`Flow::from_attributes`](crate::Flow::from_attributes)). The kernel needs
/// `CONFIG_NETFILTER_NETLINK_GLUE_CT`, and ignores `NFQA_CT` until `nf_conntrack_netlink` is loaded.
///
/// # How the kernel applies it
///
/// From Linux 5.10 to 7.3 it honors five attributes in a verdict, and applies them in this order: timeout,
/// status, helper, labels, mark. It ignores all others, such as NAT and the state of TCP. Of a [`Change`] the
/// timeout, labels and mark are built; its other parts are refused here (see below).
///
/// - **A refusal is silent.** The packet gets its verdict all the same, and the parts behind the refused one
///   are not applied. A timeout is refused for a flow with
///   [`FIXED_TIMEOUT`](crate::Status::FIXED_TIMEOUT) (by Linux 6.1 and later, not by 5.10), labels for a flow without room
///   for them: one that began while no rule in its namespace set labels.
/// - The packet of a flow that is not in the table yet, such as the first one, can have all of them. With a
///   timeout, such a flow gets a wrong one before Linux 6.3, and may end at once. Later stable releases of 6.1
///   have the correction, 5.10 does not: there, set it in the verdict on a later packet.
/// - The next packet sets the timeout anew.
/// - No event reports the change. The event of a flow that enters the table with this packet has it.
///
/// # Errors
/// [`Error::InvalidInput`](crate::Error::InvalidInput): for an empty change, and everything else that
/// [`update_matching`](crate::Handle::update_matching) refuses;
/// [`InputError::StatusInVerdict`](crate::error::InputError::StatusInVerdict) for status flags. A status in a verdict
/// replaces the one that the flow has by then. Flags that are missing in it are cleared, or make the kernel
/// refuse it, and with it all that follows. [`InputError::NotInVerdict`](crate::error::InputError::NotInVerdict) for
/// the state of TCP, which the kernel ignores, and for a helper, which it silently refuses, with all that
/// follows, for nearly every flow. Use [`Handle::update`](crate::Handle::update) instead.
#[doc(alias = "NFQA_CT")]
#[doc(alias = "nfct_nlmsg_build")]
pub fn verdict_attributes(change: &Change) -> Result<Vec<u8>> {
    let mut buffer = MessageBuf::new(0, 0, 0, 0);
    change.put_for_any(&mut buffer)?;
    Ok(buffer.as_bytes()[decode::HEADERS..].to_vec())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::InputError;
    use crate::model::{Direction, TcpFlags};
    use crate::netlink::attr::Attributes;
    use crate::netlink::uapi::cta;
    use crate::{Labels, Status, TcpState};

    fn of(change: &Change) -> Vec<(u16, Vec<u8>)> {
        let bytes = verdict_attributes(change).expect("attributes");
        assert_eq!(bytes.len() % 4, 0);
        Attributes::new(&bytes)
            .map(|attribute| attribute.map(|one| (one.kind, one.value.to_vec())).expect("an attribute"))
            .collect()
    }

    #[test]
    fn what_is_built_is_what_is_parsed() {
        let label = |number| Labels::new().with(number).expect("a label");
        let change = Change::new().mark(7).timeout(Duration::from_millis(1500));
        let be = |number: u32| number.to_be_bytes().to_vec();
        assert_eq!(of(&change), [(cta::TIMEOUT, be(2)), (cta::MARK, be(7))]);
        let masked = Change::new().mark_masked(0x10, 0xf0);
        assert_eq!(of(&masked), [(cta::MARK, be(0x10)), (cta::MARK_MASK, be(0xf0))]);
        let labels = |words: [u32; 4]| words.map(u32::to_ne_bytes).as_flattened().to_vec();
        let change = Change::new().add_labels(label(0)).remove_labels(label(33));
        let (set, mask) = (labels([1, 0, 0, 0]), labels([1, 2, 0, 0]));
        assert_eq!(of(&change), [(cta::LABELS, set), (cta::LABELS_MASK, mask)]);
    }

    #[test]
    fn what_would_be_lost_silently_is_refused() {
        let refused = |change: &Change| verdict_attributes(change).expect_err("refused");
        assert_eq!(refused(&Change::new()), InputError::EmptyChange.into());
        let status = Change::new().mark(1).set_status(Status::ASSURED);
        assert_eq!(refused(&status), InputError::StatusInVerdict.into());
        assert_eq!(refused(&Change::new().timeout(Duration::MAX)), InputError::TimeoutTooLong.into());
        let not = |what| InputError::NotInVerdict(what).into();
        let mark = || Change::new().mark(1);
        let flags = mark().tcp_flags(Direction::Reply, TcpFlags::BE_LIBERAL);
        assert_eq!(refused(&flags), not("the state of TCP"));
        assert_eq!(refused(&mark().tcp_state(TcpState::Close)), not("the state of TCP"));
        assert_eq!(refused(&mark().helper("ftp".parse().expect("a name"))), not("a helper"));
    }
}
