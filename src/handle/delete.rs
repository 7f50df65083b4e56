//! Deleting single entries, and never others.

use super::{ACKNOWLEDGED, Handle};
use crate::error::{Fault, Operation, Result, Subject};
use crate::kernel::{During, lacks};
use crate::model::direction::Direction;
use crate::model::key::Key;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;
use crate::netlink::message::MessageBuf;
use crate::netlink::{encode, uapi};

impl Handle {
    /// Deletes one entry.
    ///
    /// It is deleted only if it is the very entry that the key names. The id of a key that came
    /// from a [`Flow`](crate::Flow) of the kernel's goes along, and the kernel spares a new flow that
    /// took over the tuple, as far as the [id](crate::Flow#structfield.id) distinguishes the two. A key
    /// without an id is looked up first: the entry must have this tuple as its original tuple, and
    /// this zone, and its id then goes along.
    ///
    /// Deleting an entry does not end the connection. By default (`nf_conntrack_tcp_loose` is 1) the next
    /// packet of a TCP connection makes a new entry. If the answering side sends it, that is the other way
    /// round: the server is the source, and a NAT that the old entry had is not applied. Block the packets
    /// before you delete, and select such entries by [`Selector::endpoint`](crate::Selector::endpoint).
    /// [`Feature::LastingDeletes`](crate::preflight::Feature::LastingDeletes) reports the setting. Packets of UDP
    /// and other protocols make new entries with either setting.
    ///
    /// There is always a tuple. A request without one would empty the table, and you cannot write it:
    ///
    /// ```compile_fail,E0277
    /// # let mut handle = netfilter_conntrack::Handle::open()?;
    /// handle.delete(0x1234_u32)?; // an id alone
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](crate::Error::NotFound) when there is no such entry, or another with the same tuple;
    /// [`PermissionDenied`](crate::Error::PermissionDenied); [`Unsupported`](crate::Error::Unsupported) for a tuple that this kernel
    /// [cannot keep](crate::model::Layer4::Other).
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn delete(&mut self, key: impl Into<Key>) -> Result<()> {
        let key = key.into();
        self.delete_very(key).during(Operation::Delete, Subject::Flow(key))
    }

    /// Deletes the entry that the kernel finds by this tuple and this zone's number now: in either
    /// direction, with any id, and also one that has the number in that direction only. One
    /// request where [`delete`](Self::delete) may need two. The connection can come back as described there.
    ///
    /// By a zone of one direction the kernel would find entries of other zones. There the entry is
    /// looked up first, by its original tuple and exactly this zone, and deleted by its id.
    ///
    /// [`get_by_tuple`](Self::get_by_tuple) shows the entry that is found.
    ///
    /// # Errors
    /// Those of [`delete`](Self::delete).
    pub fn delete_by_tuple(&mut self, tuple: Tuple, zone: impl Into<Zone>) -> Result<()> {
        let key = tuple.in_zone(zone);
        let deleted = match key.zone.only() {
            None => self.check_kept(&key.tuple).and_then(|()| self.send_delete(&key)),
            Some(_) => self.delete_very(key),
        };
        deleted.during(Operation::Delete, Subject::Flow(key))
    }

    /// Deletes the very entry that a key names.
    fn delete_very(&mut self, key: Key) -> Result<(), Fault> {
        let key = self.with_id(key)?;
        self.send_delete(&key)
    }

    /// The key with the id of its entry. An entry that is found by the key's tuple, but has it as
    /// its reply tuple or is in another zone, is not the one.
    pub(super) fn with_id(&mut self, key: Key) -> Result<Key, Fault> {
        if key.id.is_some() {
            self.check_kept(&key.tuple)?;
            return lacks::check_zone(key.zone).map(|()| key);
        }
        let found = self.lookup(&key, Direction::Original)?;
        Ok(Key { id: found.id, ..key })
    }

    fn send_delete(&mut self, key: &Key) -> Result<(), Fault> {
        self.link.transact(&mut request(key)?)
    }
}

/// The request that deletes the entry of a key.
pub(super) fn request(key: &Key) -> Result<MessageBuf> {
    let mut request = encode::request(uapi::CT_DELETE, ACKNOWLEDGED, key.tuple.family());
    encode::key(&mut request, key, Direction::Original)?;
    Ok(request)
}
