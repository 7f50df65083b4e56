//! What an event says about an entry, and what it leaves open.
//!
//! The kernel's rules are those of `ctnetlink_conntrack_event` in `nf_conntrack_netlink.c`. What it
//! puts into a message is read at the time of sending, so a later event never knows less than an
//! earlier one, and whatever order events and listings are applied in, the last event decides. Only two
//! CPUs at once can send in the wrong order, which shows where the later event has what nothing undoes.

use std::mem;

use crate::event::{EntryEvent, EventKind};
use crate::flow::{Flow, FlowExtra, FlowExtraParts, Timestamps};
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
    let cleared = !complete
        && (said.mark.is_none() && held.mark.is_some_and(|mark| mark != 0)
            || said.labels.is_none() && held.labels.is_some());
    let open = cleared || is_late(held, &said);
    let mut flow = Flow {
        // No event but the last has these.
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

/// Whether an event was made before what is known already: it lacks what the kernel sets once and for
/// all. After a listing many are late; a lookup for each costs less than to find out which of them is the
/// last.
fn is_late(held: &Flow, said: &Flow) -> bool {
    let forever = Status::SEEN_REPLY | Status::ASSURED;
    let [held, said] = [held, said].map(|flow| flow.status.unwrap_or(forever) & forever);
    !said.contains(held)
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
    use crate::flow::{Counters, SeqAdjust};
    use crate::label::Labels;
    use crate::proto::TcpState;
    use crate::tuple::Tuple;

    fn held() -> Flow {
        let tuple = Tuple::tcp(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into()).expect("a tuple");
        let mut flow = Flow::new(tuple).tcp_state(TcpState::SynSent).mark(5).master(tuple);
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

    /// Of an update that packets caused, what is left out stays: but for a helper, which is always said,
    /// and where a mark or labels are left out that were there the entry is to be looked up.
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

    /// Of an update that a request caused, what is left out is not there; what no event tells stays.
    #[test]
    fn what_a_request_left_is_all_there_is() {
        let (flow, open) = after(&held(), event(7, |said| said.use_count = Some(2)));
        let mut expected = kept(held().identity());
        (expected.extra.master, expected.counters) = (held().extra.master, held().counters);
        assert_eq!((flow, open), (expected, false));
    }

    /// Of two CPUs the first may send last.
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
