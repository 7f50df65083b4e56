//! What an event says about an entry, and what it leaves open.
//!
//! The kernel's rules are those of `ctnetlink_conntrack_event` in `nf_conntrack_netlink.c`. What it
//! puts into a message is read at the time of sending, so a later event never knows less than an
//! earlier one, and whatever order events and listings are applied in, the last event decides.

use crate::event::{EntryEvent, EventKind};
use crate::flow::{Flow, Timestamps};
use crate::key::Key;
use crate::status::Status;

/// Whether both are the same entry, and not one and a later one with its tuple.
pub(super) fn is_same_entry(one: &Flow, other: &Flow) -> bool {
    (one.original, one.zone, one.id) == (other.original, other.zone, other.id)
}

/// What a lookup of an entry is done by: whatever has its tuple now.
pub(super) fn key_of_any(flow: &Flow) -> Key {
    Key { id: None, ..flow.key() }
}

/// Whether an entry that was read is on its way out: its destruction has been announced already.
pub(super) fn is_dying(flow: &Flow) -> bool {
    flow.status.is_some_and(|status| status.contains(Status::DYING))
}

/// An entry as the mirror keeps it, whether an event or a listing brought it: without the reference
/// count, which no event tells, and the time of the event. A mark that was left out is 0.
pub(super) fn kept(mut flow: Flow) -> Flow {
    flow.use_count = None;
    flow.timestamps.event = None;
    flow.mark.get_or_insert(0);
    flow
}

/// An entry after an event, and whether the event leaves open how the entry is now.
pub(super) fn after(held: &Flow, event: EntryEvent<Flow>) -> (Flow, bool) {
    let complete = event.kind == EventKind::New || event.port_id != 0;
    let said = event.entry;
    // An update that packets caused leaves out labels and a mark when they did not change, but also
    // when nothing is left of them.
    let open = !complete
        && (said.mark.is_none() && held.mark.is_some_and(|mark| mark != 0)
            || said.labels.is_none() && held.labels.is_some());
    let mut flow = Flow {
        // No event but the last has these.
        counters: held.counters,
        timestamps: Timestamps { start: held.timestamps.start, ..Timestamps::default() },
        // It never changes, and comes with the first event only.
        master: said.master.or(held.master),
        ..said
    };
    if !complete {
        flow.mark = flow.mark.or(held.mark);
        flow.labels = flow.labels.or(held.labels);
        flow.proto_info = flow.proto_info.or(held.proto_info);
        flow.seq_adjust.original = flow.seq_adjust.original.or(held.seq_adjust.original);
        flow.seq_adjust.reply = flow.seq_adjust.reply.or(held.seq_adjust.reply);
        flow.synproxy = flow.synproxy.or(held.synproxy);
    }
    (kept(flow), open)
}

/// An entry as it was at its end: as it was known, with the counters and times that the last event has.
pub(super) fn at_its_end(mut held: Flow, said: &Flow) -> Flow {
    held.status = said.status.or(held.status);
    held.counters.original = said.counters.original.or(held.counters.original);
    held.counters.reply = said.counters.reply.or(held.counters.reply);
    held.timestamps.start = said.timestamps.start.or(held.timestamps.start);
    held.timestamps.stop = said.timestamps.stop;
    held
}

/// Whether both say the same but for what moves without an event: the time left, counters and times.
pub(super) fn is_alike(one: &Flow, other: &Flow) -> bool {
    // Every field is named, so that a new one is not forgotten here.
    let Flow {
        original,
        reply,
        zone,
        id,
        status,
        timeout: _,
        mark,
        mark_mask: _,
        proto_info,
        helper,
        labels,
        labels_mask: _,
        security_context,
        master,
        counters: _,
        timestamps: _,
        use_count: _,
        seq_adjust,
        synproxy,
        source_nat: _,
        destination_nat: _,
    } = one;
    (original, reply, zone, id, status, mark)
        == (&other.original, &other.reply, &other.zone, &other.id, &other.status, &other.mark)
        && (proto_info, helper, labels) == (&other.proto_info, &other.helper, &other.labels)
        && (security_context, master) == (&other.security_context, &other.master)
        && (seq_adjust, synproxy) == (&other.seq_adjust, &other.synproxy)
}
