//! Messages for programs that have a netlink socket of their own.
//!
//! [`Handle`](crate::Handle) sends and receives by itself. If you already have a socket and an event loop for
//! it, or get connection attributes from elsewhere, as with the packets of nfqueue, use this module: it
//! turns requests into bytes, and bytes into flows.
//!
//! ```
//! use netfilter_conntrack::message::{Message, Request};
//! use netfilter_conntrack::{Flow, Tuple};
//! use std::time::Duration;
//!
//! let tuple = Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?;
//! let flow = Flow::new(tuple).timeout(Duration::from_secs(30));
//! let request = Message::for_flow(Request::Create, &flow)?.seq(7);
//! let mut batch = Vec::new();
//! batch.extend_from_slice(request.as_bytes());
//! // send(socket, &batch)
//! # assert_eq!(Flow::from_message(&batch)?, flow);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod verdict;

use std::fmt;

pub use verdict::verdict_attributes;

use crate::error::{Failure, Fault, Operation, Result, Subject};
use crate::kernel::tracker;
use crate::model::direction::Direction;
use crate::model::event::EventKind;
use crate::model::flow::{Flow, Purpose};
use crate::model::input::InputError;
use crate::model::key::Key;
use crate::model::proto::Family;
use crate::model::tuple::Tuple;
use crate::netlink::attr::{Malformed, aligned};
use crate::netlink::encode::{self, Zones};
use crate::netlink::message::MessageBuf;
use crate::netlink::{decode, uapi, validate};

/// A kind of request about one entry.
#[doc(alias = "nf_conntrack_query")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request {
    /// Create it; it must not exist.
    #[doc(alias = "NFCT_Q_CREATE")]
    Create,
    /// Create it or update the one that exists.
    #[doc(alias = "NFCT_Q_CREATE_UPDATE")]
    CreateOrUpdate,
    /// Update it; it must exist.
    #[doc(alias = "NFCT_Q_UPDATE")]
    Update,
    /// Look it up.
    #[doc(alias = "NFCT_Q_GET")]
    Get,
    /// Delete it.
    #[doc(alias = "NFCT_Q_DESTROY")]
    Delete,
}

impl Request {
    /// `nlmsg_type` and `nlmsg_flags`.
    pub(crate) fn header(self) -> (u16, u16) {
        let (kind, flags) = match self {
            Self::Create => (uapi::CT_NEW, libc::NLM_F_CREATE | libc::NLM_F_EXCL),
            Self::CreateOrUpdate => (uapi::CT_NEW, libc::NLM_F_CREATE),
            Self::Update => (uapi::CT_NEW, 0),
            Self::Get => (uapi::CT_GET, 0),
            Self::Delete => (uapi::CT_DELETE, 0),
        };
        (kind, (flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16)
    }

    pub(crate) fn operation(self) -> Operation {
        match self {
            Self::Create => Operation::Create,
            Self::CreateOrUpdate => Operation::CreateOrUpdate,
            Self::Update => Operation::Update,
            Self::Get => Operation::Get,
            Self::Delete => Operation::Delete,
        }
    }

    pub(crate) fn start(self, family: u8) -> MessageBuf {
        let (kind, flags) = self.header();
        MessageBuf::new(kind, flags, family, 0)
    }
}

/// A request as the kernel takes it: `nlmsghdr`, `nfgenmsg`, attributes.
///
/// It always names its entry completely. You cannot build a delete without a tuple, which would empty the
/// table.
#[derive(Clone)]
pub struct Message {
    pub(crate) buffer: MessageBuf,
}

impl Message {
    /// A request for a flow, with an ACK requested and sequence number 0.
    ///
    /// A lookup or a delete has the original tuple, the zone, and the id if the flow has one; an
    /// entry with another id is then not found. The others have everything that can be written.
    ///
    /// By a zone for one direction the kernel finds any entry that has the number in the original direction.
    /// A [`Handle`](crate::Handle) checks this. Here you have to: compare the zone of the entry that a lookup
    /// returns, and look up before an update.
    ///
    /// # Errors
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a flow that cannot be sent for this:
    /// see [`Handle::create`](crate::Handle::create) and [`update`](crate::Handle::update), and
    /// [`InputError::MissingId`] for a delete in a zone for one direction without the id.
    /// [`Error::Unsupported`](crate::Error::Unsupported) for a tuple that the running kernel
    /// [cannot keep](crate::model::Layer4::Other). For protocols whose tracker a kernel may lack the kernel is
    /// asked once, through a socket of its own; where it cannot be asked, as for want of rights, the tuple
    /// is not checked.
    #[doc(alias = "nfct_nlmsg_build")]
    pub fn for_flow(request: Request, flow: &Flow) -> Result<Self> {
        let tuples = match request {
            Request::Get | Request::Delete => [Some(&flow.original), None, None],
            _ => [Some(&flow.original), Some(&flow.reply), flow.extra.master.as_ref()],
        };
        for tuple in tuples.into_iter().flatten() {
            let failure = || Failure::new(request.operation(), Subject::Flow(flow.key()));
            check_kept(tuple).map_err(|fault| fault.during(failure()))?;
        }
        let mut buffer = request.start(flow.original.family().number());
        match request {
            Request::Create | Request::CreateOrUpdate => {
                flow.check(Purpose::Create)?;
                encode::flow(&mut buffer, flow, Zones::Exact(flow.zone))?;
            }
            Request::Update => {
                flow.check(Purpose::Update)?;
                encode::flow(&mut buffer, flow, Zones::of_original(flow.zone))?;
            }
            Request::Get | Request::Delete => {
                let key = Key::from(flow);
                if request == Request::Delete && key.zone.only().is_some() && key.id.is_none() {
                    return Err(InputError::MissingId.into());
                }
                encode::key(&mut buffer, &key, Direction::Original)?;
            }
        }
        Ok(Self { buffer })
    }

    /// Sets the sequence number, which the answer will have.
    #[must_use]
    pub fn seq(mut self, seq: u32) -> Self {
        self.buffer.set_seq(seq);
        self
    }

    /// Requests no ACK. The kernel then answers failures and lookups only.
    #[must_use]
    pub fn unacknowledged(mut self) -> Self {
        self.buffer.clear_flags(libc::NLM_F_ACK as u16);
        self
    }

    /// The message. Its length is a multiple of four, so messages can follow each other.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.as_bytes()
    }

    /// The attributes alone, for a message with other headers.
    #[must_use]
    pub fn attributes(&self) -> &[u8] {
        &self.as_bytes()[decode::HEADERS..]
    }

    /// Writes the message to the start of a buffer, and returns its length.
    ///
    /// # Errors
    /// [`InputError::TooLarge`] when it does not fit; the buffer is as it was.
    pub fn write_to(&self, buffer: &mut [u8]) -> Result<usize, InputError> {
        let bytes = self.as_bytes();
        buffer.get_mut(..bytes.len()).ok_or(InputError::TooLarge)?.copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

/// Refuses a tuple that the running kernel cannot keep, where the kernel can be asked.
pub(crate) fn check_kept(tuple: &Tuple) -> Result<(), Fault> {
    match tracker::check_here(tuple) {
        Err(fault @ Fault::Unsupported(_)) => Err(fault),
        _ => Ok(()),
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(&self.as_bytes()).finish()
    }
}

impl Flow {
    /// The flow in a netlink message of the kernel, of an event or a listing.
    ///
    /// You can pass any bytes, also with more behind the message, which are not looked at.
    /// Attributes of newer kernels are skipped.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes do not begin with a complete message about a connection, or when a tuple,
    /// a zone, or the length of any attribute violates the protocol. An invalid helper name is left out.
    #[doc(alias = "nfct_nlmsg_parse")]
    pub fn from_message(message: &[u8]) -> Result<Self, Malformed> {
        let message = validate::conntrack_message(message)?.bytes();
        let flow = decode::flow(message)?;
        decode::of_family(flow, message[16])
    }

    /// The flow in bare attributes, as `NFQA_CT` of a queued packet has them. Its family is that of
    /// the packet.
    ///
    /// # Errors
    /// [`Malformed`] when an attribute violates the protocol, or belongs to another family.
    #[doc(alias = "nfct_payload_parse")]
    pub fn from_attributes(attributes: &[u8], family: Family) -> Result<Self, Malformed> {
        validate::conntrack_payload(attributes)?;
        decode::flow_attributes(attributes, family.number())
    }
}

impl EventKind {
    /// The kind of event that a netlink message of the kernel reports. An entry of a dump counts as an
    /// update.
    ///
    /// # Errors
    /// [`Malformed`], when the bytes do not begin with the headers of a message about a connection.
    pub fn of_message(message: &[u8]) -> Result<Self, Malformed> {
        let [_, _, _, _, t0, t1, f0, f1, ..] = *message else {
            return Err(Malformed::new("nlmsghdr", "cut short"));
        };
        let (kind, flags) = (u16::from_ne_bytes([t0, t1]), u16::from_ne_bytes([f0, f1]));
        let is_flow = kind & 0xff00 == uapi::SUBSYS_CTNETLINK;
        let found = decode::event_kind(kind, flags).filter(|_| is_flow);
        found.ok_or(Malformed::new("nlmsg_type", "neither new nor delete"))
    }
}

/// Splits a datagram, as one `recv` on a netlink socket returned it, into its messages, headers included.
///
/// Acknowledgements, errors and the end of a listing are messages too: see `nlmsg_type`, bytes 4
/// and 5. After an error there is nothing more.
pub fn split(datagram: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    const HEADER: usize = 16;
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let len = match *rest {
            [a, b, c, d, ..] => u32::from_ne_bytes([a, b, c, d]) as usize,
            _ => 0,
        };
        if len < HEADER || len > rest.len() {
            rest = &[];
            return Some(Err(Malformed::new("nlmsghdr", "length outside its datagram")));
        }
        let message = &rest[..len];
        rest = rest.get(aligned(len)..).unwrap_or_default();
        Some(Ok(message))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Tuple;
    use crate::model::zone::Zone;

    fn flow() -> Flow {
        Flow::new(Tuple::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()).unwrap())
            .timeout(Duration::from_secs(60))
            .zone(Zone::original_only(7))
            .mark(5)
    }

    fn header(message: &Message) -> (u16, u16, u32) {
        let bytes = message.as_bytes();
        let u16_at = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        (u16_at(4), u16_at(6), u32::from_ne_bytes(bytes[8..12].try_into().unwrap()))
    }

    #[test]
    fn each_request_has_the_header_of_the_c_library() {
        // As recorded of nfct_query.
        let expected = [
            (Request::Create, 0x100, 0x605),
            (Request::CreateOrUpdate, 0x100, 0x405),
            (Request::Update, 0x100, 0x005),
            (Request::Get, 0x101, 0x005),
            (Request::Delete, 0x102, 0x005),
        ];
        for (request, kind, flags) in expected {
            let of_flow = Message::for_flow(request, &Flow { id: Some(1), ..flow() }).unwrap().seq(9);
            assert_eq!(header(&of_flow), (kind, flags, 9), "{request:?}");
            assert_eq!(header(&of_flow.unacknowledged()), (kind, flags & !4, 9), "{request:?}");
        }
    }

    #[test]
    fn what_is_built_is_what_is_parsed() {
        let message = Message::for_flow(Request::Create, &flow()).unwrap();
        assert_eq!(Flow::from_message(message.as_bytes()), Ok(flow()));
        assert_eq!(Flow::from_attributes(message.attributes(), Family::Ipv4), Ok(flow()));
        assert!(Flow::from_attributes(message.attributes(), Family::Ipv6).is_err());
        assert_eq!(EventKind::of_message(message.as_ref()), Ok(EventKind::New));
    }

    #[test]
    fn a_delete_never_lacks_its_tuple() {
        let message = Message::for_flow(Request::Delete, &Flow { id: Some(3), ..flow() }).unwrap();
        let kinds: Vec<_> = message.buffer.attributes().map(|attribute| attribute.unwrap().kind).collect();
        assert_eq!(kinds, [uapi::cta::TUPLE_ORIG, uapi::cta::ZONE, uapi::cta::ID]);
    }

    #[test]
    fn a_buffer_that_is_too_small_is_left_alone() {
        let message = Message::for_flow(Request::Get, &flow()).unwrap();
        let mut buffer = [0xaa; 256];
        assert_eq!(message.write_to(&mut buffer), Ok(message.as_bytes().len()));
        assert!(buffer.starts_with(message.as_bytes()));
        let mut buffer = [0xaa; 20];
        assert_eq!(message.write_to(&mut buffer), Err(InputError::TooLarge));
        assert_eq!(buffer, [0xaa; 20]);
    }

    #[test]
    fn a_datagram_is_split_at_the_lengths_it_has() {
        let one = Message::for_flow(Request::Get, &flow()).unwrap();
        let mut datagram = one.as_bytes().repeat(2);
        assert_eq!(split(&datagram).collect::<Vec<_>>(), [Ok(one.as_bytes()), Ok(one.as_bytes())]);
        datagram.push(1);
        assert!(split(&datagram).last().unwrap().is_err());
        datagram.truncate(one.as_bytes().len() + 20);
        assert_eq!(split(&datagram).filter(Result::is_err).count(), 1);
        assert_eq!(split(&[]).count(), 0);
    }
}
