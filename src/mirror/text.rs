//! Changes and entries in one line each.

use std::fmt;

use super::{MirrorChange, MirrorEntry};
use crate::events::{write_overrun, write_woken};
use crate::model::event::write_label;

/// `  [ADDED] tcp 10.0.0.1:5000 -> 10.0.0.2:80 ESTABLISHED timeout 300s`, aligned as [events] are; of a
/// changed flow as it is now. Other items are `[OVERRUN] 12 events lost`, ` [RESYNC] in step`,
/// `[DROPPED] 9000 unread changes` and `  [WOKEN] the wait was ended`.
///
/// For reading, not for parsing: the wording may change.
///
/// [events]: crate::Event
impl fmt::Display for MirrorChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, flow) = match self {
            Self::Added(flow) => ("ADDED", flow),
            Self::Changed { after, .. } => ("CHANGED", after),
            Self::Removed(flow) => ("REMOVED", flow),
            Self::Overrun { lost } => return write_overrun(f, *lost),
            Self::Resynced { in_step } => {
                write_label(f, "RESYNC")?;
                return f.write_str(if *in_step { "in step" } else { "not in step" });
            }
            Self::Dropped { count } => {
                write_label(f, "DROPPED")?;
                return write!(f, "{count} unread change{}", if *count == 1 { "" } else { "s" });
            }
            Self::Woken => return write_woken(f),
        };
        write_label(f, label)?;
        write!(f, "{flow}")
    }
}

/// `tcp 10.0.0.1:5000 -> 10.0.0.2:80 timeout 300s seen 12s ago`; `unwatched` is behind it for a flow that is
/// not known to send events.
///
/// For reading, not for parsing: the wording may change.
impl fmt::Display for MirrorEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seen {}s ago", self.flow(), self.seen().elapsed().as_secs())?;
        match self.is_watched() {
            true => Ok(()),
            false => f.write_str(" unwatched"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::mirror::record::Record;
    use crate::model::flow::Flow;
    use crate::model::tuple::Tuple;

    fn flow() -> Flow {
        let tuple = Tuple::udp(([10, 0, 0, 1], 5000).into(), ([10, 0, 0, 2], 53).into());
        Flow::new(tuple.expect("a tuple"))
    }

    #[test]
    fn changes_are_lines_that_align() {
        let text = "udp 10.0.0.1:5000 -> 10.0.0.2:53";
        for (change, line) in [
            (MirrorChange::Added(flow()), format!("  [ADDED] {text}")),
            (
                MirrorChange::Changed { before: flow(), after: flow().mark(7) },
                format!("[CHANGED] {text} mark 0x7"),
            ),
            (MirrorChange::Removed(flow().mark(8)), format!("[REMOVED] {text} mark 0x8")),
            (MirrorChange::Overrun { lost: Some(3) }, "[OVERRUN] 3 events lost".into()),
            (MirrorChange::Resynced { in_step: true }, " [RESYNC] in step".into()),
            (MirrorChange::Resynced { in_step: false }, " [RESYNC] not in step".into()),
            (MirrorChange::Dropped { count: 9000 }, "[DROPPED] 9000 unread changes".into()),
            (MirrorChange::Dropped { count: 1 }, "[DROPPED] 1 unread change".into()),
            (MirrorChange::Woken, "  [WOKEN] the wait was ended".into()),
        ] {
            assert_eq!(change.to_string(), line);
        }
    }

    #[test]
    fn an_entry_shows_how_fresh_it_is() {
        let now = Instant::now();
        let opened = now.checked_sub(Duration::from_secs(20)).unwrap_or(now);
        let ago = (now - opened).as_secs().saturating_sub(8);
        let record = |watched| Record::new(&flow(), 8, 0, watched);
        let text = |watched| MirrorEntry { held: record(watched).held(), opened }.to_string();
        assert_eq!(text(true), format!("udp 10.0.0.1:5000 -> 10.0.0.2:53 seen {ago}s ago"));
        assert_eq!(text(false), format!("udp 10.0.0.1:5000 -> 10.0.0.2:53 seen {ago}s ago unwatched"));
    }
}
