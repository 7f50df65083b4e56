//! Expectations: looked up and deleted one at a time, deleted all at once and by helper.

use super::{ACKNOWLEDGED, Handle};
use crate::error::{Fault, Operation, Result, Subject};
use crate::kernel::During;
use crate::model::expectation::{Expectation, ExpectationKey};
use crate::model::flow::HelperName;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;
use crate::netlink::message::MessageBuf;
use crate::netlink::{decode_expect, encode, encode_expect, uapi};

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

/// Operations on the expectations of a network namespace: see [`Handle::expectations`].
#[derive(Debug)]
#[must_use = "nothing happens until a method is called"]
pub struct Expectations<'h> {
    pub(super) handle: &'h mut Handle,
}

impl Expectations<'_> {
    /// Looks an expectation up by its expected tuple and its zone, and its id when the key has one.
    ///
    /// The kernel finds an expectation that *fits* the tuple; the answer is checked, so one with another
    /// expected tuple is [`Error::NotFound`](crate::Error::NotFound). See
    /// [`find_matching`](Self::find_matching).
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound), [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_GET")]
    pub fn get(&mut self, key: impl Into<ExpectationKey>) -> Result<Expectation> {
        let key = key.into();
        self.lookup_exact(key).during(Operation::Get, Subject::Expectation(key))
    }

    /// Looks up the expectation that a new flow with this original tuple in this zone would fulfil.
    /// Inactive ones are found too.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound), [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    pub fn find_matching(&mut self, tuple: Tuple, zone: impl Into<Zone>) -> Result<Expectation> {
        let key = ExpectationKey { expected: tuple, zone: zone.into(), id: None };
        self.lookup(key).during(Operation::Get, Subject::Expectation(key))
    }

    /// The expectation with this very expected tuple.
    fn lookup_exact(&mut self, key: ExpectationKey) -> Result<Expectation, Fault> {
        let found = self.lookup(key)?;
        if found.expected == key.expected { Ok(found) } else { Err(Fault::not_found()) }
    }

    /// The expectation that the kernel finds by this tuple and zone, if it is one that fits the tuple and
    /// has the id.
    pub(super) fn lookup(&mut self, key: ExpectationKey) -> Result<Expectation, Fault> {
        let found = self.fetch(key)?;
        match found.matches(&key.expected) && (key.id.is_none() || found.id == key.id) {
            true => Ok(found),
            false => Err(Fault::not_found()),
        }
    }

    /// The expectation that the kernel finds.
    pub(super) fn fetch(&mut self, key: ExpectationKey) -> Result<Expectation, Fault> {
        self.handle.check_kept(&key.expected)?;
        let mut request = encode::request(uapi::EXP_GET, libc::NLM_F_REQUEST as u16, key.expected.family());
        encode_expect::key(&mut request, &key)?;
        // An answer without an expectation is none.
        let message = self.handle.ask(&mut request)?.ok_or(Fault::not_found())?;
        let mut found = decode_expect::expectation(self.handle.link.bytes(message))?;
        // The kernel found it by the zone and does not report it.
        found.zone = Some(key.zone);
        Ok(found)
    }

    /// Deletes one expectation.
    ///
    /// It is deleted only if it is the very one that the key names, as far as the
    /// [id](Expectation#structfield.id) distinguishes them. The id of one that came from the kernel goes
    /// along; a key without an id is looked up first, as by [`get`](Self::get), and the id found goes along:
    /// an expectation that merely fits the tuple stays.
    ///
    /// Kernels from 5.1 to 6.10 compare another id here than they report, up to the stable releases of
    /// August 2024 (CVE-2024-44944), and answer every delete by id with `ENOENT`. So after that answer
    /// the expectation is looked up by its id, which every kernel compares correctly in a lookup, and
    /// if it is still there it is deleted by tuple and zone alone. On these kernels only, an expectation that
    /// takes its place within those microseconds and fits the tuple in this zone is deleted instead.
    ///
    /// The kernel does not report the zone. If you got the expectation from a dump of everything, set
    /// its [zone](Expectation::zone) first, unless it is 0.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) when there is no such expectation, or another with the same
    /// tuple; [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn delete(&mut self, key: impl Into<ExpectationKey>) -> Result<()> {
        let key = key.into();
        self.delete_very(key).during(Operation::Delete, Subject::Expectation(key))
    }

    /// Deletes the very expectation that a key names.
    fn delete_very(&mut self, key: ExpectationKey) -> Result<(), Fault> {
        self.handle.check_kept(&key.expected)?;
        let id = match key.id {
            Some(id) => Some(id),
            None => self.lookup_exact(key)?.id,
        };
        let key = ExpectationKey { id, ..key };
        match self.send_delete(&key) {
            // The guard may be at fault: it is gone only if a lookup does not find it either.
            Err(fault) if fault.is_not_found() && id.is_some() => {
                self.lookup_exact(key)?;
                self.send_delete(&ExpectationKey { id: None, ..key })
            }
            result => result,
        }
    }

    fn send_delete(&mut self, key: &ExpectationKey) -> Result<(), Fault> {
        let mut request = encode::request(uapi::EXP_DELETE, ACKNOWLEDGED, key.expected.family());
        encode_expect::key(&mut request, key)?;
        self.handle.link.transact(&mut request)
    }

    /// Deletes the expectations of one helper, in all zones, and no others. There may be none.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn delete_by_helper(&mut self, helper: HelperName) -> Result<()> {
        let mut request = MessageBuf::new(uapi::EXP_DELETE, ACKNOWLEDGED, 0, 0);
        encode_expect::helper(&mut request, &helper)?;
        self.handle.link.transact(&mut request).during(Operation::Flush, Subject::ExpectationsBy(helper))
    }

    /// Deletes every expectation of the network namespace: all zones, both families.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_FLUSH")]
    pub fn flush(&mut self) -> Result<()> {
        let mut request = MessageBuf::new(uapi::EXP_DELETE, ACKNOWLEDGED, 0, 0);
        self.handle.link.transact(&mut request).during(Operation::Flush, Subject::Expectations(None))
    }
}
