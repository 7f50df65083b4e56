//! Answers of the kernel, as they are in a datagram.

use std::ops::Range;

use super::{
    attr::{Attributes, Malformed},
    uapi,
};

/// Bytes of a netlink header.
pub(super) const NLMSG_HEADER: usize = 16;
/// Attributes behind an error message (`enum nlmsgerr_attrs`).
const NLMSGERR_ATTR_MSG: u16 = 1;

/// An answer, or a part of one.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A message with content; [`Link::bytes`] has it.
    Message(Range<usize>),
    /// The request was carried out, or the dump is complete.
    Done,
    /// The request failed.
    Refused {
        errno: i32,
        /// The kernel's own words.
        message: Option<Box<str>>,
    },
    /// The table changed so much that the dump missed or doubled entries.
    Interrupted,
}

/// The header of a received message, and where in the buffer the message is.
pub(super) struct Header {
    pub(super) range: Range<usize>,
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) seq: u32,
    pub(super) port: u32,
}

impl Header {
    /// Reads a header at the start of `bytes`, which begin at `offset` in the buffer.
    pub(super) fn read(bytes: &[u8], offset: usize) -> Option<Self> {
        let header: &[u8; NLMSG_HEADER] = bytes.first_chunk()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, p0, p1, p2, p3] = *header;
        let len = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        if len < NLMSG_HEADER || len > bytes.len() {
            return None;
        }
        Some(Self {
            range: offset..offset + len,
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            seq: u32::from_ne_bytes([s0, s1, s2, s3]),
            port: u32::from_ne_bytes([p0, p1, p2, p3]),
        })
    }
}

/// Reads `struct nlmsgerr`: a negative errno or 0, the header of the request, and the kernel's attributes.
pub(super) fn verdict(flags: u16, body: &[u8]) -> Result<Answer, Malformed> {
    let short = Malformed::new("nlmsgerr", "shorter than its error code");
    let code = i32::from_ne_bytes(*body.first_chunk().ok_or(short)?);
    match code {
        0 => Ok(Answer::Done),
        code => Ok(refusal(code, explanation(flags, body))),
    }
}

pub(super) fn refusal(code: i32, message: Option<Box<str>>) -> Answer {
    Answer::Refused { errno: code.saturating_neg(), message }
}

/// The kernel's own words, behind the error code and the header of the request. The payload of the
/// request is left out at our wish (`NETLINK_CAP_ACK`); a kernel that does not know the wish does
/// not send words either.
fn explanation(flags: u16, body: &[u8]) -> Option<Box<str>> {
    let capped = flags & uapi::NLM_F_CAPPED != 0;
    if flags & uapi::NLM_F_ACK_TLVS == 0 || !capped {
        return None;
    }
    let words = Attributes::new(body.get(4 + NLMSG_HEADER..)?)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind == NLMSGERR_ATTR_MSG)?;
    let text = words.value.split(|&byte| byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into())
}
