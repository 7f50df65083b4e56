//! Whether an entry is as it was saved.

use crate::model::direction::{Direction, PerDirection};
use crate::model::flow::{DccpInfo, Flow, ProtoInfo, SctpInfo, SeqAdjust, TcpInfo, TcpPeer};
use crate::model::status::Status;

/// The bits that a restored entry must have where the saved one had them, and may have otherwise: packets
/// set them.
const KEPT: Status = Status::SEEN_REPLY.union(Status::ASSURED);

/// The bits that it must have where the saved one had them, and must not have otherwise.
const SAME: Status = Status::EXPECTED.union(Status::SEQ_ADJUST).union(Status::FIXED_TIMEOUT);

/// Those of NAT.
const NAT: Status = Status::SRC_NAT.union(Status::DST_NAT);

/// NAT was decided: always in both directions when it was asked for.
const DECIDED: Status = Status::SRC_NAT_DONE.union(Status::DST_NAT_DONE);

/// The parts of a saved flow that the entry made of it does not have, by the names of their fields.
///
/// Fields that no request can set, or that change by themselves, are not compared: id, counters, times, use
/// count, security context, and the timeout.
pub(super) fn differences(saved: &Flow, found: &Flow) -> Vec<&'static str> {
    // Where NAT is asked for by name, the reply is what comes of it.
    let asked_for_nat = saved.extra.source_nat.is_some() || saved.extra.destination_nat.is_some();
    let parts = [
        ("reply", asked_for_nat || saved.reply == found.reply),
        ("status", kept_status(saved.status, found.status, asked_for_nat)),
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

fn kept_status(saved: Option<Status>, found: Option<Status>, asked_for_nat: bool) -> bool {
    let Some(saved) = saved else { return true };
    let found = found.unwrap_or_default();
    let same = if asked_for_nat { SAME } else { SAME | NAT };
    let decided = [saved, found].map(|status| status.intersects(DECIDED));
    found.contains(saved & KEPT)
        && found & same == saved & same
        && (asked_for_nat || decided[0] == decided[1])
}

fn kept<T: PartialEq>(saved: Option<T>, found: Option<T>) -> bool {
    saved.is_none() || saved == found
}

/// For fields that the kernel leaves out when they are zero.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tuple::Tuple;

    /// Packets add some bits; NAT that was not saved changes packets.
    #[test]
    fn bits_that_were_added_are_noticed() {
        let tuple = Tuple::udp(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into()).expect("a tuple");
        let flow = |status| Flow::new(tuple).status(Status::from_bits_retain(status));
        let status = |saved, found| differences(&flow(saved), &flow(found)) == ["status"];
        for (saved, found) in
            [(0x0e, 0x1ae), (0x0e, 0x18e), (0x18e, 0x19e), (0x08, 0x09), (0x08, 0x408), (0x0e, 0x0a)]
        {
            assert!(status(saved, found), "{saved:#x} {found:#x}");
        }
        // A reply, an assurance, a helper by request, NAT that was decided in the other direction too.
        for (saved, found) in [(0x08, 0x0e), (0x08, 0x2008), (0x98, 0x198)] {
            assert!(!status(saved, found), "{saved:#x} {found:#x}");
        }
        let asked = flow(0x08).dnat(std::net::IpAddr::from([10, 0, 0, 3]));
        assert!(differences(&asked, &flow(0x1a8)).is_empty());
    }
}
