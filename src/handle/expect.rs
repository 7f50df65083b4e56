//! Expectations: one at a time, all at once, and by helper.

use super::{ACKNOWLEDGED, Handle};
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::expectation::{Expectation, ExpectationKey};
use crate::flow::HelperName;
use crate::object::MessageBuf;
use crate::tuple::Tuple;
use crate::wire::link::Answer;
use crate::wire::{decode_expect, encode, encode_expect, uapi};
use crate::zone::Zone;

impl Handle {
    /// The expectations of the network namespace.
    ///
    /// ```no_run
    /// use netfilter_conntrack::Handle;
    ///
    /// let mut handle = Handle::open()?;
    /// for expectation in handle.expectations().dump().entries()? {
    ///     println!("{}", expectation?);
    /// }
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    #[doc(alias = "nfexp_query")]
    #[doc(alias = "nfexp_send")]
    pub fn expectations(&mut self) -> Expectations<'_> {
        Expectations { handle: self }
    }
}

/// What can be done with the expectations of a network namespace: see [`Handle::expectations`].
#[derive(Debug)]
#[must_use = "this only says what is meant, not what to do with it"]
pub struct Expectations<'h> {
    pub(super) handle: &'h mut Handle,
}

impl Expectations<'_> {
    /// Creates an expectation. It must not exist yet, and its master must exist and have a helper.
    ///
    /// The timeout is ignored: the helper's policy has one for each class. It also has a limit for
    /// each class and master; where that is reached, the kernel removes the oldest expectation of
    /// the class without a word.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] before anything is sent; [`Error::NotFound`] when the master does not
    /// exist; [`Error::Unsupported`] when it has no helper, or the helper named is unknown to a
    /// kernel that asks; [`Error::Exists`]; [`Error::Clash`]; [`Error::TableFull`];
    /// [`Error::Refused`] with `EINVAL` for a class that the helper does not have, or an unknown
    /// function; [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_CREATE")]
    pub fn create(&mut self, expectation: &Expectation) -> Result<()> {
        self.write(Operation::Create, expectation)
    }

    /// Creates an expectation, or changes the timeout of the one that exists; the kernel changes
    /// nothing else of it.
    ///
    /// The kernel would change whichever expectation *fits* the expected tuple. So it is looked up
    /// first: one that differs in expected tuple, mask or master is [`Error::Clash`].
    ///
    /// # Errors
    /// Those of [`create`](Self::create) but [`Error::Exists`].
    #[doc(alias = "NFCT_Q_CREATE_UPDATE")]
    pub fn create_or_update(&mut self, expectation: &Expectation) -> Result<()> {
        expectation.check()?;
        let key = ExpectationKey { id: None, ..expectation.key() };
        let same = |found: &Expectation| {
            let parts = |of: &Expectation| (of.master, of.expected, of.mask);
            parts(found) == parts(expectation)
        };
        match self.lookup(key).map_err(|error| error.recast(Operation::CreateOrUpdate)) {
            Ok(found) if !same(&found) => {
                let own = Object::Expectation(expectation.key());
                return Err(Error::Clash(Failure::new(Operation::CreateOrUpdate, own)));
            }
            Ok(_) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        self.write(Operation::CreateOrUpdate, expectation)
    }

    fn write(&mut self, operation: Operation, expectation: &Expectation) -> Result<()> {
        expectation.check()?;
        let flags = match operation {
            Operation::Create => libc::NLM_F_CREATE | libc::NLM_F_EXCL,
            _ => libc::NLM_F_CREATE,
        };
        let family = expectation.expected.family();
        let mut request = encode::request(uapi::EXP_NEW, ACKNOWLEDGED | flags as u16, family);
        encode_expect::expectation(&mut request, expectation)?;
        let of_master = || Failure::new(operation, Object::ExpectationOf(expectation.master_key()));
        match self.handle.verdict(&mut request, &of_master)? {
            None => Ok(()),
            Some((errno, words)) => Err(explain(operation, expectation, errno, words.as_deref())),
        }
    }

    /// Looks an expectation up by its expected tuple and its zone, and its id when the key has one.
    ///
    /// The kernel finds an expectation that *fits* the tuple; the answer is checked, so one with
    /// another expected tuple is [`Error::NotFound`]. See [`find_matching`](Self::find_matching).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_GET")]
    pub fn get(&mut self, key: impl Into<ExpectationKey>) -> Result<Expectation> {
        let key = key.into();
        let found = self.lookup(key)?;
        match found.expected == key.expected {
            true => Ok(found),
            false => Err(Error::NotFound(Failure::new(Operation::Get, Object::Expectation(key)))),
        }
    }

    /// Looks up the expectation that a new flow with this original tuple in this zone would fulfil.
    /// Inactive ones are found too.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PermissionDenied`].
    pub fn find_matching(&mut self, tuple: Tuple, zone: impl Into<Zone>) -> Result<Expectation> {
        self.lookup(ExpectationKey { expected: tuple, zone: zone.into(), id: None })
    }

    fn lookup(&mut self, key: ExpectationKey) -> Result<Expectation> {
        let failure = || Failure::new(Operation::Get, Object::Expectation(key));
        let mut request = encode::request(uapi::EXP_GET, libc::NLM_F_REQUEST as u16, key.expected.family());
        encode_expect::key(&mut request, &key)?;
        let answer = self.handle.ask(&mut request, &failure)?;
        let mut found = match answer {
            Answer::Message(message) => decode_expect::expectation(self.handle.link.bytes(message))
                .map_err(|malformed| Error::Malformed { failure: failure(), malformed })?,
            Answer::Refused { errno, message } => return Err(super::refused(failure(), errno, message)),
            // An answer without an expectation is none.
            Answer::Done | Answer::Interrupted => return Err(Error::NotFound(failure())),
        };
        // The kernel found it by the zone and does not report it.
        found.zone = Some(key.zone);
        match found.matches(&key.expected) && (key.id.is_none() || found.id == key.id) {
            true => Ok(found),
            false => Err(Error::NotFound(failure())),
        }
    }

    /// Deletes one expectation.
    ///
    /// It is deleted only if it is the very one that the key names, as far as the
    /// [id](Expectation#structfield.id) tells. The id of one that came from the kernel goes along; a key without an id is looked up first, as by [`get`](Self::get), and the
    /// id found goes along: an expectation that merely fits the tuple stays.
    ///
    /// The kernel does not report the zone, so an expectation out of a listing of everything has to
    /// be told its [zone](Expectation::zone) first, when that is not 0.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such expectation, or another with the same tuple;
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn delete(&mut self, key: impl Into<ExpectationKey>) -> Result<()> {
        let key = key.into();
        let failure = || Failure::new(Operation::Delete, Object::Expectation(key));
        let id = match key.id {
            Some(id) => Some(id),
            None => self.get(key).map_err(|error| error.recast(Operation::Delete))?.id,
        };
        let mut request = encode::request(uapi::EXP_DELETE, ACKNOWLEDGED, key.expected.family());
        encode_expect::key(&mut request, &ExpectationKey { id, ..key })?;
        self.handle.transact(&mut request, &failure)
    }

    /// Deletes the expectations of one helper, in all zones, and no others. There may be none.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn delete_by_helper(&mut self, helper: HelperName) -> Result<()> {
        let mut request = MessageBuf::new(uapi::EXP_DELETE, ACKNOWLEDGED, 0, 0);
        encode_expect::helper(&mut request, &helper)?;
        let failure = || Failure::new(Operation::Flush, Object::ExpectationsBy(helper));
        self.handle.transact(&mut request, &failure)
    }

    /// Deletes every expectation of the network namespace: all zones, both families.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_FLUSH")]
    pub fn flush(&mut self) -> Result<()> {
        let mut request = MessageBuf::new(uapi::EXP_DELETE, ACKNOWLEDGED, 0, 0);
        self.handle.transact(&mut request, &|| Failure::new(Operation::Flush, Object::Expectations(None)))
    }
}

/// The error for a refused creation. What is wrong with the master is said of the master.
fn explain(operation: Operation, expectation: &Expectation, errno: i32, words: Option<&str>) -> Error {
    let failure = |object, words| Failure::new(operation, object).with_errno(errno).with_message(words);
    let master = Object::ExpectationOf(expectation.master_key());
    let own = Object::Expectation(expectation.key());
    match errno {
        libc::ENOENT => Error::NotFound(failure(master, words.or(Some("no such master")))),
        libc::EOPNOTSUPP | libc::ESHUTDOWN => {
            let words = words.or(Some("the master has no helper, or the helper named is unknown"));
            Error::Unsupported(failure(master, words))
        }
        libc::EBUSY | libc::EALREADY => Error::Clash(failure(own, words)),
        libc::EMFILE => Error::TableFull(failure(own, words)),
        _ => Error::from_kernel(failure(own, words)),
    }
}
