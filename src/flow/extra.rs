//! The parts of a flow that few flows have.

use std::ffi::OsString;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use super::{NatTarget, SeqAdjust};
use crate::direction::PerDirection;
use crate::label::Labels;
use crate::tuple::Tuple;

/// The parts of a [`Flow`](crate::Flow) that few flows have: a pointer to [`FlowExtraParts`], which reads
/// and writes like them. It keeps a flow without any of them small.
///
/// Until something is written it points to parts that are all `None`, and has nothing on the heap. Any
/// mutable access puts them there, one that writes `None` too. Two are equal when their parts are,
/// written or not, so `flow.extra == FlowExtra::default()` says that there is none. To set many at once, fill
/// a `FlowExtraParts::default()` and turn it `into()` a `FlowExtra`, which allocates only where there is a
/// part. To change two parts at the same time, borrow all of them first: `let parts = &mut *flow.extra`.
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
pub struct FlowExtra(Option<Box<FlowExtraParts>>);

/// What [`Flow::extra`](crate::Flow#structfield.extra) points to.
///
/// As in the flow itself, a part that is `None` was not reported, or is not to be written, and parts
/// marked *reported only* are never sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct FlowExtraParts {
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

impl FlowExtraParts {
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

impl FlowExtra {
    /// None of them.
    pub(crate) const NONE: Self = Self(None);

    /// The parts, unless nothing was written to them: to take away from what may not be there.
    pub(super) fn if_any(&mut self) -> Option<&mut FlowExtraParts> {
        self.0.as_deref_mut()
    }
}

/// On the heap only if there is any part.
impl From<FlowExtraParts> for FlowExtra {
    fn from(parts: FlowExtraParts) -> Self {
        Self((parts != FlowExtraParts::NONE).then(|| Box::new(parts)))
    }
}

/// Moves the parts out.
impl From<FlowExtra> for FlowExtraParts {
    fn from(extra: FlowExtra) -> Self {
        extra.0.map_or(Self::NONE, |parts| *parts)
    }
}

impl Deref for FlowExtra {
    type Target = FlowExtraParts;

    fn deref(&self) -> &FlowExtraParts {
        static NONE: FlowExtraParts = FlowExtraParts::NONE;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for FlowExtra {
    fn deref_mut(&mut self) -> &mut FlowExtraParts {
        self.0.get_or_insert_default()
    }
}

/// By the parts, wherever they are.
impl PartialEq for FlowExtra {
    fn eq(&self, other: &Self) -> bool {
        (self.0.is_none() && other.0.is_none()) || **self == **other
    }
}

impl Eq for FlowExtra {}

impl Hash for FlowExtra {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for FlowExtra {
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
        let mut written = FlowExtra::NONE;
        written.master = None;
        assert!(written.0.is_some());
        assert_eq!(written, FlowExtra::NONE);
        let keys = RandomState::new();
        assert_eq!(keys.hash_one(&written), keys.hash_one(FlowExtra::NONE));
        assert_eq!(format!("{written:?}"), format!("{:?}", FlowExtra::NONE));
        written.mark_mask = Some(1);
        assert_ne!(written, FlowExtra::NONE);
        assert_eq!(FlowExtra::from(FlowExtraParts { mark_mask: Some(1), ..FlowExtraParts::NONE }), written);
        assert!(FlowExtra::from(FlowExtraParts::from(FlowExtra::NONE)).0.is_none());
        assert_eq!(FlowExtraParts::from(written).mark_mask, Some(1));
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
