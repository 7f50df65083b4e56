//! Looking one entry up.

use super::Handle;
use crate::error::{Fault, Operation, Result, Subject};
use crate::kernel::{During, lacks};
use crate::model::direction::Direction;
use crate::model::flow::Flow;
use crate::model::key::Key;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;
use crate::netlink::{decode, encode, uapi};

impl Handle {
    /// Looks an entry up by its original tuple and its zone, and its id when the key has one.
    ///
    /// The kernel finds an entry by either of its tuples; the answer is checked, so an entry whose
    /// *reply* tuple is the one asked for is [`Error::NotFound`](crate::Error::NotFound), and so is one in a
    /// zone for one direction when the zone was asked for both.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied);
    /// [`Error::Unsupported`](crate::Error::Unsupported) for a tuple that this kernel
    /// [cannot keep](crate::model::Layer4::Other).
    #[doc(alias = "NFCT_Q_GET")]
    pub fn get(&mut self, key: impl Into<Key>) -> Result<Flow> {
        let key = key.into();
        self.lookup(&key, Direction::Original).during(Operation::Get, Subject::Flow(key))
    }

    /// Looks an entry up by its reply tuple and its zone: use it to find the flow of packets that
    /// come back with this tuple. The C library cannot send this request.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn get_by_reply(&mut self, key: impl Into<Key>) -> Result<Flow> {
        let key = key.into();
        self.lookup(&key, Direction::Reply).during(Operation::Get, Subject::Reply(key))
    }

    /// Looks up the entry that the kernel finds by this tuple and this zone's number now: in either
    /// direction, and also one that has the number in that direction only. It is the entry that
    /// [`delete_by_tuple`](Self::delete_by_tuple) deletes.
    ///
    /// By a zone of one direction the kernel would find entries of other zones. There it is as
    /// [`get`](Self::get): by the original tuple and exactly this zone.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn get_by_tuple(&mut self, tuple: Tuple, zone: impl Into<Zone>) -> Result<Flow> {
        let key = tuple.in_zone(zone);
        let found = match key.zone.only() {
            None => self.find(&key, Direction::Original),
            Some(_) => self.lookup(&key, Direction::Original),
        };
        found.during(Operation::Get, Subject::Flow(key))
    }

    /// The entry that has the tuple of the key in this direction, its zone, and its id if the key has one.
    pub(super) fn lookup(&mut self, key: &Key, direction: Direction) -> Result<Flow, Fault> {
        let flow = self.find(key, direction)?;
        let tuple = match direction {
            Direction::Original => flow.original,
            Direction::Reply => flow.reply,
        };
        let same = tuple == key.tuple && flow.zone == key.zone && (key.id.is_none() || flow.id == key.id);
        match same {
            true => Ok(flow),
            false => Err(Fault::not_found()),
        }
    }

    /// The entry that the kernel finds.
    fn find(&mut self, key: &Key, direction: Direction) -> Result<Flow, Fault> {
        self.check_kept(&key.tuple)?;
        lacks::check_zone(key.zone)?;
        let mut request = encode::request(uapi::CT_GET, libc::NLM_F_REQUEST as u16, key.tuple.family());
        encode::key(&mut request, key, direction)?;
        // An answer without an entry is none.
        let message = self.ask(&mut request)?.ok_or(Fault::not_found())?;
        Ok(decode::flow(self.link.bytes(message))?)
    }
}
