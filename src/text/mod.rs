//! Flows and expectations as conntrack(8) prints them: lines that other programs read.
//!
//! [`Flow::text`](crate::Flow::text) and [`Expectation::text`](crate::Expectation::text) wrap an entry,
//! [`EntryEvent::text`](crate::events::EntryEvent::text) an event. The wrapper's `Display` writes the line,
//! so it goes wherever formatting goes: into `println!`, a `String` or a file.
//!
//! ```no_run
//! use netfilter_conntrack::Handle;
//! use std::io::{BufWriter, Write};
//!
//! // What `conntrack -L` prints.
//! let mut out = BufWriter::new(std::io::stdout().lock());
//! for flow in Handle::open()?.dump().entries()? {
//!     writeln!(out, "{}", flow?.text())?;
//! }
//! out.flush()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | conntrack(8) | here | C library |
//! |---|---|---|
//! | `-L` | `flow.text()` | `nfct_snprintf`, `NFCT_O_DEFAULT` |
//! | `-L -o extended` | [`layer3`](FlowText::layer3) | `NFCT_OF_SHOW_LAYER3` |
//! | `-L -o id` | [`id`](FlowText::id) | `NFCT_OF_ID` |
//! | `-L -o ktimestamp` | [`timestamps`](FlowText::timestamps) | `NFCT_OF_TIMESTAMP` |
//! | `-L -o labels` | [`labels`](FlowText::labels) | `nfct_snprintf_labels` |
//! | `-E` | `event.text()`, [`event`](FlowText::event) | the type of the message |
//! | `-L expect`, `-E expect` | [`ExpectationText`] | `nfexp_snprintf` |
//!
//! Every line is byte for byte the C library's, whose releases 1.0.9, 1.1.0 and 1.1.1 print alike, with
//! these exceptions:
//!
//! - Times are in UTC. The library's are in the time zone of the process.
//! - Bytes that are not UTF-8, which only a helper's name or a security context can hold, are replaced by
//!   U+FFFD, as by `nfct`'s `to_text`.
//! - IPv6 addresses are those of glibc. Other C libraries write some of them in another way.
//!
//! The `Display` of [`Flow`](crate::Flow), [`Expectation`](crate::Expectation) and
//! [`Event`](crate::Event) is for people: it is shorter, leaves out the inverse tuple, and may change. For
//! programs of your own, use JSON (the module `json`). XML is left to the C library (`to_text` of the objects of
//! `nfct`): it escapes nothing and names the states of SCTP and DCCP by the words for TCP, so few
//! programs can rely on it.

mod expectation;
mod flow;
mod line;
mod time;
mod tuple;

pub use expectation::ExpectationText;
pub use flow::FlowText;

use self::line::Line;
use crate::model::event::EventKind;

/// Adds the word for an event, as wide for each.
fn label(line: &mut Line<'_, '_>, event: Option<EventKind>) {
    line.text(match event {
        None => return,
        Some(EventKind::New) => "    [NEW] ",
        Some(EventKind::Update) => " [UPDATE] ",
        Some(EventKind::Destroy) => "[DESTROY] ",
    });
}

#[cfg(test)]
mod tests {
    use crate::events::{EntryEvent, EventKind};
    use crate::model::expectation::Expectation;
    use crate::model::flow::Flow;

    #[test]
    fn events_are_lines_with_their_kind() {
        let tuple = "udp 10.0.0.1:5000 -> 10.0.0.2:53".parse().expect("a tuple");
        let (flow, expectation) = (Flow::new(tuple).mark(7), Expectation::new(tuple, tuple));
        let labels = ["    [NEW] ", " [UPDATE] ", "[DESTROY] "];
        for (kind, label) in EventKind::ALL.into_iter().zip(labels) {
            let event = EntryEvent { kind, entry: flow.clone(), port_id: 4711, namespace: Some(3) };
            let line = event.text().to_string();
            assert!(line.starts_with(&format!("{label}udp      17 src=10.0.0.1 ")), "{line}");
            assert_eq!(line, flow.text().event(kind).to_string());
            assert_eq!(line, format!("{:?}", event.text()));
            let event = EntryEvent { kind, entry: expectation.clone(), port_id: 0, namespace: None };
            let line = event.text().to_string();
            assert!(line.starts_with(&format!("{label}proto=17 src=10.0.0.1 ")), "{line}");
            assert_eq!(line, expectation.text().event(kind).to_string());
        }
    }
}
