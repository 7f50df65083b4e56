//! Expectations in lines.

use std::fmt;

use super::line::Line;
use super::{label, tuple};
use crate::model::direction::Direction;
use crate::model::event::{EntryEvent, EventKind};
use crate::model::expectation::{Expectation, ExpectationFlags};
use crate::model::flow::rounded_up;

/// An [`Expectation`] as conntrack(8) prints it, by `Display`: see [`Expectation::text`].
#[derive(Clone, Copy)]
#[must_use]
pub struct ExpectationText<'a> {
    expectation: &'a Expectation,
    event: Option<EventKind>,
}

impl Expectation {
    /// Returns the expectation as one line of `conntrack -L expect`, to be printed.
    ///
    /// The line is byte for byte what the C library prints, except as [documented](crate::text).
    ///
    /// `Display` of the expectation itself is shorter, for people, and may change.
    ///
    /// ```
    /// use netfilter_conntrack::{Expectation, Tuple};
    ///
    /// let control = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:21".parse()?)?;
    /// let data = Tuple::tcp("10.0.0.1:0".parse()?, "10.0.0.2:50000".parse()?)?;
    /// assert_eq!(
    ///     Expectation::new(control, data).from_any_port().text().to_string(),
    ///     "proto=6 src=10.0.0.1 dst=10.0.0.2 sport=0 dport=50000 \
    ///      mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 \
    ///      master-src=10.0.0.1 master-dst=10.0.0.2 sport=40000 dport=21",
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "nfexp_snprintf")]
    pub fn text(&self) -> ExpectationText<'_> {
        ExpectationText { expectation: self, event: None }
    }
}

impl EntryEvent<Expectation> {
    /// Returns the event as one line of `conntrack -E expect`: the [text of the
    /// expectation](Expectation::text) with the word for the kind of event in front.
    #[doc(alias = "nfexp_snprintf")]
    pub fn text(&self) -> ExpectationText<'_> {
        self.entry.text().event(self.kind)
    }
}

impl ExpectationText<'_> {
    /// As the text of an event: with the word for its kind in front.
    pub fn event(mut self, kind: EventKind) -> Self {
        self.event = Some(kind);
        self
    }

    fn write(&self, line: &mut Line<'_, '_>) {
        let expectation = self.expectation;
        label(line, self.event);
        if let Some(timeout) = expectation.timeout {
            line.number(rounded_up(timeout));
            line.text(" ");
        }
        line.field("proto=", expectation.expected.protocol().number());
        tuple::tuple(line, [" src=", " dst="], &expectation.expected);
        if let Some(mask) = expectation.mask.as_tuple(&expectation.expected) {
            tuple::tuple(line, [" mask-src=", " mask-dst="], &mask);
        }
        tuple::tuple(line, [" master-src=", " master-dst="], &expectation.master);
        if let Some(zone) = expectation.zone {
            line.field(" zone=", zone.in_direction(Direction::Original));
        }
        flags(line, expectation.flags);
        if let Some(class) = expectation.class {
            line.field(" class=", class);
        }
        if let Some(helper) = &expectation.helper {
            let name = String::from_utf8_lossy(helper.as_bytes());
            line.text(" helper=");
            // The library takes off a blank at the end of the line, whatever it belongs to.
            line.text(name.strip_suffix(' ').unwrap_or(&name));
        }
    }
}

/// Flags without a name leave their blank.
fn flags(line: &mut Line<'_, '_>, flags: ExpectationFlags) {
    if flags.is_empty() {
        return;
    }
    let mut before = " ";
    for (flag, name) in [
        (ExpectationFlags::PERMANENT, "PERMANENT"),
        (ExpectationFlags::INACTIVE, "INACTIVE"),
        (ExpectationFlags::USERSPACE, "USERSPACE"),
    ] {
        if flags.contains(flag) {
            line.text(before);
            line.text(name);
            before = ",";
        }
    }
    if before == " " {
        line.text(before);
    }
}

impl fmt::Display for ExpectationText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new(f);
        self.write(&mut line);
        line.finish()
    }
}

/// The line.
impl fmt::Debug for ExpectationText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
