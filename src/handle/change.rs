//! A change to many entries at once.

use std::fmt;
use std::time::Duration;

use crate::error::Result;
use crate::filter::Masked;
use crate::model::direction::{Direction, PerDirection};
use crate::model::flow::{Flow, HelperName, whole_seconds};
use crate::model::input::InputError;
use crate::model::label::Labels;
use crate::model::proto::{Protocol, TcpState};
use crate::model::status::{Status, TcpFlags};
use crate::netlink::encode;
use crate::netlink::message::MessageBuf;

/// A change that [`update_matching`](crate::Handle::update_matching) makes to each entry; the rest stays.
///
/// ```
/// use netfilter_conntrack::{Change, Labels};
/// use std::time::Duration;
///
/// let change = Change::new()
///     .mark_masked(0x10, 0xf0)
///     .add_labels(Labels::new().with(3)?)
///     .timeout(Duration::from_secs(30));
/// # Ok::<(), netfilter_conntrack::error::InputError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Change {
    mark: Option<Masked>,
    added: Labels,
    removed: Labels,
    timeout: Option<Duration>,
    status: Status,
    tcp_state: Option<TcpState>,
    tcp_flags: PerDirection<MaskedFlags>,
    helper: Option<HelperName>,
}

/// Flags that are set, of those that change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct MaskedFlags {
    value: TcpFlags,
    mask: TcpFlags,
}

impl Change {
    /// Nothing yet. A change of nothing is [refused](InputError::EmptyChange).
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the mark, all of it.
    #[doc(alias = "ATTR_MARK")]
    pub fn mark(self, mark: u32) -> Self {
        self.mark_masked(mark, u32::MAX)
    }

    /// Sets the bits of the mark that are in `mask`; the others stay. The kernel does it, so that a
    /// change that somebody else makes to the other bits is not lost.
    #[doc(alias = "ATTR_MARK")]
    pub fn mark_masked(mut self, mark: u32, mask: u32) -> Self {
        self.mark = Some(Masked { value: mark, mask });
        self
    }

    /// Sets these labels; the others stay.
    #[doc(alias = "ATTR_CONNLABELS")]
    #[doc(alias = "ATTR_CONNLABELS_MASK")]
    pub fn add_labels(mut self, labels: Labels) -> Self {
        self.added = self.added.union(labels);
        self
    }

    /// Clears these labels; the others stay.
    #[doc(alias = "ATTR_CONNLABELS")]
    #[doc(alias = "ATTR_CONNLABELS_MASK")]
    pub fn remove_labels(mut self, labels: Labels) -> Self {
        self.removed = self.removed.union(labels);
        self
    }

    /// Sets the timeout. A fraction of a second is rounded up.
    #[doc(alias = "ATTR_TIMEOUT")]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets these status flags; the others stay. The kernel clears none on request.
    #[doc(alias = "ATTR_STATUS")]
    pub fn set_status(mut self, status: Status) -> Self {
        self.status |= status;
        self
    }

    /// Sets the state of a TCP connection. The kernel accepts any that has a name, and the next packet is
    /// judged by it.
    ///
    /// An entry of another protocol is not changed at all: it [fails](crate::Outcome::failures) with
    /// [`InputError::WrongProtocolState`]. Select TCP alone.
    #[doc(alias = "ATTR_TCP_STATE")]
    pub fn tcp_state(mut self, state: TcpState) -> Self {
        self.tcp_state = Some(state);
        self
    }

    /// Sets the flags of one side of a TCP connection, all of them; see [`tcp_state`](Self::tcp_state) for
    /// other protocols.
    #[doc(alias = "ATTR_TCP_FLAGS_ORIG")]
    #[doc(alias = "ATTR_TCP_FLAGS_REPL")]
    pub fn tcp_flags(self, side: Direction, flags: TcpFlags) -> Self {
        self.tcp_flags_masked(side, flags, TcpFlags::all())
    }

    /// Sets the flags of one side that are in `mask`; the others stay. The kernel does it, so that a change
    /// that a packet makes to the other flags is not lost.
    #[doc(alias = "ATTR_TCP_MASK_ORIG")]
    #[doc(alias = "ATTR_TCP_MASK_REPL")]
    pub fn tcp_flags_masked(mut self, side: Direction, flags: TcpFlags, mask: TcpFlags) -> Self {
        self.tcp_flags[side] = MaskedFlags { value: flags, mask };
        self
    }

    /// Gives the entry this helper.
    ///
    /// An entry that has it already stays as it is. The kernel refuses ([`Error::Unsupported`],
    /// [`Error::Busy`]) for an entry that was created without any, or has another; and where it has none with
    /// this name for the protocol. The error [names](crate::Error::part) the helper.
    ///
    /// [`Error::Unsupported`]: crate::Error::Unsupported
    /// [`Error::Busy`]: crate::Error::Busy
    #[doc(alias = "ATTR_HELPER_NAME")]
    pub fn helper(mut self, helper: HelperName) -> Self {
        self.helper = Some(helper);
        self
    }

    /// Writes it as attributes for an entry of which nothing is known.
    pub(crate) fn put_for_any(&self, request: &mut MessageBuf) -> Result<()> {
        self.check()?;
        if !self.status.is_empty() {
            return Err(InputError::StatusInVerdict.into());
        }
        if self.tcp_state.is_some() || self.changes_tcp_flags() {
            return Err(InputError::NotInVerdict("the state of TCP").into());
        }
        if self.helper.is_some() {
            return Err(InputError::NotInVerdict("a helper").into());
        }
        let parts = encode::Changed {
            timeout: self.timeout.map(whole_seconds).transpose()?,
            labels: Some((self.added, self.added.union(self.removed))).filter(|(_, mask)| !mask.is_empty()),
            mark: self.mark.map(|mark| (mark.value, mark.mask)),
        };
        Ok(encode::changed(request, &parts)?)
    }

    /// Refuses a change that makes no sense for any entry.
    pub(super) fn check(&self) -> Result<(), InputError> {
        match self.mark {
            Some(Masked { mask: 0, .. }) => return Err(InputError::EmptyMarkMask),
            Some(mark) => mark.check()?,
            None => {}
        }
        if self.added.intersects(&self.removed) {
            return Err(InputError::LabelAddedAndRemoved);
        }
        if self.timeout.is_some_and(|timeout| timeout > Duration::from_secs(u32::MAX.into())) {
            return Err(InputError::TimeoutTooLong);
        }
        if let Some(TcpState::Other(state)) = self.tcp_state {
            return Err(InputError::UnknownState { protocol: Protocol::TCP, state });
        }
        for MaskedFlags { value, mask } in [self.tcp_flags.original, self.tcp_flags.reply] {
            if !mask.contains(value) {
                let [value, mask] = [value, mask].map(|flags| flags.bits().into());
                return Err(InputError::ValueOutsideMask { value, mask });
            }
        }
        match *self == Self::new() {
            true => Err(InputError::EmptyChange),
            false => Ok(()),
        }
    }

    fn changes_tcp_flags(&self) -> bool {
        self.tcp_flags != PerDirection::default()
    }

    /// The update that makes it to this entry.
    pub(super) fn of(&self, flow: &Flow) -> Flow {
        let mut update = flow.identity();
        update = match self.mark {
            None => update,
            Some(Masked { value, mask: u32::MAX }) => update.mark(value),
            Some(Masked { value, mask }) => update.mark_masked(value, mask),
        };
        let changed = self.added.union(self.removed);
        if !changed.is_empty() {
            update = update.labels_masked(self.added, changed);
        }
        if !self.status.is_empty() {
            // The kernel refuses a status in which flags are missing that the entry has.
            update = update.status(flow.status.unwrap_or_default() | self.status);
        }
        if let Some(state) = self.tcp_state {
            update = update.tcp_state(state);
        }
        for side in [Direction::Original, Direction::Reply] {
            let MaskedFlags { value, mask } = self.tcp_flags[side];
            if !mask.is_empty() {
                update = update.tcp_flags_masked(side, value, mask);
            }
        }
        update.helper = self.helper;
        update.timeout = self.timeout;
        update
    }
}

/// `mark 0x10/0xf0, labels +3 -7, timeout 30s`; `nothing` for a change of nothing. The wording may change.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        match self.mark {
            Some(Masked { value, mask: u32::MAX }) => parts.push(format!("mark {value:#x}")),
            Some(Masked { value, mask }) => parts.push(format!("mark {value:#x}/{mask:#x}")),
            None => {}
        }
        let signed = |sign, labels: Labels| (!labels.is_empty()).then(|| format!(" {sign}{labels}"));
        let labels = [signed('+', self.added), signed('-', self.removed)];
        if labels != [None, None] {
            parts.push(format!("labels{}", labels.into_iter().flatten().collect::<String>()));
        }
        parts.extend(self.timeout.map(|timeout| format!("timeout {timeout:?}")));
        if !self.status.is_empty() {
            parts.push(format!("status {}", self.status));
        }
        parts.extend(self.tcp_state.map(|state| format!("tcp state {state}")));
        for side in [Direction::Original, Direction::Reply] {
            match self.tcp_flags[side] {
                MaskedFlags { mask, .. } if mask.is_empty() => {}
                MaskedFlags { value, mask } if mask == TcpFlags::all() => {
                    parts.push(format!("{side} tcp flags {value}"));
                }
                MaskedFlags { value, mask } => parts.push(format!("{side} tcp flags {value} of {mask}")),
            }
        }
        parts.extend(self.helper.map(|helper| format!("helper {helper}")));
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_sense_or_is_refused() {
        let label = |number| Labels::new().with(number).expect("a label");
        let new = Change::new;
        assert_eq!(new().check(), Err(InputError::EmptyChange));
        assert_eq!(new().set_status(Status::empty()).check(), Err(InputError::EmptyChange));
        assert_eq!(new().mark_masked(0, 0).check(), Err(InputError::EmptyMarkMask));
        assert!(matches!(new().mark_masked(2, 1).check(), Err(InputError::ValueOutsideMask { .. })));
        let both = new().add_labels(label(1)).remove_labels(label(1));
        assert_eq!(both.check(), Err(InputError::LabelAddedAndRemoved));
        assert_eq!(new().timeout(Duration::MAX).check(), Err(InputError::TimeoutTooLong));
        assert_eq!(new().mark(0).check(), Ok(()));
        let unknown = InputError::UnknownState { protocol: Protocol::TCP, state: 77 };
        assert_eq!(new().tcp_state(TcpState::Other(77)).check(), Err(unknown));
        let (liberal, none) = (TcpFlags::BE_LIBERAL, TcpFlags::empty());
        let flags = |flags, mask| new().tcp_flags_masked(Direction::Reply, flags, mask);
        assert_eq!(flags(none, none).check(), Err(InputError::EmptyChange));
        let outside = InputError::ValueOutsideMask { value: liberal.bits().into(), mask: 1 };
        assert_eq!(flags(liberal, TcpFlags::WINDOW_SCALE).check(), Err(outside));
        assert_eq!(flags(none, liberal).check(), Ok(()));
        assert_eq!(new().tcp_flags(Direction::Original, none).check(), Ok(()), "all are cleared");
        assert_eq!(new().add_labels(label(1)).remove_labels(label(2)).check(), Ok(()));
    }

    #[test]
    fn a_change_is_a_line() {
        let labels = |numbers: &[u16]| Labels::of(numbers.iter().copied()).expect("labels");
        let change = Change::new()
            .mark_masked(0x10, 0xf0)
            .add_labels(labels(&[1, 5]))
            .remove_labels(labels(&[7]))
            .timeout(Duration::from_secs(30))
            .set_status(Status::ASSURED)
            .tcp_state(TcpState::Close)
            .tcp_flags(Direction::Original, TcpFlags::BE_LIBERAL)
            .tcp_flags_masked(Direction::Reply, TcpFlags::empty(), TcpFlags::BE_LIBERAL)
            .helper("ftp".parse().expect("a name"));
        assert_eq!(
            change.to_string(),
            "mark 0x10/0xf0, labels +1,5 -7, timeout 30s, status ASSURED, tcp state CLOSE, \
             original tcp flags BE_LIBERAL, reply tcp flags 0x0 of BE_LIBERAL, helper ftp"
        );
        assert_eq!(Change::new().mark(7).to_string(), "mark 0x7");
        assert_eq!(Change::new().to_string(), "nothing");
    }
}
