//! The parts of a flow that few flows have.

use std::ffi::OsString;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use super::{NatTarget, SeqAdjust};
use crate::direction::PerDirection;
use crate::label::Labels;
use crate::tuple::Tuple;

/// The parts of a [`Flow`](crate::Flow) that few flows have: a pointer to [`ExtraParts`], which reads
/// and writes like them.
///
/// They are on the heap from the first write on. Nearly all entries of a table have none of them, and
/// so take 192 bytes less each.
///
/// ```
/// use netfilter_conntrack::{Flow, Tuple};
///
/// let control = Tuple::tcp("10.0.0.1:5000".parse()?, "10.0.0.2:21".parse()?)?;
/// let data = Tuple::tcp("10.0.0.2:20".parse()?, "10.0.0.1:5001".parse()?)?;
/// let mut flow = Flow::new(data);
/// assert_eq!(flow.extra.master, None);
/// flow.extra.master = Some(control);
/// assert_eq!(flow, Flow::new(data).master(control));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Extra(Option<Box<ExtraParts>>);

/// What [`Flow::extra`](crate::Flow#structfield.extra) points to.
///
/// A part that is `None` was not reported, or is not to be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct ExtraParts {
    /// Which bits of the mark a request changes; all when `None`. The
    /// [`mark`](crate::Flow#structfield.mark) has none outside of it. Never reported.
    pub mark_mask: Option<u32>,
    /// Which of the labels a request changes; all when `None`.
    /// [`labels`](crate::Flow#structfield.labels) has none outside of it. Never reported.
    #[doc(alias = "ATTR_CONNLABELS_MASK")]
    pub labels_mask: Option<Labels>,
    /// The security context, as text of the security module. Reported only.
    #[doc(alias = "ATTR_SECCTX")]
    pub security_context: Option<OsString>,
    /// The original tuple of the flow that made this one expected. Given only at creation: the
    /// master must exist, in the same zone.
    #[doc(alias = "ATTR_MASTER_L3PROTO")]
    pub master: Option<Tuple>,
    /// How TCP sequence numbers are shifted, when a helper changed the length of a packet.
    pub seq_adjust: PerDirection<Option<SeqAdjust>>,
    /// Source NAT to set up at creation. Never reported: the reply tuple shows the outcome.
    pub source_nat: Option<NatTarget>,
    /// Destination NAT to set up at creation. Never reported: the reply tuple shows the outcome.
    pub destination_nat: Option<NatTarget>,
}

impl ExtraParts {
    const NONE: Self = Self {
        mark_mask: None,
        labels_mask: None,
        security_context: None,
        master: None,
        seq_adjust: PerDirection { original: None, reply: None },
        source_nat: None,
        destination_nat: None,
    };
}

impl Extra {
    /// None of them.
    pub(crate) const NONE: Self = Self(None);

    /// The parts, unless nothing was written to them: to take away from what may not be there.
    pub(super) fn if_any(&mut self) -> Option<&mut ExtraParts> {
        self.0.as_deref_mut()
    }
}

impl From<ExtraParts> for Extra {
    fn from(parts: ExtraParts) -> Self {
        Self((parts != ExtraParts::NONE).then(|| Box::new(parts)))
    }
}

impl Deref for Extra {
    type Target = ExtraParts;

    fn deref(&self) -> &ExtraParts {
        static NONE: ExtraParts = ExtraParts::NONE;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Extra {
    fn deref_mut(&mut self) -> &mut ExtraParts {
        self.0.get_or_insert_default()
    }
}

/// By the parts, wherever they are.
impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        (self.0.is_none() && other.0.is_none()) || **self == **other
    }
}

impl Eq for Extra {}

impl Hash for Extra {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;
    use crate::flow::Flow;

    #[test]
    fn parts_that_were_taken_away_again_make_no_difference() {
        let mut written = Extra::NONE;
        written.master = None;
        assert!(written.0.is_some());
        assert_eq!(written, Extra::NONE);
        let keys = RandomState::new();
        assert_eq!(keys.hash_one(&written), keys.hash_one(Extra::NONE));
        assert_eq!(format!("{written:?}"), format!("{:?}", Extra::NONE));
        written.mark_mask = Some(1);
        assert_ne!(written, Extra::NONE);
        assert_eq!(Extra::from(ExtraParts { mark_mask: Some(1), ..ExtraParts::NONE }), written);
    }

    #[test]
    fn an_ordinary_flow_has_nothing_on_the_heap_and_stays_small() {
        let tuple = Tuple::udp(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 53).into()).expect("a tuple");
        let flow = Flow::new(tuple).mark(1).labels(Labels::new());
        assert!(flow.extra.0.is_none() && flow.for_creation().extra.0.is_none());
        let masked = flow.clone().mark_masked(1, 1).mark(2);
        assert_eq!(masked, flow.mark(2));
        // A mirror holds a million of them.
        assert!(size_of::<Flow>() <= 336, "{} bytes", size_of::<Flow>());
    }
}
