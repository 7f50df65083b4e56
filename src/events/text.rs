//! Items of a stream in one line each.

use std::fmt;

use super::Event;
use crate::model::event::write_label;

/// An [`EntryEvent`](super::EntryEvent) in its form, or `[OVERRUN] 12 events lost`, or `  [WOKEN] the wait was ended`.
///
/// For reading, not for parsing: the wording may change.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flow(event) => event.fmt(f),
            Self::Expectation(event) => event.fmt(f),
            Self::Overrun { lost } => write_overrun(f, *lost),
            Self::Woken => write_woken(f),
        }
    }
}

/// Writes that events were lost.
pub(crate) fn write_overrun(f: &mut fmt::Formatter<'_>, lost: Option<u32>) -> fmt::Result {
    write_label(f, "OVERRUN")?;
    match lost {
        Some(1) => f.write_str("1 event lost"),
        Some(lost) => write!(f, "{lost} events lost"),
        None => f.write_str("events lost"),
    }
}

/// Writes that a wait was ended.
pub(crate) fn write_woken(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write_label(f, "WOKEN")?;
    f.write_str("the wait was ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{EntryEvent, EventKind};
    use crate::model::expectation::Expectation;
    use crate::model::flow::Flow;
    use crate::model::tuple::Tuple;

    fn tuple() -> Tuple {
        Tuple::udp(([10, 0, 0, 1], 5000).into(), ([10, 0, 0, 2], 53).into()).expect("a tuple")
    }

    fn event(kind: EventKind, port_id: u32, namespace: Option<i32>) -> EntryEvent<Flow> {
        EntryEvent { kind, entry: Flow::new(tuple()).mark(7), port_id, namespace }
    }

    #[test]
    fn events_are_lines_that_align() {
        let flow = "udp 10.0.0.1:5000 -> 10.0.0.2:53 mark 0x7";
        let lines = [
            (event(EventKind::New, 0, None), format!("    [NEW] {flow}")),
            (event(EventKind::Update, 4711, None), format!(" [UPDATE] {flow} portid 4711")),
            (event(EventKind::Destroy, 4711, Some(0)), format!("[DESTROY] {flow} portid 4711 nsid 0")),
        ];
        for (event, line) in lines {
            assert_eq!(event.to_string(), line);
            assert_eq!(Event::Flow(event).to_string(), line);
        }
        let entry = Expectation::new(tuple(), tuple());
        let line = format!("[DESTROY] {entry} nsid 3");
        let event = EntryEvent { kind: EventKind::Destroy, entry, port_id: 0, namespace: Some(3) };
        assert_eq!(Event::Expectation(event).to_string(), line);
        for (lost, line) in [
            (Some(12), "[OVERRUN] 12 events lost"),
            (Some(1), "[OVERRUN] 1 event lost"),
            (None, "[OVERRUN] events lost"),
        ] {
            assert_eq!(Event::Overrun { lost }.to_string(), line);
        }
        assert_eq!(Event::Woken.to_string(), "  [WOKEN] the wait was ended");
    }
}
