//! The smaller parts of an entry.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Malformed, Result};
use crate::model::flow::{Counters, HelperName, SeqAdjust, SynProxy, Timestamps};
use crate::model::label::Labels;
use crate::netlink::attr::{Attribute, Attributes};
use crate::netlink::layout;
use crate::netlink::uapi::nest;

const PACKETS: u32 = layout::header(nest::COUNTERS_PACKETS, 8);
const BYTES: u32 = layout::header(nest::COUNTERS_BYTES, 8);
const ISN: u32 = layout::header(nest::SYNPROXY_ISN, 4);
const ITS: u32 = layout::header(nest::SYNPROXY_ITS, 4);
const TSOFF: u32 = layout::header(nest::SYNPROXY_TSOFF, 4);

/// Reads counters into their place.
pub(super) fn counters(nest: Attributes<'_>, into: &mut Option<Counters>) -> Result<()> {
    *into = match nest.words().and_then(plain_counters) {
        Some(counters) => Some(counters),
        None => walk_counters(nest)?,
    };
    Ok(())
}

/// The layout of `dump_counters`, on machines that read 64 bits from anywhere; on others the kernel puts
/// padding before them.
#[inline]
pub(super) fn plain_counters(words: [u32; 6]) -> Option<Counters> {
    let [PACKETS, p0, p1, BYTES, b0, b1] = words else { return None };
    Some(Counters { packets: layout::be64([p0, p1]), bytes: layout::be64([b0, b1]) })
}

#[inline(never)]
fn walk_counters(nest: Attributes<'_>) -> Result<Option<Counters>> {
    let (mut packets, mut bytes) = (None, None);
    for attribute in nest {
        let attribute = attribute?;
        match attribute.kind {
            nest::COUNTERS_PACKETS => packets = Some(attribute.be64("CTA_COUNTERS_PACKETS")?),
            nest::COUNTERS_BYTES => bytes = Some(attribute.be64("CTA_COUNTERS_BYTES")?),
            _ => {}
        }
    }
    Ok(packets.zip(bytes).map(|(packets, bytes)| Counters { packets, bytes }))
}

pub(super) fn timestamps(nest: Attributes<'_>, into: &mut Timestamps) -> Result<()> {
    for attribute in nest {
        let attribute = attribute?;
        match attribute.kind {
            nest::TIMESTAMP_START => into.start = Some(time(attribute, "CTA_TIMESTAMP_START")?),
            nest::TIMESTAMP_STOP => into.stop = Some(time(attribute, "CTA_TIMESTAMP_STOP")?),
            _ => {}
        }
    }
    Ok(())
}

/// Nanoseconds since 1970; 64 bits of them stay within the range of a system time.
pub(crate) fn time(attribute: Attribute<'_>, what: &'static str) -> Result<SystemTime> {
    Ok(UNIX_EPOCH + Duration::from_nanos(attribute.be64(what)?))
}

pub(crate) fn helper(nest: Attributes<'_>) -> Result<Option<HelperName>> {
    let mut name = None;
    for attribute in nest {
        let attribute = attribute?;
        if attribute.kind == nest::HELP_NAME {
            name = helper_name(attribute);
        }
    }
    Ok(name)
}

/// An invalid name is none: the entry is worth more than its helper.
pub(crate) fn helper_name(attribute: Attribute<'_>) -> Option<HelperName> {
    HelperName::from_bytes(short_text(attribute, HelperName::MAX_LEN + 1)?).ok()
}

/// A string that a field of this size holds, its NUL included. The C parser is not shown an attribute that
/// is longer, even if a NUL ends the string early; no kernel sends one.
pub(crate) fn short_text(attribute: Attribute<'_>, field: usize) -> Option<&[u8]> {
    (attribute.value.len() <= field).then(|| text(attribute))
}

pub(super) fn security_context(nest: Attributes<'_>) -> Result<Option<OsString>> {
    let mut context = None;
    for attribute in nest {
        let attribute = attribute?;
        if attribute.kind == nest::SECCTX_NAME {
            context = Some(OsString::from_vec(text(attribute).to_vec()));
        }
    }
    Ok(context)
}

/// A string up to its NUL, or all of it.
fn text(attribute: Attribute<'_>) -> &[u8] {
    attribute.value.split(|&byte| byte == 0).next().unwrap_or_default()
}

pub(super) fn labels(attribute: Attribute<'_>) -> Result<Labels> {
    let words = attribute.value.chunks_exact(4);
    if !words.remainder().is_empty() {
        return Err(Malformed::new("CTA_LABELS", "not made of words"));
    }
    Ok(Labels::from_words(words.map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))))
}

pub(super) fn seq_adjust(nest: Attributes<'_>) -> Result<Option<SeqAdjust>> {
    let kinds = [nest::SEQ_ADJ_CORRECTION_POS, nest::SEQ_ADJ_OFFSET_BEFORE, nest::SEQ_ADJ_OFFSET_AFTER];
    Ok(numbers(nest, kinds, "CTA_SEQADJ")?.map(|[correction_pos, offset_before, offset_after]| SeqAdjust {
        correction_pos,
        offset_before,
        offset_after,
    }))
}

/// Reads it into its place. Every flow that a request has made has one.
pub(super) fn synproxy(nest: Attributes<'_>, into: &mut Option<SynProxy>) -> Result<()> {
    *into = match nest.words().and_then(plain_synproxy) {
        Some(synproxy) => Some(synproxy),
        None => walk_synproxy(nest)?,
    };
    Ok(())
}

/// The layout of `ctnetlink_dump_ct_synproxy`.
#[inline]
pub(super) fn plain_synproxy(words: [u32; 6]) -> Option<SynProxy> {
    let [ISN, isn, ITS, its, TSOFF, tsoff] = words else { return None };
    Some(SynProxy { isn: u32::from_be(isn), its: u32::from_be(its), tsoff: u32::from_be(tsoff) })
}

fn walk_synproxy(nest: Attributes<'_>) -> Result<Option<SynProxy>> {
    let kinds = [nest::SYNPROXY_ISN, nest::SYNPROXY_ITS, nest::SYNPROXY_TSOFF];
    Ok(numbers(nest, kinds, "CTA_SYNPROXY")?.map(|[isn, its, tsoff]| SynProxy { isn, its, tsoff }))
}

/// Numbers that go together: `None` when there is none of them, 0 for a single one that is missing.
#[inline(never)]
fn numbers<const N: usize>(
    nest: Attributes<'_>,
    kinds: [u16; N],
    what: &'static str,
) -> Result<Option<[u32; N]>> {
    let mut numbers = None;
    for attribute in nest {
        let attribute = attribute?;
        if let Some(at) = kinds.iter().position(|kind| *kind == attribute.kind) {
            numbers.get_or_insert([0; N])[at] = attribute.be32(what)?;
        }
    }
    Ok(numbers)
}
