//! Looking one entry up.

use super::{Handle, refused};
use crate::direction::Direction;
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::key::Key;
use crate::wire::link::Answer;
use crate::wire::{decode, encode, uapi};

impl Handle {
    /// Looks an entry up by its original tuple and its zone, and its id when the key has one.
    ///
    /// The kernel finds an entry by either of its tuples; the answer is checked, so an entry whose
    /// *reply* tuple is the one asked for is [`Error::NotFound`], and so is one in a zone for one
    /// direction when the zone was asked for both.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_GET")]
    pub fn get(&mut self, key: impl Into<Key>) -> Result<Flow> {
        self.lookup(key.into(), Direction::Original)
    }

    /// Looks an entry up by its reply tuple and its zone: which flow do the packets belong to that
    /// come back with this tuple? The C library cannot ask this.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PermissionDenied`].
    pub fn get_by_reply(&mut self, key: impl Into<Key>) -> Result<Flow> {
        self.lookup(key.into(), Direction::Reply)
    }

    fn lookup(&mut self, key: Key, direction: Direction) -> Result<Flow> {
        let failure = || {
            let object = match direction {
                Direction::Original => Object::Flow(key),
                Direction::Reply => Object::Reply(key),
            };
            Failure::new(Operation::Get, object)
        };
        let mut request = encode::request(uapi::CT_GET, libc::NLM_F_REQUEST as u16, key.tuple.family());
        encode::key(&mut request, &key, direction)?;
        let flow = match self.ask(&mut request, &failure)? {
            Answer::Message(message) => decode::flow(self.link.bytes(message))
                .map_err(|malformed| Error::Malformed { failure: failure(), malformed })?,
            Answer::Refused { errno, message } => return Err(refused(failure(), errno, message)),
            // An answer without an entry is none.
            Answer::Done | Answer::Interrupted => return Err(Error::NotFound(failure())),
        };
        let tuple = match direction {
            Direction::Original => flow.original,
            Direction::Reply => flow.reply,
        };
        let same = tuple == key.tuple && flow.zone == key.zone && (key.id.is_none() || flow.id == key.id);
        match same {
            true => Ok(flow),
            false => Err(Error::NotFound(failure())),
        }
    }
}
