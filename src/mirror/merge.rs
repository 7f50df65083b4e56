//! Merges an event into an entry, and finds the fields that it leaves open.
//!
//! The kernel's rules are those of `ctnetlink_conntrack_event` in `nf_conntrack_netlink.c`. The fields of a
//! message are read at the time of sending, so a later event is never older in content than an earlier one,
//! and the last event decides, in any order of events and dumps. Only two CPUs at once can send in the wrong
//! order. That shows when the event received first has a bit that is never cleared again.

use std::mem;

use crate::model::event::{EntryEvent, EventKind};
use crate::model::flow::{Flow, FlowExtra, FlowExtraParts, Timestamps};
use crate::model::key::Key;
use crate::model::status::Status;

/// Whether both are the same entry, rather than one and its successor with the same tuple.
#[cfg(test)]
pub(super) fn is_same_entry(one: &Flow, other: &Flow) -> bool {
    (one.original, one.zone, one.id) == (other.original, other.zone, other.id)
}

/// The key to look an entry up by: of the current entry with its tuple, with any id.
pub(super) fn key_of_any(flow: &Flow) -> Key {
    Key { id: None, ..flow.key() }
}

/// Whether an entry is being destroyed: its destroy event has already been sent.
pub(super) fn is_dying(flow: &Flow) -> bool {
    flow.status.is_some_and(|status| status.contains(Status::DYING))
}

/// Whether a flow table forwards its packets. Then its timeout and its protocol state are unknown: dumps omit
/// them, and the first event with the flag reports earlier values.
pub(super) fn is_offloaded(flow: &Flow) -> bool {
    has_offload(flow.status)
}

/// The same by the status.
pub(super) fn has_offload(status: Option<Status>) -> bool {
    status.is_some_and(|status| status.contains(Status::OFFLOAD))
}

/// An entry as the mirror keeps it, from an event or a dump: without the reference count, which no event
/// reports, and the time of the event. A missing mark is 0.
pub(super) fn kept(mut flow: Flow) -> Flow {
    keep(&mut flow);
    flow
}

/// The same in place.
pub(super) fn keep(flow: &mut Flow) {
    if is_offloaded(flow) {
        (flow.timeout, flow.proto_info) = (None, None);
    }
    flow.use_count = None;
    flow.timestamps.event = None;
    flow.mark.get_or_insert(0);
}

/// An entry after an event, and whether the event leaves its current state open.
pub(super) fn after(held: &Flow, event: EntryEvent<Flow>) -> (Flow, bool) {
    let complete = event.kind == EventKind::New || event.port_id != 0;
    let said = event.entry;
    // An update caused by packets omits labels and a mark when they did not change, but also when they were
    // cleared.
    let cleared = !complete
        && (said.mark.is_none() && held.mark.is_some_and(|mark| mark != 0)
            || said.labels.is_none() && held.labels.is_some());
    // Its state may be from before it was offloaded, and is left out.
    let returned = is_offloaded(held) && !is_offloaded(&said);
    let open = cleared || returned || is_late(held, &said);
    let mut flow = Flow {
        // Only the last event has these.
        counters: held.counters,
        timestamps: Timestamps { start: held.timestamps.start, ..Timestamps::default() },
        ..said
    };
    if held.extra != FlowExtra::NONE {
        flow.extra = extra_after(&held.extra, mem::take(&mut flow.extra), complete);
    }
    if !complete {
        flow.mark = flow.mark.or(held.mark);
        flow.labels = flow.labels.or(held.labels);
        flow.proto_info = flow.proto_info.or(held.proto_info);
        flow.synproxy = flow.synproxy.or(held.synproxy);
    }
    (kept(flow), open)
}

fn extra_after(held: &FlowExtra, said: FlowExtra, complete: bool) -> FlowExtra {
    let mut after = FlowExtraParts::from(said);
    // A master never changes, and comes with the first event only.
    after.master = after.master.or(held.master);
    if !complete {
        after.seq_adjust.original = after.seq_adjust.original.or(held.seq_adjust.original);
        after.seq_adjust.reply = after.seq_adjust.reply.or(held.seq_adjust.reply);
    }
    after.into()
}

/// Whether an event is older than the entry held: it lacks status bits that the kernel never clears. After a
/// dump many events are late; looking up each costs less than finding the last of them.
fn is_late(held: &Flow, said: &Flow) -> bool {
    let forever = Status::SEEN_REPLY | Status::ASSURED;
    let [held, said] = [held, said].map(|flow| flow.status.unwrap_or(forever) & forever);
    !said.contains(held)
}

/// The last state of an entry: as it was known, with the counters and times of its destroy event. If it was
/// offloaded, only that event has a state.
pub(super) fn at_its_end(mut held: Flow, said: &Flow) -> Flow {
    held.status = said.status.or(held.status);
    held.counters.original = said.counters.original.or(held.counters.original);
    held.counters.reply = said.counters.reply.or(held.counters.reply);
    held.timestamps.start = said.timestamps.start.or(held.timestamps.start);
    held.timestamps.stop = said.timestamps.stop;
    held.proto_info = held.proto_info.or(said.proto_info);
    held
}

/// Whether both are equal except for the fields that change without an event: the time left, counters and
/// times.
pub(super) fn is_alike(one: &Flow, other: &Flow) -> bool {
    // Every field is named, so that the compiler rejects this when one is added.
    let Flow {
        original,
        reply,
        zone,
        id,
        status,
        timeout: _,
        mark,
        proto_info,
        helper,
        labels,
        counters: _,
        timestamps: _,
        use_count: _,
        synproxy,
        extra,
    } = one;
    let FlowExtraParts {
        mark_mask: _,
        labels_mask: _,
        security_context,
        master,
        seq_adjust,
        source_nat: _,
        destination_nat: _,
    } = &**extra;
    (original, reply, zone, id, status, mark)
        == (&other.original, &other.reply, &other.zone, &other.id, &other.status, &other.mark)
        && (proto_info, helper, labels) == (&other.proto_info, &other.helper, &other.labels)
        && (security_context, master) == (&other.extra.security_context, &other.extra.master)
        && (seq_adjust, synproxy) == (&other.extra.seq_adjust, &other.synproxy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::flow::{Counters, SeqAdjust};
    use crate::model::label::Labels;
    use crate::model::proto::TcpState;
    use crate::model::tuple::Tuple;

    fn held() -> Flow {
        let tuple = Tuple::tcp(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into()).expect("a tuple");
        let mut flow = Flow::new(tuple).tcp_state(TcpState::SynSent).mark(5).with_master(tuple);
        flow.helper = Some("ftp".parse().expect("a name"));
        flow.labels = Some(Labels::of([1]).expect("a label"));
        flow.extra.seq_adjust.reply = Some(SeqAdjust::default());
        flow.counters.original = Some(Counters::new(1, 2));
        kept(flow)
    }

    fn event(port_id: u32, change: impl FnOnce(&mut Flow)) -> EntryEvent<Flow> {
        let mut entry = held().identity();
        change(&mut entry);
        EntryEvent { kind: EventKind::Update, entry, port_id, namespace: None }
    }

    /// Fields omitted in an update caused by packets keep their values, except for a helper, which every
    /// update reports. If a mark or labels that were set are omitted, the entry has to be looked up.
    #[test]
    fn what_packets_did_not_change_stays() {
        let (flow, open) = after(&held(), event(0, |said| said.mark = Some(6)));
        assert_eq!(flow, Flow { helper: None, ..held().mark(6) });
        assert!(open, "no labels");
        let labels = Labels::of([2]).expect("a label");
        let change = event(0, |said| (said.mark, said.labels) = (Some(0), Some(labels)));
        let (flow, open) = after(&held(), change);
        assert_eq!((flow.mark, flow.labels, open), (Some(0), Some(labels), false));
        let bare = kept(held().identity());
        assert_eq!(after(&bare, event(0, |_| {})), (bare.clone(), false), "nothing that could be cleared");
        assert!(after(&held(), event(0, |said| said.labels = Some(labels))).1, "no mark");
    }

    /// Fields omitted in an update caused by a request are absent; fields that no event reports stay.
    #[test]
    fn what_a_request_left_is_all_there_is() {
        let (flow, open) = after(&held(), event(7, |said| said.use_count = Some(2)));
        let mut expected = kept(held().identity());
        (expected.extra.master, expected.counters) = (held().extra.master, held().counters);
        assert_eq!((flow, open), (expected, false));
    }

    /// The event that first has the flag reports the state and the timeout from before it.
    #[test]
    fn of_an_offloaded_flow_neither_state_nor_timeout_is_known() {
        let offload = Status::CONFIRMED | Status::SEEN_REPLY | Status::ASSURED | Status::OFFLOAD;
        let state = held().proto_info;
        let day = std::time::Duration::from_secs(86_400);
        let first = event(0, |said| {
            (said.status, said.timeout, said.proto_info) = (Some(offload), Some(day), state);
        });
        let (flow, _) = after(&kept(held().identity().tcp_state(TcpState::SynRecv)), first);
        assert_eq!((flow.timeout, flow.proto_info, is_offloaded(&flow)), (None, None, true));
        let (_, open) = after(&flow, event(0, |said| said.status = Some(offload - Status::OFFLOAD)));
        assert!(open, "it is back, in a state that the event need not have");
        assert!(!after(&flow, event(0, |said| said.status = Some(offload))).1);
    }

    /// With two CPUs, the first may send last.
    #[test]
    fn an_event_without_what_is_never_taken_back_is_late() {
        let status = |status| move |said: &mut Flow| said.status = Some(Status::CONFIRMED | status);
        let [none, replied, assured] = [Status::empty(), Status::SEEN_REPLY, Status::ASSURED];
        let mut held = kept(held().identity());
        held.status = Some(Status::CONFIRMED | replied);
        assert!(after(&held, event(0, status(none))).1);
        assert!(after(&held, event(7, status(assured))).1);
        assert!(!after(&held, event(0, status(replied | assured))).1);
        assert!(!after(&held, event(0, |said| said.status = None)).1);
    }

    #[test]
    fn an_end_has_the_last_counters() {
        let last = Some(Counters::new(8, 9));
        let said = event(0, |said| said.counters.reply = last).entry;
        let flow = at_its_end(held(), &said);
        assert_eq!((flow.counters.original, flow.counters.reply), (held().counters.original, last));
        assert_eq!((flow.mark, flow.labels), (Some(5), held().labels));
    }

    #[test]
    fn what_moves_by_itself_is_no_change() {
        let mut later = held().timeout(std::time::Duration::from_secs(1));
        later.counters.reply = Some(Counters::new(3, 4));
        assert!(is_alike(&held(), &later));
        assert!(!is_alike(&held(), &held().mark(6)));
        assert!(!is_alike(&held(), &held().tcp_state(TcpState::Established)));
    }
}
