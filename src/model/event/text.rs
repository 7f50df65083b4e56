//! Events of entries in one line each, and the names of kinds and groups.

use std::fmt;
use std::str::FromStr;

use super::{EntryEvent, EventKind, Groups};
use crate::model::input::InputError;
use crate::model::status::write_flags;
use crate::model::text;

/// Writes what happened, in brackets and as wide as the longest of conntrack(8), so that lines align.
pub(crate) fn write_label(f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
    write!(f, "{:1$}[{label}] ", "", "DESTROY".len().saturating_sub(label.len()))
}

/// `new`, `update` or `destroy`. Padding in the format applies.
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::New => "new",
            Self::Update => "update",
            Self::Destroy => "destroy",
        })
    }
}

/// The text of `Display`, in any case.
impl FromStr for EventKind {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let named = |kind: &Self| kind.to_string().eq_ignore_ascii_case(text);
        let found = Self::ALL.into_iter().find(named);
        found.ok_or_else(|| InputError::text(text, "a kind of event: new, update or destroy"))
    }
}

/// `NEW|DESTROY`; `0x0` when empty.
impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flags(f, self.is_empty(), |f| bitflags::parser::to_writer(self, f))
    }
}

/// The text of `Display`, and also `FLOWS`, `EXPECTATIONS` and `ALL`; in any case, with or without blanks
/// around the bars.
impl FromStr for Groups {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        const EXPECTED: &str = "a group of events, as NEW";
        let groups: Self = text::flags(text, EXPECTED)?;
        // There are no others to listen to.
        Self::from_bits(groups.bits()).ok_or_else(|| InputError::text(text, EXPECTED))
    }
}

/// `    [NEW] tcp 10.0.0.1:5000 -> 10.0.0.2:80 SYN_SENT timeout 120s`, aligned as conntrack(8) does it; with
/// `portid 4711` behind it when a request caused the event, and `nsid 3` when it is from another namespace.
///
/// For reading, not for parsing: the wording may change. The lines of `conntrack -E` are those of
/// [`EntryEvent::text`].
impl<T: fmt::Display> fmt::Display for EntryEvent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_label(
            f,
            match self.kind {
                EventKind::New => "NEW",
                EventKind::Update => "UPDATE",
                EventKind::Destroy => "DESTROY",
            },
        )?;
        write!(f, "{}", self.entry)?;
        if self.port_id != 0 {
            write!(f, " portid {}", self.port_id)?;
        }
        match self.namespace {
            Some(namespace) => write!(f, " nsid {namespace}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_shown() {
        assert_eq!(EventKind::ALL.map(|kind| kind.to_string()), ["new", "update", "destroy"]);
        for kind in EventKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(kind.to_string().to_uppercase().parse(), Ok(kind));
        }
        assert_eq!(format!("{:>8}|", EventKind::New), "     new|");
        for wrong in ["", "news", " new", "create"] {
            assert_eq!(
                wrong.parse::<EventKind>(),
                Err(InputError::text(wrong, "a kind of event: new, update or destroy")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn groups_are_read_as_they_are_shown() {
        for bits in 0..1 << 6 {
            let groups = Groups::from_bits(bits).expect("six groups");
            assert_eq!(groups.to_string().parse(), Ok(groups), "{groups}");
        }
        assert_eq!((Groups::NEW | Groups::EXPECT_DESTROY).to_string(), "NEW|EXPECT_DESTROY");
        assert_eq!(
            (Groups::empty().to_string(), Groups::FLOWS.to_string()),
            ("0x0".into(), "NEW|UPDATE|DESTROY".into())
        );
        assert_eq!("flows | Expect_New".parse(), Ok(Groups::FLOWS | Groups::EXPECT_NEW));
        assert_eq!(("all".parse(), "EXPECTATIONS".parse()), (Ok(Groups::ALL), Ok(Groups::EXPECTATIONS)));
        assert_eq!(Groups::all(), Groups::ALL);
        for wrong in ["", "NEW|", "NEW,UPDATE", "0x40", "everything"] {
            assert!(matches!(wrong.parse::<Groups>(), Err(InputError::Text { .. })), "{wrong}");
        }
    }
}
