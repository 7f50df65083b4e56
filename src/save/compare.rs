//! Whether an entry is as it was saved.

use crate::direction::{Direction, PerDirection};
use crate::flow::{DccpInfo, Flow, ProtoInfo, SctpInfo, SeqAdjust, TcpInfo, TcpPeer};
use crate::status::Status;

/// The bits that a restored entry must have where the saved one had them. It may have more: NAT is
/// decided in both directions, and a helper was given on request.
const KEPT: Status = Status::EXPECTED
    .union(Status::SEEN_REPLY)
    .union(Status::ASSURED)
    .union(Status::SRC_NAT)
    .union(Status::DST_NAT)
    .union(Status::SEQ_ADJUST)
    .union(Status::FIXED_TIMEOUT);

/// The parts of a saved flow that the entry made of it does not have, by the names of their fields.
///
/// Not compared is what cannot be given, or moves by itself: id, counters, times, use count, security
/// context, and the timeout.
pub(super) fn differences(saved: &Flow, found: &Flow) -> Vec<&'static str> {
    // Where NAT is asked for by name, the reply is what comes of it.
    let asked_for_nat = saved.extra.source_nat.is_some() || saved.extra.destination_nat.is_some();
    let status = saved.status.unwrap_or_default() & KEPT;
    let parts = [
        ("reply", asked_for_nat || saved.reply == found.reply),
        ("status", found.status.unwrap_or_default().contains(status)),
        ("mark", saved.extra.mark_mask.is_some() || kept_or_default(saved.mark, found.mark)),
        ("proto_info", saved.proto_info.is_none_or(|info| kept_info(&info, found.proto_info.as_ref()))),
        ("helper", kept(saved.helper, found.helper)),
        ("labels", saved.extra.labels_mask.is_some() || kept_or_default(saved.labels, found.labels)),
        ("master", kept(saved.extra.master, found.extra.master)),
        ("seq_adjust", kept_shifts(&saved.extra.seq_adjust, &found.extra.seq_adjust)),
        ("synproxy", kept_or_default(saved.synproxy, found.synproxy)),
    ];
    parts.into_iter().filter(|(_, same)| !same).map(|(part, _)| part).collect()
}

fn kept<T: PartialEq>(saved: Option<T>, found: Option<T>) -> bool {
    saved.is_none() || saved == found
}

/// Of what the kernel leaves out when it is zero.
fn kept_or_default<T: PartialEq + Default>(saved: Option<T>, found: Option<T>) -> bool {
    saved.is_none_or(|saved| saved == found.unwrap_or_default())
}

fn kept_shifts(saved: &PerDirection<Option<SeqAdjust>>, found: &PerDirection<Option<SeqAdjust>>) -> bool {
    [Direction::Original, Direction::Reply]
        .into_iter()
        .all(|direction| kept_or_default(saved[direction], found[direction]))
}

fn kept_info(saved: &ProtoInfo, found: Option<&ProtoInfo>) -> bool {
    match (saved, found) {
        (ProtoInfo::Tcp(saved), Some(ProtoInfo::Tcp(found))) => kept_tcp(saved, found),
        (ProtoInfo::Sctp(saved), Some(ProtoInfo::Sctp(found))) => kept_sctp(saved, found),
        (ProtoInfo::Dccp(saved), Some(ProtoInfo::Dccp(found))) => kept_dccp(saved, found),
        _ => false,
    }
}

fn kept_tcp(saved: &TcpInfo, found: &TcpInfo) -> bool {
    let peer = |saved: &TcpPeer, found: &TcpPeer| {
        (saved.flags_mask.is_some() || kept(saved.flags, found.flags))
            && kept(saved.window_scale, found.window_scale)
    };
    kept(saved.state, found.state)
        && peer(&saved.peers.original, &found.peers.original)
        && peer(&saved.peers.reply, &found.peers.reply)
}

fn kept_sctp(saved: &SctpInfo, found: &SctpInfo) -> bool {
    kept(saved.state, found.state)
        && kept(saved.tags.original, found.tags.original)
        && kept(saved.tags.reply, found.tags.reply)
}

fn kept_dccp(saved: &DccpInfo, found: &DccpInfo) -> bool {
    kept(saved.state, found.state)
        && kept(saved.role, found.role)
        && kept(saved.handshake_seq, found.handshake_seq)
}
