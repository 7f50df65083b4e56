//! Events of entries: what happened, to which entry, and the groups that they are listened to by.

mod groups;
mod text;

pub use groups::Groups;
pub(crate) use text::write_label;

/// What happened to an entry. As text: `new`, `update` or `destroy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum EventKind {
    /// It was created.
    #[doc(alias = "NFCT_T_NEW")]
    New,
    /// Something about it changed.
    #[doc(alias = "NFCT_T_UPDATE")]
    Update,
    /// It was removed: by a request, because its time was over, or to make room.
    #[doc(alias = "NFCT_T_DESTROY")]
    Destroy,
}

impl EventKind {
    /// All three.
    pub const ALL: [Self; 3] = [Self::New, Self::Update, Self::Destroy];
}

/// An event of an entry: what happened, to which, and because of whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EntryEvent<T> {
    /// What happened.
    pub kind: EventKind,
    /// The entry, as far as the event describes it.
    pub entry: T,
    /// The netlink port id of the socket whose request caused the event, such as
    /// [`Handle::port_id`](crate::Handle::port_id); 0 when packets or the passing of time did.
    #[doc(alias = "nlmsg_pid")]
    pub port_id: u32,
    /// The network namespace that the entry is in, by the id that the listener's namespace has for it
    /// (as `ip netns list-id` shows); `None` for the listener's own. Others come only with
    /// [`all_namespaces`](crate::events::EventsBuilder::all_namespaces).
    pub namespace: Option<i32>,
}
