//! Creating expectations and changing their timeouts, and verifying the result.

use super::{ACKNOWLEDGED, Expectations};
use crate::error::{Error, Failure, Fault, Operation, Result, Subject};
use crate::kernel::During;
use crate::model::expectation::{Expectation, ExpectationFlags, ExpectationKey};
use crate::model::flow::HelperName;
use crate::netlink::{encode, encode_expect, uapi};

/// The helper that an nftables rule with `ct expectation set` gives a flow, from Linux 7.2 on.
const OF_NFTABLES: &str = "nft_ct_expect";

impl Expectations<'_> {
    /// Creates an expectation. It must not exist yet, and its master must exist and have a helper.
    ///
    /// The kernel accepts a request and silently leaves out parts that it does not support. So the expectation
    /// is looked up afterwards, and when anything asked for is missing it is deleted again and the call fails.
    /// This costs a second request, and a third to set the [timeout](Expectation#structfield.timeout), if there
    /// is one: the kernel starts every expectation with that of the helper's policy. Not compared are
    /// [`USERSPACE`](ExpectationFlags::USERSPACE), which the kernel sets itself, and a
    /// [translation](Expectation#structfield.nat) without address and port, which it does not report.
    ///
    /// Behavior seen on these kernels (a fix of 2026 that distributions take over makes the difference):
    ///
    /// | asked for | 5.10.223 | 6.1.176, 6.12.117, 6.18.44, 7.2.13, 7.3.4 |
    /// |---|---|---|
    /// | [class](Expectation#structfield.class) | ignored without the helper's name; with it kept, and the expected flow gets that helper too | kept |
    /// | another [helper](Expectation#structfield.helper) than the master's | ignored here, the expected flow gets it | ignored |
    /// | flags without a name | kept | refused (`EINVAL`) |
    /// | other flags, function, NAT, mask, zone | kept | kept |
    /// | a master that lost its helper | accepted, gone at once | refused, and 7.x keeps helpers |
    /// | a master with `ct expectation set` of nftables | accepted, gone at once | refused; 7.x accepts, gone at once |
    ///
    /// So the name of a helper is sent with a class only, and only if it is the master's.
    ///
    /// A helper has a limit for each class and master; where that is reached, the kernel silently removes
    /// the oldest expectation of the class.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] before anything is sent; [`Error::NotFound`] when the master does not
    /// exist, or, with the expectation as its [subject](Failure::subject), when the expectation was gone when
    /// it was looked up; [`Error::Unsupported`] when the master has no helper, a part was not done, or a tuple
    /// is one that this kernel [cannot keep](crate::model::Layer4::Other); [`Error::Exists`]; [`Error::Clash`];
    /// [`Error::TableFull`]; [`Error::Refused`] with `EINVAL` for a class that the helper does not have, or an
    /// unknown function; [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_CREATE")]
    pub fn create(&mut self, expectation: &Expectation) -> Result<()> {
        self.write_new(Operation::Create, &expectation.meant())
    }

    /// Creates an expectation, or changes the timeout of the one that exists; the kernel changes
    /// nothing else of it.
    ///
    /// The kernel would change any expectation that *fits* the expected tuple. So it is looked up
    /// first: one that differs in expected tuple, mask or master, or lacks a requested part,
    /// is [`Error::Clash`].
    ///
    /// # Errors
    /// Those of [`create`](Self::create) but [`Error::Exists`].
    pub fn create_or_update(&mut self, expectation: &Expectation) -> Result<()> {
        const OPERATION: Operation = Operation::CreateOrUpdate;
        let expectation = &expectation.meant();
        expectation.check()?;
        let key = ExpectationKey { id: None, ..expectation.key() };
        let clash = |words| {
            let failure = Failure::new(OPERATION, Subject::Expectation(expectation.key()));
            Err(Error::Clash(failure.with_message(words)))
        };
        match self.lookup(key) {
            Ok(found) if !is_same(&found, expectation) => return clash(None),
            Ok(found) => {
                if let Some(missing) = missing(expectation, &found) {
                    return clash(Some(missing));
                }
                if self.set_timeout(OPERATION, expectation)? {
                    return Ok(());
                }
                // It has gone meanwhile.
            }
            Err(fault) if fault.is_not_found() => {}
            Err(fault) => return Err(fault).during(OPERATION, Subject::Expectation(key)),
        }
        self.write_new(OPERATION, expectation)
    }

    /// Creates it, and verifies that it is as requested.
    fn write_new(&mut self, operation: Operation, expectation: &Expectation) -> Result<()> {
        expectation.check()?;
        let own = || Subject::Expectation(expectation.key());
        self.handle.check_kept(&expectation.master).during(operation, own())?;
        self.handle.check_kept(&expectation.expected).during(operation, own())?;
        let mut sent = expectation.clone();
        sent.helper = self.helper_for_class(expectation);
        let flags = match operation {
            Operation::Create => libc::NLM_F_CREATE | libc::NLM_F_EXCL,
            _ => libc::NLM_F_CREATE,
        };
        self.send_new(flags, &sent).map_err(|fault| explain(operation, expectation, fault))?;
        self.confirm(operation, expectation)?;
        // It was there and as asked for; what has happened since is its life.
        self.set_timeout(operation, expectation).map(drop)
    }

    /// The helper's name goes along only where it may be needed, and is the master's: older kernels look
    /// a class up in the helper that is named, use it with the master's, and give the expected flow the
    /// one named.
    fn helper_for_class(&mut self, expectation: &Expectation) -> Option<HelperName> {
        let named = expectation.helper.filter(|_| expectation.class.is_some_and(|class| class != 0))?;
        let master = self.handle.get(expectation.master_key()).ok()?;
        master.helper.filter(|helper| *helper == named)
    }

    fn send_new(&mut self, flags: i32, expectation: &Expectation) -> Result<(), Fault> {
        let family = expectation.expected.family();
        let mut request = encode::request(uapi::EXP_NEW, ACKNOWLEDGED | flags as u16, family);
        encode_expect::expectation(&mut request, expectation)?;
        self.handle.link.transact(&mut request)
    }

    /// Compares the expectation with the request; one that differs is deleted again.
    fn confirm(&mut self, operation: Operation, asked: &Expectation) -> Result<()> {
        let key = ExpectationKey { id: None, ..asked.key() };
        let found = match self.fetch(key) {
            Err(fault) if fault.is_not_found() => return Err(self.gone(operation, asked)),
            found => found.during(operation, Subject::Expectation(key))?,
        };
        let words = match () {
            () if is_same(&found, asked) => missing(asked, &found),
            // UDP-Lite and DCCP on kernels that have no tracker for them.
            () if is_without_ports(&found, asked) => Some("this kernel has no ports of its protocol"),
            () => return Err(self.gone(operation, asked)),
        };
        let Some(words) = words else { return Ok(()) };
        let words = match self.delete(&found) {
            Ok(()) | Err(Error::NotFound(_)) => words.to_owned(),
            Err(error) => format!("{words}; it could not be deleted again: {error}"),
        };
        let object = match found.helper {
            None => Subject::ExpectationOf(asked.master_key()),
            Some(_) => Subject::Expectation(asked.key()),
        };
        Err(Error::Unsupported(Failure::new(operation, object).with_message(Some(&words))))
    }

    /// The error for an expectation that was accepted and is not there.
    fn gone(&mut self, operation: Operation, asked: &Expectation) -> Error {
        let of_nftables = |helper: HelperName| helper == *OF_NFTABLES;
        let master = self.handle.get(asked.master_key());
        if master.is_ok_and(|master| master.helper.is_none_or(of_nftables)) {
            let words = "the master has no helper but perhaps an nftables rule with `ct expectation`";
            let failure = Failure::new(operation, Subject::ExpectationOf(asked.master_key()));
            return Error::Unsupported(failure.with_message(Some(words)));
        }
        let words = "accepted, but gone at once: fulfilled, removed, or given no time by the helper";
        let failure = Failure::new(operation, Subject::Expectation(asked.key()));
        Error::not_found(failure.with_message(Some(words)))
    }

    /// Sets the timeout of an expectation that was seen to be the one meant, if one is asked for.
    /// Returns whether the expectation was still there.
    fn set_timeout(&mut self, operation: Operation, asked: &Expectation) -> Result<bool> {
        if asked.timeout.is_none() {
            return Ok(true);
        }
        match self.send_new(0, &Expectation { helper: None, ..asked.clone() }) {
            Ok(()) => Ok(true),
            Err(fault) if fault.is_not_found() => Ok(false),
            Err(fault) => Err(explain(operation, asked, fault)),
        }
    }
}

/// Whether it is about the same packets of the same master.
fn is_same(found: &Expectation, asked: &Expectation) -> bool {
    // In the shape of a tuple: of a protocol without ports the mask's port means nothing.
    let mask = |of: &Expectation| of.mask.as_tuple(&asked.expected);
    (found.master, found.expected, mask(found)) == (asked.master, asked.expected, mask(asked))
}

/// Whether it is the request without ports, as a kernel that cannot keep those of its protocol makes it.
fn is_without_ports(found: &Expectation, asked: &Expectation) -> bool {
    let rest = |of: &Expectation| (of.master, of.expected.src(), of.expected.dst(), of.expected.protocol());
    rest(found) == rest(asked) && asked.expected.ports().is_some() && found.expected.ports().is_none()
}

/// The first part that was asked for and is not there.
fn missing(asked: &Expectation, found: &Expectation) -> Option<&'static str> {
    let flags = asked.flags - ExpectationFlags::USERSPACE;
    // The kernel reports a translation only if it has an address or a port.
    let nat = asked.nat.filter(|nat| nat.address.is_some() || nat.port != 0);
    if found.helper.is_none() {
        Some("the master has no helper, and so it would have no timeout")
    } else if asked.helper.is_some() && asked.helper != found.helper {
        Some("another helper than its master's")
    } else if asked.class.is_some() && asked.class != found.class {
        Some("not of this class; older kernels need the helper's name with it")
    } else if asked.function.is_some() && asked.function != found.function {
        Some("without its function")
    } else if nat.is_some() && nat != found.nat {
        Some("without its translation")
    } else if !found.flags.contains(flags) {
        Some("without all of its flags")
    } else {
        None
    }
}

/// The error for a creation that failed. A fault of the master has the master as its subject.
fn explain(operation: Operation, expectation: &Expectation, fault: Fault) -> Error {
    let master = Subject::ExpectationOf(expectation.master_key());
    let Fault::Refused { errno, message } = fault else {
        return fault.during(Failure::new(operation, master));
    };
    let own = Subject::Expectation(expectation.key());
    let words = message.as_deref();
    let failure = |subject, words| Failure::new(operation, subject).with_errno(errno).with_message(words);
    match errno {
        libc::ENOENT => Error::NotFound(failure(master, words.or(Some("no such master")))),
        libc::EOPNOTSUPP | libc::ESHUTDOWN => {
            Error::Unsupported(failure(master, words.or(Some("the master has no helper"))))
        }
        libc::EBUSY | libc::EALREADY => Error::Clash(failure(own, words)),
        libc::EMFILE => Error::TableFull(failure(own, words)),
        _ => Fault::Refused { errno, message }.during(Failure::new(operation, own)),
    }
}
