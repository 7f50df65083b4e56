//! Reads an entry from the kernel's message in one pass, straight into a [`Flow`].
//!
//! The C parser is not used here: it has no attributes for the ICMP part of a reply tuple, trusts
//! lengths, and costs ten times as much. Tests hold the two against each other.
//!
//! Waiting costs more time here than work: for the length that leads to the next attribute, and for a
//! value that is put together in one place to be moved to another. So the parts of
//! nearly every entry are first compared with the [layout](super::layout) that the kernel gives them, and
//! every part is read into the place where it stays.

mod parts;
mod proto_info;
mod tuple;

use std::time::Duration;

use super::attr::{Attribute, Attributes, Malformed};
use super::layout;
use super::uapi::{self, cta};
use crate::model::event::EventKind;
use crate::model::flow::Flow;
use crate::model::status::Status;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

pub(crate) use parts::{helper, helper_name, short_text, time};
#[cfg(any(feature = "nfct", feature = "serde"))]
pub(crate) use tuple::complete;
pub(crate) use tuple::tuple;

type Result<T> = std::result::Result<T, Malformed>;

/// Size of the netlink header and of the netfilter header behind it.
pub(crate) const HEADERS: usize = 20;

// Who reads: this module, or the C library in the build of `./dev parity`.
#[cfg(not(nfct_codec))]
pub(crate) use self::{own_flow_attributes as flow_attributes, own_read as read};
#[cfg(nfct_codec)]
pub(crate) use crate::nfct::codec::{read, read_attributes as flow_attributes};

/// The kind of event by type and flags of a netlink message: a new entry and an update have the same type.
pub(crate) fn event_kind(kind: u16, flags: u16) -> Option<EventKind> {
    const NEW: u16 = uapi::CT_NEW & 0xff;
    const DELETE: u16 = uapi::CT_DELETE & 0xff;
    let created = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    match kind & 0xff {
        NEW if flags & created != 0 => Some(EventKind::New),
        NEW => Some(EventKind::Update),
        DELETE => Some(EventKind::Destroy),
        _ => None,
    }
}

/// The entry in a netlink message of connection tracking, headers included.
pub(crate) fn flow(message: &[u8]) -> Result<Flow> {
    let mut flow = unread();
    read(message, &mut flow)?;
    Ok(flow)
}

/// The entry in bare attributes, of this family.
pub(crate) fn own_flow_attributes(attributes: &[u8], family: u8) -> Result<Flow> {
    let mut flow = unread();
    read_attributes(attributes, &mut flow)?;
    of_family(flow, family)
}

/// Refuses an entry of another family than its message.
pub(crate) fn of_family(flow: Flow, family: u8) -> Result<Flow> {
    match flow.original.family().number() == family {
        true => Ok(flow),
        false => Err(Malformed::new("nfgenmsg", "not of the family of the tuples")),
    }
}

/// The place for an entry to be read to, where it shall not be moved once more.
#[inline]
pub(crate) fn unread() -> Flow {
    Flow::with_reply(Tuple::UNREAD, Tuple::UNREAD)
}

/// Reads the entry in a message into its place, as [`unread`] made it. After an error there is
/// nothing of use in it.
#[inline]
pub(crate) fn own_read(message: &[u8], into: &mut Flow) -> Result<()> {
    let attributes = message.get(HEADERS..).ok_or(Malformed::new("message", "shorter than its headers"))?;
    read_attributes(attributes, into)
}

/// Reads each attribute into its place; those without one are for newer programs.
#[inline(never)]
fn read_attributes(attributes: &[u8], flow: &mut Flow) -> Result<()> {
    let mut attributes = Attributes::new(attributes);
    let mut tuple_zones = tuple::read_both(&mut attributes, flow)?;
    while let Some(attribute) = attributes.next() {
        let attribute = attribute?;
        match attribute.kind {
            cta::TUPLE_ORIG => {
                tuple_zones.original = Some(tuple::read(attribute.nested(), &mut flow.original)?)
            }
            cta::TUPLE_REPLY => tuple_zones.reply = Some(tuple::read(attribute.nested(), &mut flow.reply)?),
            cta::STATUS => {
                flow.status = Some(Status::from_bits_retain(attribute.be32("CTA_STATUS")?));
                numbers_of_listing(&mut attributes, flow);
            }
            cta::TIMEOUT => flow.timeout = Some(Duration::from_secs(attribute.be32("CTA_TIMEOUT")?.into())),
            cta::MARK => flow.mark = Some(attribute.be32("CTA_MARK")?),
            cta::ID => {
                flow.id = Some(attribute.be32("CTA_ID")?);
                numbers_of_event(&mut attributes, flow);
            }
            cta::USE => flow.use_count = Some(attribute.be32("CTA_USE")?),
            cta::ZONE => flow.zone = Zone::new(attribute.be16("CTA_ZONE")?),
            cta::PROTOINFO => proto_info::read(attribute.nested(), &mut flow.proto_info)?,
            cta::COUNTERS_ORIG => parts::counters(attribute.nested(), &mut flow.counters.original)?,
            cta::COUNTERS_REPLY => parts::counters(attribute.nested(), &mut flow.counters.reply)?,
            cta::SYNPROXY => parts::synproxy(attribute.nested(), &mut flow.synproxy)?,
            _ => read_rare(attribute, flow)?,
        }
    }
    finish(flow, tuple_zones)
}

/// Rare attributes. They stay out of the way of the rest, which is faster then.
#[inline(never)]
fn read_rare(attribute: Attribute<'_>, flow: &mut Flow) -> Result<()> {
    match attribute.kind {
        cta::TIMESTAMP => parts::timestamps(attribute.nested(), &mut flow.timestamps)?,
        cta::TIMESTAMP_EVENT => {
            flow.timestamps.event = Some(time(attribute, "CTA_TIMESTAMP_EVENT")?);
        }
        cta::HELP => flow.helper = helper(attribute.nested())?,
        cta::LABELS => flow.labels = Some(parts::labels(attribute)?),
        cta::SECCTX => flow.extra.security_context = parts::security_context(attribute.nested())?,
        cta::TUPLE_MASTER => flow.extra.master = Some(tuple(attribute.nested())?),
        cta::SEQ_ADJ_ORIG => flow.extra.seq_adjust.original = parts::seq_adjust(attribute.nested())?,
        cta::SEQ_ADJ_REPLY => flow.extra.seq_adjust.reply = parts::seq_adjust(attribute.nested())?,
        _ => {}
    }
    Ok(())
}

const STATUS: u32 = layout::header(cta::STATUS, 4);
const MARK: u32 = layout::header(cta::MARK, 4);
const ID: u32 = layout::header(cta::ID, 4);
const USE: u32 = layout::header(cta::USE, 4);
const TIMEOUT: u32 = layout::header(cta::TIMEOUT, 4);

/// Reads the numbers that follow the status in a dump (`ctnetlink_dump_info`), if they are adjacent.
#[inline]
fn numbers_of_listing(attributes: &mut Attributes<'_>, flow: &mut Flow) {
    if let Some([MARK, mark, ID, id, USE, use_count, TIMEOUT, timeout]) = attributes.next_words() {
        flow.mark = Some(u32::from_be(mark));
        flow.id = Some(u32::from_be(id));
        flow.use_count = Some(u32::from_be(use_count));
        flow.timeout = Some(Duration::from_secs(u32::from_be(timeout).into()));
        attributes.pass_words(8);
    }
}

/// Reads the numbers that follow the id in an event (`ctnetlink_conntrack_event`).
#[inline]
fn numbers_of_event(attributes: &mut Attributes<'_>, flow: &mut Flow) {
    if let Some([STATUS, status, TIMEOUT, timeout]) = attributes.next_words() {
        flow.status = Some(Status::from_bits_retain(u32::from_be(status)));
        flow.timeout = Some(Duration::from_secs(u32::from_be(timeout).into()));
        attributes.pass_words(4);
    }
}

/// The conclusions when everything was read. The zones are those inside the tuples, if these
/// were there at all.
fn finish(flow: &mut Flow, tuple_zones: tuple::Zones) -> Result<()> {
    let original = tuple_zones.original.ok_or(Malformed::new("CTA_TUPLE_ORIG", "missing"))?;
    let reply = tuple_zones.reply.ok_or(Malformed::new("CTA_TUPLE_REPLY", "missing"))?;
    if !flow.original.is_of_same_kind(&flow.reply) {
        return Err(Malformed::new("CTA_TUPLE_REPLY", "does not fit CTA_TUPLE_ORIG"));
    }
    // The kernel names a zone once: for both directions or inside the tuple of one.
    if let Some(zone) = original {
        flow.zone = Zone::original_only(zone);
    } else if let Some(zone) = reply {
        flow.zone = Zone::reply_only(zone);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
