//! Every attribute of a connection, as a typed constant.
//!
//! A constant fixes at compile time the width of the value, the byte order in which the C library
//! stores it, and whether you can set it at all, so no call of yours reads or writes past a field. You always
//! get and set values in host order and in standard types; the swap happens inside.
//!
//! In the constants' documentation, `reported` lists the kernel's messages that carry the attribute: a
//! *dump* (or the answer to a get), and the events *new*, *update* and *destroy*. `accepted` lists the requests
//! in which the kernel uses it: *create*, *update*, or *key* if it names the connection in every
//! request.
//!
//! Attributes of the original direction also have the short names of the C header: [`L3PROTO`],
//! [`IPV4_SRC`], [`PORT_DST`] and so on.
//!
//! `ATTR_HELPER_INFO` has no constant. Its getter returns a pointer without a length, and its
//! setter stores the bytes but not their number. A connection read from the kernel keeps its helper information through copies and messages.

mod alias;
mod entry;
mod kind;
mod tuple;

use std::fmt;
use std::marker::PhantomData;

pub use alias::*;
pub use entry::*;
pub use kind::{
    ExpectFlags, Family, FunctionName, HelperName, IcmpType, Ipv4, Ipv6, Kind, Labels, Port, Protocol,
    Settable, State, Text, Timestamp, U8, U16, U32, U64,
};
pub use tuple::*;

pub(super) use kind::sealed;

/// Marks an attribute that can be set.
#[derive(Debug, Clone, Copy)]
pub enum ReadWrite {}

/// Marks an attribute only the kernel fills in: its C setter stores nothing, or nothing is sent.
#[derive(Debug, Clone, Copy)]
pub enum ReadOnly {}

/// An attribute of a connection: its number, the kind of its value, and whether you can set it.
///
/// The constants of this module are the only values.
pub struct Attr<K, A = ReadWrite> {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    /// The first release of the C library that has it.
    pub(super) since: &'static str,
    kind: PhantomData<fn() -> (K, A)>,
}

impl<K, A> Attr<K, A> {
    const fn new(id: u32, name: &'static str, rule: Rule, since: &'static str) -> Self {
        Self { id, name, rule, since, kind: PhantomData }
    }

    /// The attribute's name in C, such as `ATTR_MARK`.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<K, A> Clone for Attr<K, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, A> Copy for Attr<K, A> {}

impl<K, A> fmt::Debug for Attr<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// How an attribute depends on others. The C object keeps several attributes in one place and
/// does not record which of them is meant; another attribute decides.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// On its own.
    Plain,
    /// An address of `family`, in the same place as the other family's `twin`; `layer3` decides.
    Address { layer3: u32, family: u8, twin: u32 },
    /// A port, in the same place as the ICMP fields `twins`; `layer4` decides.
    Port { layer4: u32, twins: &'static [u32] },
    /// An ICMP field, in the same place as the ports `twins`; `ATTR_ORIG_L4PROTO` decides.
    Icmp { twins: &'static [u32] },
    /// The ICMP type, from which the setter also makes the reply's type.
    IcmpType { twins: &'static [u32] },
    /// A NAT address, in the same place as `twin`. No attribute decides; where both are marked the C
    /// library means the IPv4 one.
    Nat { twin: u32, loses: bool },
    /// The family that ICMP types are understood by.
    OriginalFamily,
}

/// Makes constants out of rows: C name, kind, access, rule, then the documentation's columns.
macro_rules! attributes {
    ($table:ident; $($(#[$doc:meta])* $name:ident = $id:expr, $c:literal: $kind:ty, $access:ty, $rule:expr;
        $value:literal; $reported:literal; $accepted:literal; $since:literal.)*) => {
        $(
            $(#[$doc])*
            ///
            #[doc = concat!("* value: ", $value)]
            #[doc = concat!("* reported: ", $reported)]
            #[doc = concat!("* accepted: ", $accepted)]
            #[doc = concat!("* since libnetfilter_conntrack ", $since)]
            #[doc(alias = $c)]
            pub const $name: Attr<$kind, $access> = Attr::new($id, $c, $rule, $since);
        )*

        /// Name and number of every constant above.
        #[cfg(test)]
        pub(super) const $table: &[(&str, u32)] = &[$(($c, $name.id)),*];
    };
}
use attributes;

/// Name and number of every constant, without aliases.
#[cfg(test)]
pub(super) fn table() -> impl Iterator<Item = (&'static str, u32)> {
    ENTRY.iter().chain(TUPLE).copied()
}

/// The short names: name and number of each.
#[cfg(test)]
pub(super) fn aliases() -> impl Iterator<Item = (&'static str, u32)> {
    ALIASES.iter().copied()
}
