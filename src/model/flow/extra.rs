//! The parts of a flow that few flows have.

use std::ffi::OsString;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use super::{NatTarget, SeqAdjust};
use crate::model::direction::PerDirection;
use crate::model::label::Labels;
use crate::model::tuple::Tuple;

/// The parts of a [`Flow`](crate::Flow) that few flows have: a pointer to [`FlowExtraParts`], which reads
/// and writes like them. It keeps a flow without any of them small.
///
/// Until something is written it points to parts that are all `None`, and has nothing on the heap. Any
/// mutable access puts them there, one that writes `None` too. Two are equal when their parts are,
/// written or not. Outside of the crate the parts are read and written through methods of `Flow` (`rare.rs`).
/// `From<FlowExtraParts>` sets many at once and allocates only where there is a part.
#[derive(Clone, Default)]
pub(crate) struct FlowExtra(Option<Box<FlowExtraParts>>);

/// The parts themselves; the accessors of the same names in `rare.rs` document them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct FlowExtraParts {
    pub(crate) mark_mask: Option<u32>,
    pub(crate) labels_mask: Option<Labels>,
    pub(crate) security_context: Option<OsString>,
    pub(crate) master: Option<Tuple>,
    pub(crate) seq_adjust: PerDirection<Option<SeqAdjust>>,
    pub(crate) source_nat: Option<NatTarget>,
    pub(crate) destination_nat: Option<NatTarget>,
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

    /// Puts a value into one of the parts; `None` into parts that nothing was written to costs nothing.
    pub(super) fn put<T>(
        &mut self,
        value: Option<T>,
        part: impl FnOnce(&mut FlowExtraParts) -> &mut Option<T>,
    ) {
        match (value, &mut self.0) {
            (None, None) => {}
            (value, _) => *part(self) = value,
        }
    }

    /// The parts, if any was ever written: to clear one without an allocation.
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
    use crate::model::direction::Direction;
    use crate::model::flow::Flow;

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
        let mut cleared = flow.clone();
        cleared.set_master(None);
        cleared.set_seq_adjust(Direction::Reply, None);
        assert!(cleared.extra.0.is_none(), "taking away what is not there allocates nothing");
        let masked = flow.clone().mark_masked(1, 1).mark(2);
        assert_eq!(masked, flow.mark(2));
        // It is moved and kept in large numbers.
        assert!(size_of::<Flow>() <= 336, "{} bytes", size_of::<Flow>());
    }
}
