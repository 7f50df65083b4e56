//! Every attribute of an expectation, as a typed constant.
//!
//! The counterpart of [`attr`](crate::nfct::attr) for expectations: a constant fixes the width of the value
//! and whether you can set it at all. `reported` lists the messages of the kernel that carry the attribute: a
//! *dump* (or the answer to a get), and the events *new* and *destroy*. `accepted` is its effect in a
//! request.
//!
//! Read-only are the attributes that the C library never puts into a message, though it has setters
//! for them. [`Expectation`](crate::Expectation) sends those that the kernel accepts.

use std::fmt;
use std::marker::PhantomData;

pub use crate::nfct::attr::{ExpectFlags, FunctionName, HelperName, ReadOnly, ReadWrite, U16, U32};
use crate::sys;

/// An attribute of an expectation: its number, the type of its value, and whether you can set it.
///
/// The constants of this module are the only values.
pub struct ExpectAttr<K, A = ReadWrite> {
    pub(super) id: u32,
    pub(super) name: &'static str,
    kind: PhantomData<fn() -> (K, A)>,
}

impl<K, A> ExpectAttr<K, A> {
    const fn new(id: u32, name: &'static str) -> Self {
        Self { id, name, kind: PhantomData }
    }

    /// The attribute's name in C, such as `ATTR_EXP_FLAGS`.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<K, A> Clone for ExpectAttr<K, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, A> Copy for ExpectAttr<K, A> {}

impl<K, A> fmt::Debug for ExpectAttr<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A tuple: read by [`Expect::tuple`](super::Expect::tuple), set by
/// [`Expect::set_tuple`](super::Expect::set_tuple).
#[derive(Debug, Clone, Copy)]
pub enum Tuple {}

/// Makes constants out of rows: C name, kind, access, then the documentation's columns.
macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident = $id:expr, $c:literal: $kind:ty, $access:ty;
        $value:literal; $reported:literal; $accepted:literal; $since:literal.)*) => {
        $(
            $(#[$doc])*
            ///
            #[doc = concat!("* value: ", $value)]
            #[doc = concat!("* reported: ", $reported)]
            #[doc = concat!("* accepted: ", $accepted)]
            #[doc = concat!("* since libnetfilter_conntrack ", $since)]
            #[doc(alias = $c)]
            pub const $name: ExpectAttr<$kind, $access> = ExpectAttr::new($id, $c);
        )*

        /// Name and number of every constant above.
        #[cfg(test)]
        pub(in crate::nfct) const TABLE: &[(&str, u32)] = &[$(($c, $name.id)),*];
    };
}

attributes! {
    /// The original tuple of the connection that announced this one.
    MASTER = sys::ATTR_EXP_MASTER, "ATTR_EXP_MASTER": Tuple, ReadWrite;
        "tuple"; "dump, new, destroy"; "create: names the master, which must exist and have a helper"; "0.0.80".
    /// The tuple of the expected connection, compared under the mask.
    EXPECTED = sys::ATTR_EXP_EXPECTED, "ATTR_EXP_EXPECTED": Tuple, ReadWrite;
        "tuple"; "dump, new, destroy"; "every request about one expectation"; "0.0.80".
    /// Which bits of the expected tuple's source address and source port count. The kernel ignores
    /// the rest of the mask and reports it as ones: destinations always count.
    MASK = sys::ATTR_EXP_MASK, "ATTR_EXP_MASK": Tuple, ReadWrite;
        "tuple"; "dump, new, destroy"; "create"; "0.0.80".
    /// The time left until the expectation is removed.
    TIMEOUT = sys::ATTR_EXP_TIMEOUT, "ATTR_EXP_TIMEOUT": U32, ReadWrite;
        "seconds"; "dump, new, destroy"; "of one that exists; ignored by create, where the helper's policy counts"; "0.0.80".
    /// The zone of the master.
    ZONE = sys::ATTR_EXP_ZONE, "ATTR_EXP_ZONE": U16, ReadWrite;
        "number"; "never"; "every request about one expectation"; "0.9.1".
    /// The kind of the expectation.
    FLAGS = sys::ATTR_EXP_FLAGS, "ATTR_EXP_FLAGS": ExpectFlags, ReadWrite;
        "flags"; "dump, new, destroy"; "create"; "0.9.1".
    /// The name of the helper.
    HELPER_NAME = sys::ATTR_EXP_HELPER_NAME, "ATTR_EXP_HELPER_NAME": HelperName, ReadWrite;
        "1 to 15 bytes"; "dump, new, destroy"; "create, by older kernels as 5.10.223: needed for a class, and given to the expected flow; delete without a tuple: all of that helper"; "1.0.0".
    /// The class: a helper has a limit and a timeout for each of its own.
    CLASS = sys::ATTR_EXP_CLASS, "ATTR_EXP_CLASS": U32, ReadOnly;
        "number"; "dump, new, destroy"; "create, but the library does not send it"; "1.0.1".
    /// The expected connection's source before translation.
    NAT_TUPLE = sys::ATTR_EXP_NAT_TUPLE, "ATTR_EXP_NAT_TUPLE": Tuple, ReadOnly;
        "tuple, of which the source address and port count"; "dump, new, destroy, where there is NAT"; "create, but the library does not send it"; "1.0.1".
    /// The direction of the expected connection, as seen from its master. The header calls it 8 bits
    /// wide, the library keeps 32. Kernels that do not clear memory as they allocate it, up to 5.10.223 at
    /// least, report any number for an expectation without NAT.
    NAT_DIR = sys::ATTR_EXP_NAT_DIR, "ATTR_EXP_NAT_DIR": U32, ReadOnly;
        "0 original, 1 reply"; "dump, new, destroy, where there is NAT"; "create, but the library does not send it"; "1.0.1".
    /// The kernel's name for the function that it calls when the expected connection comes.
    FN = sys::ATTR_EXP_FN, "ATTR_EXP_FN": FunctionName, ReadOnly;
        "1 to 23 bytes"; "dump, new, destroy, where there is one"; "create, but the library does not send it"; "1.0.1".
}
