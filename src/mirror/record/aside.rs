//! The parts of an entry that few entries have.

use crate::model::flow::{Flow, FlowExtra, HelperName, ProtoInfo, SynProxy};
use crate::model::label::Labels;

/// Labels, which all entries of a network have, or none, and the parts that hardly any has.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) labels: Labels,
    pub(super) rest: Option<Box<Rest>>,
}

/// Parts that an entry here and there has.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) helper: Option<HelperName>,
    /// Unless they are all 0.
    pub(super) synproxy: Option<SynProxy>,
    /// Of another protocol than TCP, or with values that no kernel reports.
    pub(super) proto_info: Option<ProtoInfo>,
    pub(super) extra: FlowExtra,
    /// All of the flow, in place of everything else.
    pub(super) whole: Option<Box<Flow>>,
}

impl Aside {
    /// A flow of which some part has no place.
    pub(super) fn of_whole(flow: Flow) -> Self {
        let rest = Rest {
            helper: None,
            synproxy: None,
            proto_info: None,
            extra: FlowExtra::NONE,
            whole: Some(Box::new(flow)),
        };
        Self { labels: Labels::new(), rest: Some(Box::new(rest)) }
    }

    pub(super) fn whole(&self) -> Option<&Flow> {
        self.rest.as_ref()?.whole.as_deref()
    }

    /// How many bytes it has on the heap.
    pub(super) fn bytes(&self) -> usize {
        let whole = self.whole().map_or(0, |_| size_of::<Flow>());
        size_of::<Self>() + self.rest.as_ref().map_or(0, |_| size_of::<Rest>()) + whole
    }
}

impl Rest {
    pub(super) fn is_none(&self) -> bool {
        let Self { helper, synproxy, proto_info, extra, whole } = self;
        (helper.is_none() && synproxy.is_none() && proto_info.is_none() && whole.is_none())
            && *extra == FlowExtra::NONE
    }
}
